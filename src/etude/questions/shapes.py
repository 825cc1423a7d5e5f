"""Questions whose answer is the shape of an array: ``(N, 32, 15, 15)``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from etude.questions.question import Judged, Question, Shown, Unreadable, Wrong
from etude.questions.reading import plain, quoted

Side = int | str  # a number, or symbols: "N", "H/2", "2C"
Sides = tuple[Side, ...]
Form = tuple[tuple[tuple[str, ...], Fraction], ...]  # a sum: symbols of a product, its factor
BATCH = {"b", "bs", "batch", "batchsize", "none", "?"}  # what else N is called
TERM = re.compile(r"\d+|[a-z]\w*|//|[*/]|\S", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Shape(Question):
    """The shape of an array; its sides are numbers or the prompt's symbols.

    Attributes:
        answer: the sides, such as ``("N", 32, 15, 15)``.
        wrong: the shapes of misconceptions.
    """

    kind: ClassVar[str] = "shape"
    answer: Sides
    wrong: tuple[Wrong[Sides], ...] = ()

    def shown(self) -> Shown:
        """How a shape is written."""
        return Shown(self.kind, self.prompt, "a shape such as (N, 3, 8, 8)")

    def judge(self, text: str) -> Judged:
        """Right if all sides are the same, however they are written."""
        shape = read_shape(text)
        if shape == forms(self.answer):
            return self.right()
        same = (each for each in self.wrong if forms(each.answer) == shape)
        return self.wrong_by(next(same, None))

    def key(self) -> str:
        """In brackets."""
        return f"`{spelled(self.answer)}`"

    def spellings(self) -> Iterator[str]:
        """In several brackets, with several signs between the sides."""
        sides = [str(side) for side in self.answer]
        yield from (
            spelled(self.answer),
            f"[{','.join(sides)}]",
            f"torch.Size([{', '.join(sides)}])",
        )
        if sides:
            yield " × ".join(sides)
            yield ", ".join(sides).lower()

    def slips(self) -> Iterator[tuple[str, Wrong[Any]]]:
        """The shapes of misconceptions."""
        for each in self.wrong:
            yield spelled(each.answer), each

    def troubles(self) -> Iterator[str]:
        """Shapes that are the same."""
        shapes = [forms(self.answer), *(forms(each.answer) for each in self.wrong)]
        if len(set(shapes)) < len(shapes):
            yield "two of its shapes are the same"

    def with_another_answer(self) -> Shape:
        """One side more."""
        return replace(self, answer=(*self.answer, 7), wrong=())


def spelled(sides: Sides) -> str:
    """A shape as Python writes it."""
    inner = ", ".join(map(str, sides))
    return f"({inner},)" if len(sides) == 1 else f"({inner})"


def forms(sides: Sides) -> tuple[Form, ...]:
    """The sides of a shape in a form in which equal ones are equal."""
    return tuple(_form(str(side).casefold()) for side in sides)


def read_shape(text: str) -> tuple[Form, ...]:
    """A shape as it was typed.

    Raises:
        Unreadable: it is none.
    """
    clean = plain(text.replace("×", " x ")).casefold()
    clean = re.sub(r"^(?:torch\.)?(?:size|shape)\s?[=:]?\s?(?=[(\[])", "", clean)
    while (clean[:1], clean[-1:]) in (("(", ")"), ("[", "]"), ("{", "}")):
        clean = clean[1:-1].strip()
    if not clean:
        return ()
    if "," in clean:
        sides = clean.rstrip(", ").split(",")
    else:
        sides = re.split(r"\s?\bx\b\s?", clean)
        if len(sides) == 1 and not re.search(r"[*/+-]", clean):
            sides = clean.split()
    if len(sides) > 12 or not all(side.strip() for side in sides):
        raise Unreadable(f"{quoted(text)} is no shape; expected one such as (N, 3, 8, 8)")
    return tuple(_form(side.strip()) for side in sides)


def _form(side: str) -> Form:
    """One side: a sum of products of numbers and symbols."""
    if side in BATCH or side == "-1":
        side = "n"
    total: dict[tuple[str, ...], Fraction] = {}
    parts = re.findall(r"([+-]?)\s*([^+-]+)", side)
    if "".join(sign + part for sign, part in parts).replace(" ", "") != side.replace(" ", ""):
        raise Unreadable(f"{quoted(side)} is no side of a shape; expected a number or a symbol")
    for sign, part in parts:
        symbols, factor = _product(part, side)
        total[symbols] = total.get(symbols, Fraction(0)) + (-factor if sign == "-" else factor)
    return tuple(sorted((key, value) for key, value in total.items() if value))


def _product(part: str, side: str) -> tuple[tuple[str, ...], Fraction]:
    factor = Fraction(1)
    symbols: list[str] = []
    divides = False
    for token in TERM.findall(part):
        if token.isdecimal() and len(token) <= 12:
            number = int(token)
            if divides and not number:
                raise Unreadable(f"{quoted(side)} divides by zero; expected a side of a shape")
            factor = factor / number if divides else factor * number
        elif token[0].isalpha() and len(token) <= 12 and not divides:
            symbols.append("n" if token in BATCH else token)
        elif token not in ("*", "/", "//"):
            raise Unreadable(f"{quoted(side)} is no side of a shape; expected a number or a symbol")
        divides = token in ("/", "//")
    return tuple(sorted(symbols)), factor
