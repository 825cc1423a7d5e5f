"""What one student did: marks, times, extensions, excuses; what a policy makes a grade of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from etude.courses.amounts import DIGITS, LARGEST, is_number
from etude.errors import UserError


@dataclass(frozen=True)
class Mark:
    """So many marks of so many.

    Raises:
        UserError: there are fewer than none, or more than there can be.
    """

    earned: Decimal
    most: Decimal = Decimal(100)

    def __post_init__(self) -> None:
        if not (is_number(self.earned) and is_number(self.most) and self.most > 0):
            raise UserError(
                f"{self.earned} of {self.most} are no marks; expected them like 8/10, up to"
                f" {LARGEST:,} and with at most {DIGITS} digits"
            )
        if not 0 <= self.earned <= self.most:
            raise UserError(
                f"{self.earned} of {self.most} are no marks; expected from 0 to {self.most}"
            )

    @property
    def share(self) -> Fraction:
        """The part of what could be earned, from 0 to 1."""
        over, under = self.earned.as_integer_ratio()
        most, of = self.most.as_integer_ratio()
        return Fraction(over * of, under * most)


@dataclass(frozen=True)
class Adjustment:
    """What an instructor adds to a student's marks by hand, or that the student fails.

    Attributes:
        by: marks of the hundred; negative where they are taken away.
        fails: whether the student fails the course whatever the marks; None: nothing is said.
        why: the reason.
    """

    by: Decimal = Decimal(0)
    fails: bool | None = None
    why: str = ""


@dataclass(frozen=True)
class StudentWork:
    """What one student did, as the policy sees it.

    Attributes:
        marks: by the piece that is marked: a part of the grade, an assignment, ``quizzes/3``.
        handed_in: when, by the assignment; with a time zone.
        extended: a deadline of the student's own, by the assignment; with a time zone.
        excused: pieces, assignments or parts. What is excused and was never done counts for
            nothing; what is late and excused is not late.
        missed: pieces at which the student was not.
        adjustments: in order; the last that says whether the student fails holds.
    """

    marks: Mapping[str, Mark] = field(default_factory=dict)
    handed_in: Mapping[str, datetime] = field(default_factory=dict)
    extended: Mapping[str, datetime] = field(default_factory=dict)
    excused: Collection[str] = ()
    missed: Collection[str] = ()
    adjustments: tuple[Adjustment, ...] = ()
