"""Generators of questions: how a study's file has them, and how one is drawn for a student.

A study's ``_questions.py`` holds functions that take a random generator and return a question::

    @question
    def parameters_of_a_layer(rng: Random) -> Count:
        "How many numbers an affine layer learns."
        ...

Which question a student gets depends on a key, the student, the question and the attempt, and on
nothing else: so it can be made again to be judged, and nobody without the key can foresee it.
"""

from __future__ import annotations

import hashlib
import hmac
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from types import ModuleType
from typing import overload

from etude.questions.lesson import places
from etude.questions.question import Question, Redraw

Make = Callable[[Random], Question]


@dataclass(frozen=True)
class Generator:
    """A function that makes questions of one kind.

    Attributes:
        make: the function.
        cites: metrics of the study's record on which its words rest, and what was measured.
        of: the study that it belongs to.
        lesson: the file of that study's lesson.
    """

    make: Make
    cites: Mapping[str, float] = field(default_factory=dict)
    of: str = ""
    lesson: Path = Path("README.md")

    @property
    def name(self) -> str:
        """Among those of its study."""
        return self.make.__name__

    @property
    def id(self) -> str:
        """Among all: ``perceptron/margin``."""
        return f"{self.of}/{self.name}"

    @property
    def about(self) -> str:
        """What it asks, in a phrase."""
        return inspect.getdoc(self.make) or ""

    def where(self, see: str) -> str:
        """A part of the lesson in words, with its line."""
        line = _places(self.lesson).get(see)
        return f"{see} (the lesson of {self.of}, line {line})" if line else see

    def pose(self, seed: int) -> Question:
        """The question of a seed, with what is shown in the seed's order.

        Raises:
            Redraw: no numbers of a hundred draws make a question.
        """
        rng = Random(seed)
        for _ in range(100):
            with suppress(Redraw):
                return self.make(rng).shuffled(rng)
        raise Redraw(f"{self.id}: none of 100 draws makes a question")


@overload
def question(make: Make) -> Generator: ...
@overload
def question(*, cites: Mapping[str, float]) -> Callable[[Make], Generator]: ...
def question(
    make: Make | None = None, *, cites: Mapping[str, float] | None = None
) -> Generator | Callable[[Make], Generator]:
    """Make a function a generator of questions.

    Args:
        make: the function.
        cites: metrics of the study's record at its quick scale on which the question's words rest,
            with what they say was measured. Where the record says otherwise by more than 2 %, the
            gate refuses the question.
    """
    if make is not None:
        return Generator(make)
    return lambda make: Generator(make, dict(cites or {}))


def generators_of(module: ModuleType, of: str, lesson: Path) -> list[Generator]:
    """The generators of a module, in the order in which they stand there.

    Args:
        module: a study's ``_questions.py``.
        of: the study.
        lesson: the file of its lesson.
    """
    found = [each for each in vars(module).values() if isinstance(each, Generator)]
    found.sort(key=lambda each: inspect.unwrap(each.make).__code__.co_firstlineno)
    return [replace(each, of=of, lesson=lesson) for each in found]


def seed_of(key: bytes, student: str, question: str, attempt: int) -> int:
    """The seed with which a student's question is drawn: HMAC-SHA256 of all that it depends on."""
    told = json.dumps([student, question, attempt]).encode()
    return int.from_bytes(hmac.digest(key, told, hashlib.sha256)[:8], "big")


@dataclass(frozen=True)
class Posed:
    """A question as one student has it.

    Attributes:
        generator: what made it.
        question: it, with its answer.
    """

    generator: Generator
    question: Question


def draw(
    groups: Iterable[Sequence[Generator]],
    count: int,
    key: bytes,
    student: str = "",
    attempt: int = 1,
) -> list[Posed]:
    """Questions for a student, as many from each group as from the others, as far as there are.

    Where more are wanted than there are generators, they are taken again, with other numbers.

    Args:
        groups: generators, by what they are about.
        count: how many are drawn.
        key: without which nobody can foresee them.
        student: whose they are.
        attempt: which time the student is asked.
    """
    rng = Random(seed_of(key, student, "", attempt))
    mixed = [[*group] for group in groups if group]
    for group in mixed:
        rng.shuffle(group)
    turn: list[Generator] = []
    for place in range(max(map(len, mixed), default=0)):
        turn += [group[place] for group in mixed if place < len(group)]
    if not turn:
        return []
    posed = []
    for number in range(count):
        again, place = divmod(number, len(turn))
        generator = turn[place]
        name = f"{generator.id}/{again}" if again else generator.id
        seed = seed_of(key, student, name, attempt)
        posed.append(Posed(generator, generator.pose(seed)))
    return posed


@cache
def _places(lesson: Path) -> dict[str, int]:
    return places(lesson.read_text(encoding="utf-8")) if lesson.is_file() else {}


@cache
def _measured(path: Path) -> dict[str, float]:
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    claims = record.get("quick", {}).get("claims", [])
    return {claim["metric"]: claim["mean"] for claim in claims}


def measured(file: str | Path) -> dict[str, float]:
    """``{metric: mean over seeds}`` of the record beside a study's file, at the quick scale."""
    return _measured(Path(file).with_name("record.json"))
