"""Editions in which every decision on grades is made, and students who did everything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from etude.courses.edition import Edition, edition_of
from etude.courses.library import course
from etude.courses.policy import Policy
from etude.courses.student_work import Mark, StudentWork

LETTERS = {"A": 90, "B": 80, "C": 70, "D": 60, "F": 0}
ZONE = ZoneInfo("America/Chicago")
START = date(2027, 1, 18)
DUE = datetime(2027, 3, 1, 23, 59)
MADE: dict[str, dict[str, Any]] = {
    "OU": {
        "late-day": "begun",
        "homework": {"H1": 10, "H2": 10, "H3": 10},
        "presentation": {"talk": 12, "abstract": 3, "reviews": 5},
        "project": {"proposal": 5, "progress": 5, "video": 20},
        "report-of": "course",
    },
    "ITU": {
        "assignments": {"A1": 10, "A2": 10, "A3-1": 10, "A3-2": 5, "further": 10},
        "participation": {"class": 3, "notes": 2},
        "letters": LETTERS,
        "late": "nothing",
    },
    "NCKU": {"letters": LETTERS, "late": "What is late is not marked."},
    "CU": {
        "letters": LETTERS,
        "late-days": "floor",
        "late-day": "begun",
        "late-order": "after",
        "late-excused": "no",
        "late-marks": "top",
        "projects-too": "no",
        "assignments": {"A1": 6, "A2": 6, "A3": 6, "A4": 6, "A5": 6},
        "projects": {"midterm": 10, "final": 20},
        "quiz-weights": "points",
    },
    "CUHK": {
        "late-assignments": "nothing",
        "late-originality": "beside",
        "participation": "within",
        "letters": LETTERS,
    },
}


def decided(name: str, without: tuple[str, ...] = (), **made: Any) -> Edition:
    """An edition with all decided but some, and some decided otherwise (``late_day="exact"``)."""
    decisions = {"zone": str(ZONE), **MADE[name]}
    decisions |= {key.replace("_", "-"): value for key, value in made.items()}
    for key in without:
        decisions.pop(key, None)
    base = course(name)
    due = {each.id: DUE for each in base.assignments if each.id not in without}
    return edition_of(base, START, decisions, due)


def hours_late(hours: float) -> datetime:
    """So many hours after every deadline of these editions."""
    return DUE.replace(tzinfo=ZONE) + timedelta(hours=hours)


def marks(percent: Mapping[str, object]) -> dict[str, Mark]:
    """Percents as marks."""
    return {name: Mark(Decimal(str(each))) for name, each in percent.items()}


def everything(policy: Policy, percent: object = 100) -> dict[str, Mark]:
    """So many percent of every part."""
    return marks(dict.fromkeys(policy.pieces.leaves, percent))


def all_in(policy: Policy, hours: float = -24) -> dict[str, datetime]:
    """Every assignment handed in so many hours after its deadline."""
    return {each: hours_late(hours) for each in policy.pieces.assignments}


def only(policy: Policy, percent: Mapping[str, object], **rest: Any) -> StudentWork:
    """A student who handed all in, has these marks, and 0 in all other parts."""
    base = everything(policy, 0)
    handed = rest.pop("handed_in", {})
    return StudentWork(base | marks(percent), all_in(policy) | handed, **rest)
