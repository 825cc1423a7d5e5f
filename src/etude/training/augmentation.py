"""Random changes to whole batches of images: each image its own change, in a few tensor operations.

Images are (batch, channels, height, width), and so are the results. Every function takes the
generator that it draws from, so that a batch can be drawn again (see
:class:`etude.training.batches.Batches`).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from etude.training.affine import random_affine as random_affine


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
