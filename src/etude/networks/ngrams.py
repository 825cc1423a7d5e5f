"""A bag of n-grams: an embedding for each, their weighted mean, one linear map."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding, embedding_bag


class Rows(Protocol):
    """Rows of whole numbers, one after another: row i is ``values[offsets[i]:offsets[i + 1]]``."""

    @property
    def values(self) -> Tensor:
        """All numbers. Shape: (total,)."""

    @property
    def offsets(self) -> Tensor:
        """Where each row begins, and where the last one ends. Shape: (rows + 1,)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor, /) -> Rows: ...


class NGramBag(nn.Module):
    r"""fastText with weights: $h = \sum_g w_g e_g / \lVert w \rVert$ over the n-grams $g$ of a
    text, logits $W h + b$.

    The weight of an n-gram is the logarithm of how rare it is, $w_g = \log \frac{1 + N}{1 + n_g}$,
    where $n_g$ of $N$ texts have it; :meth:`weigh` counts. In training, each n-gram is left out
    with probability ``dropout``.

    Input n rows of numbers below ``buckets``, as :class:`Rows` or padded with -1 to (n, longest);
    output (n, classes).

    Source: Joulin, Grave, Bojanowski & Mikolov (2017), Bag of tricks for efficient text
    classification.
    """

    weight: Tensor

    def __init__(self, buckets: int, width: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(0.1 * torch.randn(buckets, width))
        self.head = nn.Linear(width, classes)
        self.dropout = dropout
        self.register_buffer("weight", torch.ones(buckets))

    def weigh(self, frequency: Tensor, texts: int) -> None:
        """Set the weights by the number of training texts that have each n-gram, of so many.

        Shape: (buckets,).
        """
        self.weight.copy_(torch.log((1 + texts) / (1 + frequency)))

    def forward(self, rows: Rows | Tensor) -> Tensor:
        """The logits of n rows: (n, classes)."""
        h = self.mean_padded(rows) if isinstance(rows, Tensor) else self.mean(rows)  # (n, width)
        logits: Tensor = self.head(h)
        return logits

    def mean(self, rows: Rows) -> Tensor:
        """The weighted mean of each row's embeddings. Shape: (n, width)."""
        values, offsets = rows.values, rows.offsets
        lengths = offsets.diff()
        w = dropout(self.weight[values], self.dropout, self.training)  # (total,)
        norm = (
            torch.segment_reduce(w.square(), "sum", lengths=lengths).sqrt().clamp_min(1e-6)
        )  # (n,)
        w = w / torch.repeat_interleave(norm, lengths)
        h: Tensor = embedding_bag(
            values,
            self.embeddings,
            offsets,
            mode="sum",
            per_sample_weights=w,
            include_last_offset=True,
        )
        return h

    def mean_padded(self, rows: Tensor) -> Tensor:
        """The same of padded rows, in operations that ONNX has too. Shape: (n, width)."""
        numbers = rows.clamp_min(0)
        w = dropout(self.weight[numbers] * (rows >= 0), self.dropout, self.training)  # (n, longest)
        w = w / w.norm(dim=1, keepdim=True).clamp_min(1e-6)
        h: Tensor = (w[:, None] @ embedding(numbers, self.embeddings)).squeeze(1)
        return h


def pad(rows: Rows) -> Tensor:
    """Rows of whole numbers with -1 behind the shorter ones. Shape: (n, longest)."""
    lengths = rows.offsets.diff()
    there = torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]
    padded = torch.full(there.shape, -1, dtype=rows.values.dtype, device=lengths.device)
    padded[there] = rows.values
    return padded
