"""A study's fields as a form: which control each gets, and what was typed as values."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from etude.entry import Entry
from etude.errors import UserError
from etude.study import Natural, alternatives, check_field, expectation

LONGEST = 1_000  # characters of one value


@dataclass(frozen=True)
class Control:
    """One field of the form."""

    name: str
    kind: Literal["choice", "switch", "text"]
    value: str  # as it stands in the form
    standard: str  # the scale's own
    help: str
    expected: str  # in words
    choices: tuple[str, ...] = ()
    numeric: bool = False  # which keyboard a phone shows
    error: str = ""


def controls(
    entry: Entry, scale: str, typed: Mapping[str, str], errors: Mapping[str, str]
) -> list[Control]:
    """The form of a study at a scale, with what was typed, and what is wrong with it."""
    defaults = entry.defaults(scale)
    found = []
    for field in entry.fields:
        kind, _ = alternatives(field.type)
        standard = written(defaults[field.name])
        choices = (
            tuple(map(str, typing.get_args(kind))) if typing.get_origin(kind) is Literal else ()
        )
        if choices and field.type is not kind:
            choices = (*choices, "None")
        found.append(
            Control(
                field.name,
                "choice" if choices else "switch" if field.type is bool else "text",
                typed.get(field.name, standard),
                standard,
                field.help,
                expectation(field.type),
                choices,
                numeric=not choices and kind is not str and typing.get_origin(kind) is not tuple,
                error=errors.get(field.name, ""),
            )
        )
    return found


def read(
    entry: Entry, scale: str, typed: Mapping[str, str]
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """What was typed, as values.

    Returns:
        The fields that differ from the scale's own, the seed, and one sentence for each field that
        is wrong.

    Raises:
        UserError: no such scale.
    """
    defaults = entry.defaults(scale)
    changes: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for field in entry.fields:
        if field.name not in typed:
            continue
        value = value_of(field.type, typed[field.name])
        try:
            check_field(entry.name, field.name, field.type, value)
        except UserError as error:
            errors[field.name] = str(error).removeprefix(f"{entry.name}: ")
            continue
        if value != defaults[field.name]:
            changes[field.name] = value
    seed = value_of(Natural, typed.get("seed", "0"))
    try:
        check_field(entry.name, "seed", Natural, seed)
    except UserError as error:
        errors["seed"] = str(error).removeprefix(f"{entry.name}: ")
    return changes, seed if "seed" not in errors else 0, errors


def written(value: Any) -> str:
    """A value as one types it: several with spaces between."""
    if isinstance(value, tuple | list):
        return " ".join(map(written, value))
    return str(value)


def value_of(kind: Any, text: str) -> Any:
    """What was typed, by the field's type; the text itself where it is no such value, for the check
    to refuse.
    """
    text = text.strip()[:LONGEST]
    kind, optional = alternatives(kind)
    if optional and text in ("", "None"):
        return None
    if typing.get_origin(kind) is tuple:
        return tuple(value_of(typing.get_args(kind)[0], word) for word in text.split())
    if typing.get_origin(kind) is Literal:
        return next((choice for choice in typing.get_args(kind) if str(choice) == text), text)
    plain = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    if plain is bool:
        return {"true": True, "on": True, "false": False, "": False}.get(text.lower(), text)
    if plain in (int, float):
        try:
            return plain(text.replace(",", "").replace("_", ""))
        except (ValueError, OverflowError):
            return text
    return text
