"""The transformer of Vaswani et al. (2017): an encoder reads one sequence, a decoder writes another."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from etude.errors import UserError
from etude.layers.attention import Cache, Norm, Positions, Stack, sinusoids


class TokenEmbedding(nn.Module):
    r"""Rows of a table, times $\sqrt{width}$, and positions where they are added to the rows.

    Args:
        vocabulary: how many tokens there are.
        width: of rows.
        positions: ``sinusoidal`` and ``learned`` act here; the others act in attention.
        longest: how many positions are learned.

    Source: Vaswani et al. (2017), sections 3.4 and 3.5.

    Raises:
        UserError: positions are sinusoidal, and the width is odd.
    """

    def __init__(self, vocabulary: int, width: int, positions: Positions, longest: int) -> None:
        super().__init__()
        if positions == "sinusoidal" and width % 2:
            raise UserError(f"sinusoidal positions come in pairs, but rows are {width} wide; expected an even width")
        self.width, self.positions = width, positions
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
                raise UserError(f"a sequence of {end} tokens has more than the {len(self.place)} learned positions")
            x = x + self.place[start:end]
        return x


class EncoderDecoder(nn.Module):
    """Encoder and decoder; their tokens and the scores of the next token share one table.

    Args:
        vocabulary: how many tokens there are.
        width: of rows.
        heads: of each attention.
        layers: blocks of the encoder, and of the decoder.
        positions: how it knows where a token stands.
        norm: before each part of a block, or after it.
        longest: how many positions are learned, where they are.
        drop: the part that is dropped in training.
        pad: the token that fills up sequences in a batch: no one sees it.
    """

    def __init__(
        self, vocabulary: int, width: int, heads: int, layers: int, *, positions: Positions = "sinusoidal",
        norm: Norm = "pre", longest: int = 512, drop: float = 0.0, pad: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.pad = pad
        self.embedding = TokenEmbedding(vocabulary, width, positions, longest)
        self.drop = nn.Dropout(drop)
        self.encoder = Stack(layers, width, heads, norm=norm, positions=positions, bias=False, drop=drop)
        self.decoder = Stack(
            layers, width, heads, norm=norm, positions=positions, bias=False, drop=drop, causal=True, cross=True
        )
        for map in self.modules():
            if isinstance(map, nn.Linear):
                nn.init.xavier_uniform_(map.weight)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores of the token that follows each of ``target``: (batch, s), (batch, t) → (batch, t, vocabulary)."""
        return self.decode(target, self.encode(source), self.seen(source))

    def seen(self, source: Tensor) -> Tensor:
        """The mask of what is no padding: (batch, s) → (batch, 1, 1, s)."""
        return (source != self.pad)[:, None, None]

    def encode(self, source: Tensor) -> Tensor:
        """(batch, s) → (batch, s, width). Padding stands behind the tokens."""
        return self.encoder(self.drop(self.embedding(source)), mask=self.seen(source))  # type: ignore[no-any-return]

    def decode(self, target: Tensor, memory: Tensor, seen: Tensor, past: Cache | None = None) -> Tensor:
        """Scores of the next tokens; with a cache, ``target`` is only what is new since the last call.

        Padding behind the target needs no mask: only padding could see it.

        Args:
            target: (batch, t).
            memory: what the encoder gave, (batch, s, width).
            seen: the mask of the source, (batch, 1, 1, s).
            past: of earlier calls.

        Returns:
            (batch, t, vocabulary).
        """
        x = self.drop(self.embedding(target, self.decoder.read(past)))
        return self.decoder(x, memory, None, seen, past) @ self.embedding.table.T  # type: ignore[no-any-return]

    def greedy(self, source: Tensor, begin: int, end: int, longest: int) -> Tensor:
        """The likeliest token, and again, up to ``end`` or ``longest`` tokens: (batch, s) → (batch, longest).

        Behind its ``end`` a row is padded.
        """
        memory, seen, past = self.encode(source), self.seen(source), Cache()
        written = torch.full((len(source), longest), self.pad, device=source.device)
        token = torch.full((len(source), 1), begin, device=source.device)
        over = torch.zeros_like(token, dtype=torch.bool)
        for t in range(longest):
            token = self.decode(token, memory, seen, past).argmax(2)  # (batch, 1)
            written[:, t : t + 1] = token.masked_fill(over, self.pad)
            over |= token == end
            if over.all():
                break
        return written
