"""Rows of different lengths, one after the other in one tensor: texts, graphs, boxes, episodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import torch
from torch import Tensor

from etude.errors import UserError


@dataclass(frozen=True, eq=False)
class Ragged:
    """Row i is ``values[offsets[i] : offsets[i + 1]]``.

    Its length is the number of rows, and an index of rows gives another Ragged; so it can be
    batched like a tensor: ``Batches((ragged, labels), 32)``.

    Args:
        values: (total, …), all rows one after the other.
        offsets: (rows + 1,), int64, from 0 to total, never falling.
    """

    values: Tensor
    offsets: Tensor

    def __post_init__(self) -> None:
        if (
            self.offsets.ndim != 1
            or not len(self.offsets)
            or int(self.offsets[-1]) != len(self.values)
        ):
            raise UserError(
                f"offsets {tuple(self.offsets.shape)} do not end at the {len(self.values):,} values"
                " there are"
            )

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Ragged:
        """Rows of whole numbers."""
        rows = list(rows)
        offsets = torch.tensor([0, *accumulate(map(len, rows))])
        return cls(torch.tensor(list(chain.from_iterable(rows)), dtype=torch.int64), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        """How many values each row has. Shape: (rows,)."""
        return self.offsets.diff()

    def __getitem__(self, rows: Tensor) -> Ragged:
        """The rows with these numbers, gathered without a loop. Shape of ``rows``: (n,)."""
        rows = rows.to(self.offsets.device)
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        # value j of the result stands in row i at j - offsets[i], so in the source at j -
        # offsets[i] + starts[i]
        where = torch.arange(int(offsets[-1]), device=rows.device) + torch.repeat_interleave(
            starts - offsets[:-1], lengths
        )
        return Ragged(self.values[where], offsets)

    def padded(self, value: int) -> Tensor:
        """The rows as one tensor, the shorter ones filled up with a value. Shape: (rows,
        longest).
        """
        lengths = self.lengths
        there = torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]
        return torch.full(
            there.shape, value, dtype=self.values.dtype, device=lengths.device
        ).masked_scatter(there, self.values)

    def to(self, device: torch.device | str) -> Ragged:
        """The same on another device."""
        return Ragged(self.values.to(device), self.offsets.to(device))
