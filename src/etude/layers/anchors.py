"""Anchors: boxes that a detector adjusts, how a box is encoded relative to one, and matching."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from etude.layers.boxes import iou

BACKGROUND = -1  # in place of the index of a matched box
IGNORED = -2
MOST_GROWTH = 4.0  # logarithm of the largest factor by which a decoded box exceeds its anchor


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    r"""Offsets of boxes relative to anchors: shifts and logarithms of the factors of growth.

    With centre $(x, y)$, width $w$ and height $h$ of a box, and the index $a$ for its anchor, they
    are $((x - x_a) / w_a, (y - y_a) / h_a, \log(w / w_a), \log(h / h_a))$: (…, 4) twice → (…, 4).

    Source: Girshick et al. (2014), Rich feature hierarchies, appendix C.
    """
    size = boxes[..., 2:] - boxes[..., :2]
    anchor_size = anchors[..., 2:] - anchors[..., :2]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    anchor_centre = (anchors[..., :2] + anchors[..., 2:]) / 2
    shift = (centre - anchor_centre) / anchor_size
    return torch.cat([shift, (size / anchor_size).log()], -1)


def decode(offsets: Tensor, anchors: Tensor) -> Tensor:
    """The boxes with these offsets relative to anchors; the inverse of :func:`encode`."""
    size = anchors[..., 2:] - anchors[..., :2]
    centre = (anchors[..., :2] + anchors[..., 2:]) / 2 + offsets[..., :2] * size
    half = size * offsets[..., 2:].clamp(max=MOST_GROWTH).exp() / 2
    return torch.cat([centre - half, centre + half], -1)


def grid_anchors(
    height: int,
    width: int,
    strides: Sequence[int],
    size: float,
    factors: Sequence[float],
    ratios: Sequence[float],
) -> Tensor:
    """Anchors around the middle of every cell of every level of a pyramid.

    Args:
        height: Height of the picture; a level has ⌈height / stride⌉ rows of cells.
        width: Width of the picture; a level has ⌈width / stride⌉ columns.
        strides: Pixels from one cell to the next, for each level.
        size: Size of the smallest anchor, in strides.
        factors: Factors of that size.
        ratios: Ratios of height to width, at the same area.

    Returns:
        (levels · cells · factors · ratios, 4), in this order.
    """
    levels = []
    for stride in strides:
        y, x = (stride * (torch.arange(-(-side // stride)) + 0.5) for side in (height, width))
        centre = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)  # (rows, columns, 2)
        shapes = [(s / r**0.5, s * r**0.5) for s in factors for r in ratios]
        half = stride * size * torch.tensor(shapes) / 2  # (anchors of a cell, 2)
        anchors = torch.cat([centre[:, :, None] - half, centre[:, :, None] + half], -1)
        levels.append(anchors.flatten(0, 2))
    return torch.cat(levels)


def match(anchors: Tensor, boxes: Tensor, labels: Tensor, low: float, high: float) -> Tensor:
    """The index of the box that each anchor is matched to, or BACKGROUND, or IGNORED.

    An anchor whose highest IoU with any box is at least ``high`` is matched to that box. If it is
    below ``low``, the anchor is background; in between, it is ignored. The anchor that overlaps a
    box most is matched to it in any case; a box gets no anchor only if that one overlaps another
    box more.

    Args:
        anchors: (anchors, 4).
        boxes: (batch, most, 4).
        labels: (batch, most); below 0 where there is no box.
        low: An IoU.
        high: An IoU, not below ``low``.

    Returns:
        (batch, anchors), int64.

    Source: Ren, He, Girshick & Sun (2015), Faster R-CNN, section 3.1.2.
    """
    if not boxes.shape[1]:
        return torch.full((len(boxes), len(anchors)), BACKGROUND, device=anchors.device)
    overlap = iou(anchors, boxes).masked_fill((labels < 0)[:, None], -1.0)  # (batch, anchors, most)
    best, index = overlap.max(2)
    matched = index.where(best >= high, IGNORED).where(best >= low, BACKGROUND)
    highest = overlap.amax(1, keepdim=True)  # (batch, 1, most)
    nearest = (overlap == highest) & (highest > 0)
    forced = overlap.where(nearest, -1.0).max(2)
    return forced.indices.where(forced.values > 0, matched)
