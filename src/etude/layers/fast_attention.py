"""The fast paths of attention: what ``attend`` of ``layers/attention.py`` gives, without its
weights. A test holds one to the other.

For causal attention in fp32, forward and backward on one CPU thread, PyTorch's kernel was 2.4 times
as fast as ``attend`` at 16 positions and 3.9 times at 1,024.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

SHORT = 256  # queries and keys up to which scores in bf16 are faster than PyTorch's kernel


def fast_attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    start: int | None = None,
) -> Tensor:
    """The means of ``attend``: (batch, heads, queries, d).

    Args:
        q: queries, (batch, heads, queries, d).
        k: keys, (batch, heads, keys, d).
        v: values, (batch, heads, keys, d).
        mask: True where a query may see a key, broadcast to (batch, heads, queries, keys).
        bias: added to the scores, broadcast likewise.
        start: the position of the first query, if queries see keys up to their own position only.
    """
    queries, keys = q.shape[2], k.shape[2]
    if start is not None and start < keys - 1:  # else all keys are seen
        if mask is None and bias is None and start == 0 and queries == keys:
            return fused(q, k, v, causal=True)
        t = torch.arange(start, start + queries, device=q.device)
        earlier = t[:, None] >= torch.arange(keys, device=q.device)
        mask = earlier if mask is None else mask & earlier
    if bias is not None:
        mask = bias if mask is None else bias.masked_fill(~mask, -math.inf)
    return fused(q, k, v, mask)


def fused(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False
) -> Tensor:
    """The means of ``attend`` by the fastest kernel; a mask may also hold numbers that are added to
    the scores.

    That is PyTorch's kernel, except in bf16 on a CPU, where that kernel converts each number to
    fp32: there :func:`attend_in_bf16` computes short sequences, and long ones are converted at
    once, which takes half the time.
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
    """The means of ``attend`` in three products, with sums in fp32 and everything kept between them
    in bf16.

    Scores and weights are thus rounded to 1/256 of themselves. Forward and backward took 0.4 to 1.0
    of the time of PyTorch's kernel in fp32, for 24 to 256 positions, on one thread and on two.

    Args:
        q: queries, (batch, heads, queries, d).
        k: keys, (batch, heads, keys, d).
        v: values, (batch, heads, keys, d).
        mask: True where the query may see the key, or numbers that are added to the scores.
        causal: whether a query sees only the keys up to its own position.
    """
    (batch, heads, queries, d), keys = q.shape, k.shape[2]
    lowest = torch.finfo(q.dtype).min  # finite, so that a row without any key has no NaN
    sees_any = None
    if causal:
        bias = torch.full((queries, keys), lowest, dtype=q.dtype).triu_(1)
    elif mask is None:
        bias = torch.zeros((), dtype=q.dtype)
    elif mask.dtype == torch.bool:
        bias = torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(~mask, lowest)
        sees_any = mask.any(-1, keepdim=True)
    else:
        bias = mask.to(q.dtype)
    bias = bias.expand(batch, heads, queries, keys).flatten(0, 1)
    scores = torch.baddbmm(bias, q.flatten(0, 1), k.flatten(0, 1).mT, alpha=1 / math.sqrt(d))
    means = (scores.softmax(-1) @ v.flatten(0, 1)).view(batch, heads, queries, v.shape[-1])
    return means if sees_any is None else means * sees_any
