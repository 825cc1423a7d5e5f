r"""Average precision of detections, as COCO measures it.

For one class, go through the detections in all pictures from the highest score down. Compare each
with the objects of the class in its picture that no earlier detection has taken. If its highest IoU
with them is at least a threshold, it is right and takes that object; otherwise it is wrong and
takes none. After each detection, precision is the fraction of
detections that are right, and recall the fraction of objects that are taken. Average precision is
the mean, over the recalls 0, 0.01, …, 1, of the highest precision at that recall or beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from etude.layers.boxes import iou

RECALLS = torch.from_numpy(np.linspace(0, 1, 101))  # NumPy's, as COCO's code has them, bit for bit
COCO_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
MOST = 100  # detections of a class in a picture that count


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """Precision and recall at several IoU thresholds."""

    thresholds: tuple[float, ...]
    precision: Tensor  # (thresholds, 101, classes), at each recall or beyond; NaN: no objects
    recall: Tensor  # the highest that is reached, (thresholds, classes)

    @property
    def table(self) -> Tensor:
        """The average precision, double (thresholds, classes)."""
        return self.precision.mean(1)

    def at(self, threshold: float) -> float:
        """The mean over the classes at one IoU threshold."""
        return float(self.by_class(threshold).nanmean())

    def by_class(self, threshold: float) -> Tensor:
        """The average precision of each class at one IoU threshold, (classes,)."""
        return self.table[self.thresholds.index(threshold)]

    @property
    def mean(self) -> float:
        """The mean over all thresholds and classes: COCO's AP."""
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
    """Compare detections in n pictures with the truth.

    Args:
        boxes: Detected boxes, (n, most, 4).
        scores: (n, most).
        labels: Predicted classes, (n, most); below 0 where there is no detection.
        true_boxes: (n, most objects, 4).
        true_labels: (n, most objects); below 0 where there is no object.
        classes: Number of classes.
        thresholds: IoU thresholds.

    Source: the detection evaluation of COCO and its code, pycocotools, for objects of all sizes,
    without crowds.
    """
    least = torch.tensor(thresholds, dtype=torch.double).clamp(max=1 - 1e-10)  # as pycocotools
    precision = torch.full((len(least), len(RECALLS), classes), torch.nan, dtype=torch.double)
    recall = torch.full((len(least), classes), torch.nan, dtype=torch.double)
    overlap = iou(boxes.double().cpu(), true_boxes.double().cpu())  # (n, most, most objects)
    scores = scores.cpu()
    labels = labels.cpu()
    true_labels = true_labels.cpu()
    for k in range(classes):
        objects = true_labels == k
        total = int(objects.sum())
        if not total:
            continue
        right, score = _assign(overlap, scores, labels == k, objects, least)
        right = right[:, score.argsort(descending=True, stable=True)]  # (thresholds, detections)
        hits = right.double().cumsum(1)
        reached = hits / total
        precise = hits / torch.arange(1, hits.shape[1] + 1)
        never = precise.new_zeros(len(least), 1)  # the precision at a recall that is not reached
        beyond = torch.cat([precise, never], 1).flip(1).cummax(1).values.flip(1)
        at = torch.searchsorted(reached, RECALLS.expand(len(least), -1).contiguous())
        precision[:, :, k] = beyond.gather(1, at)
        recall[:, k] = reached[:, -1] if hits.shape[1] else 0.0
    return AveragePrecision(thresholds, precision, recall)


def _assign(
    overlap: Tensor, scores: Tensor, found: Tensor, objects: Tensor, least: Tensor
) -> tuple[Tensor, Tensor]:
    """Which detections of a class are right, (thresholds, detections), and their scores."""
    order = scores.masked_fill(~found, -torch.inf).argsort(dim=1, descending=True, stable=True)
    order = order[:, : min(MOST, int(found.sum(1).max()) if len(found) else 0)]
    found = found.gather(1, order)
    scores = scores.gather(1, order)
    overlap = overlap.gather(1, order[..., None].expand(-1, -1, overlap.shape[2]))
    free = objects.expand(len(least), -1, -1).clone()  # (thresholds, n, objects)
    right = torch.zeros(len(least), *order.shape, dtype=torch.bool)
    last = objects.shape[1] - 1
    for rank in range(order.shape[1]):  # the best of each picture, then the second of each, …
        each = overlap[:, rank].expand_as(free)
        fits = free & (each >= least[:, None, None]) & found[:, rank, None]
        value = each.where(fits, -1.0)
        chosen = last - value.flip(2).argmax(2)  # among equal ones the last, as in COCO's own code
        right[:, :, rank] = fits.any(2)
        taken = torch.zeros_like(free).scatter_(2, chosen[..., None], True)
        free &= ~(taken & fits)
    return right[:, found], scores[found]
