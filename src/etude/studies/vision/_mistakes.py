"""Which test examples a classifier gets wrong although it is confident."""

from __future__ import annotations

from torch import Tensor


def most_confident_mistakes(probabilities: Tensor, labels: Tensor, most: int = 24) -> Tensor:
    """Indices of the misclassified examples, the one with the highest confidence first.

    Args:
        probabilities: Predicted probabilities, (examples, classes).
        labels: True classes, (examples,).
        most: The largest number of indices.
    """
    confidence, predicted = probabilities.max(1)
    wrong = (predicted != labels).nonzero().squeeze(1)
    order = confidence[wrong].argsort(descending=True)
    return wrong[order][:most]
