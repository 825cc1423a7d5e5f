"""How good a segmentation is: the confusion matrix of the pixels, and what follows from it."""

from __future__ import annotations

import torch
from torch import Tensor


def pixel_confusion(predicted: Tensor, truth: Tensor, classes: int) -> Tensor:
    """The confusion matrix of all pixels, int64 (classes, classes).

    The entry in row i and column j is the number of pixels of class i that were predicted as j.

    Args:
        predicted: Predicted classes, whole numbers of any shape.
        truth: True classes, of the same shape. Pixels with a value outside of 0 … classes - 1 have
            no known class and are not counted.
        classes: Number of classes.
    """
    truth = truth.flatten().long()
    predicted = predicted.flatten().long()
    known = (truth >= 0) & (truth < classes)
    pairs = truth[known] * classes + predicted[known]
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def intersection_over_union(confusion: Tensor) -> Tensor:
    r"""The IoU, or Jaccard index, of each class, double (classes,), from a confusion matrix $n$.

    It is $n_{kk} / (\sum_j n_{kj} + \sum_i n_{ik} - n_{kk})$ for class $k$, and NaN for a class
    that neither occurs nor is predicted.
    """
    confusion = confusion.double()
    intersection = confusion.diag()
    union = confusion.sum(0) + confusion.sum(1) - intersection
    return intersection / union


def pixel_accuracy(confusion: Tensor) -> float:
    """The fraction of pixels with the right class, from a confusion matrix."""
    return float(confusion.diag().sum() / confusion.sum())
