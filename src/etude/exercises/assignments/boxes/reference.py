"""Boxes in NumPy. A box is (left, top, right, bottom), with left ≤ right and top ≤ bottom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


def areas(boxes: Array) -> Array:
    """Of each box: (N, 4) → (N,)."""
    found: Array = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return found


def iou(a: Array, b: Array) -> Array:
    """Intersection over union of all pairs: (N, 4), (M, 4) → (N, M).

    It is 0 for boxes that share no area, and for two boxes without area. It is the same in every
    unit of length, so boxes may be very small. N and M may be 0.
    """
    # task iou, 2 points: What two boxes share is a box too, or nothing: then one of its sides would
    #   be negative. areas() is given.
    first = np.maximum(a[:, None, :2], b[:, :2])
    last = np.minimum(a[:, None, 2:], b[:, 2:])
    shared = np.maximum(last - first, 0).prod(2)
    union = areas(a)[:, None] + areas(b) - shared
    found: Array = shared / np.where(union > 0, union, 1)
    return found
    # end of task


def generalised_iou(a: Array, b: Array) -> Array:
    """Generalised intersection over union of all pairs: (N, 4), (M, 4) → (N, M), from −1 to 1.

    Take the smallest box that holds both of a pair. The result is the overlap, less the part of
    this box that neither of the two covers. Every box has an area above 0.
    """
    # task giou, 2 points: The area of the union follows from both areas and the overlap.
    first = np.minimum(a[:, None, :2], b[:, :2])
    last = np.maximum(a[:, None, 2:], b[:, 2:])
    hull = (last - first).prod(2)
    overlap = iou(a, b)
    union = (areas(a)[:, None] + areas(b)) / (1 + overlap)
    found: Array = overlap - (hull - union) / hull
    return found
    # end of task


def suppress(boxes: Array, scores: Array, threshold: float) -> Places:
    """Non-maximum suppression.

    The box of the highest score is kept, and every other box is dropped whose overlap with it is
    greater than ``threshold``. The same is done with what is left, until nothing is.

    Args:
        boxes: (N, 4); N may be 0.
        scores: (N,); of equal scores, the one that comes first counts as higher.
        threshold: the largest overlap that is allowed.

    Returns:
        The places of the boxes that are kept, the highest score first: whole numbers, (K,).
    """
    # task suppress, 3 points: Sort once. Then take the first, and keep of the others those that
    #   overlap little with it.
    order = np.argsort(-scores, kind="stable")
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[iou(boxes[[best]], boxes[order])[0] <= threshold]
    return np.array(kept, dtype=np.int64)
    # end of task


def anchors(rows: int, columns: int, stride: float, sizes: Array, ratios: Array) -> Array:
    """Boxes of several sizes and shapes at every place of a grid.

    Args:
        rows: of the grid.
        columns: of the grid.
        stride: how many pixels a place of the grid is high and wide. Anchors stand at its middle:
            those of the first place at (stride / 2, stride / 2).
        sizes: the roots of the areas, in pixels, (S,).
        ratios: height by width, (R,). The area does not depend on it.

    Returns:
        (rows · columns · S · R, 4): the rows of the grid from above, in each the columns from the
        left, in each the sizes, in each the ratios. Anchors may reach beyond the image.
    """
    # task anchors, 3 points: Make the middles of the grid and the halves of the shapes apart; let
    #   broadcasting meet every one with every other.
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
    middles = stride * (grid[:, :, None, None] + 0.5)
    root = np.sqrt(ratios)
    halves = np.stack([sizes[:, None] / root, sizes[:, None] * root], axis=-1) / 2
    return np.concatenate([middles - halves, middles + halves], axis=-1).reshape(-1, 4)
    # end of task


def encode(boxes: Array, anchors: Array) -> Array:
    """The offsets of boxes from anchors, row by row: (N, 4), (N, 4) → (N, 4).

    Args:
        boxes: of areas above 0.
        anchors: of areas above 0.

    Returns:
        How far the box's middle is to the right of the anchor's and how far below it, in widths and
        in heights of the anchor; the natural logarithms of how many times as wide and as high the
        box is.
    """
    # task encode, 2 points: Middles and sides of both, two numbers each.
    sides, anchor_sides = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    middles, anchor_middles = (
        (boxes[:, 2:] + boxes[:, :2]) / 2,
        (anchors[:, 2:] + anchors[:, :2]) / 2,
    )
    moved = (middles - anchor_middles) / anchor_sides
    return np.concatenate([moved, np.log(sides / anchor_sides)], axis=1)
    # end of task


def decode(offsets: Array, anchors: Array) -> Array:
    """The boxes that :func:`encode` made these offsets of: (N, 4), (N, 4) → (N, 4)."""
    # task decode, 2 points: Solve the formulas of encode for the middle and the sides.
    anchor_sides = anchors[:, 2:] - anchors[:, :2]
    middles = anchors[:, :2] + anchor_sides / 2 + offsets[:, :2] * anchor_sides
    halves = np.exp(offsets[:, 2:]) * anchor_sides / 2
    return np.concatenate([middles - halves, middles + halves], axis=1)
    # end of task


def correct_detections(boxes: Array, scores: Array, truths: Array, threshold: float) -> Flags:
    """Which detections in an image are right.

    Detections choose in the order of their scores, the highest first; of equal scores, the one that
    comes first. Each takes the true box with which it overlaps most, of those that no other has
    taken yet, and is right where this overlap is at least ``threshold``. Where it is less, it takes
    none.

    Args:
        boxes: what was detected, (N, 4); N may be 0.
        scores: (N,).
        truths: the true boxes, (M, 4); M may be 0, and then no detection is right.
        threshold: above 0.

    Returns:
        Whether each is right, in the order in which the boxes were given: true or false, (N,).
    """
    # task correct, 3 points: One loop, over detections; note which true boxes are taken.
    overlaps = iou(boxes, truths)
    correct = np.zeros(len(boxes), dtype=bool)
    for each in np.argsort(-scores, kind="stable"):
        if overlaps[each].max(initial=0) >= threshold:
            correct[each] = True
            overlaps[:, overlaps[each].argmax()] = 0
    return correct
    # end of task


def average_precision(scores: Array, correct: Flags, positives: int) -> float:
    """The area below precision over recall, from 0 to 1.

    Go through detections from the highest score to the lowest; of equal scores, the one that comes
    first. After each, precision is the part of those so far that are right, and recall is how many
    of them are right, divided by ``positives``. The precision at a recall is the greatest precision
    at this or any higher recall.

    Args:
        scores: (N,); N may be 0, and then the area is 0.0.
        correct: whether each is right, (N,).
        positives: how many true boxes there are, at least 1.
    """
    # task average-precision, 3 points: Recall rises only at detections that are right, and each
    #   time by the same.
    right = correct[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    at_least = np.maximum.accumulate(precision[::-1])[::-1]
    return float(at_least[right].sum() / positives)
    # end of task


def focal_loss(logits: Array, labels: Array, alpha: float, gamma: float) -> tuple[float, Array]:
    """The mean focal loss, and its gradient by the logits.

    Let p be the sigmoid of a logit where the label is 1, and 1 minus it where the label is 0; let a
    be ``alpha`` where the label is 1, and 1 − ``alpha`` where it is 0. The loss of an entry is
    −a (1 − p)^gamma ln p.

    Args:
        logits: of any shape, not empty; as large as ±10³, where the loss is still finite.
        labels: 1.0 or 0.0, of the same shape.
        alpha: the weight of label 1, from 0 to 1.
        gamma: how little easy entries count; 0 or at least 1.

    Returns:
        The mean of the entries' losses; its gradient, in the shape of the logits.
    """
    # task focal, 4 points: Turn the sign of the logits whose label is 0, and one case is left.
    #   np.logaddexp(0, z) is ln(1 + eᶻ) for any z.
    sign = 2 * labels - 1
    weight = np.where(labels == 1, alpha, 1 - alpha)
    surprise = np.logaddexp(0, -sign * logits)  # −ln p
    p, rest = np.exp(-surprise), np.exp(-np.logaddexp(0, sign * logits))
    loss = weight * rest**gamma * surprise
    slope = -sign * weight * rest**gamma * (gamma * p * surprise + rest)
    return float(loss.mean()), slope / logits.size
    # end of task
