r"""Volume rendering: what light along a ray adds up to, and where along it one had better look.

A ray $r(t) = o + t d$ goes through fog with density $\sigma$ and colour $c$ at each place. All
functions take rays in their first axis and samples along them in the second, sorted by their
distances $t$.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rendering(NamedTuple):
    """What rays see."""

    colour: Tensor  # (rays, 3)
    # (rays,), the mean distance of where the light comes from; the far end for what passes through
    depth: Tensor
    weights: Tensor  # (rays, samples), how much each sample counts for; they sum to at most 1


def chord(origins: Tensor, directions: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Where rays enter a ball around the origin and where they leave it; twice the same where they
    miss it.

    Args:
        origins: (rays, 3), outside of the ball.
        directions: (rays, 3), of length 1.
        radius: of the ball.

    Returns:
        Distances, (rays, 1) each.
    """
    middle = -(origins * directions).sum(1, keepdim=True)
    half = (radius**2 - origins.square().sum(1, keepdim=True) + middle**2).clamp_min(0).sqrt()
    return middle - half, middle + half


def stratified(near: Tensor, far: Tensor, bins: int, *, random: bool) -> Tensor:
    """One distance drawn from each of so many equal bins between near and far, or its middle.

    Args:
        near: (rays, 1).
        far: (rays, 1).
        bins: how many.
        random: draw them; else the middles.

    Returns:
        (rays, bins), rising.

    Source: Mildenhall et al. (2020), equation 2.
    """
    first = torch.arange(bins, device=near.device, dtype=near.dtype)
    part = torch.rand(len(near), bins, device=near.device, dtype=near.dtype) if random else 0.5
    return near + (far - near) * (first + part) / bins


def composite(
    density: Tensor, colour: Tensor, t: Tensor, far: Tensor, ground: float = 1.0
) -> Rendering:
    r"""What rays see of a fog that is constant from each sample to the next: $C = \sum_i T_i (1 -
    e^{-\sigma_i \delta_i}) c_i$, $T_i = e^{-\sum_{j<i} \sigma_j \delta_j}$, and ground for what
    light passes through all of it.

    Args:
        density: σ, (rays, samples), not negative.
        colour: c, (rays, samples, 3), from 0 to 1.
        t: distances, (rays, samples), rising.
        far: where the last sample's stretch ends, (rays, 1).
        ground: brightness of what is behind everything.

    Source: Mildenhall et al. (2020), equation 3, after Max (1995).
    """
    thickness = density * torch.cat([t, far], 1).diff(dim=1)  # σ_i δ_i
    before = thickness.cumsum(1) - thickness
    weights = (-before).exp() * -torch.expm1(-thickness)
    passed = (-thickness.sum(1)).exp()  # what is left of the light: 1 - Σ weights
    seen = (weights[:, :, None] * colour).sum(1) + ground * passed[:, None]
    return Rendering(seen, (weights * t).sum(1) + far[:, 0] * passed, weights)


def inverted(edges: Tensor, weights: Tensor, samples: int, *, random: bool) -> Tensor:
    r"""Distances drawn from a histogram, by the inverse of its distribution function: (rays,
    samples), rising.

    One draw from each of so many equal parts of the probability, or its middle.

    Args:
        edges: of the bins, (rays, bins + 1).
        weights: of the bins, (rays, bins), not negative and not all zero.
        samples: how many.
        random: draw them; else always the same.

    Source: Mildenhall et al. (2020), section 5.2; Devroye (1986) for the inverse.
    """
    bins = weights.shape[1]
    sums = torch.cat([torch.zeros_like(weights[:, :1]), weights.cumsum(1)], 1)  # (rays, bins + 1)
    u = stratified(sums[:, :1], sums[:, -1:], samples, random=random)
    below = (torch.searchsorted(sums, u, right=True) - 1).clamp(0, bins - 1)
    start, width = edges.gather(1, below), edges.diff(dim=1).gather(1, below)
    part = (u - sums.gather(1, below)) / weights.gather(1, below).clamp_min(1e-12)
    return start + part.clamp(0, 1) * width
