r"""The blocks of a transformer: attention, a feed-forward network, and what ties them together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.functional import relu

from etude.layers.attention import MultiHeadAttention
from etude.layers.cache import Cache
from etude.layers.dropout import Dropout
from etude.layers.positions import Positions

Norm = Literal["pre", "post"]


class FeedForward(nn.Module):
    """Two linear maps with an activation between them, applied to each position alone.

    Source: Vaswani et al. (2017), equation 2.
    """

    def __init__(
        self, width: int, hidden: int, activation: Callable[[Tensor], Tensor] = relu
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.output = nn.Linear(hidden, width)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) → (…, width)."""
        return self.output(self.activation(self.hidden(x)))  # type: ignore[no-any-return]


class Block(nn.Module):
    r"""Self-attention, cross-attention if there is a source, and a feed-forward network, each with
    a residual connection around it.

    With $f$ any of the three, ``pre`` is $x + f(\mathrm{LN}(x))$ and ``post`` is $\mathrm{LN}(x +
    f(x))$.

    Args:
        width: features of each position.
        heads: heads of each attention.
        hidden: units of the feed-forward network; by default 4 times the width.
        norm: ``post`` as Vaswani et al. (2017), ``pre`` as Xiong et al. (2020).
        causal: whether self-attention sees earlier positions only.
        cross: whether there is attention to a source.
        positions: as for :class:`MultiHeadAttention`.
        bias: whether the linear maps of the attentions have one.
        dropout: the fraction of each f(x) that is dropped in training, as in Vaswani et al. (2017),
            section 5.4.
        activation: between the linear maps of the feed-forward network.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        hidden: int | None = None,
        norm: Norm = "pre",
        causal: bool = False,
        cross: bool = False,
        positions: Positions = "none",
        bias: bool = True,
        dropout: float = 0.0,
        activation: Callable[[Tensor], Tensor] = relu,
    ) -> None:
        super().__init__()
        self.norm: Norm = norm
        self.has_cross: bool = cross
        self.dropout = Dropout(dropout)
        attention = partial(MultiHeadAttention, width, heads, positions=positions, bias=bias)
        self.attention = attention(causal=causal)
        self.attention_norm = nn.LayerNorm(width)
        if cross:
            self.cross = attention()
            self.cross_norm = nn.LayerNorm(width)
        self.feedforward = FeedForward(width, hidden or 4 * width, activation)
        self.feedforward_norm = nn.LayerNorm(width)

    def forward(
        self,
        x: Tensor,
        source: Tensor | None = None,
        mask: Tensor | None = None,
        source_mask: Tensor | None = None,
        past: Cache | None = None,
    ) -> Tensor:
        """(batch, time, width) → (batch, time, width); one mask for each attention, as there."""
        start = past.length(self.attention) if past is not None else 0
        x = self.add(x, self.attention_norm, lambda x: self.attention(x, None, mask, past, start))
        if self.has_cross:
            x = self.add(
                x, self.cross_norm, lambda x: self.cross(x, source, source_mask, past, start)
            )
        return self.add(x, self.feedforward_norm, self.feedforward)

    def add(self, x: Tensor, norm: nn.Module, f: Callable[[Tensor], Tensor]) -> Tensor:
        """The residual connection around f, with the norm before f or after the sum."""
        if self.norm == "pre":
            return x + self.dropout(f(norm(x)))  # type: ignore[no-any-return]
        return norm(x + self.dropout(f(x)))  # type: ignore[no-any-return]


class Stack(nn.Module):
    """Blocks one after another; after those of ``pre`` a last norm, since their sum has none.

    Args:
        layers: the number of blocks.
        width: features of each position.
        heads: heads of each attention.
        norm: as for :class:`Block`, which also takes the other options.
    """

    def __init__(
        self, layers: int, width: int, heads: int, *, norm: Norm = "pre", **options: Any
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(width, heads, norm=norm, **options) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()

    def forward(
        self,
        x: Tensor,
        source: Tensor | None = None,
        mask: Tensor | None = None,
        source_mask: Tensor | None = None,
        past: Cache | None = None,
    ) -> Tensor:
        """(batch, time, width) → (batch, time, width)."""
        for block in self.blocks:
            x = block(x, source, mask, source_mask, past)
        return self.norm(x)  # type: ignore[no-any-return]

    def next_position(self, past: Cache | None) -> int:
        """The position of the next token: how many the cache holds."""
        return past.length(self.blocks[0].attention) if past is not None else 0  # type: ignore[arg-type]
