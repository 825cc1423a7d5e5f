"""States as plain data, which load without pickle and come back as they were.

``torch.load(weights_only=True)`` executes nothing and so takes tensors, numbers, texts and plain
containers alone. What else a state may hold and can be written in these (NumPy's arrays and
scalars, a deque, a path, a date …) is written as ``{MARK: kind, …}`` and comes back as the very
same, bit for bit. Everything else is named when the state is taken, not when it is missed.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import io
import pathlib
import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from etude.errors import UserError

MARK = "not plain"
PLAIN = (type(None), bool, int, float, complex, str, bytes)
TORCH = (torch.Size, torch.dtype, torch.device, torch.layout, torch.memory_format)
FACTORIES: dict[str, Callable[[], Any]] = {
    kind.__name__: kind for kind in (int, float, bool, str, list, dict, set, tuple, complex)
}
PATHS = {
    kind.__name__: kind
    for kind in (
        type(pathlib.Path()),
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
    )
}
BY_TEXT: dict[str, tuple[type, Callable[[str], Any]]] = {
    "date": (datetime.date, datetime.date.fromisoformat),
    "time": (datetime.time, datetime.time.fromisoformat),
    "datetime": (datetime.datetime, datetime.datetime.fromisoformat),
    "Decimal": (decimal.Decimal, decimal.Decimal),
    "Fraction": (fractions.Fraction, fractions.Fraction),
    **{name: (kind, kind) for name, kind in PATHS.items()},
}
GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
"""What draws random numbers, and may stand in a loop's state by itself."""


def pack(value: Any, owner: str, place: str = "") -> Any:
    """A state in tensors, numbers, texts and plain containers.

    Args:
        value: what a ``state_dict`` gave.
        owner: the class that gave it, for the message.
        place: where in it this value stands.

    Raises:
        UserError: it holds what can't be written so.
    """
    kind = type(value)
    if kind in PLAIN or kind in TORCH or isinstance(value, torch.Tensor):
        return value
    if kind is list or kind is tuple:
        if all(type(each) in PLAIN for each in value):
            return value
        return kind(pack(each, owner, f"{place}[{k}]") for k, each in enumerate(value))
    if kind in (dict, OrderedDict, Counter):
        return _pack_mapping(value, owner, place)
    if isinstance(value, np.ndarray | np.generic):
        return {MARK: "numpy", "scalar": kind is not np.ndarray, **_bytes(value, owner, place)}
    if kind is bytearray:
        return {MARK: "bytearray", "value": bytes(value)}
    if kind is defaultdict:
        factory = value.default_factory
        name = None if factory is None else getattr(factory, "__name__", "")
        if name is None or FACTORIES.get(name) is factory:
            return {MARK: "defaultdict", "of": name, "value": pack(dict(value), owner, place)}
    if kind is deque:
        return {
            MARK: "deque",
            "value": pack(list(value), owner, place),
            "longest": value.maxlen,
        }
    if kind is set or kind is frozenset:
        return {MARK: kind.__name__, "value": pack(list(value), owner, place)}
    if kind is range:
        return {MARK: "range", "value": [value.start, value.stop, value.step]}
    if kind is slice:
        return {MARK: "slice", "value": pack([value.start, value.stop, value.step], owner, place)}
    if kind is datetime.timedelta:
        return {MARK: "timedelta", "value": [value.days, value.seconds, value.microseconds]}
    if (name := kind.__name__) in BY_TEXT and BY_TEXT[name][0] is kind:
        text = value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)
        if (back := BY_TEXT[name][1](text)) == value and repr(back) == repr(value):
            return {MARK: name, "value": text}
    raise UserError(
        f"the state of {owner} holds {_called(kind)}{f' as {place}' if place else ''}, which a"
        " checkpoint can't hold; expected tensors, arrays, numbers, texts and plain containers of"
        " them"
    )


def unpack(value: Any) -> Any:
    """What :func:`pack` was given."""
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(unpack(each) for each in value)
    if not isinstance(value, dict):
        return value
    if MARK not in value:
        return _like_mapping(value, ((key, unpack(item)) for key, item in value.items()))
    kind = value[MARK]
    if kind == "numpy":
        array = np.load(io.BytesIO(value["value"].numpy().tobytes()), allow_pickle=False)
        return array[()] if value["scalar"] else array
    inner = unpack(value["value"])
    if kind == "mapping":
        return dict(inner)
    if kind == "defaultdict":
        of = value["of"]
        return defaultdict(None if of is None else FACTORIES[of], inner)
    if kind == "deque":
        return deque(inner, value["longest"])
    if kind in BY_TEXT:
        return BY_TEXT[kind][1](inner)
    plain: dict[str, Callable[[Any], Any]] = {
        "bytearray": bytearray,
        "set": set,
        "frozenset": frozenset,
        "range": lambda numbers: range(*numbers),
        "slice": lambda numbers: slice(*numbers),
        "timedelta": lambda numbers: datetime.timedelta(*numbers),
    }
    return plain[kind](inner)


def generator_state(generator: Any) -> Any:
    """Where a random generator is, as ``pack`` takes it."""
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def put_back_generator(generator: Any, state: Any) -> None:
    """Put a random generator to where :func:`generator_state` found it."""
    if isinstance(generator, torch.Generator):
        generator.set_state(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)


def _pack_mapping(value: Mapping[Any, Any], owner: str, place: str) -> Any:
    if MARK not in value and all(_is_plain_key(key) for key in value):
        items = (
            (key, pack(item, owner, f"{place}.{key}" if place else str(key)))
            for key, item in value.items()
        )
        return _like_mapping(value, items)
    if type(value) is not dict:
        raise UserError(
            f"the state of {owner} holds keys of {type(value).__name__}"
            f"{f' as {place}' if place else ''} that a checkpoint can't hold; expected texts or"
            " numbers"
        )
    pairs = [
        (pack(key, owner, f"{place}, a key"), pack(item, owner, f"{place}[{key!r}]"))
        for key, item in value.items()
    ]
    return {MARK: "mapping", "value": pairs}


def _like_mapping(value: Mapping[Any, Any], items: Any) -> Any:
    if isinstance(value, OrderedDict):
        return OrderedDict(items)
    return Counter(dict(items)) if isinstance(value, Counter) else dict(items)


def _is_plain_key(key: Any) -> bool:
    return type(key) in PLAIN or (type(key) is tuple and all(_is_plain_key(each) for each in key))


def _bytes(value: Any, owner: str, place: str) -> dict[str, Any]:
    """An array in NumPy's own format, which keeps its type and the order of its axes in memory."""
    buffer = io.BytesIO()
    try:
        np.save(buffer, value, allow_pickle=False)
    except ValueError:
        raise UserError(
            f"the state of {owner} holds an array of objects{f' as {place}' if place else ''},"
            " which a checkpoint can't hold; expected an array of numbers or texts"
        ) from None
    return {"value": torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)}


def _called(kind: type) -> str:
    article = "an" if kind.__name__[:1].lower() in "aeiou" else "a"
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{article} {module}{kind.__qualname__}"
