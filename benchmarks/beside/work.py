"""A piece of work and those who do it, each time in a process of its own."""

from __future__ import annotations

import importlib
import json
import pkgutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

LOWER = ("s", "ms", "µs")  # units of which less is better; of all others more is


@dataclass(frozen=True)
class Measured:
    """What one process measured of itself.

    Args:
        value: in the work's unit; None where the time of the whole process is what counts.
        reached: what else shows that the same work was done: an accuracy, a loss.
    """

    value: float | None = None
    reached: Mapping[str, float] = field(default_factory=dict)


Contender = Callable[[int], Measured]  # given a seed


@dataclass(frozen=True)
class Work:
    """Something to be done, by Etude first, and by others.

    Args:
        name: to ask for it by.
        title: for the table.
        unit: of the values; see LOWER.
        aim: how much better Etude wants to be, in words.
        contenders: name in the table → what it does. The first is Etude's.
        repeat: how often each does it; the seed is 0, 1, …
        note: what a reader must know to judge the numbers.
        goal: of what is reached, and at least how much of it: whoever ends, or is stopped, below
            has not got there.
        patience: a peer is stopped after so many times Etude's median of this run, and has not got
            there; so hours that would only raise a ratio are not waited for.
    """

    name: str
    title: str
    unit: str
    aim: str
    contenders: Mapping[str, Contender]
    repeat: int = 5
    note: str = ""
    goal: tuple[str, float] | None = None
    patience: float | None = None


def so_far(**reached: float) -> None:
    """Tell what is reached by now, in case there is no patience for the rest."""
    print(json.dumps({"so far": reached}), flush=True)


def works() -> dict[str, Work]:
    """All of them by name."""
    package = importlib.import_module("benchmarks.beside.works")
    modules = [
        importlib.import_module(f"{package.__name__}.{m.name}")
        for m in pkgutil.iter_modules(package.__path__)
    ]
    return {work.name: work for module in modules for work in module.WORKS}


def median_seconds(
    step: Callable[[], object], *, warm: int = 3, least: float = 3.0, most: int = 2_000
) -> float:
    """The median time of a call, over at least so many seconds, after some to warm up."""
    for _ in range(warm):
        step()
    seconds: list[float] = []
    while sum(seconds) < least and len(seconds) < most:
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
