"""Ridge regression on a table's columns and their products, for many penalties at once."""

from __future__ import annotations

import torch
from torch import Tensor

from etude import data

Rows = data.Labelled[Tensor]


def ridge_errors(train: Rows, test: Rows, penalties: Tensor) -> Tensor:
    """The mean squared error on ``test`` of ridge regression on ``train``, for each λ, (λ,).

    One singular value decomposition serves all penalties.

    Args:
        train: rows that the regression is fitted to.
        test: rows on which it is tested.
        penalties: the values of λ, (λ,).
    """
    x, x_test = with_products(train.inputs.double(), test.inputs.double())
    y = train.labels.double()
    mean = y.mean()
    U, d, Vt = torch.linalg.svd(x, full_matrices=False)
    shrinkage = d / (d**2 + penalties[:, None])  # (λ, columns)
    w = (shrinkage * (U.T @ (y - mean))) @ Vt  # (λ, columns)
    residuals = test.labels.double() - mean - w @ x_test.T  # (λ, rows)
    errors: Tensor = residuals.square().mean(1)
    return errors


def with_products(x: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and all products of two of them, scaled to mean 0 and variance 1 on ``x``.

    Args:
        x: the rows that set the scale, (rows, columns).
        new: other rows, (others, columns).

    Returns:
        The same rows with columns (columns + 3) / 2 columns.
    """
    ours = _products((x - x.mean(0)) / x.std(0))
    others = _products((new - x.mean(0)) / x.std(0))
    mean = ours.mean(0)
    scale = ours.std(0)
    return (ours - mean) / scale, (others - mean) / scale


def _products(z: Tensor) -> Tensor:
    """Columns, followed by all products of two of them."""
    i, j = torch.triu_indices(z.shape[1], z.shape[1])
    return torch.cat([z, z[:, i] * z[:, j]], 1)
