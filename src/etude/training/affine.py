"""Random rotations, shifts, changes of size and shears of a batch of images."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F


def random_affine(
    images: Tensor,
    generator: Generator,
    degrees: float = 0.0,
    shift: float = 0.0,
    zoom: float = 0.0,
    shear: float = 0.0,
) -> Tensor:
    r"""Rotate, shift, scale and shear each image at random, about its centre, bilinearly.

    An output pixel at $p$ shows the input at $A p + t$, where $A = R(\theta) / s$ with $h$ added
    to its upper right entry. A half image has length 1.

    Args:
        images: floating point, (batch, channels, height, width); outside of them all is 0.
        generator: on the images' device.
        degrees: θ is uniform in ±degrees.
        shift: t is uniform in ±shift pixels along each axis.
        zoom: s is uniform in 1 ± zoom.
        shear: h is uniform in ±shear.
    """
    if not (degrees or shift or zoom or shear):
        return images
    n, _, height, width = images.shape
    largest = [math.radians(degrees), zoom, 2 * shift / width, 2 * shift / height, shear]
    limit = torch.tensor(largest, device=images.device)[:, None]
    u = torch.rand(5, n, generator=generator, device=images.device)
    angle, larger, right, down, slant = torch.addcmul(-limit, u, 2 * limit)  # (n,) each
    cos = angle.cos() / (1 + larger)
    sin = angle.sin() / (1 + larger)
    first_column = torch.stack([cos, sin], 1)  # of A: (n, 2)
    second_column = torch.stack([slant - sin, cos], 1)

    x = torch.arange(1 - width, width, 2, device=images.device) / width  # centres of the pixels
    y = torch.arange(1 - height, height, 2, device=images.device) / height
    along = first_column[:, :, None, None] * x
    across = second_column[:, :, None] * y + torch.stack([right, down], 1)[:, :, None]
    # One sum for all pixels, each coordinate in a plane of its own, because F.affine_grid takes
    # ten times as long.
    grid = (across[:, :, :, None] + along).permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, align_corners=False)
