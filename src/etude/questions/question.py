"""What a question is: what is shown of it, how an answer is read, how it is judged.

A question holds its own answer. What a student sees is another record, :class:`Shown`, that has no
place for one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Generic, Self, TypeVar

from etude.errors import UserError

T = TypeVar("T")


class Unreadable(UserError):
    """An answer that can't be read: what it is, and what is expected. It counts as none given."""


class Redraw(Exception):
    """Raised by a generator whose numbers make no good question: it is asked for others."""


@dataclass(frozen=True)
class Wrong(Generic[T]):
    """What somebody answers who has a certain misconception.

    Attributes:
        answer: that answer.
        name: the misconception in a few words: "the bias was forgotten".
        says: why it is one, in a sentence or two of Markdown.
        see: the part of the lesson that settles it; "" for the question's own.
    """

    answer: T
    name: str
    says: str
    see: str = ""


@dataclass(frozen=True)
class Shown:
    """All that a student sees of a question before the answer.

    Attributes:
        kind: of the question.
        prompt: what is asked, Markdown with LaTeX.
        how: how an answer is written, to stand behind "answer with".
        options: what is answered by letters, from a on.
        items: what is answered by numbers, from 1 on.
        lines: of a program, numbered from 1 on.
        run: the command that shows the answer, of what is to be predicted.
    """

    kind: str
    prompt: str
    how: str
    options: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    run: str = ""


@dataclass(frozen=True)
class Judged:
    """What is said of an answer.

    Attributes:
        right: whether it is right.
        says: why, in Markdown.
        see: the part of the lesson that settles it.
        misconception: its name, where the answer is that of one.
    """

    right: bool
    says: str
    see: str
    misconception: str = ""


@dataclass(frozen=True, kw_only=True)
class Question(ABC):
    """One question with its answer.

    Attributes:
        prompt: what is asked, Markdown with LaTeX.
        why: why the answer is what it is, with its numbers.
        see: the part of the lesson that settles it: a heading, the words in bold or italics with
            which a paragraph begins, or ``figure NAME`` of a figure that "What to look at" tells.
    """

    kind: ClassVar[str]
    prompt: str
    why: str
    see: str

    @abstractmethod
    def shown(self) -> Shown:
        """What a student sees."""

    @abstractmethod
    def judge(self, text: str) -> Judged:
        """What is said of an answer, as it was typed.

        Raises:
            Unreadable: it is no answer to a question of this kind.
        """

    @abstractmethod
    def key(self) -> str:
        """The right answer, in Markdown."""

    @abstractmethod
    def spellings(self) -> Iterator[str]:
        """Some ways to write the right answer."""

    @abstractmethod
    def slips(self) -> Iterator[tuple[str, Wrong[object]]]:
        """What each misconception would write."""

    @abstractmethod
    def troubles(self) -> Iterator[str]:
        """What is wrong with the question itself."""

    @abstractmethod
    def with_another_answer(self) -> Question:
        """A question that a student could not tell from this one, with another answer."""

    def shuffled(self, rng: Random) -> Self:
        """The same question, with what is shown in a random order that does not depend on the
        answer.
        """
        return self

    def right(self) -> Judged:
        """What is said of the right answer."""
        return Judged(True, self.why, self.see)

    def wrong_by(self, misconception: Wrong[T] | None) -> Judged:
        """What is said of a wrong answer; of one that no misconception explains, why the right one
        is right.
        """
        if misconception is None:
            return Judged(False, self.why, self.see)
        return Judged(False, misconception.says, misconception.see or self.see, misconception.name)


def apart(answer: T, *wrong: Wrong[T], within: float = 0.0) -> tuple[Wrong[T], ...]:
    """The misconceptions whose answers differ from the right one and from those before.

    With some numbers a misconception leads to the right answer all the same, or to the same as
    another.

    Args:
        answer: the right one.
        wrong: the misconceptions.
        within: of numbers, the fraction of the larger one by which they differ at least.

    Raises:
        Redraw: with these numbers all of them lead to the right answer.
    """
    seen = [answer]
    kept = []
    for each in wrong:
        if not any(_same(each.answer, other, within) for other in seen):
            seen.append(each.answer)
            kept.append(each)
    if not kept:
        raise Redraw
    return tuple(kept)


def _same(one: object, other: object, within: float) -> bool:
    if within and isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= within * (max(abs(one), abs(other)) or 1)
    return one == other
