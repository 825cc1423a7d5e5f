r"""Volume rendering: the colour that light along a ray adds up to, and where to sample the ray.

A ray $r(t) = o + t d$ passes through fog with density $\sigma$ and colour $c$ at each position. In
all functions the first axis counts rays, and the second their samples, sorted by distance $t$.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rendering(NamedTuple):
    """What a camera sees along rays."""

    colour: Tensor  # (rays, 3)
    depth: Tensor  # mean distance of the light's origin, (rays,); light from behind has the far end
    weights: Tensor  # the part of each sample in the colour, (rays, samples); sums to at most 1


def chord(origins: Tensor, directions: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Distances at which rays enter and leave a ball around the origin, (rays, 1) each.

    Both are the same for a ray that misses the ball.

    Args:
        origins: (rays, 3), outside of the ball.
        directions: (rays, 3), of length 1.
        radius: Radius of the ball.
    """
    middle = -(origins * directions).sum(1, keepdim=True)
    half = (radius**2 - origins.square().sum(1, keepdim=True) + middle**2).clamp_min(0).sqrt()
    return middle - half, middle + half


def stratified_samples(near: Tensor, far: Tensor, bins: int, *, random: bool) -> Tensor:
    """A distance from each of several equal bins between near and far, (rays, bins), rising.

    Args:
        near: Distance of the first bin's start, (rays, 1).
        far: Distance of the last bin's end, (rays, 1).
        bins: Number of bins.
        random: Whether distances are drawn uniformly in their bins; otherwise they are the middles.

    Source: Mildenhall et al. (2020), equation 2.
    """
    first = torch.arange(bins, device=near.device, dtype=near.dtype)
    part = torch.rand(len(near), bins, device=near.device, dtype=near.dtype) if random else 0.5
    return near + (far - near) * (first + part) / bins


def composite(
    density: Tensor, colour: Tensor, t: Tensor, far: Tensor, background: float = 1.0
) -> Rendering:
    r"""Render rays through fog that is constant from each sample to the next.

    The colour is $C = \sum_i T_i (1 - e^{-\sigma_i \delta_i}) c_i$ with
    $T_i = e^{-\sum_{j<i} \sigma_j \delta_j}$, plus the background for the light that passes through
    all of the fog.

    Args:
        density: σ, (rays, samples), not negative.
        colour: c, (rays, samples, 3), from 0 to 1.
        t: Distances of the samples, (rays, samples), rising.
        far: Distance at which the last sample's interval ends, (rays, 1).
        background: Brightness of what is behind everything.

    Source: Mildenhall et al. (2020), equation 3, after Max (1995).
    """
    delta = torch.cat([t, far], 1).diff(dim=1)
    thickness = density * delta
    before = thickness.cumsum(1) - thickness
    weights = (-before).exp() * -torch.expm1(-thickness)  # T_i (1 - exp(-σ_i δ_i))
    passed = (-thickness.sum(1)).exp()  # the light that is left: 1 - Σ weights
    seen = (weights[:, :, None] * colour).sum(1) + background * passed[:, None]
    depth = (weights * t).sum(1) + far[:, 0] * passed
    return Rendering(seen, depth, weights)


def sample_histogram(edges: Tensor, weights: Tensor, samples: int, *, random: bool) -> Tensor:
    r"""Distances drawn from a histogram by its inverse distribution function, (rays, samples).

    The probability is cut into as many equal parts as there are samples. One sample comes from each
    part, so they rise.

    Args:
        edges: Edges of the bins, (rays, bins + 1).
        weights: Weights of the bins, (rays, bins), not negative and not all zero.
        samples: Number of samples.
        random: Whether samples are drawn in their parts; otherwise they are the middles.

    Source: Mildenhall et al. (2020), section 5.2; Devroye (1986) for the inverse.
    """
    bins = weights.shape[1]
    sums = torch.cat([torch.zeros_like(weights[:, :1]), weights.cumsum(1)], 1)  # (rays, bins + 1)
    u = stratified_samples(sums[:, :1], sums[:, -1:], samples, random=random)
    if torch.compiler.is_exporting():  # ONNX has no search
        found = (sums[:, None] <= u[:, :, None]).sum(2)  # (rays, samples)
    else:
        found = torch.searchsorted(sums, u, right=True)
    below = (found - 1).clamp(0, bins - 1)
    start = edges.gather(1, below)
    width = edges.diff(dim=1).gather(1, below)
    part = (u - sums.gather(1, below)) / weights.gather(1, below).clamp_min(1e-12)
    return start + part.clamp(0, 1) * width
