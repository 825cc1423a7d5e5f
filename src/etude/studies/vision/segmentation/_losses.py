r"""The Dice loss and balanced class weights.

Pixels of the class :data:`IGNORED` have no known class, and do not contribute.
"""

from __future__ import annotations

import torch
from torch import Tensor

IGNORED = 255


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    r"""One minus the mean over the $K$ classes of a differentiable Dice coefficient of the batch.

    With probabilities $p$ and one-hot targets $y$ it is
    $1 - \frac{1}{K} \sum_k \frac{2 \sum_x p_{xk} y_{xk} + 1}{\sum_x p_{xk} + \sum_x y_{xk} + 1}$.

    Args:
        logits: (batch, classes, height, width).
        truth: True classes, whole numbers (batch, height, width).

    Source: Milletari, Navab & Ahmadi (2016), section 3; here with sums in place of sums of squares,
    and for several classes.
    """
    known = (truth != IGNORED)[:, None]  # (batch, 1, height, width)
    p = logits.softmax(1) * known
    target = truth.long()[:, None].masked_fill(~known, 0)
    y = torch.zeros_like(p).scatter_(1, target, 1.0) * known
    intersection = (p * y).sum((0, 2, 3))  # (classes,)
    total = (p + y).sum((0, 2, 3))
    return 1 - ((2 * intersection + 1) / (total + 1)).mean()


def balanced_weights(truth: Tensor, classes: int) -> Tensor:
    """A weight for each class, (classes,): the median frequency of the classes over its own.

    The frequency of a class is its share of the pixels of those images in which it occurs, so a
    class that is rare because few images have it gets no more weight than a frequent one.

    Args:
        truth: True classes of all pixels, uint8 (images, height, width).
        classes: Number of classes.

    Source: Eigen & Fergus (2015), section 6.3.2.
    """
    pixels = [(image < classes).sum() for image in truth]  # those of a known class
    counts = [torch.bincount(image.flatten().long(), minlength=256)[:classes] for image in truth]
    own = torch.stack(counts).double()  # (images, classes)
    among = torch.stack(pixels)[:, None] * (own > 0)
    frequency = own.sum(0) / among.sum(0).clamp_min(1)
    return (frequency.median() / frequency.clamp_min(1e-6)).float()
