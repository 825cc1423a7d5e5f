"""Attention for recurrent decoders: each returns a mean of the source, weighted by scores of its
own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from etude.layers.attention import attend


class General(nn.Module):
    r"""Luong's "general" score, $q^\top W k / \sqrt{width}$; the source's rows are keys and values.

    Args:
        width: features of each query and of each row of the source.

    Source: Luong, Pham & Manning (2015), section 3.1, with the root of Vaswani et al. (2017).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.record: Callable[[Tensor], None] | None = None  # is given the weights

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
        """The contexts: (batch, queries, width), (batch, keys, width) → (batch, queries, width).

        The mask is True where a query may see a key, broadcast to (batch, queries, keys).
        """
        context, weights = attend(self.query(x), source, source, mask)
        if self.record is not None:
            self.record(weights[:, None])  # (batch, 1, queries, keys)
        return context


class Additive(nn.Module):
    r"""A small network scores each pair, $v^\top \tanh(W q + U k)$: queries and keys need not lie
    in one space.

    Args:
        width: features of each query and key, and units of the hidden layer.

    Source: Bahdanau, Cho & Bengio (2015), appendix A.1.2.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)
        self.record: Callable[[Tensor], None] | None = None  # is given the weights

    def forward(
        self, x: Tensor, keys: Tensor, source: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The contexts and the weights.

        Args:
            x: queries, (batch, queries, width).
            keys: ``key(source)``, computed once for all calls, (batch, keys, width).
            source: the values, (batch, keys, any width).
            mask: True where a query may see a key, broadcast to (batch, queries, keys).

        Returns:
            (batch, queries, any width) and (batch, queries, keys).
        """
        hidden = torch.tanh(self.query(x)[:, :, None] + keys[:, None])
        scores = self.score(hidden).squeeze(3)  # hidden: (batch, queries, keys, width)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        weights = scores.softmax(2)
        return weights @ source, weights
