"""What goes through a loop and can be put back to where it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar, runtime_checkable

from etude.runs.random_state import random_state, restore_random_state

T = TypeVar("T")


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
    """A stream of batches which can be put back to where it was."""

    def __init__(self, batches: Iterable[T]) -> None:
        self.batches = batches
        self.stateful = isinstance(batches, Stateful)
        self.taken = 0  # from the pass under way
        self.pass_random: dict[str, Any] | None = None
        self.iterator: Iterator[T] | None = None

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

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where the stream was."""
        if "own" in state:
            self.batches.load_state_dict(state["own"])  # type: ignore[attr-defined]
        elif state["random"] is not None:
            restore_random_state(state["random"])
            self._begin()
            for _ in range(state["taken"]):
                self.draw(again=False)

    def _begin(self) -> None:
        self.pass_random = None if self.stateful else random_state()
        self.iterator = iter(self.batches)
        self.taken = 0
