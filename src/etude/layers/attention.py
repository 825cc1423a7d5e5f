r"""Attention, written out: of one head, :func:`attend`, and of many, :class:`MultiHeadAttention`.

Sequences are (batch, time, width) outside, and (batch, heads, time, d) inside, with $d$ = width /
heads. A mask is boolean and broadcasts to (batch, heads, queries, keys): True where that query may
see that key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from etude.errors import UserError
from etude.layers.cache import Cache
from etude.layers.fast_attention import fast_attend
from etude.layers.positions import Positions, alibi, rotate


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""Scaled dot-product attention: $\mathrm{softmax}(q k^\top / \sqrt d + b) \, v$, and the
    weights of that mean.

    A query that may see no key gets zero.

    Args:
        q: queries, (…, queries, d).
        k: keys, (…, keys, d).
        v: values, (…, keys, any width).
        mask: True where the query may see the key, broadcast to (…, queries, keys).
        bias: b, added to the scores, broadcast likewise.

    Returns:
        The means of the values, (…, queries, width of v), and the weights, (…, queries, keys).

    Source: Vaswani et al. (2017), equation 1.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (…, queries, keys)
    if bias is not None:
        scores = scores + bias
    if mask is not None:  # finite, so that a row without any key has no NaN, nor its gradient
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)
    return weights @ v, weights


class MultiHeadAttention(nn.Module):
    r"""$H$ attentions side by side, each on its own projection of width $d$ = width / $H$, and a
    linear map of their results, concatenated.

    Args:
        width: features of each position, in and out.
        heads: H, a divisor of the width.
        causal: whether a query sees only the keys up to its own position.
        positions: ``rotary`` and ``alibi`` act here, in cross-attention on the distance between a
            position in x and one in the source; the others act where tokens are embedded.
        bias: whether the four linear maps have one.

    Source: Vaswani et al. (2017), section 3.2.2.

    Raises:
        UserError: the width does not split into so many heads, or a head not into rotary pairs.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        causal: bool = False,
        positions: Positions = "none",
        bias: bool = True,
    ) -> None:
        super().__init__()
        if width % heads:
            raise UserError(
                f"a width of {width} makes no {heads} heads of one width; expected a divisor of"
                f" {width}"
            )
        if positions == "rotary" and width // heads % 2:
            raise UserError(
                f"rotary positions turn pairs, but a head is {width // heads} wide; expected an"
                " even width"
            )
        self.heads = heads
        self.causal = causal
        self.positions = positions
        self.query = nn.Linear(width, width, bias)
        self.key = nn.Linear(width, width, bias)
        self.value = nn.Linear(width, width, bias)
        self.output = nn.Linear(width, width, bias)
        self.record: Callable[[Tensor], None] | None = None  # is given the weights

    def forward(
        self,
        x: Tensor,
        source: Tensor | None = None,
        mask: Tensor | None = None,
        past: Cache | None = None,
        start: int = 0,
    ) -> Tensor:
        """Attention of x to itself, or to ``source`` (cross-attention): (batch, queries, width).

        Args:
            x: (batch, queries, width).
            source: (batch, keys, width).
            mask: True where a query may see a key, broadcast to (batch, heads, queries, keys).
            past: keys and values of earlier calls.
            start: the position of the first query.
        """
        q = self.split(self.query(x))  # (batch, heads, queries, d)
        t = torch.arange(start, start + x.shape[1], device=x.device)  # (queries,)
        if self.positions == "rotary":
            q = rotate(q, t)
        k, v = self.keys_and_values(x, source, past, start)  # (batch, heads, keys, d)
        s = torch.arange(k.shape[2], device=x.device)  # (keys,)
        bias = alibi(self.heads, t, s).to(q.dtype) if self.positions == "alibi" else None

        if self.record is None:  # the same means, without the weights
            heads = fast_attend(q, k, v, mask, bias, start=start if self.causal else None)
        else:
            if self.causal:
                earlier = t[:, None] >= s  # (queries, keys)
                mask = earlier if mask is None else mask & earlier
            heads, weights = attend(q, k, v, mask, bias)
            self.record(weights)  # (batch, heads, queries, keys)
        return self.output(heads.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def keys_and_values(
        self, x: Tensor, source: Tensor | None, past: Cache | None, start: int
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of the source, or of x behind those in the cache: each (batch, heads,
        keys, d).
        """
        if source is not None:
            x, start = source, 0
            if past is not None and past.length(self):
                return past.stored[self].unbind(1)  # type: ignore[return-value]
        k = self.split(self.key(x))
        v = self.split(self.value(x))
        if self.positions == "rotary":
            k = rotate(k, torch.arange(start, start + x.shape[1], device=x.device))
        if past is None:
            return k, v
        return past.extend(self, torch.stack([k, v], 1)).unbind(1)  # type: ignore[return-value]

    def split(self, x: Tensor) -> Tensor:
        """(batch, time, width) → (batch, heads, time, d)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


@contextmanager
def record_attention(net: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Inside, each attention of ``net`` leaves its last weights under its name: (batch, heads,
    queries, keys).
    """
    weights: dict[str, Tensor] = {}
    layers = {name: layer for name, layer in net.named_modules() if hasattr(layer, "record")}
    for name, layer in layers.items():
        layer.record = partial(weights.__setitem__, name)
    try:
        yield weights
    finally:
        for layer in layers.values():
            layer.record = None
