"""How late work is, in days of the course's clock, and what a day that has begun counts for."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Literal

MICROSECOND = timedelta(microseconds=1)
Counts = Literal["begun", "whole", "exact"]


def late_days(due: datetime, handed_in: datetime, grace: int = 0) -> Fraction:
    """How many days after its deadline something was handed in, exactly; 0 if it was in time.

    A late day ends at the hour of the deadline, on the clock of the deadline's own time zone. So
    the day on which a clock is put back has 25 hours, and a deadline at 23:59 stays one at 23:59.

    Args:
        due: with its time zone.
        handed_in: with any time zone.
        grace: minutes after the deadline that are not late; after them, days count from it.
    """
    moment = handed_in.astimezone(UTC)
    first = due.astimezone(UTC)
    if moment <= first + timedelta(minutes=grace):
        return Fraction(0)
    days = max(0, (moment - first).days - 1)  # clocks change by less than a day
    while _after(due, days + 1) <= moment:
        days += 1
    begin, end = _after(due, days) if days else first, _after(due, days + 1)
    return days + Fraction((moment - begin) // MICROSECOND, (end - begin) // MICROSECOND)


def _after(due: datetime, days: int) -> datetime:
    """The instant at which so many days after a deadline are over."""
    return (due + timedelta(days=days)).astimezone(UTC)


def counted(days: Fraction, counts: Counts) -> Fraction:
    """Late days as they count: those that have begun, those that are over, or each part."""
    if counts == "begun":
        return Fraction(math.ceil(days))
    return Fraction(math.floor(days)) if counts == "whole" else days


def later(due: datetime, extended: datetime | None) -> datetime:
    """A deadline with an extension, in the deadline's own time zone; never before the deadline."""
    if extended is None or extended.astimezone(UTC) <= due.astimezone(UTC):
        return due
    return extended.astimezone(due.tzinfo)
