"""A grade explained: every step of the sum, as a table and as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from etude.courses.amounts import shown
from etude.courses.course import Course
from etude.courses.summing import Grade, Part
from etude.errors import printable


@dataclass(frozen=True)
class Line:
    """One line of an explanation.

    Attributes:
        depth: how deep the part lies in others.
        id: of the part.
        title: of the part.
        marks: that it gives; "" as long as it has none.
        of: that it can give; "" where that is not decided.
        notes: what was done, a sentence each.
    """

    depth: int
    id: str
    title: str
    marks: str
    of: str
    notes: tuple[str, ...] = ()


def lines(grade: Grade, *, as_shown: Callable[[Fraction], str] = shown) -> list[Line]:
    """A line a part, each before its parts.

    Args:
        grade: the grade.
        as_shown: writes a number; by default with two digits behind the point.
    """
    return [*_lines(grade.parts, 0, as_shown)]


def _lines(
    parts: Iterable[Part], depth: int, as_shown: Callable[[Fraction], str]
) -> Iterator[Line]:
    for part in parts:
        weight = part.item.weight if part.weight is None else part.weight
        of = "" if weight is None or part.state == "excused" else as_shown(Fraction(weight))
        yield Line(
            depth,
            part.item.id,
            part.item.title,
            marks_of(part, as_shown),
            f"+ {of}" if part.item.extra and of else of,
            tuple(part.notes),
        )
        yield from _lines(part.parts, depth + 1, as_shown)


def marks_of(part: Part, as_shown: Callable[[Fraction], str] = shown) -> str:
    """The marks of a part as a text; "" as long as it has none."""
    if part.state != "marked" or part.marks is None:
        return ""
    return as_shown(part.marks)


def total(grade: Grade, course: Course) -> str:
    """The sum in a sentence."""
    if grade.marks is None:
        return "The sum is not computed: something that it needs is not decided."
    so_far = " so far" if grade.missing else ""
    text = f"{shown(grade.marks, course.bounds)} of {shown(grade.of)} marks{so_far}"
    return f"{text}: {grade.letter}." if grade.letter else f"{text}."


def as_text(grade: Grade, course: Course) -> str:
    """The whole explanation, line by line.

    Titles, sentences of a syllabus and reasons may hold anything: what a terminal would obey, a
    line end among it, is written as an escape.
    """
    rows = lines(grade)
    width = max((len(row.marks) for row in rows), default=0)
    wide = max((len(row.of) for row in rows), default=0)
    text = []
    for row in rows:
        indent = "  " * row.depth
        marks = row.marks or "–"
        text.append(f"{marks:>{width}} of {row.of or '?':>{wide}}  {indent}{row.title} ({row.id})")
        text += [f"{'':>{width + wide + 6}}{indent}  {note}" for note in row.notes]
    text += ["", total(grade, course), *grade.notes]
    if not grade.letter:
        text += grade.fails
    if grade.missing:
        text.append(f"Not marked yet: {', '.join(grade.missing)}.")
    if grade.undecided:
        text += ["", "Not decided:", *(f"· {sentence}" for sentence in grade.undecided)]
    return "\n".join(map(printable, text)) + "\n"
