"""A course as a calendar file (RFC 5545), for any calendar program."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from icalendar import Calendar, Event

from etude.courses.course import Assignment, Meeting
from etude.courses.edition import Edition
from etude.errors import UserError, printable

BY_WORDS = {"cancelled": "No class", "make-up": "Make-up class", "break": "No class"}


def calendar(edition: Edition) -> bytes:
    """The classes and deadlines of an edition, the same bytes each time.

    A cancelled class stands there as cancelled. A deadline whose hour or zone is open is a whole
    day. But for line ends there is no sign in it that a terminal would obey.

    Raises:
        UserError: no row of its schedule has a date.
    """
    course = edition.course
    dated = [row for row in course.schedule if row.dates]
    if not dated:
        way = (
            "expected some in [days] of its file"
            if edition.start
            else f"'etude course new {course.id} --start DATE --out DIR' makes an edition that has"
        )
        raise UserError(f"no class of {course.id} has a day; {way}")
    name = f"{course.id}-{edition.start}" if edition.start else course.id  # one edition's own
    stamp = datetime.combine(dated[0].dates[0], time(), UTC)
    file = Calendar()
    file.add("version", "2.0")
    file.add("prodid", "-//Etude//courses//EN")
    file.add("x-wr-calname", _line(f"{course.id} {course.title}"))
    for number, row in enumerate(course.schedule, 1):
        for part, day in enumerate(row.dates, 1):
            several = f" ({part} of {len(row.dates)})" if len(row.dates) > 1 else ""
            event = _event(f"{name}-{number}-{part}", stamp, day, None)
            event.add("summary", _line(f"{course.id}: {_summary(row)}{several}"))
            event.add("description", _description(row))
            if row.kind == "cancelled":
                event.add("status", "CANCELLED")
            file.add_component(event)
    for assignment in course.assignments:
        due = edition.due(assignment)
        if due is not None:
            event = _event(f"{name}-{assignment.id}", stamp, _day(due), due)
            event.add("summary", _line(f"{course.id} {assignment.id} due: {assignment.title}"))
            event.add("description", _line(_hour(assignment, edition)))
            file.add_component(event)
    days = [day for row in dated for day in row.dates]
    file.add_missing_timezones(min(days), max(days) + timedelta(days=366))  # and not since 1970
    return bytes(file.to_ical())


def _event(uid: str, stamp: datetime, day: date, moment: datetime | date | None) -> Event:
    event = Event()
    event.add("uid", f"{uid}@etude")
    event.add("dtstamp", stamp)
    if isinstance(moment, datetime):
        event.add("dtstart", moment)  # and no end: RFC 5545 has none that is not later
    else:
        event.add("dtstart", day)
        event.add("dtend", day + timedelta(days=1))
    return event


def _day(moment: datetime | date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _summary(row: Meeting) -> str:
    before = BY_WORDS.get(row.kind)
    return f"{before}: {row.title}" if before and before.lower() != row.title.lower() else row.title


def _description(row: Meeting) -> str:
    parts = {
        "Topics": row.topics,
        "To read": row.assigned,
        "Further": row.recommended,
        "Papers": row.papers,
        "To do": row.tasks,
        "Handed out": row.out,
        "Due": row.due,
        "Studies": row.studies,
    }
    return "\n".join(
        _line(f"{name}: {'; '.join(values)}") for name, values in parts.items() if values
    )


def _line(text: str) -> str:
    """A text in one line, whoever wrote it."""
    return printable(" ".join(text.split()))


def _hour(assignment: Assignment, edition: Edition) -> str:
    if assignment.hour is None:
        return "The hour is not decided."
    hour = f"{assignment.hour:%H:%M}"
    return assignment.task if edition.zone else f"At {hour}, in a time zone that is not decided."
