"""The grades of a course, as a view of its events; and what changes where something does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from etude.courses.edition import Edition
from etude.courses.policy import Policy
from etude.courses.standing import Standing
from etude.courses.summing import Grade


def grades(standing: Standing, edition: Edition, *, final: bool = False) -> dict[str, Grade]:
    """``{student: grade}`` of all that have not left.

    Args:
        standing: what the events say.
        edition: the course with its decisions.
        final: whether the course is over; see :meth:`Policy.grade`.
    """
    policy = policy_of(standing, edition)
    return {
        record.student: policy.grade(record.work(policy.pieces), final=final)
        for record in standing.present
    }


def policy_of(standing: Standing, edition: Edition) -> Policy:
    """The policy of an edition, for the works that the events name."""
    bare = Policy(edition)
    return Policy(edition, standing.named(bare.pieces))


@dataclass(frozen=True)
class Change:
    """A student's grade before and after something; None where there was or is none."""

    student: str
    marks: tuple[Fraction | None, Fraction | None]
    letter: tuple[str | None, str | None]
    fails: tuple[bool, bool]


def changes(before: dict[str, Grade], after: dict[str, Grade]) -> list[Change]:
    """Whose grade is another, and how."""
    found = []
    for student in dict.fromkeys((*before, *after)):
        one, two = before.get(student), after.get(student)
        change = Change(
            student,
            (one.marks if one else None, two.marks if two else None),
            (one.letter if one else None, two.letter if two else None),
            (bool(one and one.fails), bool(two and two.fails)),
        )
        pairs = (change.marks, change.letter, change.fails)
        if any(a != b for a, b in pairs):
            found.append(change)
    return found
