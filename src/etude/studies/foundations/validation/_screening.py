"""Cross-validation of a model whose columns were chosen by their labels: within the folds, and, as
a warning, before them (Hastie et al. 2009, section 7.10.2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._ridge import least_squares


def screened_r2(x: Tensor, y: Tensor, kept: int, parts: int, *, inside: bool) -> float:
    """R² by cross-validation of least squares on the columns that correlate most with the labels.

    Args:
        x: the table, (rows, columns).
        y: its labels, (rows,).
        kept: how many columns are chosen.
        parts: the number of folds.
        inside: whether the columns are chosen anew in each fold, from its training rows. If not,
            they are chosen once from all rows, so that the held-out rows take part in the choice.
    """
    chosen = strongest(x, y, kept)
    squares, baseline = 0.0, 0.0
    for held_out in torch.arange(len(x)).chunk(parts):
        train = torch.ones(len(x), dtype=torch.bool)
        train[held_out] = False
        if inside:
            chosen = strongest(x[train], y[train], kept)
        predicted = least_squares(x[train][:, chosen], y[train], x[held_out][:, chosen])
        squares += float((y[held_out] - predicted).square().sum())
        baseline += float((y[held_out] - y[train].mean()).square().sum())
    return 1 - squares / baseline


def strongest(x: Tensor, y: Tensor, kept: int) -> Tensor:
    """The indices of the columns with the largest absolute correlation with ``y``, (kept,)."""
    x = x - x.mean(0)
    correlation = (y - y.mean()) @ x / x.norm(dim=0)
    chosen: Tensor = correlation.abs().topk(kept).indices
    return chosen
