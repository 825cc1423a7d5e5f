"""What a run's record may hold: names, and values that come back from JSON as they were.

A run checks both when it is given them, at its first line where it can, so that no training is lost
at its end for its record. Needs no torch.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import math
import numbers
import operator
import pathlib
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from etude.errors import UserError

LONGEST = 150  # bytes of a name: a file's may have 255, with its ending
DIGITS = 300  # of a whole number, beyond which a reader takes it for an attack
DEEPEST = 50  # values within values
MOST = 1_000  # numbers of an array that is a hyper-parameter
IN_NO_FILE = '/\\:*?"<>|'  # on one system or another
JOINERS = "\u200c\u200d"  # of letters and of emoji
OF_THE_LOG = ("stage", "step", "seconds")  # what a row of metrics says of itself


def checked_name(what: str, name: object) -> str:
    """The name of a metric, a stage, a part or a field: any text of one line.

    Raises:
        UserError: it is no text, is empty, too long, or holds a sign that can't be shown.
    """
    if not isinstance(name, str):
        raise UserError(f"{what} is {short(name)}; expected a text")
    if not name.strip():
        raise UserError(f"{what} is {name!r}; expected a text that is not empty")
    if any(
        unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") and sign not in JOINERS
        for sign in name
    ):
        raise UserError(
            f"{what} is {short(name)}; expected a text of one line, without signs that can't be"
            " shown"
        )
    if (size := len(name.encode())) > LONGEST:
        raise UserError(f"{what} is {short(name)}; expected at most {LONGEST} bytes, not {size:,}")
    return name


def checked_file_name(what: str, name: object) -> str:
    """A name that becomes that of a file or folder, wherever it is opened.

    Raises:
        UserError: as :func:`checked_name`, or no file may be called so.
    """
    name = checked_name(what, name)
    if name[0] in ".- " or name[-1] in ". " or any(sign in IN_NO_FILE for sign in name):
        raise UserError(
            f"{what} is {short(name)}; expected one that a file can have: without"
            f" {' '.join(IN_NO_FILE)}, and with no '.', '-' or blank at its ends"
        )
    return name


def file_name(what: str, name: object) -> str:
    """The file's name for a figure, a table or a network of this name.

    Metrics are called ``train/loss``, and so is the figure of one: its file is ``train-loss``.

    Raises:
        UserError: as :func:`checked_file_name`.
    """
    if isinstance(name, str):
        name = "-".join(name.split("/")) if all(name.split("/")) else name
    return checked_file_name(what, name)


def checked_metric(name: object, *, logged: bool = False) -> str:
    """A metric's name; ``logged``: in a row, beside what the row says of itself.

    Raises:
        UserError: as :func:`checked_name`, or it is one of the row's own.
    """
    name = checked_name("a metric's name", name)
    if logged and name in OF_THE_LOG:
        raise UserError(
            f"a metric is called '{name}', as each row of the log calls its own {name}; expected"
            f" another name, such as 'my_{name}'"
        )
    return name


def is_one_number(value: Any) -> bool:
    """Whether a value, a tensor or an array perhaps, is one real number."""
    if isinstance(value, numbers.Real):
        return True
    if isinstance(value, str | bytes | type) or not hasattr(value, "__float__"):
        return False
    complex_ = getattr(value, "is_complex", None)
    if (complex_() if callable(complex_) else isinstance(value, numbers.Complex)) or getattr(
        getattr(value, "dtype", None), "kind", ""
    ) in tuple("cOUSMmV"):
        return False
    return math.prod(getattr(value, "shape", ())) == 1


def number(name: str, value: Any) -> float:
    """A metric's value.

    Raises:
        UserError: it is not one real number, or too large for a float.
    """
    if not is_one_number(value):
        raise not_one_number(name, value)
    value = value.detach() if hasattr(value, "detach") else value
    value = value.item() if hasattr(value, "item") else value  # an array of one, whatever its shape
    try:
        return float(value)
    except OverflowError:
        raise UserError(f"metric '{name}' is too large for a number of 64 bits") from None


def not_one_number(name: str, value: Any) -> UserError:
    """The sentence for a metric that is none."""
    shape = None if isinstance(value, type) else getattr(value, "shape", None)
    what = short(value) if not shape else f"a {type(value).__name__} of shape {tuple(shape)}"
    return UserError(f"metric '{name}' is {what}; expected one number, or a tensor of one")


def whole_number(what: str, value: Any, expected: str) -> int:
    """A whole number, of Python or NumPy.

    Raises:
        UserError: it is none; with what was expected.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise UserError(f"{what} is {short(value)}; expected {expected}") from None


def plain_fields(fields: Any) -> dict[str, Any]:
    """Hyper-parameters as they stand in ``study.json``: ``Run(fields=vars(args))``.

    Raises:
        UserError: they are no names and values, or a value can't be written; which one.
    """
    if isinstance(fields, argparse.Namespace):
        fields = vars(fields)
    if not isinstance(fields, Mapping):
        raise UserError(f"the fields are {short(fields)}; expected names and values")
    return {
        checked_name("a field's name", name): plain(f"field {name}", value)
        for name, value in fields.items()
    }


def plain(where: str, value: Any, depth: int = 0) -> Any:
    """A value as JSON holds it, where nothing is lost by that: numbers of NumPy and arrays of few
    numbers as numbers, paths, devices and types by their names.

    Raises:
        UserError: it is none of these; ``where`` says which one.
    """
    if depth > DEEPEST:
        raise UserError(f"{where} is nested more than {DEEPEST} deep; expected a plain value")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        as_value = isinstance(value, str | int | float)  # it is one, whatever it is called
        return plain(where, value.value, depth + 1) if as_value else value.name
    if isinstance(value, str):
        return _plain_text(where, str(value))
    if isinstance(value, int):
        if value.bit_length() > DIGITS / math.log10(2):
            raise UserError(
                f"{where} has more than {DIGITS} digits; expected a number that can be read again"
            )
        return int(value)
    if isinstance(value, float):  # JSON has no infinity; its name is what float() reads
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return _plain_mapping(where, value, depth)
    if isinstance(value, AbstractSet):
        items = [plain(where, each, depth + 1) for each in value]
        return sorted(items, key=lambda item: (isinstance(item, str), str(type(item)), item))
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return _plain_items(where, value, depth)
    if hasattr(value, "tolist") and not isinstance(value, type):
        return _plain_array(where, value, depth)
    if (name := _named(value)) is not None:
        return _plain_text(where, name)
    raise UserError(
        f"{where} is {short(value)}, a {type(value).__name__}; expected a number, a text, true or"
        " false, or several of these"
    )


def _plain_text(where: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{where} is {short(text)}, which is no text in UTF-8; expected one"
        ) from None
    return text


def _plain_mapping(where: str, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    items = [(plain(where, key, depth + 1), each) for key, each in value.items()]
    found = {
        key if isinstance(key, str) else str(key): plain(f"{where}.{key}", each, depth + 1)
        for key, each in items
    }
    if len(found) < len(items):
        raise UserError(f"{where} has two names that are written alike; expected each once")
    return found


def _plain_items(where: str, value: Iterable[Any], depth: int) -> list[Any]:
    items = []
    for place, each in enumerate(value):
        if place >= 100 * MOST:
            raise UserError(f"{where} holds more than {100 * MOST:,} values; expected fewer")
        items.append(plain(where, each, depth + 1))
    return items


def _plain_array(where: str, value: Any, depth: int) -> Any:
    """A number or an array of NumPy, or a tensor of PyTorch."""
    shape = tuple(value.shape)
    if math.prod(shape) > MOST:
        raise UserError(
            f"{where} is a {type(value).__name__} of shape {shape}; expected at most {MOST:,}"
            " numbers"
        )
    listed = value.tolist()
    if isinstance(listed, str | bool | int | float | list):
        return plain(where, listed, depth + 1)
    return _plain_text(where, str(value))  # a date, a long double, a complex number


WRITTEN = ("datetime", "decimal", "fractions", "uuid")  # modules whose values a text stands for
OF_TORCH = ("device", "dtype", "layout", "memory_format")


def _named(value: Any) -> str | None:
    """The text that stands for a value which has one, and from which it can be made again."""
    kind = type(value)
    if isinstance(value, pathlib.PurePath | complex) or kind.__module__ in WRITTEN:
        return str(value)
    if kind.__module__ == "torch" and kind.__name__ in OF_TORCH:
        return str(value)
    if kind.__module__.startswith("numpy") and "dtype" in kind.__name__.lower():
        return str(value)
    name = getattr(value, "__qualname__", "")  # of a class or function: a subcommand's, say
    if callable(value) and isinstance(name, str) and name and "<" not in name:
        return f"{getattr(value, '__module__', None) or 'builtins'}.{name}"
    return None


def option_of(name: str) -> str:
    """A field's option: ``--learning-rate`` of ``learning_rate``, ``--lambda`` of ``lambda_``."""
    return f"--{name.strip('_').replace('_', '-')}"


def option_words(name: str, value: Any) -> list[str]:
    """What one types so that a field has this value."""
    option = option_of(name)
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    if isinstance(value, list | tuple):
        return [option, *map(str, value)]
    text = str(value)
    return [f"{option}={text}"] if text.startswith("-") or not text else [option, text]


def command_of(about: Mapping[str, Any]) -> str:
    """The command that repeats the run of a record; empty where it is that of a plain script."""
    source = about.get("source")
    if not source:
        return ""
    words = ["etude", "run", str(about.get("study", "") if source == "catalogue" else source)]
    words += ["--scale", str(about.get("scale", "quick")), "--seed", str(about.get("seed", 0))]
    words += ["--folds", str(about["folds"])] if about.get("folds") else []
    for name, value in (about.get("changed") or {}).items():
        words += option_words(name, value)
    return shlex.join(words)


def short(value: object) -> str:
    """A value for a sentence, cut where it is long."""
    try:
        text = repr(value)
    except Exception:  # of anybody's class
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}…"
