"""A bag of n-grams: an embedding for each, their weighted mean, one linear map."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding_bag


class Rows(Protocol):
    """Rows of whole numbers, one after the other: row i is ``values[offsets[i] : offsets[i + 1]]``."""

    @property
    def values(self) -> Tensor:
        """All numbers. Shape: (total,)."""

    @property
    def offsets(self) -> Tensor:
        """Where each row begins, and where the last one ends. Shape: (rows + 1,)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor, /) -> Rows: ...


class NGramBag(nn.Module):
    r"""fastText with weights: $h = \sum_g w_g e_g / \lVert w \rVert$ over the n-grams $g$ of a text, scores $W h + b$.

    The weight of an n-gram is the logarithm of how rare it is, $w_g = \log \frac{1 + N}{1 + n_g}$, where $n_g$ of $N$
    texts have it; :meth:`weigh` counts. In training, each n-gram is left out with probability ``drop``.

    Input n rows of numbers below ``buckets``, output (n, classes).

    Source: Joulin, Grave, Bojanowski & Mikolov (2017), Bag of tricks for efficient text classification.
    """

    weight: Tensor

    def __init__(self, buckets: int, width: int, classes: int, drop: float = 0.0) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(0.1 * torch.randn(buckets, width))
        self.head = nn.Linear(width, classes)
        self.drop = drop
        self.register_buffer("weight", torch.ones(buckets))

    def weigh(self, frequency: Tensor, texts: int) -> None:
        """Set the weights by the number of training texts that have each n-gram, of so many. Shape: (buckets,)."""
        self.weight.copy_(torch.log((1 + texts) / (1 + frequency)))

    def forward(self, rows: Rows) -> Tensor:
        """n rows → (n, classes)."""
        values, offsets = rows.values, rows.offsets
        lengths = offsets.diff()
        w = dropout(self.weight[values], self.drop, self.training)  # (total,)
        norm = torch.segment_reduce(w.square(), "sum", lengths=lengths).sqrt().clamp_min(1e-6)  # (n,)
        w = w / torch.repeat_interleave(norm, lengths)
        h = embedding_bag(
            values, self.embeddings, offsets, mode="sum", per_sample_weights=w, include_last_offset=True
        )  # (n, width)
        scores: Tensor = self.head(h)
        return scores
