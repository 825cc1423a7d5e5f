"""What a sweep varies: one axis a field, as it is typed and checked.

Needs no torch and no Optuna.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from etude.entry import Entry
from etude.errors import UserError, nearest
from etude.runs.record import option_of
from etude.study import alternatives, check_field, expectation

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Axis:
    """A field and the values that it may take: its ``choices``, or all from ``low`` to ``high``."""

    name: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    several: type | None = None  # of a field that holds several values: what each of them is

    def value(self, drawn: Any) -> Any:
        """What the study gets for what was drawn: to four digits, which are enough and can be
        typed.
        """
        if self.several and drawn is not None:
            return tuple(self.several(word) for word in str(drawn).split())
        if self.choices or self.whole:
            return drawn
        return min(max(float(f"{drawn:.4g}"), self.low), self.high)

    def __str__(self) -> str:
        if self.choices:
            return f"{self.name}={','.join(map(str, self.choices))}"
        return f"{self.name}={'log:' if self.log else ''}{self.low:g}:{self.high:g}"


def axes_of(entry: Entry, words: Sequence[str]) -> tuple[Axis, ...]:
    """The axes that ``words`` name, each ``field=a,b,c``, ``field=low:high`` or
    ``field=log:low:high``.

    Raises:
        UserError: there is none, one is named twice, or a word is none of these; with what would be
            right.
    """
    if not words:
        raise UserError(
            f"a sweep varies at least one field: give --over, as in --over {_example(entry)}"
        )
    axes = [parse_axis(entry, word) for word in words]
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--over {name} is given twice; expected each field once")
    return tuple(axes)


def parse_axis(entry: Entry, word: str) -> Axis:
    """One axis, typed by its field.

    Raises:
        UserError: no such field, an empty range, a value that the field does not take.
    """
    name, sign, text = word.partition("=")
    kinds = {field.name: field.type for field in entry.fields}
    options = {option_of(field): field for field in kinds}
    name = name.strip().removeprefix("--").replace("-", "_")
    name = name if name in kinds else options.get(option_of(name), name)
    if not sign or not text.strip():
        raise UserError(
            f"--over {word} can't be read; expected FIELD=a,b,c or FIELD=low:high or"
            " FIELD=log:low:high"
        )
    if name not in kinds:
        raise UserError(f"study {entry.name} has no field '{name}'{nearest(name, kinds)}")
    kind, optional = alternatives(kinds[name])
    plain = _plain(kind)
    parts = text.split(":")
    if plain in (int, float) and typing.get_origin(kind) is not tuple and len(parts) > 1:
        return _range(entry, name, kind, plain, parts, word)
    words = [part.strip() for part in text.split(",")]
    choices = tuple(
        dict.fromkeys(
            None if optional and part == "None" else _choice(entry, name, kind, plain, part)
            for part in words
        )
    )
    if len(choices) < 2:
        option = option_of(name)
        raise UserError(
            f"--over {word} has one value, and there is nothing to search; fix it with {option}"
            " instead"
        )
    several = plain if typing.get_origin(kind) is tuple else None
    return Axis(name, choices, whole=plain is int, several=several)


def _range(entry: Entry, name: str, kind: Any, plain: type, parts: list[str], word: str) -> Axis:
    log, ends = parts[0] == "log", parts[1:] if parts[0] == "log" else parts
    try:
        low, high = map(plain, ends)
    except ValueError:
        noun = "whole numbers" if plain is int else "numbers"
        raise UserError(
            f"--over {word} can't be read; expected {name}=low:high or {name}=log:low:high, {noun}"
        ) from None
    if not (math.isfinite(low) and math.isfinite(high)) or low >= high:
        raise UserError(
            f"--over {word} is an empty range; expected the lower end first, and another upper end"
        )
    if log and low <= 0:
        raise UserError(
            f"--over {word} begins at {ends[0]}, which has no logarithm; expected a lower end"
            " above 0"
        )
    for end in (low, high):
        check_field(entry.name, name, kind, end)
    return Axis(name, low=low, high=high, log=log, whole=plain is int)


def _choice(entry: Entry, name: str, kind: Any, plain: type, text: str) -> Value:
    """One of the choices; of a field that holds several values, the text in which blanks
    part them.
    """
    words = text.split() if typing.get_origin(kind) is tuple else [text]
    values = [_typed(entry, name, kind, plain, word) for word in words]
    check_field(
        entry.name, name, kind, tuple(values) if typing.get_origin(kind) is tuple else values[0]
    )
    return " ".join(words) if typing.get_origin(kind) is tuple else values[0]


def _typed(entry: Entry, name: str, kind: Any, plain: type, word: str) -> Value:
    if plain is bool and word.lower() in ("true", "false"):
        return word.lower() == "true"
    try:
        value: Value = plain(word) if plain is not bool else int("")
    except ValueError:
        raise UserError(
            f"{entry.name}: {name} can't be '{word}'; expected {expectation(kind)}"
        ) from None
    return value


def _plain(kind: Any) -> type:
    """``int``, ``float``, ``bool`` or ``str``, whatever the annotation puts around it."""
    kind, _ = alternatives(kind)
    if typing.get_origin(kind) is Literal:
        return type(typing.get_args(kind)[0])
    while typing.get_args(kind):
        kind = typing.get_args(kind)[0]
    plain: type = kind
    return plain


def _example(entry: Entry) -> str:
    for field in entry.fields:
        if _plain(field.type) is float and isinstance(field.default, float) and field.default > 0:
            return f"{field.name}=log:{field.default / 10:g}:{field.default * 10:g}"
    for field in entry.fields:
        if _plain(field.type) is int and isinstance(field.default, int):
            return f"{field.name}={field.default},{2 * field.default}"
    return "FIELD=a,b,c"
