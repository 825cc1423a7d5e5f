"""What the first networks of this kind were: a decoder that is given one vector of the source."""

from __future__ import annotations

import torch
from torch import Tensor

from etude.networks.recurrent_seq2seq import Bahdanau


class WithoutAttention(Bahdanau):
    """The same layers, but the decoder sees the last states of the encoder's two directions only.

    They are one vector for a text of any length, and the context of every step. Attention is left
    with a single position to attend to, so all of its weights are 1.

    Source: Cho et al. (2014), Learning phrase representations using RNN encoder–decoder, whose
    encoder reads in one direction.
    """

    def source_mask(self, source: Tensor) -> Tensor:
        """(batch, 1, 1): nothing is hidden."""
        return torch.ones_like(source[:, None, :1], dtype=torch.bool)

    def encode(self, source: Tensor) -> Tensor:
        """The last state of each direction, which has read the whole source: (batch, 1, width)."""
        forward, backward = super().encode(source).chunk(2, 2)  # (batch, s, width / 2) each
        last = (source != self.pad).sum(1) - 1
        rows = torch.arange(len(source), device=source.device)
        return torch.cat([forward[rows, last], backward[:, 0]], 1)[:, None]
