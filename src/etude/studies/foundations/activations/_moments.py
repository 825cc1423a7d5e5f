"""An activation, its derivative, and the mean squares of both that decide what a layer does."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from etude.layers.activations import ACTIVATIONS


def curve(name: str, z: Tensor) -> tuple[Tensor, Tensor]:
    """An activation and its derivative at z (points,); those of Maxout for the pieces z and -z."""
    z = z.clone().requires_grad_()
    pieces = torch.stack([z, -z], 1) if name == "maxout" else z[:, None]
    values = ACTIVATIONS[name]()(pieces).squeeze(1)
    (slopes,) = torch.autograd.grad(values.sum(), z)
    return values.detach(), slopes


def moments(name: str) -> tuple[float, float]:
    """E φ(z)² and E φ'(z)² for a standard normal z, by the trapezoidal rule."""
    z = torch.linspace(-12, 12, 24_002, dtype=torch.float64)
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    values, slopes = curve(name, z)
    square = torch.trapezoid(values**2 * density, z)
    slope = torch.trapezoid(slopes**2 * density, z)
    return square.item(), slope.item()
