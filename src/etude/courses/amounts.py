"""Exact numbers as people read them."""

from __future__ import annotations

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
    exact = Fraction(value)
    near = [Fraction(bound) for bound in bounds if abs(Fraction(bound) - exact) < 1]
    digits = 2
    rounded = round(exact, digits)
    while digits < MOST_DIGITS and any(
        (rounded > bound) != (exact > bound) or (rounded < bound) != (exact < bound)
        for bound in near
    ):
        digits += 1
        rounded = round(exact, digits)
    text = f"{Decimal(rounded.numerator) / Decimal(rounded.denominator):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def spoken(days: Fraction) -> str:
    """A time in days, or in hours or minutes where it is shorter."""
    for unit, size in (("days", 1), ("h", 24), ("min", 24 * 60)):
        if days * size >= 1:
            return f"{shown(days * size)} {unit}" if days != 1 else "1 day"
    if not days:
        return "0 days"
    return f"{shown(days * 24 * 60 * 60)} s"
