"""Questions that are answered by a word, or by a line of a program."""

from __future__ import annotations

import inspect
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

from etude.questions.question import Judged, Question, Shown, Unreadable, Wrong
from etude.questions.reading import plain, quoted, read_number

SMALL = {"the", "a", "an", "of", "its", "is", "it"}  # words that change no answer


@dataclass(frozen=True, kw_only=True)
class ShortText(Question):
    """A word or a few.

    Attributes:
        answer: what it is called.
        also: what else it is called.
        wrong: what others take it for.
    """

    kind: ClassVar[str] = "short text"
    answer: str
    also: tuple[str, ...] = ()
    wrong: tuple[Wrong[str], ...] = ()

    def shown(self) -> Shown:
        """That words are wanted."""
        return Shown(self.kind, self.prompt, "a word or two")

    def judge(self, text: str) -> Judged:
        """Right whatever the case, hyphens and small words."""
        given = bare(plain(text))
        if not given or re.search(r"[=:;{}()\[\]<>]", text):
            raise Unreadable(f"{quoted(text)} is no plain word; expected a word or two")
        if given in {bare(each) for each in (self.answer, *self.also)}:
            return self.right()
        return self.wrong_by(
            next((each for each in self.wrong if bare(each.answer) == given), None)
        )

    def key(self) -> str:
        """The first name."""
        return self.answer

    def spellings(self) -> Iterator[str]:
        """Every name, in several cases."""
        for each in (self.answer, *self.also):
            yield from (each, each.upper(), f"the {each}.", each.replace(" ", "-"))

    def slips(self) -> Iterator[tuple[str, Wrong[Any]]]:
        """What others take it for."""
        for each in self.wrong:
            yield each.answer, each

    def troubles(self) -> Iterator[str]:
        """Names that are the same."""
        names = [bare(each) for each in (self.answer, *self.also)]
        names += [bare(each.answer) for each in self.wrong]
        if len(set(names)) < len(names) or not all(names):
            yield f"two of its names are the same, or one is empty: {', '.join(names)}"

    def with_another_answer(self) -> ShortText:
        """Another name."""
        return replace(self, answer=f"another {self.answer}", also=(), wrong=())


def bare(text: str) -> str:
    """Words without case, accents, hyphens, small words and a plural's s."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    words = re.findall(r"[^\W_]+", "".join(c for c in folded if not unicodedata.combining(c)))
    return "".join(word.rstrip("s") for word in words if word not in SMALL)


@dataclass(frozen=True, kw_only=True)
class Code(Question):
    """One line of a program is wrong.

    Attributes:
        lines: the program, with the line that is wrong.
        answer: the number of that line, from 1 on.
        wrong: lines that are right, and why.
    """

    kind: ClassVar[str] = "code"
    lines: tuple[str, ...]
    answer: int
    wrong: tuple[Wrong[int], ...] = ()

    def shown(self) -> Shown:
        """The program."""
        return Shown(self.kind, self.prompt, "the number of a line", lines=self.lines)

    def judge(self, text: str) -> Judged:
        """By the line's number."""
        line = int(read_number(re.sub(r"^\s*line\s", "", text, flags=re.IGNORECASE), whole=True))
        if not 1 <= line <= len(self.lines):
            raise Unreadable(
                f"there is no line {quoted(str(line))}; expected one from 1 to {len(self.lines)}"
            )
        if line == self.answer:
            return self.right()
        return self.wrong_by(next((each for each in self.wrong if each.answer == line), None))

    def key(self) -> str:
        """The line's number, and the line."""
        return f"line {self.answer}, `{self.lines[self.answer - 1].strip()}`"

    def spellings(self) -> Iterator[str]:
        """The number, with and without the word."""
        yield from (str(self.answer), f"line {self.answer}", f" Line {self.answer}.")

    def slips(self) -> Iterator[tuple[str, Wrong[Any]]]:
        """Lines that look wrong."""
        for each in self.wrong:
            yield str(each.answer), each

    def troubles(self) -> Iterator[str]:
        """Lines that are not there, or are the wrong one."""
        numbers = [self.answer, *(each.answer for each in self.wrong)]
        if len(set(numbers)) < len(numbers):
            yield "a line that is said to be right is the wrong one"
        if any(not 1 <= number <= len(self.lines) for number in numbers):
            yield f"one of its lines is not there: {numbers} of {len(self.lines)}"

    def with_another_answer(self) -> Code:
        """The next line."""
        return replace(self, answer=self.answer % len(self.lines) + 1, wrong=())


def changed(
    function: Callable[..., object], before: str, after: str
) -> tuple[tuple[str, ...], int]:
    """A function's lines without its docstring, one of them changed; and the number of that line.

    Raises:
        ValueError: what is to be changed does not stand in exactly one line, or nothing changes.
    """
    lines = list(source_lines(function))
    found = [number for number, line in enumerate(lines) if before in line]
    if len(found) != 1 or before == after:
        raise ValueError(
            f"'{before}' stands in {len(found)} lines of {function.__name__}; expected one, which"
            " is changed"
        )
    (place,) = found
    lines[place] = lines[place].replace(before, after)
    return tuple(lines), place + 1


def line_of(function: Callable[..., object], words: str) -> int:
    """The number of the line of a function, without its docstring, that holds some words.

    Raises:
        ValueError: no line does, or several do.
    """
    found = [number for number, line in enumerate(source_lines(function), 1) if words in line]
    if len(found) != 1:
        raise ValueError(
            f"'{words}' stands in {len(found)} lines of {function.__name__}; expected one"
        )
    return found[0]


@cache
def source_lines(function: Callable[..., object]) -> tuple[str, ...]:
    """A function's lines, without its docstring."""
    text = textwrap.dedent(inspect.getsource(function))
    doc = function.__doc__
    if doc:
        text = re.sub(r'^ *r?"""(?:.|\n)*?"""\n', "", text, count=1, flags=re.MULTILINE)
    return tuple(line for line in text.rstrip().splitlines() if line.strip())
