"""Reads a course's file, and refuses in a sentence what can't be one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import msgspec

from etude.courses.amounts import DIGITS, is_number
from etude.courses.course import Course, Item, LateByPercent, LateCap, no_day
from etude.errors import UserError, nearest, verb

LARGEST = 1_000_000  # bytes of a course's file
MOST_DOTS = 50  # of a line: the time that a dotted key takes grows with their square
DEEPEST = 10  # parts of the grade in parts of the grade
HIGHEST = 1_000  # marks at which a letter begins; there is extra credit


T = TypeVar("T")


def read(path: Path, content: bytes) -> Course:
    """A course from what its file holds, or held at another time.

    Raises:
        UserError: it is no course; with the place in the file and what was expected.
    """
    course = decoded(path, Course, content)
    for trouble in troubles(course):
        raise UserError(f"{path}: {trouble}")
    return course


def content_of(path: Path) -> bytes:
    """What a course's file holds, as far as it may be of any use.

    Raises:
        UserError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None


def check_size(path: Path, content: bytes) -> None:
    """Whether a file can be taken apart in a moment.

    Raises:
        UserError: it is too large, or has a line that would take too long.
    """
    if len(content) > LARGEST:
        raise UserError(f"{path} is too large; expected a course of at most {LARGEST:,} bytes")
    for number, line in enumerate(content.split(b"\n"), 1):
        if (dots := line.count(b".")) > MOST_DOTS:
            raise UserError(
                f"{path}, line {number} has {dots:,} dots; expected at most {MOST_DOTS}"
            )


def decoded(path: Path, kind: type[T], content: bytes) -> T:
    """What a TOML file holds, as a record.

    Args:
        path: of the file.
        kind: the record.
        content: of the file.

    Raises:
        UserError: it is too large, no TOML, or lacks or has a key that it should not.
    """
    check_size(path, content)
    try:
        return msgspec.toml.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {_placed(str(error))}") from None
    except RecursionError:
        raise UserError(f"{path} has tables too deep in others; expected a course") from None
    except (msgspec.DecodeError, ValueError) as error:  # not TOML, not UTF-8
        raise UserError(f"{path} is no TOML: {error}") from None


def _placed(sentence: str) -> str:
    """A sentence of the decoder's with the place in words: ``$.rows[2].title`` is the title of
    rows, number 3.
    """
    text, _, place = sentence.partition(" - at `$")
    if not place:
        return text
    words = re.sub(r"\[(\d+)\]", lambda m: f" {int(m[1]) + 1}", place.rstrip("`"))
    return f"{words.lstrip('.').replace('.', ', ')}: {text}"


def troubles(course: Course) -> Iterator[str]:
    """What contradicts itself in a course, a sentence each."""
    wrong = [*_depth(course), *_numbers(course)]
    if wrong:  # which the rest can't be asked of
        yield from wrong
        return
    items = [*course.items()]
    known = {item.id for item in items} | {each.id for each in course.assignments}
    yield from _doubled("part of the grade", (item.id for item in items))
    yield from _doubled("assignment", (each.id for each in course.assignments))
    yield from _doubled("paper", (each.id for each in course.papers))
    yield from _doubled("decision", (each.id for each in course.decisions))
    yield from _weights(course)
    yield from _letters(course)
    yield from _order(course)

    assignments = {each.id for each in course.assignments}
    papers = {each.id for each in course.papers}
    decisions = {each.id for each in course.decisions}
    for row in course.schedule:
        yield from _unknown("assignment", (*row.out, *row.due), assignments, row.title)
        yield from _unknown("paper", row.papers, papers, row.title)
    for assignment in course.assignments:
        if assignment.item:
            yield from _unknown(
                "part of the grade", [assignment.item], {i.id for i in items}, assignment.id
            )
    for late in course.late:
        yield from _unknown("part of the grade or assignment", late.of, known, "a late rule")
        yield from _unknown("decision", late.decisions, decisions, "a late rule")
    for rule in course.rules:
        yield from _unknown(
            "part of the grade or assignment", rule.of, known, f"the rule '{rule.kind}'"
        )
    for item in items:
        if item.split:
            yield from _unknown("decision", [item.split], decisions, item.id)
    for decision in course.decisions:
        if decision.of:
            yield from _unknown(
                "part of the grade or assignment", [decision.of], known, decision.id
            )
        if decision.kind in ("date", "time") and decision.of not in assignments:
            yield f"decision {decision.id} is on a {decision.kind} of no assignment; expected one"
        if (decision.kind == "choice") != bool(decision.choices):
            yield (
                f"decision {decision.id} is a {decision.kind} with {len(decision.choices)} choices;"
                " expected choices where, and only where, one is to be chosen"
            )


def _depth(course: Course) -> Iterator[str]:
    """Whether parts of the grade lie in others no deeper than a person would have them."""
    inner, depth = list(course.grade), 0
    while inner:
        depth += 1
        if depth > DEEPEST:
            yield f"parts of the grade lie more than {DEEPEST} deep in others; expected fewer"
            return
        inner = [part for item in inner for part in item.parts]


def _numbers(course: Course) -> Iterator[str]:
    """Whether each number is one, and within what it can be."""
    found: list[tuple[str, Decimal | None, int]] = []
    for item in course.items():
        found += [
            (f"the weight of {item.id}", item.weight, 100),
            (f"the least of {item.id}", item.least, 100),
            (f"the most of {item.id}", item.most, 100),
        ]
    for letter in course.letters:
        found.append((f"the bound of the letter {letter.letter}", letter.above, HIGHEST))
    for late in course.late:
        if isinstance(late, LateByPercent):
            found.append(("per_day of a late rule", late.per_day, 100))
        elif isinstance(late, LateCap):
            found.append(("most of a late rule", late.most, 100))
    for what, value, most in found:
        if value is not None and not (is_number(value) and 0 <= value <= most):
            yield (
                f"{what} is {value}; expected one from 0 to {most}, with at most {DIGITS} digits"
            )


def _doubled(what: str, ids: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(ids).items():
        if count > 1:
            yield f"{what} {name} stands there {count} times; expected once"


def _unknown(what: str, ids: Iterable[str], known: set[str], where: str) -> Iterator[str]:
    for name in ids:
        if name not in known:
            yield f"{where} names {what} '{name}'{nearest(name, known) or '; there is none'}"


def _weights(course: Course) -> Iterator[str]:
    """Whether weights add up: those of the whole to 100, those of parts to their sum's."""
    counted = [item for item in course.grade if not item.extra]
    if counted:
        yield from _sum("the grade", counted, 100)
    for item in course.items():
        weights = [part.weight for part in item.parts if not part.extra]
        if item.split:
            if any(weight is not None for weight in weights):
                yield f"{item.id} has parts with weights and a decision on them; expected one"
        elif item.parts and item.weight is not None:
            yield from _sum(item.id, [p for p in item.parts if not p.extra], item.weight)


def _sum(name: str, items: list[Item], total: object) -> Iterator[str]:
    missing = [item.id for item in items if item.weight is None]
    if missing:
        ids = " and ".join(missing)
        yield f"{name}: {ids} {verb(ids, 'has')} no weight; expected one, or a decision on it"
    else:
        found = sum(item.weight for item in items if item.weight is not None)
        if found != total:
            yield f"the weights of {name} sum to {found}; expected {total}"


def _letters(course: Course) -> Iterator[str]:
    bounds = [letter.above for letter in course.letters]
    if not bounds:
        return
    numbers = [bound for bound in bounds if bound is not None]
    if bounds[-1] is not None or len(numbers) != len(bounds) - 1:
        yield "letters: expected a bound for each but the last"
    elif sorted(set(numbers), reverse=True) != numbers:
        yield "letters: the bounds don't fall; expected the best letter first"


def _order(course: Course) -> Iterator[str]:
    """Whether the days can be, and the schedule goes forward: rows by their first day, days of a
    row, weeks.
    """
    for assignment in course.assignments:
        if assignment.due and (said := no_day(assignment.due)):
            yield f"{assignment.id}: {said}"
    before = None
    for row in course.schedule:
        for said in filter(None, map(no_day, row.dates)):
            yield f"'{row.title}': {said}"
        if list(row.dates) != sorted(set(row.dates)):
            yield f"the days of '{row.title}' are out of order"
        if row.dates:
            if before and row.dates[0] < before.dates[0]:
                yield (
                    f"'{row.title}' of {row.dates[0]} stands after '{before.title}' of"
                    f" {before.dates[0]}; expected the days in order"
                )
            before = row
    weeks = [row.week for row in course.schedule if row.week is not None]
    if weeks != sorted(weeks):
        yield "the weeks of the schedule are out of order"
