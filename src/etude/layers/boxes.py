"""Boxes in pictures: how much they overlap, and non-maximum suppression.

A box is its left, top, right and bottom edge in pixels, (…, 4). All functions work on whole
batches, and are meant for any detector: with anchors or with proposals, dense or sparse.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad


class Detections(NamedTuple):
    """Detections in n pictures, by falling score, padded to the largest number in a picture."""

    boxes: Tensor  # (n, most, 4); zeros where there is none
    scores: Tensor  # (n, most), from 0 to 1; 0 where there is none
    labels: Tensor  # (n, most), int64; -1 where there is none

    def of(self, picture: int, least: float = 0.0) -> Detections:
        """Detections of one picture with at least this score: (k, 4), (k,), (k,), not padded."""
        kept = (self.labels[picture] >= 0) & (self.scores[picture] >= least)
        return Detections(*(column[picture][kept] for column in self))


def area(boxes: Tensor) -> Tensor:
    """Areas of boxes, (…, 4) → (…); 0 where an edge lies on the wrong side of the other."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(-1)


def intersection(a: Tensor, b: Tensor) -> Tensor:
    """Areas of the intersections of boxes, whose shapes may be broadcast: (…, 4) twice → (…)."""
    corner = torch.maximum(a[..., :2], b[..., :2])
    opposite = torch.minimum(a[..., 2:], b[..., 2:])
    return area(torch.cat([corner, opposite], -1))


def iou(a: Tensor, b: Tensor) -> Tensor:
    r"""Intersection over union of all pairs, $|A \cap B| / |A \cup B|$; 0 for two empty boxes.

    Args:
        a: Boxes, (…, n, 4).
        b: Boxes, (…, m, 4).

    Returns:
        (…, n, m).
    """
    a = a[..., :, None, :]
    b = b[..., None, :, :]
    both = intersection(a, b)
    return both / (area(a) + area(b) - both).clamp_min(torch.finfo(both.dtype).tiny)


def giou(a: Tensor, b: Tensor) -> Tensor:
    r"""Generalised IoU of pairs, $\mathrm{IoU} - |C \setminus (A \cup B)| / |C|$, from -1 to 1.

    $C$ is the smallest box around both. Unlike the IoU, it has a gradient where boxes are apart.

    Args:
        a: Boxes, (…, 4).
        b: Boxes, of the same shape.

    Source: Rezatofighi et al. (2019), algorithm 1.
    """
    tiny = torch.finfo(a.dtype).tiny
    corner = torch.minimum(a[..., :2], b[..., :2])
    opposite = torch.maximum(a[..., 2:], b[..., 2:])
    around = area(torch.cat([corner, opposite], -1))
    both = intersection(a, b)
    union = area(a) + area(b) - both
    return both / union.clamp_min(tiny) - (around - union) / around.clamp_min(tiny)


def nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    r"""Non-maximum suppression in many pictures at once: which boxes are kept, bool (batch, n).

    From the highest score to the lowest, a box is kept unless its IoU with a kept box of its class
    is above the threshold. Let the boxes be in that order, and let $S_{ij}$ say that $i < j$ are of
    one class and overlap that much. The kept boxes are the one solution of
    $k_j = \neg \exists i: k_i \wedge S_{ij}$. Starting from $k = 1$, the equation is applied until
    nothing changes: after $t$ rounds each box is right whose chain of suppressors has at most
    length $t$.

    Args:
        boxes: (batch, n, 4).
        scores: (batch, n); among equal ones, the first comes first.
        labels: Classes, (batch, n); below 0 where there is no box, and none is kept.
        threshold: An IoU.
    """
    order = scores.argsort(dim=1, descending=True, stable=True)
    ranked = boxes.gather(1, order[..., None].expand_as(boxes))
    label = labels.gather(1, order)
    same_class = label[:, :, None] == label[:, None, :]
    suppresses = (iou(ranked, ranked) > threshold) & same_class & (label >= 0)[:, :, None]
    suppresses = suppresses.triu(1)  # (batch, n, n): the row suppresses the column
    kept = label >= 0
    while True:
        again = ~(kept[:, :, None] & suppresses).any(1) & (label >= 0)
        if torch.equal(again, kept):
            return torch.zeros_like(kept).scatter_(1, order, kept)
        kept = again


def candidates(scores: Tensor, boxes: Tensor, least: float = 0.05, most: int = 300) -> Detections:
    """The pairs of a box and a class with the highest scores, before suppression.

    Args:
        scores: From 0 to 1, (batch, n, classes).
        boxes: (batch, n, 4).
        least: The lowest score.
        most: The largest number of pairs in a picture.
    """
    classes = scores.shape[2]
    best, pair = scores.flatten(1).topk(min(most, scores[0].numel()), dim=1)
    kept = best >= least
    box = (pair // classes)[..., None].expand(-1, -1, 4)
    labels = (pair % classes).masked_fill(~kept, -1)
    return Detections(boxes.gather(1, box) * kept[..., None], best * kept, labels)


def suppress(found: Detections, threshold: float = 0.5, most: int = 100) -> Detections:
    """What non-maximum suppression leaves; at most ``most`` detections in a picture."""
    kept = nms(*found, threshold)
    order = found.scores.masked_fill(~kept, -1.0).argsort(dim=1, descending=True, stable=True)
    order = order[:, : min(most, int(kept.sum(1).max()))]
    kept = kept.gather(1, order)
    boxes = found.boxes.gather(1, order[..., None].expand(-1, -1, 4)) * kept[..., None]
    labels = found.labels.gather(1, order).masked_fill(~kept, -1)
    return Detections(boxes, found.scores.gather(1, order) * kept, labels)


def concatenate(blocks: list[Detections]) -> Detections:
    """The detections of several blocks of pictures, padded to one width."""
    most = max(block.labels.shape[1] for block in blocks)
    missing = [most - block.labels.shape[1] for block in blocks]
    pairs = list(zip(blocks, missing, strict=True))
    boxes = [pad(block.boxes, (0, 0, 0, n)) for block, n in pairs]
    scores = [pad(block.scores, (0, n)) for block, n in pairs]
    labels = [pad(block.labels, (0, n), value=-1) for block, n in pairs]
    return Detections(torch.cat(boxes), torch.cat(scores), torch.cat(labels))
