"""A course as it is taught: from a first day on, with what its instructor decided.

An edition is a small file that names the course, the first day and the decisions::

    base = "CU"
    start = 2027-01-19

    [decisions]
    zone = "America/New_York"

    [due]
    A1 = 2027-02-02T23:59:00

    [days]
    3 = 2027-01-27

    [[late]]
    kind = "cap"
    most = 50
    of = ["project"]
    words = "What is late gets half."
"""

from __future__ import annotations

import re
import reprlib
import tomllib
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from etude.courses.amounts import number
from etude.courses.course import (
    LETTER,
    Assignment,
    Course,
    Decision,
    Id,
    Item,
    Late,
    Letter,
    Meeting,
    Record,
    no_day,
)
from etude.courses.reading import check_size, decoded, troubles
from etude.errors import UserError, nearest

Value = str | Decimal | Mapping[str, Decimal]


@dataclass(frozen=True)
class Edition:
    """A course with dates and decisions.

    Attributes:
        course: the course, with each decision that was made written into it.
        start: its first day; None where it stands as its syllabus states it.
        made: the decisions that were made.
    """

    course: Course
    start: date | None = None
    made: Mapping[str, Value] = field(default_factory=dict)

    @property
    def open(self) -> list[Decision]:
        """The decisions that are still to be made. One on a day or an hour is made in ``[due]``."""
        of = {each.id: each for each in self.course.assignments}
        return [
            each
            for each in self.course.decisions
            if each.id not in self.made
            and not (each.kind == "date" and of[each.of].due is not None)
            and not (each.kind == "time" and of[each.of].hour is not None)
        ]

    @property
    def zone(self) -> zoneinfo.ZoneInfo | None:
        """The time zone of its deadlines, once it is decided."""
        zones = [d.id for d in self.course.decisions if d.kind == "zone"]
        name = self.made.get(zones[0]) if zones else None
        return zoneinfo.ZoneInfo(name) if isinstance(name, str) else None

    def due(self, assignment: Assignment) -> datetime | date | None:
        """When an assignment is due: with its hour and zone where both are known, a day where they
        are not, None where the day is open.
        """
        if assignment.due is None or assignment.hour is None or self.zone is None:
            return assignment.due
        return datetime.combine(assignment.due, assignment.hour, self.zone)


class _File(Record, frozen=True, kw_only=True):
    """What an edition's file holds."""

    base: Id
    start: date
    title: str = ""
    decisions: dict[str, Any] = {}
    due: dict[str, Any] = {}
    days: dict[str, Any] = {}
    late: tuple[Late, ...] = ()  # late rules that the instructor adds


def is_edition(path: Path, content: bytes) -> bool:
    """Whether a file names a course as its base, and so is no course itself.

    Raises:
        UserError: it is too large to be taken apart.
    """
    check_size(path, content)
    try:
        return "base" in tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        return False  # reading it as a course says what is wrong


def read_edition(path: Path, course_named: Callable[[str], Course], content: bytes) -> Edition:
    """An edition from what its file holds, or held at another time.

    Args:
        path: of the file.
        course_named: finds the course that it is based on.
        content: of the file.

    Raises:
        UserError: it is none; it decides what is not to be decided; a value is none of its kind.
    """
    file = decoded(path, _File, content)
    try:
        edition = edition_of(
            course_named(file.base),
            file.start,
            file.decisions,
            file.due,
            file.days,
            title=file.title,
            late=file.late,
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    for trouble in troubles(edition.course):
        raise UserError(f"{path}: {trouble}")
    return edition


def edition_of(
    course: Course,
    start: date | None = None,
    decisions: Mapping[str, Any] | None = None,
    due: Mapping[str, Any] | None = None,
    days: Mapping[str, Any] | None = None,
    *,
    title: str = "",
    late: tuple[Late, ...] = (),
) -> Edition:
    """A course from a first day on.

    Args:
        course: as its syllabus states it.
        start: the first day of classes; every other day moves with it. None: nothing moves.
        decisions: ``{decision: what was decided}``.
        due: ``{assignment: day, or day and hour}``, in place of what the syllabus states.
        days: ``{number of a class: its day}``, of classes that move by themselves.
        title: in place of the course's own.
        late: late rules that the instructor adds to the course's.

    Raises:
        UserError: a decision, an assignment or a value is none.
    """
    if start is not None and (said := no_day(start)):
        raise UserError(f"the start: {said}")
    made: dict[str, Value] = {}
    known = {each.id: each for each in course.decisions}
    for name, value in (decisions or {}).items():
        if name not in known:
            raise UserError(f"[decisions]: no decision '{name}'{nearest(name, known)}")
        made[name] = checked(known[name], value)
    if start is not None:
        course = shifted(course, start)
    for name, value in made.items():
        course = written(course, known[name], value)
    assignments = {each.id for each in course.assignments}
    for name, value in (due or {}).items():
        if name not in assignments:
            raise UserError(f"[due]: no assignment '{name}'{nearest(name, assignments)}")
        course = _due(course, name, _day(f"[due] {name}", value))
    if days:
        course = _moved(course, days)
    if title:
        course = msgspec.structs.replace(course, title=title)
    if late:
        course = msgspec.structs.replace(course, late=(*course.late, *late))
    return Edition(course, start, made)


# -- days ------------------------------------------------------------------------------------------


def shifted(course: Course, start: date) -> Course:
    """A course whose first class is on ``start`` or within the week that begins there.

    A course with dates moves by whole weeks, so that its classes and deadlines keep their days of
    the week. One that counts weeks has its n-th week 7 (n − 1) days after ``start``; days that its
    syllabus states then mean nothing, and are left open.
    """
    replace = msgspec.structs.replace
    days = [day for row in course.schedule for day in row.dates]
    if days:
        by = timedelta(weeks=-((min(days) - start).days // 7))
        schedule = [
            replace(row, dates=tuple(day + by for day in row.dates)) for row in course.schedule
        ]
        assignments = [replace(a, due=a.due and a.due + by) for a in course.assignments]
    else:
        schedule = [_week(row, start) for row in course.schedule]
        assignments = [replace(a, due=None) for a in course.assignments]
    return replace(course, schedule=tuple(schedule), assignments=tuple(assignments))


def _week(row: Meeting, start: date) -> Meeting:
    if row.week is None:
        return row
    return msgspec.structs.replace(row, dates=(start + timedelta(weeks=row.week - 1),))


def _moved(course: Course, days: Mapping[str, Any]) -> Course:
    """A course of which some classes are on other days; in the order of the days."""
    schedule = list(course.schedule)
    places = {str(number): number - 1 for number in range(1, len(schedule) + 1)}
    for name, value in days.items():
        if name not in places:
            raise UserError(
                f"[days]: no class '{name}'; expected its number, from 1 to {len(schedule)}"
            )
        day = _day(f"[days] {name}", value)
        if isinstance(day, datetime):
            raise UserError(f"[days] {name} has an hour; expected a day")
        row = schedule[places[name]]
        schedule[places[name]] = msgspec.structs.replace(row, dates=(day,))
    order = [*range(len(schedule))]
    if all(row.dates for row in schedule):
        order.sort(key=lambda number: schedule[number].dates[0])
    return msgspec.structs.replace(course, schedule=tuple(schedule[number] for number in order))


def _due(course: Course, name: str, value: date | datetime) -> Course:
    """A course in which an assignment is due then."""
    replace = msgspec.structs.replace

    def moved(each: Assignment) -> Assignment:
        if each.id != name:
            return each
        if isinstance(value, datetime):
            return replace(each, due=value.date(), hour=value.time())
        return replace(each, due=value)

    return replace(course, assignments=tuple(map(moved, course.assignments)))


# -- decisions -------------------------------------------------------------------------------------


def checked(decision: Decision, value: Any) -> Value:
    """A decided value, if it is one of its kind.

    Raises:
        UserError: it is not; with what was expected.
    """
    where = f"[decisions] {decision.id}"
    match decision.kind, value:
        case "choice", str():
            ids = [choice.id for choice in decision.choices]
            if value not in ids:
                raise UserError(f"{where} is '{value}'; expected one of {', '.join(ids)}")
            return value
        case "zone", str():
            if value not in zoneinfo.available_timezones():
                raise UserError(
                    f"{where} is '{value}', which is no time zone; expected one like Europe/Berlin"
                )
            return value
        case "text", str():
            return value
        case "number", int() | float():
            return _number(where, value)
        case "date" | "time", _:
            raise UserError(f"{where}: a day or an hour is decided in [due], for {decision.of}")
        case "weights" | "letters", dict() if value:
            numbers = {name: _number(f"{where}.{name}", each) for name, each in value.items()}
            for name in numbers:
                if decision.kind == "letters" and not re.search(LETTER, name):
                    raise UserError(f"{where}: '{name}' is no letter; expected ones like A, B+, F")
            if decision.kind == "letters" and list(numbers.values()) != sorted(
                set(numbers.values()), reverse=True
            ):
                raise UserError(f"{where}: the marks don't fall; expected the best letter first")
            return numbers
    raise UserError(f"{where} is {_said(value)}; expected {EXPECTED[decision.kind]}")


EXPECTED = {
    "choice": "one of its choices, as a text",
    "zone": 'a time zone, as a text like "Europe/Berlin"',
    "text": "a text",
    "number": "a number",
    "weights": "a table of weights like { a = 10, b = 20 }",
    "letters": "a table of letters with the least marks of each, like { A = 90, B = 80, F = 0 }",
}


def _number(where: str, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{where} is {_said(value)}; expected a number")
    try:
        return number(value)
    except ValueError as error:
        raise UserError(f"{where} is {_said(value)}; {error}") from None


def _said(value: Any) -> str:
    """A value of any size and depth, as a sentence may quote it."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


def _day(where: str, value: Any) -> date | datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        raise UserError(f"{where} has a time zone of its own; expected the hour in the course's")
    if not isinstance(value, date):
        raise UserError(
            f"{where} is {_said(value)}; expected a day like 2027-02-01, or with its"
            " hour 2027-02-01T23:59:00"
        )
    if said := no_day(value):
        raise UserError(f"{where}: {said}")
    return value


def written(course: Course, decision: Decision, value: Value) -> Course:
    """A course with a decision written into it: the weights of parts, the letters.

    Raises:
        UserError: the weights are not those of the parts, or don't sum to the whole.
    """
    replace = msgspec.structs.replace
    match decision.kind, value:
        case "weights", dict():
            return replace(course, grade=tuple(_weighed(i, decision, value) for i in course.grade))
        case "letters", dict():
            *rest, last = value
            letters = [
                Letter(letter=name, above=value[name], includes=True, words=decision.words)
                for name in rest
            ]
            return replace(course, letters=(*letters, Letter(letter=last, words=decision.words)))
    return course


def _weighed(item: Item, decision: Decision, weights: Mapping[str, Decimal]) -> Item:
    replace = msgspec.structs.replace
    if item.split != decision.id:
        return replace(item, parts=tuple(_weighed(p, decision, weights) for p in item.parts))
    ids = {part.id for part in item.parts}
    if weights.keys() != ids:
        raise UserError(
            f"[decisions] {decision.id} weighs {', '.join(sorted(weights))}; expected each of"
            f" {', '.join(sorted(ids))}"
        )
    total = sum(weights.values())
    if item.weight is not None and total != item.weight:
        raise UserError(
            f"[decisions] {decision.id} sums to {total}; expected {item.weight}, the weight of"
            f" {item.id}"
        )
    parts = tuple(replace(part, weight=weights[part.id]) for part in item.parts)
    return replace(item, parts=parts, split="")
