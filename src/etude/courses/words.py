"""A course in words, for the terminal and the page: its weeks, days, papers, rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from etude.courses.course import (
    Assignment,
    Course,
    Decision,
    Item,
    LateByLetter,
    LateByPercent,
    Meeting,
    Paper,
)
from etude.courses.edition import Edition


def by_week(course: Course) -> dict[int, list[Meeting]]:
    """The rows of each week: as the course counts, else from the Monday before its first day; of a
    course with neither weeks nor dates each row is one.
    """
    weeks: dict[int, list[Meeting]] = {}
    dated = [row.dates[0] for row in course.schedule if row.dates]
    for number, row in enumerate(course.schedule, 1):
        if row.week is not None:
            number = row.week
        elif row.dates:
            first = min(dated)
            number = ((row.dates[0] - first).days + first.weekday()) // 7 + 1
        weeks.setdefault(number, []).append(row)
    return weeks


def days(row: Meeting) -> str:
    """When a class is: ``Tue 18 Jan``, or its week."""
    if row.dates:
        return ", ".join(f"{day:%a} {day.day} {day:%b}".replace(" ", "\xa0") for day in row.dates)
    if row.week is not None:
        return f"week\xa0{row.week}"
    return str(row.number) if row.number is not None else ""


def titled(row: Meeting) -> str:
    """A row's title, behind what kind of class it is where that is no lecture."""
    if row.kind in ("lecture", "papers", "break") or row.kind in row.title.lower():
        return row.title
    return f"{row.kind}: {row.title}"


def cited(paper: Paper) -> str:
    """A paper in one line."""
    return f"{paper.id} {paper.authors}: {paper.title} ({paper.where or paper.year})"


def when(edition: Edition, assignment: Assignment) -> str:
    """When an assignment is due, as far as it is decided."""
    due = edition.due(assignment)
    if due is None:
        return "open"
    if isinstance(due, datetime):
        return f"{dated(due)}, {due:%H:%M %Z}".replace(" ", "\xa0")
    return dated(due) if assignment.hour is None else f"{dated(due)}, {assignment.hour:%H:%M}"


def dated(day: date) -> str:
    """A day: ``Mon 9 May 2022``."""
    return f"{day:%a} {day.day} {day:%b %Y}".replace(" ", "\xa0")


def grade_rows(items: Iterable[Item], depth: int = 0) -> Iterable[list[str]]:
    """One row a part of the grade, its parts below it and moved to the right."""
    for item in items:
        weight = "open" if item.weight is None else f"{item.weight:f} %"
        name = "\xa0" * 2 * depth + item.title.replace(" ", "\xa0")
        yield [f"+ {weight}" if item.extra else weight, name, f"“{item.words}”"]
        yield from grade_rows(item.parts, depth + 1)


def policies(course: Course) -> Iterable[str]:
    """Letters, lateness and rules, a sentence each, with the syllabus's own words."""
    if course.letters:
        bounds = [
            f"{each.letter} {'from' if each.includes else 'above'} {each.above:f}"
            for each in course.letters
            if each.above is not None
        ]
        yield f"Letters: {', '.join(bounds)}; else {course.letters[-1].letter}."
    for late in course.late:
        of = f" of {', '.join(late.of)}" if late.of else ""
        if isinstance(late, LateByPercent):
            text = f"a late day costs {late.per_day:f} %{of}, {late.days} days at most"
        elif isinstance(late, LateByLetter):
            text = f"{late.every} late days cost a letter{of}; at most {late.most} for what is late"
        else:
            text = f"what is late gets at most {late.most:f} %{of}"
        yield f"Late: {text}. “{late.words}”"
    for rule in course.rules:
        yield f"{rule.kind.capitalize()}: {rule.text} “{rule.words}”"


def choices(decision: Decision) -> str:
    """The answers that a decision may have."""
    if decision.choices:
        return " / ".join(f"{each.id}: {each.text}" for each in decision.choices)
    return {
        "weights": "the weight of each part",
        "letters": "the least marks of each letter",
        "zone": "a time zone",
        "date": "a day",
        "time": "an hour",
    }.get(decision.kind, f"a {decision.kind}")
