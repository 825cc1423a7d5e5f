"""What a course states: its weeks, its assignments, its grades, its rules.

A course is one TOML file. Where it runs a published syllabus, the syllabus's own sentence stands
beside each rule (``words``), and what the syllabus leaves open is a :class:`Decision` that the
instructor makes: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=40)]
PackName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Text = Annotated[str, Meta(min_length=1, max_length=2_000)]
Position = Annotated[int, Meta(ge=1)]
Minutes = Annotated[int, Meta(ge=0, le=1_000_000)]
LETTER = r"^[A-Z][+-]?\Z"

Kind = Literal[
    "lecture",
    "tutorial",
    "papers",  # a week's papers to read
    "project",  # work on a project, in class
    "presentation",
    "exam",
    "deadline",
    "break",
    "cancelled",
    "make-up",  # a class in place of a cancelled one
]
HELD = ("lecture", "tutorial", "papers", "project", "presentation", "exam", "make-up")
YEARS = range(1990, 2200)  # in which there are courses


def no_day(day: date) -> str:
    """Why a day can be none of a course's, in a sentence; ``""`` where it can."""
    if day.year in YEARS:
        return ""
    years = f"{YEARS[0]} to {YEARS[-1]}"
    return f"{day.isoformat()[:10]} is no day of a course; expected a year from {years}"


class Record(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the file. A key that it does not know is refused."""


class Meeting(Record, frozen=True, kw_only=True):
    """One row of the schedule: a class, a week's papers, an exam, a break."""

    title: Text
    kind: Kind = "lecture"
    number: Position | None = None  # of the lecture, tutorial or unit, as the syllabus counts
    dates: tuple[date, ...] = ()  # one row may be several days
    week: Position | None = None  # in a course that counts weeks and states no dates
    level: Literal["", "first steps", "core", "advanced"] = ""
    hours: Annotated[int, Meta(ge=1)] | None = None  # that it takes to do
    topics: tuple[Text, ...] = ()
    assigned: tuple[Text, ...] = ()  # readings
    recommended: tuple[Text, ...] = ()  # readings and videos
    materials: tuple[Text, ...] = ()  # slides, notebooks, demo code
    tasks: tuple[Text, ...] = ()  # to do at home, not handed in
    papers: tuple[Id, ...] = ()
    out: tuple[Id, ...] = ()  # assignments that are handed out
    due: tuple[Id, ...] = ()  # and those that are handed in
    studies: tuple[Id, ...] = ()
    packs: tuple[PackName, ...] = ()  # exercises to write (see etude.exercises.packs)
    words: str = ""  # the syllabus's own, where they say more


class Topic(Record, frozen=True, kw_only=True):
    """A part of the outline."""

    title: Text
    topics: tuple[Text, ...] = ()
    tutorial: str = ""
    studies: tuple[Id, ...] = ()


class Condition(Record, frozen=True, kw_only=True):
    """What a hand-in must fulfil."""

    text: Text
    words: Text
    by: Literal["program", "instructor"] = "program"  # who can judge it


class Step(Record, frozen=True, kw_only=True):
    """One step of a project."""

    text: Text
    words: str = ""


class Assignment(Record, frozen=True, kw_only=True):
    """What students hand in."""

    id: Id
    title: Text
    item: Id = ""  # of the grade; "" for what counts towards none
    task: Text
    conditions: tuple[Condition, ...] = ()
    steps: tuple[Step, ...] = ()
    due: date | None = None
    hour: time | None = None  # of that day, where the syllabus says it
    due_words: str = ""
    team: Annotated[int, Meta(ge=1)] | None = None  # the most members; None: not said
    team_words: str = ""
    optional: bool = False
    either: Id | Literal[""] = ""  # of those that name the same, one is handed in
    studies: tuple[Id, ...] = ()
    packs: tuple[PackName, ...] = ()  # which it is made of (see etude.exercises.packs)
    words: str = ""


class Paper(Record, frozen=True, kw_only=True):
    """A paper of the reading list."""

    id: Id
    authors: Text
    title: Text
    year: int
    where: str = ""  # journal, arXiv number
    week: Position
    studies: tuple[Id, ...] = ()


class Item(Record, frozen=True, kw_only=True):
    """A part of the grade, and its parts."""

    id: Id
    title: Text
    weight: Decimal | None = None  # of the whole; None where a decision sets it
    words: Text
    extra: bool = False  # on top of the hundred
    drop: Annotated[int, Meta(ge=0)] = 0  # how many of its worst works don't count
    least: Decimal | None = None  # percent that anything marked gets
    most: Decimal | None = None  # percent that it gives at most
    parts: tuple[Item, ...] = ()
    split: Id | str = ""  # the decision on the parts' weights


class Letter(Record, frozen=True, kw_only=True):
    """A letter and the marks above which it is given."""

    letter: Annotated[str, Meta(pattern=LETTER)]
    above: Decimal | None = None  # None for the last
    includes: bool = False  # whether exactly that many marks get it
    words: Text


class LateByPercent(Record, frozen=True, kw_only=True, tag_field="kind", tag="percent"):
    """Marks lose a part of themselves for each late day."""

    per_day: Decimal  # percent
    days: Annotated[int, Meta(ge=1)]  # after which nothing more is lost
    of: tuple[Id, ...] = ()  # items; none named: all
    decisions: tuple[Id, ...] = ()  # what it leaves open: what part of a day counts for
    counts: Literal["", "begun", "whole", "exact"] = ""  # or what part of a day does count for
    grace: Minutes = 0  # minutes after the deadline that are not late
    words: Text


class LateByLetter(Record, frozen=True, kw_only=True, tag_field="kind", tag="letters"):
    """The letter falls by one for so many days, and none that is late gets more than ``most``."""

    every: Annotated[int, Meta(ge=1)]  # days
    most: str
    of: tuple[Id, ...]
    decisions: tuple[Id, ...]  # what it leaves open
    grace: Minutes = 0  # minutes after the deadline that are not late
    words: Text


class LateCap(Record, frozen=True, kw_only=True, tag_field="kind", tag="cap"):
    """What is late gets at most so much of the item."""

    most: Decimal  # percent
    of: tuple[Id, ...]
    decisions: tuple[Id, ...] = ()  # what it leaves open
    grace: Minutes = 0  # minutes after the deadline that are not late
    words: Text


Late = LateByPercent | LateByLetter | LateCap


class Rule(Record, frozen=True, kw_only=True):
    """What the syllabus demands or promises beside grades."""

    kind: Literal[
        "must submit",  # who does not hand it in fails the course
        "missed is zero",
        "no copying",  # two teams that do fail the course
        "pages",
        "minutes",
        "questions",
        "citations",
        "accommodation",  # an extension for a private reason, which never lowers a grade
        "approval",  # a proposal that is approved or returned
        "feedback",  # of the class
        "licence",
        "style",
        "teaching",  # how the course is taught
        "honesty",
        "attendance",
    ]
    text: Text
    of: tuple[Id, ...] = ()  # items or assignments
    least: int | None = None
    most: int | None = None
    words: Text


class Choice(Record, frozen=True, kw_only=True):
    """One answer to a decision."""

    id: Id
    text: Text


class Decision(Record, frozen=True, kw_only=True):
    """What the syllabus leaves open. The instructor decides it; until then, nothing that needs it
    is computed.
    """

    id: Id
    question: Text
    kind: Literal["choice", "weights", "letters", "number", "date", "time", "text", "zone"]
    choices: tuple[Choice, ...] = ()
    of: Id | str = ""  # the item or assignment whose weights, date or hour it sets
    words: Text  # what the syllabus says of it, or near it


class Course(Record, frozen=True, kw_only=True):
    """A course."""

    id: Id
    title: Text
    school: Text
    term: Text
    about: Text
    outcomes: tuple[Text, ...] = ()
    prerequisites: tuple[Text, ...] = ()
    books: tuple[Text, ...] = ()
    toolboxes: tuple[Text, ...] = ()
    outline: tuple[Topic, ...] = ()
    schedule: tuple[Meeting, ...]
    assignments: tuple[Assignment, ...] = ()
    papers: tuple[Paper, ...] = ()
    grade: tuple[Item, ...] = ()
    letters: tuple[Letter, ...] = ()
    late: tuple[Late, ...] = ()
    rules: tuple[Rule, ...] = ()
    decisions: tuple[Decision, ...] = ()

    @property
    def bounds(self) -> list[Decimal]:
        """The marks at which letters change."""
        return [each.above for each in self.letters if each.above is not None]

    def items(self) -> Iterator[Item]:
        """All parts of the grade, each before its parts."""
        waiting = [*reversed(self.grade)]
        while waiting:
            item = waiting.pop()
            yield item
            waiting += reversed(item.parts)

    def asked(self) -> dict[str, list[str]]:
        """``{study: what asks for it}``: assignments, papers, lectures, in the order of the course.

        An assignment or a paper is named (``CU A3``); a class or a topic counts as the course.
        """
        found: dict[str, list[str]] = {}
        handed: list[Assignment | Paper] = [*self.assignments, *self.papers]
        for each in handed:
            for study in each.studies:
                found.setdefault(study, []).append(f"{self.id} {each.id}")
        rows: list[Meeting | Topic] = [*self.schedule, *self.outline]
        for row in rows:
            for study in row.studies:
                found.setdefault(study, [self.id])
        return found
