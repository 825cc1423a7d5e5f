"""Solutions that are none: what costs a student nothing, and may pass no check.

A function that returns one of its arguments, zeros of the right shape or nothing at all solves no
task, and a check that passes it says nothing of the task. So each task is tried with such
functions: alone, and with those of all tasks at once, for two wrong functions may agree with each
other.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import numpy as np

from etude.exercises.checks import Local
from etude.exercises.regions import Region

Function = Callable[..., Any]


class Sham:
    """Stands in the place of functions, and answers without solving anything.

    Attributes:
        words: what it does: "returns nothing".
        right: of each call, whether it was answered as the function itself would have done.
    """

    def __init__(self, words: str, answer: Callable[..., tuple[Any, bool]]) -> None:
        self.words = words
        self.right: list[bool] = []
        self._answer = answer

    def of(self, function: Function) -> Function:
        """The sham of a function."""

        @functools.wraps(function)
        def sham(*args: Any, **kwargs: Any) -> Any:
            answer, right = self._answer(function, *args, **kwargs)
            self.right.append(right)
            return answer

        return sham


def shams(parameters: int) -> Iterator[Sham]:
    """One of each kind, for functions of at most so many parameters."""
    yield Sham("returns nothing", lambda *_, **__: (None, False))
    for place in range(parameters):
        yield Sham(f"returns argument {place + 1}", functools.partial(_argument, place))
    for number, word in enumerate(("zeros", "ones")):
        yield Sham(f"returns {word} of the right shape", functools.partial(_filled, number))


def _argument(place: int, function: Function, *args: Any, **kwargs: Any) -> tuple[Any, bool]:
    return [*args, *kwargs.values()][place], False


def _filled(number: int, function: Function, *args: Any, **kwargs: Any) -> tuple[Any, bool]:
    try:
        answer = function(*args, **kwargs)
    except Exception:  # which the sham does not know to raise
        return number, False
    right: list[bool] = []
    return _with(number, answer, right), all(right)


def _with(number: int, value: Any, right: list[bool]) -> Any:
    """A value in which each number is another one, and each text empty.

    Args:
        number: in place of each.
        value: a number, an array, a text, or lists and tables of them; all else stays.
        right: takes of each whether that changes it.
    """
    torch = sys.modules.get("torch")
    if isinstance(value, list | tuple):
        return type(value)(_with(number, each, right) for each in value)
    if isinstance(value, dict):
        return {key: _with(number, each, right) for key, each in value.items()}
    if isinstance(value, str):
        new: Any = ""
    elif isinstance(value, bool | int | float | complex):
        new = type(value)(number)
    elif isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
        new = np.full_like(value, number)
    elif torch and isinstance(value, torch.Tensor):
        new = torch.full_like(value, number)
    else:
        return value
    right.append(bool((new == value).all() if hasattr(value, "shape") else new == value))
    return new


def in_place(code: Local, regions: Sequence[Region], sham: Sham) -> ExitStack:
    """Put a sham in the place of some tasks' functions, until what is returned is closed."""
    undone = ExitStack()
    for owner, name in {_place(code.module, region) for region in regions}:
        own = inspect.getattr_static(owner, name)
        undone.callback(setattr, owner, name, own)
        if isinstance(own, staticmethod):
            setattr(owner, name, staticmethod(sham.of(own.__func__)))
        else:
            setattr(owner, name, sham.of(own))
    return undone


def parameters(code: Local, regions: Sequence[Region]) -> int:
    """The most parameters that a function of some tasks has."""
    functions = [getattr(*_place(code.module, region)) for region in regions]
    return max(len(inspect.signature(each).parameters) for each in functions)


def _place(module: ModuleType, region: Region) -> tuple[Any, str]:
    """The module or class in which the function of a task stands, and its name there."""
    *path, last = region.function.split(".")
    return functools.reduce(getattr, path, module), last
