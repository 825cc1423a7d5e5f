"""What goes through a loop and can be put back to where it was."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sized
from contextlib import suppress
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from etude.errors import UserError
from etude.runs.plain import GENERATORS, generator_state, put_back_generator
from etude.runs.random_state import random_state, restore_random_state

T = TypeVar("T")
DEPTH = 5  # from a loader to the generator of its sampler's sampler, or of a data set's data set
SAMPLE = 32  # rows of a data set, of which a digest is taken
WIDTH = 64  # things in one container, and attributes of one object, that are looked at


@runtime_checkable
class Stateful(Protocol):
    """Whatever can stand in ``state``: networks, optimisers, schedules, averages, buffers,
    environments.
    """

    def state_dict(self) -> Any:
        """Tensors, numbers, strings and containers of them."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Put back what ``state_dict`` gave."""


class Stream(Iterator[T]):
    """A stream of batches which can be put back to where it was.

    Batches without a ``state_dict`` are drawn again from where their pass began: from the random
    state of then, that of the generators which they hold included (a DataLoader's, its sampler's,
    its data set's).

    Raises:
        UserError: they are a DataLoader whose workers outlive a pass, and hold what nobody sees.
    """

    def __init__(self, batches: Iterable[T]) -> None:
        self.batches = batches
        self.stateful = isinstance(batches, Stateful)
        self.taken = 0  # from the pass under way
        self.pass_random: dict[str, Any] | None = None
        self.iterator: Iterator[T] | None = None
        self._generators: list[Any] = []
        if not self.stateful:
            held = list(held_by(batches, (DataLoader, *GENERATORS)))
            self._generators = [each for each in held if isinstance(each, GENERATORS)]
            if any(isinstance(each, DataLoader) and each.persistent_workers for each in held):
                raise UserError(
                    "a DataLoader with persistent_workers=True can't be resumed exactly: its"
                    " workers carry random states of their own from one pass to the next; expected"
                    " persistent_workers=False"
                )

    def draw(self, *, again: bool) -> T:
        """The next batch; at the end of a pass the next one begins, if ``again``."""
        if self.iterator is None:
            self._begin()
        try:
            batch = next(self.iterator)  # type: ignore[arg-type]
        except StopIteration:
            if not again or self.taken == 0:
                raise
            self._begin()
            batch = next(self.iterator)  # type: ignore[arg-type]
        self.taken += 1
        return batch

    def __next__(self) -> T:
        return self.draw(again=False)

    def state_dict(self) -> dict[str, Any]:
        """The batches' own state, or how far the pass is and from which random state it began."""
        if self.stateful:
            return {"own": self.batches.state_dict()}  # type: ignore[attr-defined]
        return {"taken": self.taken, "random": self.pass_random}

    def load_state_dict(self, state: dict[str, Any], *, ended: bool = False) -> None:
        """Go to where the stream was; ``ended``: nothing more is drawn from it."""
        if "own" in state:
            self.batches.load_state_dict(state["own"])  # type: ignore[attr-defined]
        elif state["random"] is not None and not (ended and self._keeps_nothing()):
            restore_random_state(state["random"])
            for generator, saved in zip(
                self._generators, state["random"].get("held", ()), strict=False
            ):
                put_back_generator(generator, saved)
            self._begin()
            for _ in range(state["taken"]):
                self.draw(again=False)

    def _keeps_nothing(self) -> bool:
        """Whether a pass leaves the batches as they were, so that one that is over need not be
        drawn again for the sake of what comes after it.
        """
        plain = isinstance(self.batches, list | tuple | range) or (
            isinstance(self.batches, DataLoader)
            and not isinstance(self.batches.dataset, IterableDataset)
        )
        return plain and not self._generators

    def _begin(self) -> None:
        self.pass_random = None
        if not self.stateful:
            held = [generator_state(each) for each in self._generators]
            self.pass_random = random_state() | ({"held": held} if held else {})
        self.iterator = iter(self.batches)
        self.taken = 0


def held_by(thing: Any, kinds: tuple[type, ...], depth: int = DEPTH) -> Iterator[Any]:
    """All objects of some kinds that a thing holds or is, each once, in an order that is the same
    whenever the same code made it.
    """
    seen: set[int] = set()

    def look(value: Any, left: int) -> Iterator[Any]:
        if id(value) in seen or isinstance(value, str | bytes | int | float | type | None):
            return
        seen.add(id(value))
        if isinstance(value, kinds):
            yield value
        if isinstance(value, GENERATORS) or left == 0:
            return
        inner: list[Any] = []
        if isinstance(value, list | tuple):
            inner = list(value[:WIDTH])
        elif isinstance(value, dict):
            inner = list(value.values())[:WIDTH]
        elif hasattr(value, "__dict__"):
            inner = list(vars(value).values())[:WIDTH]
        for each in inner:
            yield from look(each, left - 1)

    yield from look(thing, depth)


def size_of(batches: Any) -> str:
    """How much data batches are drawn from, in words."""
    for data in (getattr(batches, "dataset", None), batches):
        rows = getattr(data, "rows", None)
        if isinstance(rows, int):
            return f"{rows:,} rows"
        if isinstance(data, Sized):
            with suppress(TypeError):  # a DataLoader of which nobody knows how long it is
                return f"{len(data):,} {'batches' if data is batches else 'items'}"
    return "an unknown number of batches"


def sample_of(batches: Any) -> str | None:
    """A digest of some rows of the data, evenly spread; None where they can't be looked at without
    drawing them. Not of all rows: they may be many, and lie on a disk.
    """
    data = getattr(batches, "dataset", batches)
    columns = getattr(data, "columns", None) or getattr(data, "tensors", None)
    if columns is None and isinstance(data, list | tuple):
        columns = [data]
    if not isinstance(columns, list | tuple):
        return None
    digest = 0
    with suppress(RuntimeError, TypeError, ValueError):  # a sparse tensor has no rows to look at
        for column in columns:
            if isinstance(column, Tensor | np.ndarray | list | tuple):
                step = max(1, len(column) // SAMPLE)
                for row in column[::step]:
                    digest = zlib.crc32(_bytes_of(row), digest)
        return f"{digest:08x}"
    return None


def _bytes_of(row: Any) -> bytes:
    if isinstance(row, np.ndarray | np.generic):
        return row.tobytes()
    if isinstance(row, Tensor):
        return row.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    if isinstance(row, list | tuple):
        return b"".join(map(_bytes_of, row))
    return (
        repr(row).encode() if isinstance(row, bool | int | float | complex | str | bytes) else b""
    )
