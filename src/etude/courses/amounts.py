"""Exact numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

MOST_DIGITS = 30


def shown(value: Fraction | Decimal | int, bounds: Iterable[Fraction | Decimal] = ()) -> str:
    """A number with two digits behind the point, or as many as it takes to see where it stands.

    Args:
        value: the number.
        bounds: numbers on whose side the text must be, too: 90.001 is not shown as 90 where 90 is
            a bound.
    """
    over, under = value.as_integer_ratio()
    exact = [Fraction(bound) for bound in bounds]
    near = [bound for bound in exact if abs(bound * under - over) < under]
    digits = 2
    while True:
        scale = 10**digits
        rounded = _nearest(over * scale, under)
        if digits >= MOST_DIGITS or all(
            _sign(rounded * bound.denominator - bound.numerator * scale)
            == _sign(over * bound.denominator - bound.numerator * under)
            for bound in near
        ):
            break
        digits += 1
    whole, part = divmod(abs(rounded), scale)
    behind = f"{part:0{digits}d}".rstrip("0")
    return f"{'-' if rounded < 0 else ''}{whole}{'.' if behind else ''}{behind}"


def _nearest(over: int, under: int) -> int:
    """The whole number nearest to a fraction; of two alike the even one."""
    down, rest = divmod(over, under)
    return down + (2 * rest > under or (2 * rest == under and down % 2))


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def weighted(weights: Iterable[Fraction], shares: Iterable[Fraction]) -> Fraction:
    """The exact sum of shares, each times its weight; over one denominator, which is fast."""
    products = [
        (w.numerator * s.numerator, w.denominator * s.denominator)
        for w, s in zip(weights, shares, strict=True)
    ]
    under = math.lcm(*(each for _, each in products))
    return Fraction(sum(over * (under // each) for over, each in products), under)


def spoken(days: Fraction) -> str:
    """A time in days, or in hours or minutes where it is shorter."""
    for unit, size in (("days", 1), ("h", 24), ("min", 24 * 60)):
        if days * size >= 1:
            return f"{shown(days * size)} {unit}" if days != 1 else "1 day"
    if not days:
        return "0 days"
    return f"{shown(days * 24 * 60 * 60)} s"
