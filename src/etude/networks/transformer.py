"""The transformer: an encoder reads one sequence, a decoder writes another, by attention alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from etude.layers.cache import Cache
from etude.layers.dropout import Dropout
from etude.layers.positions import Positions
from etude.layers.transformer import Norm, Stack
from etude.networks.token_embedding import TokenEmbedding


class EncoderDecoder(nn.Module):
    """Encoder and decoder; their embeddings and the logits of the next token share one table.

    Args:
        vocabulary: the number of different tokens.
        width: features of each token.
        heads: heads of each attention.
        layers: blocks of the encoder, and of the decoder.
        positions: how the network knows where a token stands.
        norm: whether the norm stands before each part of a block or after its sum.
        longest: how many positions are learned, where they are.
        dropout: the fraction of activations that is dropped in training.
        pad: the token that fills up the sequences of a batch: no token attends to it.

    Source: Vaswani et al. (2017).
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        layers: int,
        *,
        positions: Positions = "sinusoidal",
        norm: Norm = "pre",
        longest: int = 512,
        dropout: float = 0.0,
        pad: int = 0,
    ) -> None:
        super().__init__()
        self.pad = pad
        self.embedding = TokenEmbedding(vocabulary, width, positions, longest)
        self.dropout = Dropout(dropout)
        self.encoder = Stack(
            layers, width, heads, norm=norm, positions=positions, bias=False, dropout=dropout
        )
        self.decoder = Stack(
            layers,
            width,
            heads,
            norm=norm,
            positions=positions,
            bias=False,
            dropout=dropout,
            causal=True,
            cross=True,
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits of the token that follows each of ``target``: (batch, s), (batch, t) → (batch, t,
        vocabulary).
        """
        return self.decode(target, self.encode(source), self.source_mask(source))

    def source_mask(self, source: Tensor) -> Tensor:
        """True where the source has a token and no padding: (batch, s) → (batch, 1, 1, s)."""
        return (source != self.pad)[:, None, None]

    def encode(self, source: Tensor) -> Tensor:
        """The encoder's output: (batch, s), padded at the end → (batch, s, width)."""
        x = self.dropout(self.embedding(source))
        return self.encoder(x, mask=self.source_mask(source))  # type: ignore[no-any-return]

    def decode(
        self, target: Tensor, memory: Tensor, source_mask: Tensor, past: Cache | None = None
    ) -> Tensor:
        """Logits of the next tokens; with a cache, ``target`` holds only the new tokens.

        Padding behind the target needs no mask: only padding could see it.

        Args:
            target: (batch, t).
            memory: the encoder's output, (batch, s, width).
            source_mask: the mask of the source, (batch, 1, 1, s).
            past: the cache of earlier calls.

        Returns:
            (batch, t, vocabulary).
        """
        x = self.dropout(self.embedding(target, self.decoder.next_position(past)))
        h = self.decoder(x, memory, None, source_mask, past)  # (batch, t, width)
        return h @ self.embedding.table.T  # type: ignore[no-any-return]

    def cache(self) -> Cache:
        """An empty cache, for ``decode``."""
        return Cache()

    def greedy(self, source: Tensor, begin: int, end: int, longest: int) -> Tensor:
        """The most probable token, again and again, up to ``end`` or ``longest`` tokens: (batch, s)
        → (batch, longest), padded behind ``end``.
        """
        memory = self.encode(source)
        source_mask = self.source_mask(source)
        past = Cache()
        written = torch.full((len(source), longest), self.pad, device=source.device)
        token = torch.full((len(source), 1), begin, device=source.device)
        ended = torch.zeros_like(token, dtype=torch.bool)
        for t in range(longest):
            token = self.decode(token, memory, source_mask, past).argmax(2)  # (batch, 1)
            written[:, t : t + 1] = token.masked_fill(ended, self.pad)
            ended |= token == end
            if ended.all():
                break
        return written
