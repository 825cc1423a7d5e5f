"""Mirror images of pictures and of the boxes in them."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def random_mirror(
    images: Tensor, boxes: Tensor, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Mirror each image left to right, and upside down, each with probability ½.

    Args:
        images: (n, channels, height, width), of any type.
        boxes: Boxes in them, (n, most, 4).
        generator: On the CPU; PyTorch's own by default.
    """
    for axis in (0, 1):  # x, then y
        chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
        dimension = 3 - axis
        side = images.shape[dimension]
        mirrored = boxes.clone()
        mirrored[..., axis] = side - boxes[..., axis + 2]
        mirrored[..., axis + 2] = side - boxes[..., axis]
        boxes = mirrored.where(chosen[:, None, None], boxes)
        images = images.flip(dimension).where(chosen[:, None, None, None], images)
    return images, boxes
