"""What a study's demo is made of: inputs that the page shows as controls, and answers that it shows
as pictures.

A study offers one by a method ``demo(self) -> Demo``; the page does the rest. Nothing here knows of
pages or networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etude.errors import UserError

Image = NDArray[np.floating[Any]]  # (height, width) or (height, width, 3), from 0 to 1


# -- what is asked of the visitor ------------------------------------------------------------------


@dataclass(frozen=True)
class Drawing:
    """A black square to draw on in white; the answer gets (size, size), from 0 to 1, within a
    margin.
    """

    label: str
    size: int = 28
    examples: Mapping[str, Image] = field(default_factory=dict)

    def read(self, value: Any) -> Image:
        """Whole numbers from 0 to 255, row by row, as an image."""
        n = self.size**2
        if (
            not isinstance(value, list)
            or len(value) != n
            or not all(type(v) is int and 0 <= v <= 255 for v in value)
        ):
            raise UserError(f"{self.label}: expected {n} whole numbers from 0 to 255")
        return np.array(value, dtype=np.float32).reshape(self.size, self.size) / 255


@dataclass(frozen=True)
class Slider:
    """A number between two others."""

    label: str
    low: float
    high: float
    default: float
    step: float = 0.01

    def read(self, value: Any) -> float:
        """The number."""
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not self.low <= value <= self.high
        ):
            raise UserError(
                f"{self.label} is {value!r}; expected a number from {self.low:g} to {self.high:g}"
            )
        return float(value)


@dataclass(frozen=True)
class Choice:
    """One of several."""

    label: str
    options: Sequence[str]
    default: str = ""

    def read(self, value: Any) -> str:
        """The option."""
        if value not in self.options:
            raise UserError(f"{self.label} is {value!r}; expected one of {', '.join(self.options)}")
        return str(value)


@dataclass(frozen=True)
class Words:
    """A line of text."""

    label: str
    default: str = ""
    examples: Sequence[str] = ()
    longest: int = 400

    def read(self, value: Any) -> str:
        """The text."""
        if not isinstance(value, str) or not value.strip() or len(value) > self.longest:
            raise UserError(f"{self.label}: expected a text of 1 to {self.longest} characters")
        return value


@dataclass(frozen=True)
class Points:
    """Points of several classes, placed in the square from -1 to 1 by a click."""

    label: str
    classes: int = 2
    most: int = 500
    examples: Mapping[str, Sequence[tuple[float, float, int]]] = field(default_factory=dict)

    def read(self, value: Any) -> list[tuple[float, float, int]]:
        """(x, y, class) for each."""
        if not isinstance(value, list) or not 1 <= len(value) <= self.most:
            raise UserError(f"{self.label}: expected 1 to {self.most} points")
        found = []
        for point in value:
            if not (
                isinstance(point, list)
                and len(point) == 3
                and all(isinstance(v, int | float) for v in point)
            ):
                raise UserError(f"{self.label}: one is {point!r}; expected [x, y, class]")
            x, y, label = point
            if not (-1 <= x <= 1 and -1 <= y <= 1 and label in range(self.classes)):
                raise UserError(
                    f"{self.label}: one is {point!r}; expected x, y from -1 to 1, class below"
                    f" {self.classes}"
                )
            found.append((float(x), float(y), int(label)))
        return found


Input = Drawing | Slider | Choice | Words | Points
Controls = Mapping[str, Input]


# -- what is shown to the visitor ------------------------------------------------------------------


@dataclass(frozen=True)
class Bars:
    """Probabilities by name, the largest marked."""

    title: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Pictures:
    """Images beside each other, each with its caption; all are scaled alike, pixels kept sharp."""

    title: str
    images: Mapping[str, Image]
    width: int = 160  # of each on the page, in CSS pixels
    smooth: bool = False  # for photographs: pixels are blended


@dataclass(frozen=True)
class Frames:
    """Images after one another, with play, pause and one step."""

    title: str
    images: Sequence[Image]
    captions: Sequence[str]
    width: int = 320
    smooth: bool = False


@dataclass(frozen=True)
class Tokens:
    """A text in pieces, each shaded by a number from 0 to 1; a note is told of the piece that is
    pointed at.
    """

    title: str
    pieces: Sequence[tuple[str, float]]
    notes: Sequence[str] = ()  # one for each piece, or none
    given: int | None = (
        None  # only so many stand there at first; the others are written while one looks
    )


@dataclass(frozen=True)
class Grid:
    """A table of numbers from 0 to 1, shaded, its rows and columns named: who looks where."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: NDArray[np.floating[Any]]  # (rows, columns)


@dataclass(frozen=True)
class Said:
    """A sentence."""

    title: str
    text: str


Answer = Bars | Pictures | Frames | Tokens | Grid | Said


@dataclass(frozen=True)
class Demo:
    """Something to try.

    ``answer`` is called with the trained network (None, where ``trained`` is False) and the inputs
    by name. It answers in a tenth of a second where it can. Before it shows, the page asks for a
    guess: ``question``, with ``guesses`` to choose from where there are few.
    """

    question: str
    inputs: Controls
    answer: Callable[..., Iterable[Answer]]
    guesses: Sequence[str] = ()
    trained: bool = True
    live: bool = True  # answered while one draws or slides; else by a button
