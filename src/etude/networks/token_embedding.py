"""Vectors of tokens and of their positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from etude.errors import UserError
from etude.layers.positions import Positions, sinusoids


class TokenEmbedding(nn.Module):
    r"""Rows of a table, times $\sqrt{width}$, plus positions where they are added to the rows.

    Args:
        vocabulary: the number of different tokens.
        width: features of each token.
        positions: ``sinusoidal`` and ``learned`` act here; the others act in attention.
        longest: how many positions are learned.

    Source: Vaswani et al. (2017), sections 3.4 and 3.5.

    Raises:
        UserError: positions are sinusoidal, and the width is odd.
    """

    def __init__(self, vocabulary: int, width: int, positions: Positions, longest: int) -> None:
        super().__init__()
        if positions == "sinusoidal" and width % 2:
            raise UserError(
                f"sinusoidal positions come in pairs, but rows are {width} wide; expected an even"
                " width"
            )
        self.width = width
        self.positions = positions
        self.table = nn.Parameter(torch.randn(vocabulary, width) / math.sqrt(width))
        if positions == "learned":
            self.place = nn.Parameter(torch.randn(longest, width))  # as large as a token's row

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        """(batch, time) → (batch, time, width); the first token stands at position ``start``.

        Raises:
            UserError: positions are learned, and the sequence is longer than they reach.
        """
        x = math.sqrt(self.width) * self.table[tokens]
        end = start + tokens.shape[1]
        if self.positions == "sinusoidal":
            x = x + sinusoids(torch.arange(start, end, device=x.device), self.width).to(x.dtype)
        if self.positions == "learned":
            if end > len(self.place):
                raise UserError(
                    f"a sequence of {end} tokens has more than the {len(self.place)} learned"
                    " positions"
                )
            x = x + self.place[start:end]
        return x
