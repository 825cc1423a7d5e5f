"""Random changes to whole batches of images: each image its own change, in a few tensor operations.

Images are (batch, channels, height, width), and so are the results. Every function takes the
generator that it draws from, so that a batch can be drawn again (see
:class:`etude.training.batches.Batches`).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F


def random_crop(
    images: Tensor,
    generator: Generator,
    pad: int,
    mode: Literal["constant", "reflect"] = "constant",
) -> Tensor:
    """Shift each image by up to ``pad`` pixels along both axes: pad, then cut out the old size.

    Args:
        images: Images of any type.
        generator: On the images' device.
        pad: The largest shift, in pixels.
        mode: What the border is filled with: zeros or a mirror image.
    """
    n, channels, height, width = images.shape
    if mode == "reflect" and not images.is_floating_point():
        padded = F.pad(images.float(), (pad,) * 4, mode).to(images.dtype)
    else:
        padded = F.pad(images, (pad,) * 4, mode)
    tall, wide = padded.shape[2:]
    top, left = torch.randint(2 * pad + 1, (2, n), generator=generator, device=images.device)

    # Whole rows are copied, which is ten times as fast as indexing pixels. ``starts`` holds where
    # each row begins in memory, and row k of ``stretches`` the ``width`` values from the k-th on.
    planes = torch.arange(0, n * channels * tall * wide, tall * wide, device=images.device)
    rows = torch.arange(0, height * wide, wide, device=images.device)
    corners = planes.view(n, channels) + (top * wide + left)[:, None]
    starts = corners[:, :, None] + rows  # (n, channels, height)
    stretches = padded.flatten().unfold(0, width, 1)
    return stretches.index_select(0, starts.flatten()).view(images.shape)


def shifted_views(images: Tensor, pixels: int) -> list[Tensor]:
    """The images themselves, and shifted left, right, up and down; the border is filled with zeros.

    Args:
        images: Images of any type.
        pixels: The size of the shift.
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (pixels,) * 4)
    corners = ((1, 1), (1, 2), (1, 0), (2, 1), (0, 1))  # upper left corners, in units of the shift
    return [padded[..., y * pixels :, x * pixels :][..., :height, :width] for y, x in corners]


def flip(images: Tensor, chosen: Tensor) -> Tensor:
    """Mirror the chosen images left to right; faster than ``torch.where``.

    Args:
        images: Images of any type.
        chosen: Whether each image is mirrored, bool (batch,).
    """
    rows = torch.arange(len(images), device=images.device)
    both = torch.cat([images, images.flip(3)])
    return both.index_select(0, rows + len(images) * chosen)


def random_flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability ½."""
    return flip(images, torch.rand(len(images), generator=generator, device=images.device) < 0.5)


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


def cutout(images: Tensor, generator: Generator, size: int) -> Tensor:
    """Set a square at a random position to zero in each image.

    Args:
        images: Images of any type.
        generator: On the images' device.
        size: Side of the square, in pixels.

    Source: DeVries & Taylor (2017), Improved regularization of convolutional neural networks.
    """
    n, _, height, width = images.shape
    device = images.device
    top = torch.randint(height, (n, 1), generator=generator, device=device) - size // 2
    left = torch.randint(width, (n, 1), generator=generator, device=device) - size // 2
    y = torch.arange(height, device=device)
    x = torch.arange(width, device=device)
    rows = (y >= top) & (y < top + size)  # (n, height)
    columns = (x >= left) & (x < left + size)  # (n, width)
    hidden = rows[:, :, None] & columns[:, None, :]
    return images.masked_fill(hidden[:, None], 0)
