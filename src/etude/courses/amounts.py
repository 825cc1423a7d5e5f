"""Exact numbers, as people write and read them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from fractions import Fraction

MOST_DIGITS = 30  # behind the point of a number that is shown
LARGEST = 1_000_000  # of a number that is read
DIGITS = 12  # of a number that is read, and behind its point
LONGEST = 100  # signs of its text
EXPECTED = f"expected a number up to {LARGEST:,}, with at most {DIGITS} digits"


def is_number(value: Decimal) -> bool:
    """Whether a number is one of a course: finite, not too large, of not too many digits.

    Whatever is read from outside is held to it, because exact sums of numbers with a million digits
    take for ever.
    """
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or len(digits) > DIGITS or abs(exponent) > DIGITS:
        return False
    return abs(value) <= LARGEST


def number(value: str | float) -> Decimal:
    """A number from its text, or from what a file holds.

    Raises:
        ValueError: it is none, or none of a course; see :func:`is_number`.
    """
    try:
        text = str(value)  # which Python refuses for a whole number of many digits
        found = Decimal(text) if len(text) <= LONGEST and "_" not in text else None
    except (InvalidOperation, ValueError):
        found = None
    if found is None or not is_number(found):
        raise ValueError(EXPECTED)
    return found


def shown(
    value: Fraction | Decimal | int, bounds: Iterable[Fraction | Decimal] = (), digits: int = 2
) -> str:
    """A number with two digits behind the point, or as many as it takes to see where it stands.

    Args:
        value: the number.
        bounds: numbers on whose side the text must be, too: 90.001 is not shown as 90 where 90 is
            a bound.
        digits: how many there are behind the point, where that is enough.
    """
    over, under = value.as_integer_ratio()
    exact = [Fraction(bound) for bound in bounds]
    near = [bound for bound in exact if abs(bound * under - over) < under]
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


def exact(value: Fraction | Decimal | int) -> str:
    """A number with all its digits; one without an end with thirty behind the point."""
    return shown(value, digits=MOST_DIGITS)


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
