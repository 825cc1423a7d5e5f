"""Samples of a generator, and data whose modes can be counted."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from etude.training import evaluating


def generate(generator: nn.Module, codes: Tensor, labels: Tensor, batch: int = 500) -> Tensor:
    """What a generator makes of codes in evaluation mode: (n, latent), (n,) → (n, …)."""
    parts = zip(torch.split(codes, batch), torch.split(labels, batch), strict=True)
    with evaluating(generator):
        return torch.cat([generator(z, label) for z, label in parts])


def ring_of_points(n: int, modes: int = 8, noise: float = 0.03) -> tuple[Tensor, Tensor, Tensor]:
    """Points in clusters on the unit circle.

    Returns:
        The points, (n, 2); the cluster of each, (n,); the centres of the clusters, (modes, 2).
    """
    angle = torch.arange(modes) * (2 * math.pi / modes)
    centres = torch.stack([angle.cos(), angle.sin()], dim=1)
    cluster = torch.randint(modes, (n,))
    return centres[cluster] + noise * torch.randn(n, 2), cluster, centres


def mode_fractions(points: Tensor, centres: Tensor, radius: float) -> Tensor:
    """The fraction of points within a radius of each centre: (n, d), (modes, d) → (modes,)."""
    distance, mode = torch.cdist(points, centres).min(1)
    return mode[distance < radius].bincount(minlength=len(centres)) / len(points)


def arc_fraction(modes: int, radius: float) -> float:
    """The fraction of the unit circle within a radius of one of these centres upon it: what points
    reach that are uniform on the circle, and know nothing of clusters.
    """
    return modes * 2 * math.asin(radius / 2) / math.pi
