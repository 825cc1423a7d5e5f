"""Questions whose answer is a number."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from etude.questions.question import Judged, Question, Shown, Wrong
from etude.questions.reading import read_number, written


@dataclass(frozen=True, kw_only=True)
class Number(Question):
    """A number, within a tolerance.

    Attributes:
        answer: the number.
        tolerance: how far an answer may be from it, as a fraction of it; where it is 0, as it is.
        unit: in which it is asked for; "%" for a fraction in percent.
        wrong: the numbers of misconceptions.
    """

    kind: ClassVar[str] = "number"
    answer: float
    tolerance: float = 0.01
    unit: str = ""
    wrong: tuple[Wrong[float], ...] = ()

    def shown(self) -> Shown:
        """The unit, and how exact the answer has to be."""
        of = f" of {self.unit}" if self.unit not in ("", "%") else ""
        percent = ", in %" if self.unit == "%" else ""
        how = f"a number{of}{percent}, exact to {100 * self.tolerance:g} %"
        return Shown(self.kind, self.prompt, how)

    def near(self, value: float, other: float) -> bool:
        """Whether a value is within the tolerance of another."""
        scale = abs(other) or abs(self.answer) or 1.0
        return abs(value - other) <= self.tolerance * scale * (1 + 1e-9)

    def judge(self, text: str) -> Judged:
        """Right within the tolerance; a misconception's number is known within it, too."""
        value = float(read_number(text, self.unit))
        if self.near(value, self.answer):
            return self.right()
        known = [each for each in self.wrong if self.near(value, each.answer)]
        return self.wrong_by(min(known, key=lambda each: abs(value - each.answer), default=None))

    def key(self) -> str:
        """The number and its unit."""
        return f"{written(self.answer)} {self.unit}".strip()

    def spellings(self) -> Iterator[str]:
        """With a point, a comma, a power of ten, a unit."""
        yield repr(float(self.answer))
        yield f"{self.answer:.6e}"
        mantissa, _, exponent = f"{self.answer:.6e}".partition("e")
        yield f"{mantissa.replace('.', ',')}·10^{int(exponent)}"
        yield f" {mantissa} × 10^{{{int(exponent)}}} {self.unit}"
        yield f"≈ {self.answer!r}".replace("-", "−")

    def slips(self) -> Iterator[tuple[str, Wrong[Any]]]:
        """The numbers of misconceptions."""
        for each in self.wrong:
            yield repr(float(each.answer)), each

    def troubles(self) -> Iterator[str]:
        """Numbers that can't be told apart, or are none."""
        values = [self.answer, *(each.answer for each in self.wrong)]
        if any(type(value) not in (int, float) for value in values):
            yield f"one of its numbers is not a plain one: {values}"
            return
        if not all(map(math.isfinite, values)):
            yield f"one of its numbers is not finite: {values}"
            return
        if not 0 < self.tolerance < 0.5:
            yield f"its tolerance is {self.tolerance}; expected a fraction of the answer"
        for place, value in enumerate(values):
            for other in values[:place]:
                if abs(value - other) <= 2.5 * self.tolerance * (max(abs(value), abs(other)) or 1):
                    yield f"{value:g} and {other:g} can't be told apart at its tolerance"

    def with_another_answer(self) -> Number:
        """One more than twice as much."""
        return replace(self, answer=2 * self.answer + 1, wrong=())


@dataclass(frozen=True, kw_only=True)
class Count(Question):
    """A whole number, exactly: of parameters, operations, pixels of a receptive field.

    Attributes:
        answer: the number.
        unit: what is counted, in the plural.
        wrong: the numbers of misconceptions.
    """

    kind: ClassVar[str] = "count"
    answer: int
    unit: str
    wrong: tuple[Wrong[int], ...] = ()

    def shown(self) -> Shown:
        """What is counted."""
        return Shown(self.kind, self.prompt, f"a whole number of {self.unit}")

    def judge(self, text: str) -> Judged:
        """Right if it is exactly that many."""
        value = int(read_number(text, self.unit, whole=True))
        if value == self.answer:
            return self.right()
        return self.wrong_by(next((each for each in self.wrong if each.answer == value), None))

    def key(self) -> str:
        """The number and what is counted."""
        return f"{written(self.answer)} {one(self.unit) if self.answer == 1 else self.unit}"

    def spellings(self) -> Iterator[str]:
        """With and without groups of digits, and with what is counted."""
        yield from (str(self.answer), f"{self.answer:,}", f"{self.answer:,}".replace(",", "."))
        yield f"{self.answer:,} {self.unit}".replace(",", " ")
        yield f"= {self.answer:_}"

    def slips(self) -> Iterator[tuple[str, Wrong[Any]]]:
        """The numbers of misconceptions."""
        for each in self.wrong:
            yield str(each.answer), each

    def troubles(self) -> Iterator[str]:
        """Numbers that are the same, or are not whole."""
        values = [self.answer, *(each.answer for each in self.wrong)]
        if any(type(value) is not int for value in values):
            yield f"one of its numbers is not whole: {values}"
        if len(set(values)) < len(values):
            yield f"two of its numbers are the same: {values}"

    def with_another_answer(self) -> Count:
        """One more."""
        return replace(self, answer=self.answer + 1, wrong=())


def one(plural: str) -> str:
    """A word in the singular: ``parameters`` → ``parameter``, ``passes`` → ``pass``."""
    return plural.removesuffix("es") if plural.endswith("sses") else plural.removesuffix("s")
