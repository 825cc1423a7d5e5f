r"""How good detections are, as COCO measures it.

Of one class, over all pictures: go through the detections from the surest down. Each takes, in its
picture, the object that it overlaps most among those not yet taken, if their IoU is at least a
threshold, and is right; else it is wrong. After each of them, precision is the part of them that is
right and recall the part of the objects that is taken. Average precision is the mean, over the
recalls 0, 0.01, …, 1, of the highest precision at that recall or beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

RECALLS = torch.from_numpy(
    np.linspace(0, 1, 101)
)  # NumPy's, as COCO has them: others differ in the last bit
COCO_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
MOST = 100  # detections of a class in a picture that count


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """What :func:`average_precision` found.

    Args:
        thresholds: IoU thresholds.
        precision: double (thresholds, 101, classes), the highest precision at each recall or
            beyond; NaN for a class without objects.
        recall: double (thresholds, classes), the highest that is reached.
    """

    thresholds: tuple[float, ...]
    precision: Tensor
    recall: Tensor

    @property
    def table(self) -> Tensor:
        """The average precision, double (thresholds, classes)."""
        return self.precision.mean(1)

    def at(self, threshold: float) -> float:
        """Mean over the classes at one IoU threshold."""
        return float(self.table[self.thresholds.index(threshold)].nanmean())

    @property
    def mean(self) -> float:
        """Mean over all thresholds and classes: COCO's AP."""
        return float(self.table.nanmean())


def average_precision(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    true_boxes: Tensor,
    true_labels: Tensor,
    classes: int,
    thresholds: tuple[float, ...] = COCO_THRESHOLDS,
) -> AveragePrecision:
    """Compare detections with the truth in n pictures.

    Args:
        boxes: (n, most, 4): left, top, right, bottom.
        scores: (n, most).
        labels: (n, most); below 0 where there is no detection.
        true_boxes: (n, most objects, 4).
        true_labels: (n, most objects); below 0 where there is none.
        classes: how many there are.
        thresholds: from 0 to 1.

    Source: the COCO detection challenge (Lin et al., 2014), in all sizes and without crowds.
    """
    levels = torch.tensor(thresholds, dtype=torch.double).clamp(max=1 - 1e-10)
    precision = torch.full((len(levels), len(RECALLS), classes), torch.nan, dtype=torch.double)
    recall = torch.full((len(levels), classes), torch.nan, dtype=torch.double)
    overlap = _iou(boxes.double().cpu(), true_boxes.double().cpu())  # (n, most, most objects)
    scores, labels, true_labels = scores.cpu(), labels.cpu(), true_labels.cpu()
    for k in range(classes):
        objects = true_labels == k
        if not (total := int(objects.sum())):
            continue
        right, sure = _taken(overlap, scores, labels == k, objects, levels)
        order = sure.argsort(descending=True, stable=True)
        hits = right[:, order].double().cumsum(1)  # (thresholds, detections)
        reached = hits / total
        exact = hits / torch.arange(1, hits.shape[1] + 1)
        best = exact.flip(1).cummax(1).values.flip(1) if hits.shape[1] else exact
        at = torch.searchsorted(reached, RECALLS.expand(len(levels), -1).contiguous())
        padded = torch.cat(
            [best, best.new_zeros(len(levels), 1)], 1
        )  # a recall that is never reached: precision 0
        precision[:, :, k] = padded.gather(1, at)
        recall[:, k] = reached[:, -1] if hits.shape[1] else 0.0
    return AveragePrecision(thresholds, precision, recall)


def _taken(
    overlap: Tensor, scores: Tensor, found: Tensor, objects: Tensor, levels: Tensor
) -> tuple[Tensor, Tensor]:
    """Which detections of a class are right at each threshold, (thresholds, detections), and their
    scores.
    """
    order = scores.masked_fill(~found, -torch.inf).argsort(dim=1, descending=True, stable=True)
    order = order[:, : min(MOST, int(found.sum(1).max()) if len(found) else 0)]
    found, sure = found.gather(1, order), scores.gather(1, order)
    overlap = overlap.gather(1, order[..., None].expand(-1, -1, overlap.shape[2]))
    free = objects.expand(len(levels), -1, -1).clone()  # (thresholds, n, objects)
    right = torch.zeros(len(levels), *order.shape, dtype=torch.bool)
    last = objects.shape[1] - 1
    for rank in range(order.shape[1]):  # the surest of all pictures, then the second of all …
        each = overlap[:, rank].expand_as(free)
        fits = free & (each >= levels[:, None, None]) & found[:, rank, None]
        value = each.where(fits, -1.0)
        chosen = last - value.flip(2).argmax(2)  # of equal ones the last, as COCO's own code does
        right[:, :, rank] = fits.any(2)
        taken = torch.zeros_like(free).scatter_(2, chosen[..., None], True)
        free &= ~(taken & fits)
    return right[:, found], sure[found]


def _iou(a: Tensor, b: Tensor) -> Tensor:
    """(n, p, 4), (n, q, 4) → (n, p, q); 0 for two empty boxes."""
    size_a, size_b = (x[..., 2:] - x[..., :2] for x in (a, b))
    low, high = (
        torch.maximum(a[:, :, None, :2], b[:, None, :, :2]),
        torch.minimum(a[:, :, None, 2:], b[:, None, :, 2:]),
    )
    both = (high - low).clamp_min(0).prod(-1)
    either = size_a.prod(-1)[:, :, None] + size_b.prod(-1)[:, None] - both
    return both / either.where(either > 0, 1.0)
