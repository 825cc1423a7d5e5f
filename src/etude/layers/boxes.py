r"""Boxes in pictures: how much they overlap, how a network tells them, which of many are kept.

A box is its left, top, right and bottom edge, in pixels: (…, 4). Everything here works on whole
batches, and is meant for any detector: with anchors or with proposals, dense or sparse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, smooth_l1_loss

BACKGROUND, NEITHER = -1, -2  # instead of the number of a matched box
MOST_GROWTH = 4.0  # log of the largest factor by which a decoded box exceeds its anchor


class Detections(NamedTuple):
    """What was found in n pictures, the surest first; rows are padded to the largest number.

    Args:
        boxes: (n, most, 4); zeros where there is none.
        scores: (n, most), from 0 to 1; 0 where there is none.
        labels: (n, most), int64; -1 where there is none.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def area(boxes: Tensor) -> Tensor:
    """(…, 4) → (…); 0 where an edge lies on the wrong side of the other."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(-1)


def iou(a: Tensor, b: Tensor) -> Tensor:
    r"""$|A \cap B| / |A \cup B|$ of all pairs: (…, n, 4), (…, m, 4) → (…, n, m).

    0 for two empty boxes.
    """
    a, b = a[..., :, None, :], b[..., None, :, :]
    both = area(
        torch.cat(
            [torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])], -1
        )
    )
    return both / (area(a) + area(b) - both).clamp_min(torch.finfo(both.dtype).tiny)


def giou(a: Tensor, b: Tensor) -> Tensor:
    r"""$\mathrm{IoU} - |C \setminus (A \cup B)| / |C|$ of pairs, $C$ the smallest box around both:
    (…, 4) twice → (…).

    From -1 to 1. Unlike the IoU it has a gradient where the boxes are apart.

    Source: Rezatofighi et al. (2019), algorithm 1.
    """
    tiny = torch.finfo(a.dtype).tiny
    both = area(
        torch.cat(
            [torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])], -1
        )
    )
    around = area(
        torch.cat(
            [torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])], -1
        )
    )
    either = area(a) + area(b) - both
    return both / either.clamp_min(tiny) - (around - either) / around.clamp_min(tiny)


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    r"""Boxes as seen from their anchors, $((x - x_a) / w_a, (y - y_a) / h_a, \log(w / w_a), \log(h
    / h_a))$: (…, 4).

    Source: Girshick, Donahue, Darrell & Malik (2014), appendix C.
    """
    size, size_a = boxes[..., 2:] - boxes[..., :2], anchors[..., 2:] - anchors[..., :2]
    centre, centre_a = (
        (boxes[..., :2] + boxes[..., 2:]) / 2,
        (anchors[..., :2] + anchors[..., 2:]) / 2,
    )
    return torch.cat([(centre - centre_a) / size_a, (size / size_a).log()], -1)


def decode(offsets: Tensor, anchors: Tensor) -> Tensor:
    """The boxes that offsets from anchors stand for; undoes :func:`encode`. (…, 4)."""
    size_a, centre_a = (
        anchors[..., 2:] - anchors[..., :2],
        (anchors[..., :2] + anchors[..., 2:]) / 2,
    )
    centre = centre_a + offsets[..., :2] * size_a
    half = size_a * offsets[..., 2:].clamp(max=MOST_GROWTH).exp() / 2
    return torch.cat([centre - half, centre + half], -1)


def box_losses(offsets: Tensor, anchors: Tensor, boxes: Tensor, kind: str = "giou") -> Tensor:
    r"""What is lost by each of n boxes, told as offsets from its anchor: (n, 4) three times → (n,).

    ``giou``: 1 - GIoU, from 0 to 2 (Rezatofighi et al., 2019). ``smooth``: the sum of the four
    offsets' distances $d$, $d^2 / 0.2$ below 0.1 and $d - 0.05$ beyond (Girshick, 2015, equation 3,
    with a narrower bend).
    """
    if kind == "giou":
        return 1 - giou(decode(offsets, anchors), boxes)
    return smooth_l1_loss(offsets, encode(boxes, anchors), reduction="none", beta=0.1).sum(1)


def grid_anchors(
    height: int,
    width: int,
    strides: Sequence[int],
    size: float,
    scales: Sequence[float],
    ratios: Sequence[float],
) -> Tensor:
    """Anchors around the middle of every cell of every level; (levels · cells · scales · ratios,
    4), in that order.

    Args:
        height: of the picture; a level has as many rows as strides fit in, rounded up.
        width: of the picture.
        strides: pixels from cell to cell, level by level.
        size: of the smallest anchor, in strides.
        scales: factors of that size.
        ratios: of height to width; the area is the same.
    """
    levels = []
    for stride in strides:
        y, x = (stride * (torch.arange(-(-side // stride)) + 0.5) for side in (height, width))
        centre = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)  # (rows, columns, 2)
        shapes = [(s / r**0.5, s * r**0.5) for s in scales for r in ratios]
        half = stride * size * torch.tensor(shapes) / 2  # (anchors of a cell, 2)
        levels.append(
            torch.cat([centre[:, :, None] - half, centre[:, :, None] + half], -1).flatten(0, 2)
        )
    return torch.cat(levels)


def match(anchors: Tensor, boxes: Tensor, labels: Tensor, low: float, high: float) -> Tensor:
    """For each anchor in each picture the number of the box that it stands for, or BACKGROUND, or
    NEITHER.

    An anchor stands for the box that it overlaps most, if the IoU is at least ``high``; below
    ``low`` it is background, between them neither. The anchors that overlap a box more than all
    others do stand for it in any case, if they touch it at all, so that no box goes without.

    Args:
        anchors: (anchors, 4).
        boxes: (batch, most, 4).
        labels: (batch, most); below 0 where there is no box.
        low: an IoU.
        high: an IoU, not below ``low``.

    Returns:
        (batch, anchors), int64.
    """
    if not boxes.shape[1]:
        return torch.full((len(boxes), len(anchors)), BACKGROUND, device=anchors.device)
    overlap = iou(anchors, boxes).masked_fill((labels < 0)[:, None], -1.0)  # (batch, anchors, most)
    best, number = overlap.max(2)
    matched = number.where(best >= high, NEITHER).where(best >= low, BACKGROUND)
    most = overlap.amax(1, keepdim=True)  # (batch, 1, most)
    nearest = (overlap == most) & (most > 0)
    forced = overlap.where(nearest, -1.0).max(2)
    return forced.indices.where(forced.values > 0, matched)


def tally(matched: Tensor, levels: Sequence[int]) -> Tensor:
    """How many anchors of a picture stand for an object, for neither, for background, in the mean
    over pictures.

    Args:
        matched: (pictures, anchors), as :func:`match` gives.
        levels: how many anchors each level has.

    Returns:
        (levels + 1, 3); the last row is the sum.
    """
    rows = [
        torch.stack([(part >= 0).sum(), (part == NEITHER).sum(), (part == BACKGROUND).sum()])
        / len(matched)
        for part in torch.split(matched, list(levels), 1)
    ]
    return torch.stack([*rows, torch.stack(rows).sum(0)])


def nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    r"""Non-maximum suppression in many pictures at once: which boxes are kept; (batch, n), bool.

    Greedy: going from the highest score down, a box is kept unless one of its class that was kept
    overlaps it by an IoU above the threshold. With boxes in that order and $S_{ij}$ saying that $i
    < j$ are of one class and overlap so, what is kept is the one solution of $k_j = \neg \exists i:
    k_i \wedge S_{ij}$. Begin with $k = 1$ and put it in again and
    again: after $t$ rounds every box is right whose chain of suppressors is at most $t$ long, so it
        ends, and soon.

    Args:
        boxes: (batch, n, 4).
        scores: (batch, n); of equal ones the first goes first.
        labels: (batch, n); below 0 where there is no box, and none is kept.
        threshold: an IoU.
    """
    order = scores.argsort(dim=1, descending=True, stable=True)
    ranked = boxes.gather(1, order[..., None].expand_as(boxes))
    kind = labels.gather(1, order)
    suppresses = (iou(ranked, ranked) > threshold) & (kind[:, :, None] == kind[:, None, :])
    suppresses = suppresses.triu(1) & (kind >= 0)[:, :, None]
    kept = kind >= 0
    while True:
        again = ~(kept[:, :, None] & suppresses).any(1) & (kind >= 0)
        if torch.equal(again, kept):
            return torch.zeros_like(kept).scatter_(1, order, kept)
        kept = again


def candidates(scores: Tensor, boxes: Tensor, floor: float = 0.05, most: int = 300) -> Detections:
    """The surest pairs of a box and a class, overlapping ones and all.

    Args:
        scores: (batch, n, classes), from 0 to 1.
        boxes: (batch, n, 4).
        floor: pairs with a lower score are left out.
        most: of each picture, at most.
    """
    classes = scores.shape[2]
    best, index = scores.flatten(1).topk(min(most, scores[0].numel()), dim=1)
    there = best >= floor
    found = boxes.gather(1, (index // classes)[..., None].expand(-1, -1, 4))
    return Detections(
        found * there[..., None], best * there, (index % classes).masked_fill(~there, -1)
    )


def suppressed(found: Detections, threshold: float = 0.5, most: int = 100) -> Detections:
    """What non-maximum suppression leaves, the surest first, at most ``most`` of each picture."""
    kept = nms(*found, threshold)
    scores = found.scores.masked_fill(~kept, -1.0)
    order = scores.argsort(dim=1, descending=True, stable=True)[
        :, : min(most, int(kept.sum(1).max()))
    ]
    there = kept.gather(1, order)
    boxes = found.boxes.gather(1, order[..., None].expand(-1, -1, 4)) * there[..., None]
    labels = found.labels.gather(1, order).masked_fill(~there, -1)
    return Detections(boxes, found.scores.gather(1, order) * there, labels)


def joined(parts: Sequence[Detections]) -> Detections:
    """What was found in several batches, one after the other, padded alike."""
    most = max(part.labels.shape[1] for part in parts)
    boxes, scores, labels = [], [], []
    for part in parts:
        more = most - part.labels.shape[1]
        boxes.append(pad(part.boxes, (0, 0, 0, more)))
        scores.append(pad(part.scores, (0, more)))
        labels.append(pad(part.labels, (0, more), value=-1))
    return Detections(torch.cat(boxes), torch.cat(scores), torch.cat(labels))
