"""Makes an edition of a course: the file in which an instructor decides what is open."""

from __future__ import annotations

import textwrap
from datetime import date
from pathlib import Path

from etude.courses.course import Course, Decision
from etude.courses.edition import edition_of
from etude.courses.reading import troubles
from etude.errors import UserError
from etude.results.files import create

EXAMPLES = {
    "zone": '"Europe/Berlin"',
    "text": '"…"',
    "number": "0",
    "letters": "{ A = 90, B = 80, C = 70, D = 60, F = 0 }  # the least marks of each",
}


def make(course: Course, start: date, folder: Path) -> Path:
    """Write ``course.toml`` into a folder, and return its path.

    Every decision that the syllabus leaves open stands there as a comment, with the syllabus's own
    words and the answers there are; nothing is decided.

    Raises:
        UserError: the folder has a ``course.toml`` already, or can't be written; there are no
            such days.
    """
    path = folder / "course.toml"
    create({path: text_of(course, start)}, "expected a new folder")
    return path


def text_of(course: Course, start: date) -> str:
    """The file's text.

    Raises:
        UserError: there are no such days.
    """
    edition = edition_of(course, start)
    for trouble in troubles(edition.course):
        raise UserError(trouble)
    lines = [
        f"# {course.id} · {course.title}, from {start} on.",
        f"# 'etude course show {course.id}' says what its syllabus states; here stands what you"
        " decide.",
        "",
        f'base = "{course.id}"',
        f"start = {start}",
        "",
        "[decisions]",
        "# What the syllabus leaves open. Take away the '# ' before a line and set its value;"
        " until then,",
        "# nothing that needs it is computed.",
    ]
    for decision in course.decisions:
        if decision.kind in ("date", "time"):
            continue
        lines += ["", *_asked(decision)]
        for choice in decision.choices:
            lines += _comment(f"  {choice.id}: {choice.text}")
        lines += [f"# {decision.id} = {_example(course, decision)}"]
    lines += ["", "[due]", "# A day, or a day and its hour: 2027-02-01T23:59:00"]
    days = [each for each in course.decisions if each.kind in ("date", "time")]
    for assignment in edition.course.assignments:
        due, hour = assignment.due, assignment.hour
        for decision in days:
            if decision.of == assignment.id and (due is None or hour is None):
                lines += ["", *_asked(decision)]
        if due is None:
            lines += [f"# {assignment.id} = {start}  # {assignment.title}: no day is stated"]
        else:
            moment = f"{due}T{hour:%H:%M:%S}" if hour else f"{due}"
            lines += [f"{assignment.id} = {moment}  # {assignment.title}"]
    lines += ["", "[days]", "# A class on another day: its number in the schedule, and the day"]
    undated = [n for n, row in enumerate(edition.course.schedule, 1) if not row.dates]
    lines += [f"# {n} = {start}  # {course.schedule[n - 1].title}" for n in undated or [1]]
    return "\n".join(lines) + "\n"


def _asked(decision: Decision) -> list[str]:
    return [*_comment(decision.question), *_comment(f"The syllabus: “{decision.words}”")]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="#   ")


def _example(course: Course, decision: Decision) -> str:
    if decision.kind == "choice":
        return f'"{decision.choices[0].id}"'
    if decision.kind == "weights":
        (item,) = [item for item in course.items() if item.split == decision.id]
        parts = ", ".join(f"{part.id} = 0" for part in item.parts)
        return f"{{ {parts} }}  # sum to {item.weight}"
    return EXAMPLES[decision.kind]
