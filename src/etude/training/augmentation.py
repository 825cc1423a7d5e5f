"""Random changes to whole batches of images: each image its own change, all in a few tensor
operations.

Images are (batch, channels, height, width), and so is what comes back. Every function takes the
generator that it draws from, so that a batch can be drawn again (see
:class:`etude.training.batches.Batches`).
"""

from __future__ import annotations

from functools import partial
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
    """Shift by up to ``pad`` pixels each way: pad, then cut out the old size at a random place.

    Args:
        images: of any type.
        generator: on the images' device.
        pad: the largest shift, in pixels.
        mode: what comes in at the border: zeros or a mirror image.
    """
    n, channels, height, width = images.shape
    if mode == "reflect" and not images.is_floating_point():
        padded = F.pad(images.float(), (pad,) * 4, mode).to(images.dtype)
    else:
        padded = F.pad(images, (pad,) * 4, mode)
    tall, wide = padded.shape[2:]
    top, left = torch.randint(2 * pad + 1, (2, n), generator=generator, device=images.device)
    every = partial(torch.arange, 0, device=images.device)
    corners = (
        every(n * channels * tall * wide, tall * wide).view(n, channels)
        + (top * wide + left)[:, None]
    )
    starts = corners[:, :, None] + every(
        height * wide, wide
    )  # of each row cut out, in memory: (n, channels, height)
    stretches = padded.flatten().unfold(
        0, width, 1
    )  # row k: the width numbers from the k-th on, a view
    return stretches.index_select(0, starts.flatten()).view(
        images.shape
    )  # copies whole rows: ten times as fast


def nudged(images: Tensor, pixels: int) -> list[Tensor]:
    """The images as they are, and shifted left, right, up and down; zeros come in."""
    height, width = images.shape[-2:]
    padded = F.pad(images, (pixels,) * 4)
    corners = (
        (1, 1),
        (1, 2),
        (1, 0),
        (2, 1),
        (0, 1),
    )  # top and left of what is cut out, in so many pixels
    return [padded[..., y * pixels :, x * pixels :][..., :height, :width] for y, x in corners]


def flip(images: Tensor, chosen: Tensor) -> Tensor:
    """Mirror the chosen images left to right. ``chosen``: (batch,), bool."""
    rows = torch.arange(len(images), device=images.device)
    return torch.cat([images, images.flip(3)]).index_select(
        0, rows + len(images) * chosen
    )  # faster than torch.where


def random_flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability ½."""
    return flip(images, torch.rand(len(images), generator=generator, device=images.device) < 0.5)


def cutout(images: Tensor, generator: Generator, size: int) -> Tensor:
    """Set one square of ``size`` pixels a side, placed at random, to zero in each image (DeVries &
    Taylor, 2017).
    """
    n, _, height, width = images.shape
    top = torch.randint(height, (n, 1), generator=generator, device=images.device) - size // 2
    left = torch.randint(width, (n, 1), generator=generator, device=images.device) - size // 2
    y, x = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    hidden = ((y >= top) & (y < top + size))[:, :, None] & ((x >= left) & (x < left + size))[
        :, None, :
    ]
    return images.masked_fill(hidden[:, None], 0)


def random_mirror(
    images: Tensor, boxes: Tensor, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Mirror each image left to right, and upside down, each with probability ½, and its boxes with
    it.

    Args:
        images: (n, channels, height, width), of any type.
        boxes: (n, most, 4): left, top, right, bottom, in pixels.
        generator: on the CPU; by default PyTorch's own.
    """
    for _ in ("left to right", "upside down"):
        chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
        left, top, right, bottom = boxes.unbind(-1)
        mirrored = torch.stack([images.shape[3] - right, top, images.shape[3] - left, bottom], -1)
        images, boxes = flip(images, chosen), mirrored.where(chosen[:, None, None], boxes)
        images, boxes = (
            images.transpose(2, 3),
            boxes[..., [1, 0, 3, 2]],
        )  # now the other axis; twice is not at all
    return images, boxes
