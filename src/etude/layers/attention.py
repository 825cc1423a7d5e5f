r"""Attention, positions and the blocks of a transformer, written out.

Rows are (batch, time, width) outside, and (batch, heads, time, d) with $d$ = width / heads inside.
A mask is boolean and broadcasts to (batch, heads, queries, keys): True where that query may see
that key.

:func:`attend` is attention as one reads it. :class:`MultiHeadAttention` takes it only while someone
is :func:`watching` its weights; else :func:`fused` gives the same result and does not keep them. A
test holds one to the other. For causal attention in fp32, forward and backward on one CPU thread,
it was 2.4 times as fast at 16 positions and 3.9 times at 1,024.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, relu, scaled_dot_product_attention

from etude.errors import UserError

Positions = Literal["sinusoidal", "learned", "rotary", "alibi", "none"]
Norm = Literal["pre", "post"]
SHORT = 256  # queries and keys up to which scores in bf16 are faster than PyTorch's kernel
DROP_STEPS = (
    2**16
)  # the mask of a dropout is drawn from numbers of 16 bits, four to each draw of the generator


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""Scaled dot-product attention: $\mathrm{softmax}(q k^\top / \sqrt d + b) \, v$, and the
    weights of that mean.

    A query that may see no key gets zero.

    Args:
        q: what is looked for, (…, queries, d).
        k: what is found by, (…, keys, d).
        v: what is got, (…, keys, any width).
        mask: True where the query may see the key, broadcast to (…, queries, keys).
        bias: b, added to the scores, broadcast alike.

    Returns:
        (…, queries, width of v) and (…, queries, keys).

    Source: Vaswani et al. (2017), equation 1.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if bias is not None:
        scores = scores + bias
    if mask is not None:  # finite, so that a row without any key is no NaN, also in its gradient
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)
    return weights @ v, weights


def fused(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False
) -> Tensor:
    """The mean of :func:`attend` by what is fastest; a mask may also be numbers that are added to
    the scores.

    That is PyTorch's kernel, except in bf16 on a CPU, where that kernel turns every number to fp32:
    there short rows are left to :func:`attend_in_bf16`, and long ones are turned at once, which
    takes half the time.
    """
    if q.dtype != torch.bfloat16 or q.device.type != "cpu":
        return scaled_dot_product_attention(q, k, v, mask, is_causal=causal)
    with torch.autocast("cpu", enabled=False):
        if q.shape[2] * k.shape[2] <= SHORT**2:
            return attend_in_bf16(q, k, v, mask, causal=causal)
        if mask is not None and mask.is_floating_point():
            mask = mask.float()
        return scaled_dot_product_attention(
            q.float(), k.float(), v.float(), mask, is_causal=causal
        ).to(q.dtype)


def attend_in_bf16(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False
) -> Tensor:
    """The mean of :func:`attend` in three products, with sums in fp32 and all that is kept between
    them in bf16.

    Scores, and the weights of the mean, are thus rounded to 1/256 of themselves. Forward and
    backward took 0.4 to 1.0 of the time of PyTorch's kernel in fp32, for 24 to 256 positions, on
    one thread and on two.

    Args:
        q: (batch, heads, queries, d), and so k and v.
        k: as q.
        v: as q.
        mask: True where the query may see the key, or numbers that are added to the scores.
        causal: a query sees keys up to its own position.
    """
    (batch, heads, queries, d), keys = q.shape, k.shape[2]
    hidden = torch.finfo(
        q.dtype
    ).min  # finite, so that a row without any key is no NaN, also in its gradient
    some = None
    if causal:
        bias = torch.full((queries, keys), hidden, dtype=q.dtype).triu_(1)
    elif mask is None:
        bias = torch.zeros((), dtype=q.dtype)
    elif mask.dtype == torch.bool:
        bias = torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(~mask, hidden)
        some = mask.any(-1, keepdim=True)
    else:
        bias = mask.to(q.dtype)
    bias = bias.expand(batch, heads, queries, keys).flatten(0, 1)
    scores = torch.baddbmm(bias, q.flatten(0, 1), k.flatten(0, 1).mT, alpha=1 / math.sqrt(d))
    mixed = (scores.softmax(-1) @ v.flatten(0, 1)).view(batch, heads, queries, v.shape[-1])
    return mixed if some is None else mixed * some


# -- positions -------------------------------------------------------------------------------------


def frequencies(width: int, like: Tensor) -> Tensor:
    r"""$\omega_i = 10,000^{-2i / width}$ for $i = 0 \dots width/2 - 1$, in radians per position:
    (width / 2,).
    """
    return 10_000 ** (-torch.arange(0, width, 2, device=like.device) / width)


def sinusoids(positions: Tensor, width: int) -> Tensor:
    r"""Sine and cosine of $\omega_i t$ in turn: positions (time,) → (time, width).

    Source: Vaswani et al. (2017), section 3.5.
    """
    angles = torch.outer(positions, frequencies(width, positions))
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    r"""Each pair of numbers, taken as $a + ib$, times $e^{i \omega t}$.

    A product of two rotated rows knows $t - s$ only.

    Args:
        x: queries or keys, (…, time, d) with an even d.
        positions: t, (time,).

    Source: Su et al. (2021), RoFormer, equation 34.
    """
    angles = torch.outer(positions, frequencies(x.shape[-1], x))  # (time, d / 2)
    pairs = torch.view_as_complex(
        x.to(torch.promote_types(x.dtype, torch.float)).view(*x.shape[:-1], -1, 2)
    )
    return (
        torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles))
        .flatten(-2)
        .to(x.dtype)
    )


def alibi(heads: int, queries: Tensor, keys: Tensor) -> Tensor:
    r"""$-m_h |t - s|$ with the slopes $m_h = 2^{-8h / H}$, $h = 1 \dots H$: (heads, queries, keys).

    Args:
        heads: H.
        queries: their positions t, (queries,).
        keys: their positions s, (keys,).

    Source: Press, Smith & Lewis (2022), section 3; with $|t - s|$ it also serves where later keys
    are seen.
    """
    slopes = 2 ** (-8 * torch.arange(1, heads + 1, device=keys.device) / heads)
    return -slopes[:, None, None] * (queries[:, None] - keys).abs()


# -- many heads ------------------------------------------------------------------------------------


class Cache:
    """Keys and values of what a network has read, layer by layer, so that the next call computes
    only what is new.

    Give one cache to all calls on one batch, with the next tokens alone. Attention to another
    sequence keeps that sequence's keys and values from the first call.
    """

    def __init__(self) -> None:
        self.kept: dict[
            nn.Module, Tensor
        ] = {}  # keys and values at once: (batch, 2, heads, time, d)
        self.room: dict[nn.Module, Tensor] = {}  # what is kept is the first part of it

    def length(self, layer: nn.Module) -> int:
        """How many positions the layer has read."""
        return self.kept[layer].shape[3] if layer in self.kept else 0

    def extend(self, layer: nn.Module, new: Tensor) -> Tensor:
        """Put in new keys and values, (batch, 2, heads, time, d), and get all that there are."""
        begin = self.length(layer)
        end = begin + new.shape[3]
        if (
            layer not in self.room or self.room[layer].shape[3] < end
        ):  # twice as much, so that copies stay few
            self.room[layer] = new.new_empty(*new.shape[:3], 2 * end, new.shape[4])
            if begin:
                self.room[layer][:, :, :, :begin] = self.kept[layer]
        room = self.room[layer]
        room[:, :, :, begin:end] = new
        self.kept[layer] = room[:, :, :, :end]
        return self.kept[layer]

    def pick(self, rows: Tensor) -> None:
        """Go on with these rows of the batch, in this order."""
        self.kept = {layer: kept[rows] for layer, kept in self.kept.items()}
        self.room = {}


class MultiHeadAttention(nn.Module):
    r"""$H$ attentions side by side, each on its own projection of width $d$ = width / $H$, and one
    map of them all.

    Args:
        width: of rows, in and out.
        heads: H, a divisor of the width.
        causal: a query sees keys up to its own position only.
        positions: ``rotary`` and ``alibi`` act here, in cross-attention on the distance between a
            place in x and one in the source; the others act where tokens are embedded.
        bias: whether the four maps have one.

    Source: Vaswani et al. (2017), section 3.2.2.

    Raises:
        UserError: the width does not split into so many heads, or rotary into pairs.
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
        self.heads, self.causal, self.positions = heads, causal, positions
        self.query = nn.Linear(width, width, bias)
        self.key = nn.Linear(width, width, bias)
        self.value = nn.Linear(width, width, bias)
        self.output = nn.Linear(width, width, bias)
        self.watch: Callable[[Tensor], None] | None = None

    def forward(
        self,
        x: Tensor,
        source: Tensor | None = None,
        mask: Tensor | None = None,
        past: Cache | None = None,
        start: int = 0,
    ) -> Tensor:
        """Rows of x look at each other (self-attention), or at ``source`` (cross-attention).

        Args:
            x: (batch, queries, width).
            source: (batch, keys, width).
            mask: True where a query may see a key, broadcast to (batch, heads, queries, keys).
            past: what was read before.
            start: the position of x's first row.
        """
        y = x if source is None else source
        t = torch.arange(start, start + x.shape[1], device=x.device)
        q = self.split(self.query(x))  # (batch, heads, queries, d)
        if source is not None and past is not None and past.length(self):
            k, v = past.kept[self].unbind(1)
        else:
            k, v = self.split(self.key(y)), self.split(self.value(y))  # (batch, heads, keys, d)
            if self.positions == "rotary" and source is None:
                q, k = rotate(torch.cat([q, k], 1), t).chunk(
                    2, 1
                )  # at once: the angles are the same
            elif self.positions == "rotary":
                k = rotate(k, torch.arange(y.shape[1], device=x.device))
            if past is not None:
                k, v = past.extend(self, torch.stack([k, v], 1)).unbind(1)
        if self.positions == "rotary" and source is not None:
            q = rotate(q, t)
        s = torch.arange(k.shape[2], device=x.device)
        bias = alibi(self.heads, t, s).to(q.dtype) if self.positions == "alibi" else None
        if (
            self.watch is None
            and self.causal
            and mask is None
            and bias is None
            and start == 0
            and len(t) == len(s)
        ):
            mixed = fused(q, k, v, causal=True)
        else:
            if self.causal and not (
                past is not None and len(t) == 1
            ):  # one row behind all that was kept sees it all
                past_only = t[:, None] >= s
                mask = past_only if mask is None else mask & past_only
            if self.watch is None:
                if bias is not None:
                    mask = bias if mask is None else bias.masked_fill(~mask, -math.inf)
                mixed = fused(q, k, v, mask)
            else:
                mixed, weights = attend(q, k, v, mask, bias)
                self.watch(weights)
        return self.output(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def split(self, x: Tensor) -> Tensor:
        """(batch, time, width) → (batch, heads, time, d)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class General(nn.Module):
    r"""One query map: scores $q^\top W k / \sqrt{width}$, rows themselves as values; the "general"
    score of Luong.

    Source: Luong, Pham & Manning (2015), section 3.1, with the root of Vaswani et al. (2017).

    Args:
        width: of rows.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.watch: Callable[[Tensor], None] | None = None

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
        """Contexts: (batch, queries, width), (batch, keys, width) → (batch, queries, width); mask
        as of attend.
        """
        context, weights = attend(self.query(x), source, source, mask)
        if self.watch is not None:
            self.watch(weights[:, None])
        return context


class Additive(nn.Module):
    r"""A small network scores each pair, $v^\top \tanh(W q + U k)$: it fits rows that do not lie in
    one space.

    Source: Bahdanau, Cho & Bengio (2015), appendix A.1.2.

    Args:
        width: of rows, and of the hidden layer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)
        self.watch: Callable[[Tensor], None] | None = None

    def forward(
        self, x: Tensor, keys: Tensor, source: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Contexts and weights.

        Args:
            x: queries, (batch, queries, width).
            keys: what ``key`` gave of the source, once for all calls, (batch, keys, width).
            source: the values, (batch, keys, any width).
            mask: True where a query may see a key, broadcast to (batch, queries, keys).

        Returns:
            (batch, queries, any width) and (batch, queries, keys).
        """
        hidden = torch.tanh(
            self.query(x)[:, :, None] + keys[:, None]
        )  # (batch, queries, keys, width)
        scores = self.score(hidden).squeeze(3)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        weights = scores.softmax(2)
        return weights @ source, weights


@contextmanager
def watching(net: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Inside, each attention of ``net`` leaves its last weights, by its name: (batch, heads,
    queries, keys).
    """
    found: dict[str, Tensor] = {}
    kinds = (MultiHeadAttention, General, Additive)
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, kinds)}
    for name, layer in layers.items():
        layer.watch = partial(found.__setitem__, name)
    try:
        yield found
    finally:
        for layer in layers.values():
            layer.watch = None


# -- blocks ----------------------------------------------------------------------------------------


def dropped(x: Tensor, p: float) -> Tensor:
    """Each number is 0 with probability p, and else divided by what is left, 1 - p, so that the
    mean stays.

    On a CPU most of the time of PyTorch's own dropout goes into one draw a number. Here a draw
    serves four, which takes half the time, and p is rounded to a multiple of 2⁻¹⁶.

    Args:
        x: of any shape.
        p: from 0 to 1.

    Source: Srivastava et al. (2014), Dropout, section 4.
    """
    few = round(p * DROP_STEPS)
    if x.device.type != "cpu" or few >= DROP_STEPS:
        return dropout(x, p)
    bits = (
        torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    )
    keep = bits[: x.numel()].view(x.shape) >= few - DROP_STEPS // 2
    return x * keep.to(x.dtype).mul_(DROP_STEPS / (DROP_STEPS - few))


class Dropout(nn.Module):
    """:func:`dropped` while the network is trained."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return dropped(x, self.p) if self.training and self.p else x

    def extra_repr(self) -> str:
        """What tells one from another."""
        return f"p={self.p}"


class FeedForward(nn.Module):
    """Two maps with an activation between them, for each position alone. Source: Vaswani et al.

    (2017), equation 2.
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
    r"""Self-attention, cross-attention where asked for, feed-forward; each is added to what it was
    given.

    With $f$ any of the three, ``pre`` is $x + f(\mathrm{LN}(x))$ and ``post`` is $\mathrm{LN}(x +
    f(x))$.

    Args:
        width: of rows.
        heads: of each attention.
        hidden: units of the feed-forward part; by default 4 times the width.
        norm: ``post`` as Vaswani et al. (2017), ``pre`` as Xiong et al. (2020).
        causal: self-attention sees no later position.
        cross: whether it also looks at a source.
        positions: see :class:`MultiHeadAttention`.
        bias: of the attentions' maps.
        drop: the part of what is added that is dropped in training, as in Vaswani et al. (2017),
            section 5.4.
        activation: of the feed-forward part.
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
        drop: float = 0.0,
        activation: Callable[[Tensor], Tensor] = relu,
    ) -> None:
        super().__init__()
        self.norm: Norm = norm
        self.looks: bool = cross
        self.drop = Dropout(drop)
        attention = partial(MultiHeadAttention, width, heads, positions=positions, bias=bias)
        self.attention, self.attention_norm = attention(causal=causal), nn.LayerNorm(width)
        if cross:
            self.cross, self.cross_norm = attention(), nn.LayerNorm(width)
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
        """(batch, time, width) → the same; masks as of :class:`MultiHeadAttention`, one for each
        attention.
        """
        start = past.length(self.attention) if past is not None else 0
        x = self.add(x, self.attention_norm, lambda x: self.attention(x, None, mask, past, start))
        if self.looks:
            x = self.add(
                x, self.cross_norm, lambda x: self.cross(x, source, source_mask, past, start)
            )
        return self.add(x, self.feedforward_norm, self.feedforward)

    def add(self, x: Tensor, norm: nn.Module, f: Callable[[Tensor], Tensor]) -> Tensor:
        """The residual connection, and where the norm stands in it."""
        if self.norm == "pre":
            return x + self.drop(f(norm(x)))  # type: ignore[no-any-return]
        return norm(x + self.drop(f(x)))  # type: ignore[no-any-return]


class Stack(nn.Module):
    """Blocks one after another; behind those of ``pre`` a last norm, since their sum has none.

    Args:
        layers: how many.
        width: of rows.
        heads: of each attention.
        norm: see :class:`Block`, which also takes the other options.
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
        """(batch, time, width) → the same."""
        for block in self.blocks:
            x = block(x, source, mask, source_mask, past)
        return self.norm(x)  # type: ignore[no-any-return]

    def read(self, past: Cache | None) -> int:
        """How many positions these blocks have read: where the next one stands."""
        return past.length(self.blocks[0].attention) if past is not None else 0  # type: ignore[arg-type]
