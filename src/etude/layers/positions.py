"""Positions of tokens, for attention: waves that are added, pairs that are rotated, a bias."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Positions = Literal["sinusoidal", "learned", "rotary", "alibi", "none"]


def frequencies(width: int, like: Tensor) -> Tensor:
    r"""$\omega_i = 10,000^{-2i / width}$ for $i = 0 \dots width/2 - 1$, in radians per position:
    (width / 2,), on the device of ``like``.
    """
    return 10_000 ** (-torch.arange(0, width, 2, device=like.device) / width)


def sinusoids(positions: Tensor, width: int) -> Tensor:
    r"""Sine and cosine of $\omega_i t$ in turn: positions (time,) → (time, width).

    Source: Vaswani et al. (2017), section 3.5.
    """
    angles = torch.outer(positions, frequencies(width, positions))  # (time, width / 2)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    r"""Each pair of features, taken as a complex number $a + ib$, times $e^{i \omega t}$.

    The product of two rotated vectors depends on the distance $t - s$ only.

    Args:
        x: queries or keys, (…, time, d) with an even d.
        positions: t, (time,).

    Source: Su et al. (2021), RoFormer, equation 34.
    """
    angles = torch.outer(positions, frequencies(x.shape[-1], x))  # (time, d / 2)
    rotation = torch.polar(torch.ones_like(angles), angles)
    precise = x.to(torch.promote_types(x.dtype, torch.float))
    pairs = torch.view_as_complex(precise.view(*x.shape[:-1], -1, 2))  # (…, time, d / 2)
    return torch.view_as_real(pairs * rotation).flatten(-2).to(x.dtype)


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
