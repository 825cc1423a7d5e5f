"""Two models of one table: ridge regression on its columns and their products, for many penalties
at once, and least squares on the columns alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from etude import data

Rows = data.Labelled[Tensor]
Fold = tuple[Rows, Rows]


class Errors(NamedTuple):
    """Squared errors on rows that the fits did not see.

    Attributes:
        ridge: of ridge regression for each λ, (λ, rows).
        plain: of least squares on the table's own columns, the baseline, (rows,).
    """

    ridge: Tensor
    plain: Tensor

    @property
    def best(self) -> int:
        """The index of the λ with the smallest mean."""
        return int(self.ridge.mean(1).argmin())


def squared_errors(train: Rows, test: Rows, penalties: Tensor) -> Errors:
    """Fit both models to ``train``, and give their squared errors on ``test``.

    Ridge regression minimises (1/N) Σ (yᵢ − ŷᵢ)² + λ‖w‖². One decomposition of XᵀX = V diag(d) Vᵀ
    serves all penalties: w = V diag(1 / (d + Nλ)) Vᵀ Xᵀ y.

    Args:
        train: rows that the models are fitted to.
        test: rows on which they are tested.
        penalties: the values of λ, (λ,).
    """
    x, x_test = with_products(train.inputs.double(), test.inputs.double())
    y, y_test = train.labels.double(), test.labels.double()
    d, V = torch.linalg.eigh(x.T @ x)
    projected = V.T @ (x.T @ (y - y.mean()))
    w = projected / (d + len(x) * penalties[:, None]) @ V.T  # (λ, columns)
    ridge = y_test - y.mean() - w @ x_test.T  # (λ, rows)
    plain = y_test - least_squares(train.inputs.double(), y, test.inputs.double())
    return Errors(ridge.square(), plain.square())


def cross_validate(folds: Iterable[Fold], penalties: Tensor) -> Errors:
    """The squared error of each row, by models that were fitted without its fold."""
    errors = [squared_errors(train, held_out, penalties) for train, held_out in folds]
    ridge = torch.cat([error.ridge for error in errors], 1)
    return Errors(ridge, torch.cat([error.plain for error in errors]))


def nested(folds: Iterable[Fold], parts: int, penalties: Tensor) -> Tensor:
    """The squared error of each row by a model whose λ, too, was chosen without its fold, (rows,).

    Args:
        folds: the outer pairs of training rows and held-out rows.
        parts: the folds into which each outer training part is divided to choose its λ.
        penalties: the values of λ, (λ,).
    """
    errors = []
    for train, held_out in folds:
        inner = cross_validate(data.folds(train, parts), penalties)
        errors.append(squared_errors(train, held_out, penalties).ridge[inner.best])
    return torch.cat(errors)


def estimates(train: Rows, test: Rows, parts: int, penalties: Tensor) -> Tensor:
    """Mean squared errors for one division of a table, (5,).

    Of ridge regression, with the λ that cross-validation of ``train`` chooses: by cross-validation,
    on ``test``, and on ``train`` itself; of least squares: by cross-validation, and on ``test``.
    """
    held_out = cross_validate(data.folds(train, parts), penalties)
    new = squared_errors(train, test, penalties)
    fitted = squared_errors(train, train, penalties)
    means = [errors.ridge[held_out.best].mean() for errors in (held_out, new, fitted)]
    return torch.stack([*means, held_out.plain.mean(), new.plain.mean()])


def least_squares(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """The predictions for ``new`` by least squares on the columns of ``x`` and a constant."""
    mean, y_mean = x.mean(0), y.mean()
    w = torch.linalg.lstsq(x - mean, (y - y_mean)[:, None]).solution.squeeze(1)
    predictions: Tensor = (new - mean) @ w + y_mean
    return predictions


def with_products(x: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and all products of two of them, scaled to mean 0 and variance 1 on ``x``.

    A column without variance says nothing and can't be scaled, so it is left out. So is the square
    of a column with two values: it is a linear function of the column, and a constant where both
    values are equally frequent.

    Args:
        x: the rows that set the scale, (rows, columns).
        new: other rows, (others, columns).
    """
    values = torch.tensor([len(column.unique()) for column in x.T])
    varies = values > 1
    x, new = x[:, varies], new[:, varies]
    values = values[varies]
    i, j = torch.triu_indices(len(values), len(values))
    informative = (i != j) | (values[i] > 2)
    i, j = i[informative], j[informative]

    mean, scale = x.mean(0), x.std(0)
    z, z_new = (x - mean) / scale, (new - mean) / scale
    ours = torch.cat([z, z[:, i] * z[:, j]], 1)
    others = torch.cat([z_new, z_new[:, i] * z_new[:, j]], 1)
    mean, scale = ours.mean(0), ours.std(0)
    return (ours - mean) / scale, (others - mean) / scale
