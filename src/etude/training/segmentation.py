r"""Every pixel with a class: what is lost, and how the result is measured.

A pixel whose class is not told (:data:`IGNORED`) counts nowhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

IGNORED = 255


def confusion(predicted: Tensor, truth: Tensor, classes: int) -> Tensor:
    """How many pixels of each class (row) were taken for each (column).

    Shape: (classes, classes), int64.

    Args:
        predicted: whole numbers, of any shape.
        truth: of the same shape; pixels of numbers outside of 0 … classes - 1 are left out.
        classes: how many there are.
    """
    truth, predicted = truth.flatten().long(), predicted.flatten().long()
    told = (truth >= 0) & (truth < classes)
    return torch.bincount(truth[told] * classes + predicted[told], minlength=classes**2).view(
        classes, classes
    )


def intersection_over_union(counts: Tensor) -> Tensor:
    r"""Of each class $k$ with counts $n_{ij}$: $n_{kk} / (\sum_j n_{kj} + \sum_i n_{ik} - n_{kk})$;
    (classes,), double.

    NaN where a class neither occurs nor was predicted. This is the Jaccard index.
    """
    counts = counts.double()
    right = counts.diag()
    return right / (counts.sum(0) + counts.sum(1) - right)


def pixel_accuracy(counts: Tensor) -> float:
    """The part of all pixels that are right, from a confusion matrix."""
    return float(counts.diag().sum() / counts.sum())


def dice_loss(scores: Tensor, truth: Tensor) -> Tensor:
    r"""$1 - \frac{1}{K} \sum_k \frac{2 \sum_x p_{xk} y_{xk} + 1}{\sum_x p_{xk} + \sum_x y_{xk} +
    1}$ over a batch.

    Args:
        scores: logits (batch, classes, height, width).
        truth: (batch, height, width), whole numbers; pixels of :data:`IGNORED` are left out.

    Source: Milletari, Navab & Ahmadi (2016), section 3, with sums in place of squares, for several
    classes.
    """
    told = (truth != IGNORED)[:, None]
    p = scores.softmax(1) * told
    y = (
        torch.zeros_like(p).scatter_(1, truth.long().masked_fill(~told[:, 0], 0)[:, None], 1.0)
        * told
    )
    both, either = (p * y).sum((0, 2, 3)), (p + y).sum((0, 2, 3))
    return 1 - ((2 * both + 1) / (either + 1)).mean()


def balanced_weights(truth: Tensor, classes: int) -> Tensor:
    """The median of the classes' shares of all pixels over each one's share; (classes,).

    Source: Eigen & Fergus (2015), section 6.3.3.
    """
    share = torch.bincount(truth.flatten().long(), minlength=256)[:classes].float()
    share = share / share.sum()
    return share.median() / share.clamp_min(1e-6)
