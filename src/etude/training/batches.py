"""Batches of data that lies in memory (or in a memory-mapped file), drawn and augmented as whole
tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor


class Column(Protocol):
    """What can be batched: a tensor, or anything that is indexed by a tensor of rows and has a
    length.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor, /) -> Any: ...


Augment = Callable[[Tensor, torch.Generator], Tensor]


class Batches:
    """An endless stream of batches, each epoch in a new order.

    Batch ``k`` takes rows ``k·size … (k+1)·size - 1`` of the concatenation of one random
    permutation per epoch: every row comes exactly once an epoch, every batch is full, and none is
    dropped at an epoch's end. Order and augmentation of batch ``k`` depend on ``(seed, k)`` alone,
    so the state is one number, and the stream resumes anywhere.

    Args:
        columns: ``(inputs, labels, …)``, first axes alike; tensors may be memory-mapped
            (``torch.from_numpy`` of a ``numpy.memmap``) where data does not fit.
        size: rows in a batch.
        augment: applied to the first column of each batch, with a generator for its random draws.
        seed: of order and augmentation; by default drawn from PyTorch's generator.
        shuffle: a new order each epoch; else the order of the rows.
        alike: a number of each row, its length say, so that rows of one batch have nearly the same
            and little has to be filled up. Which of those come together, and the order of the
            batches, differ from epoch to epoch.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        size: int,
        *,
        augment: Augment | None = None,
        seed: int | None = None,
        shuffle: bool = True,
        alike: Tensor | None = None,
    ) -> None:
        lengths = {len(column) for column in columns}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"columns have {', '.join(map(str, sorted(lengths)))} rows; expected one length"
                " above 0"
            )
        self.columns = tuple(columns)
        self.size = size
        self.augment = augment
        self.rows = lengths.pop()
        self.shuffle = shuffle
        self.alike = alike
        self.seed = int(torch.randint(2**62, ())) if seed is None else seed
        self.position = 0
        self._orders: dict[int, Tensor] = {}

    def __len__(self) -> int:
        """Batches in an epoch, the last one shared with the next epoch."""
        return -(-self.rows // self.size)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        while True:
            batch = self.batch(self.position)
            self.position += 1
            yield batch

    def batch(self, k: int) -> tuple[Any, ...]:
        """Batch ``k`` of the stream."""
        rows = self.order(k)
        batch = [_rows_of(column, rows) for column in self.columns]
        if self.augment is not None:
            batch[0] = self.augment(batch[0], self._generator(2 * k + 1))
        return tuple(batch)

    def order(self, k: int) -> Tensor:
        """The rows of batch ``k``. Shape: (size,)."""
        epoch, start = divmod(k * self.size, self.rows)
        pieces, missing = [], self.size
        while missing:
            piece = self._permutation(epoch)[start : start + missing]
            pieces.append(piece)
            missing -= len(piece)
            epoch, start = epoch + 1, 0
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def state_dict(self) -> dict[str, int]:
        """The seed and the number of batches drawn."""
        return {"seed": self.seed, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where ``state_dict`` was taken."""
        self.seed, self.position = state["seed"], state["position"]
        self._orders.clear()

    def _permutation(self, epoch: int) -> Tensor:
        if not self.shuffle:
            return torch.arange(self.rows)
        if epoch not in self._orders:
            self._orders = {e: o for e, o in self._orders.items() if e >= epoch - 1}
            draws = self._generator(2 * epoch)
            order = torch.randperm(self.rows, generator=draws)
            self._orders[epoch] = (
                order if self.alike is None else self._sorted(epoch, order, self.alike, draws)
            )
        return self._orders[epoch]

    def _sorted(self, epoch: int, order: Tensor, alike: Tensor, draws: torch.Generator) -> Tensor:
        """Whole batches of rows that are alike, in any order; what is over goes to the ends, shared
        with neighbours.
        """
        order = order[alike[order].argsort(stable=True)]
        begin = min(
            -epoch * self.rows % self.size, self.rows
        )  # rows until the epoch's first whole batch
        whole = (self.rows - begin) // self.size
        batches, over = (
            order[: whole * self.size].view(whole, self.size),
            order[whole * self.size :],
        )
        return torch.cat(
            [over[:begin], batches[torch.randperm(whole, generator=draws)].flatten(), over[begin:]]
        )

    def _generator(self, number: int) -> torch.Generator:
        # SplitMix64's constant spreads consecutive numbers over the seeds
        mixed = (self.seed + (number + 1) * 0x9E3779B97F4A7C15) % 2**63
        device = (
            self.columns[0].device
            if isinstance(self.columns[0], Tensor) and self.augment
            else "cpu"
        )
        return torch.Generator("cpu" if number % 2 == 0 else device).manual_seed(mixed)


class Windows:
    """An endless stream of stretches of one long row, each begun anywhere in it.

    Where they begin is drawn from PyTorch's generator, whose state the run saves, so that there is
    nothing to resume.

    Args:
        row: (length, …), a text's tokens, say, or a signal.
        length: of a stretch.
        size: how many stretches a batch has.
    """

    def __init__(self, row: Tensor, length: int, size: int) -> None:
        if not 0 < length <= len(row):
            raise ValueError(
                f"stretches of {length} in a row of {len(row)}; expected from 1 to the row's length"
            )
        self.row, self.length, self.size = row, length, size

    def __iter__(self) -> Iterator[Tensor]:
        window = torch.arange(self.length, device=self.row.device)
        while True:
            begin = torch.randint(len(self.row) - self.length + 1, (self.size, 1))
            yield self.row[begin.to(self.row.device) + window]  # (size, length, …)

    def state_dict(self) -> dict[str, int]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on anywhere."""


def _rows_of(column: Column, rows: Tensor) -> Any:
    if isinstance(column, Tensor):
        return column.index_select(0, rows.to(column.device))
    return column[rows]
