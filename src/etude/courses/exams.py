"""Which questions a week or a range of lectures of a course asks: those of the studies it names."""

from __future__ import annotations

from collections.abc import Iterable

from etude.catalogue import Catalogue
from etude.courses.course import Course, Meeting
from etude.courses.words import by_week
from etude.errors import UserError
from etude.questions.asking import Generator

Groups = list[list[Generator]]  # by what they are about, each generator once


def of_week(course: Course, week: int) -> Groups:
    """The questions of a week, by study.

    Raises:
        UserError: there is no such week, or none of its studies has questions.
    """
    weeks = by_week(course)
    if week not in weeks:
        raise UserError(
            f"{course.id} has no week {week}; expected one from {min(weeks)} to {max(weeks)}"
        )
    studies = dict.fromkeys(name for row in weeks[week] for name in row.studies)
    groups = [questions for name in studies if (questions := _of([name]))]
    if not groups:
        named = f"its studies, {', '.join(studies)}, have none" if studies else "it names no study"
        raise UserError(f"week {week} of {course.id} has no questions yet: {named}")
    return groups


def of_lectures(course: Course, first: int, last: int) -> Groups:
    """The questions of lectures, by lecture; a study of several lectures counts for its first.

    Raises:
        UserError: there are no such lectures, or none of their studies has questions.
    """
    there = {row.number: row for row in course.schedule if row.kind == "lecture" and row.number}
    if not there:
        raise UserError(
            f"{course.id} does not number its lectures; 'etude course quiz' draws by week"
        )
    if not min(there) <= first <= last <= max(there):
        raise UserError(
            f"--lectures is {first}-{last}; {course.id} has lectures {min(there)} to {max(there)}"
        )
    groups: Groups = []
    seen: set[str] = set()
    for number in range(first, last + 1):
        rows: Iterable[Meeting] = [there[number]] if number in there else []
        names = [name for row in rows for name in row.studies if name not in seen]
        seen.update(names)
        groups.append(_of(names))
    if not any(groups):
        raise UserError(f"lectures {first} to {last} of {course.id} have no questions yet")
    return groups


def _of(studies: Iterable[str]) -> list[Generator]:
    """The questions of studies, of those that are built and have some."""
    catalogue = Catalogue()
    return [
        generator
        for name in studies
        if name in catalogue.files
        for generator in catalogue[name].questions()
    ]
