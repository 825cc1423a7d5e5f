r"""Least squares in closed form: three ways to solve the normal equations, ridge and lasso.

Throughout, X is (n, p) and y (n,), both in float64. A penalty is added to half of the mean squared
error, so that it means the same for any n.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Examples = tuple[Tensor, Tensor]  # X and y
Penalised = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]  # ridge or lasso


def by_inverse(x: Tensor, y: Tensor) -> Tensor:
    r"""w (p,) by $(X^T X)^{-1} X^T y$ as it is written: the least accurate way, not to be used."""
    w: Tensor = torch.linalg.inv(x.T @ x) @ (x.T @ y)
    return w


def by_cholesky(x: Tensor, y: Tensor) -> Tensor:
    r"""w (p,) by $X^T X = L L^T$ and two triangular systems: the fastest way.

    It needs a well-conditioned X; NaN where the factorisation fails.
    """
    factor, failed = torch.linalg.cholesky_ex(x.T @ x)
    w: Tensor = torch.cholesky_solve(x.T @ y[:, None], factor).squeeze(1)
    return w * torch.nan if failed else w


def by_qr(x: Tensor, y: Tensor) -> Tensor:
    r"""w (p,) by $X = QR$ and the triangular system $R w = Q^T y$: $X^T X$ is never formed.

    Source: Golub (1965), Numerical methods for solving linear least squares problems.
    """
    q, r = torch.linalg.qr(x)
    w: Tensor = torch.linalg.solve_triangular(r, q.T @ y[:, None], upper=True)
    return w.squeeze(1)


def ridge(x: Tensor, y: Tensor, penalties: Tensor) -> tuple[Tensor, Tensor]:
    r"""Minimises $\frac{1}{2n} |y - Xw|^2 + \frac{\lambda}{2} |w|^2$ for all m penalties, by one
    decomposition of X/√n.

    Returns:
        Coefficients (m, p) and effective degrees of freedom (m,).

    Source: Hoerl & Kennard (1970), Ridge regression.
    """
    root = len(x) ** 0.5
    u, d, v = torch.linalg.svd(x / root, full_matrices=False)
    factor = d / (d**2 + penalties[:, None])  # (m, p)
    return (factor * (u.T @ y / root)) @ v, (factor * d).sum(1)


def lasso(
    x: Tensor, y: Tensor, penalties: Tensor, tolerance: float = 1e-6
) -> tuple[Tensor, Tensor]:
    r"""Minimises $\frac{1}{2n} |y - Xw|^2 + \lambda \sum_j |w_j|$ for each of m penalties, by
    coordinate descent.

    Each penalty starts where the last one ended, so they should fall or rise. After each round the
    coefficients that are not zero are solved for, as if their signs were right. A penalty is done
    when no coefficient moves by more than the tolerance in a round over all of them.

    Returns:
        Coefficients (m, p) and how many of them are not zero (m,).

    Source: Friedman, Hastie & Tibshirani (2010), Regularization paths, section 2.
    """
    gram = (x.T @ x / len(x)).numpy()  # NumPy is faster with single numbers
    slope = (x.T @ y / len(x)).numpy()
    diagonal = gram.diagonal().tolist()
    residual = slope.copy()  # Xᵀ(y - Xw) / n, kept up to date

    w = [0.0] * len(slope)
    path = []
    for penalty in penalties.tolist():
        moved = np.inf
        while moved > tolerance:
            moved = 0.0
            for j, before in enumerate(w):
                g = float(residual[j]) + diagonal[j] * before  # as if w_j were 0
                w[j] = soft_threshold(g, penalty) / diagonal[j]
                if w[j] != before:
                    residual -= gram[j] * (w[j] - before)
                    moved = max(moved, abs(w[j] - before))
            if moved > tolerance:
                w = _solve_signs(gram, slope, np.array(w), penalty).tolist()
                residual = slope - gram @ w
        path.append(w.copy())
    coefficients = torch.tensor(path, dtype=torch.double)
    return coefficients, (coefficients != 0).sum(1)


def _solve_signs(gram: np.ndarray, slope: np.ndarray, w: np.ndarray, penalty: float) -> np.ndarray:
    """The minimum over all coefficients of these signs, by one linear system; w itself where the
    solution has other signs.

    Coordinate descent finds the signs long before the values.
    """
    active = w.nonzero()[0]
    signs = np.sign(w[active])
    try:
        solved = np.linalg.solve(gram[np.ix_(active, active)], slope[active] - penalty * signs)
    except np.linalg.LinAlgError:  # columns that depend on one another
        return w
    if (solved * signs > 0).all():
        w[active] = solved
    return w


def soft_threshold(z: float, penalty: float) -> float:
    r"""The u that minimises $(u - z)^2 / 2 + \lambda |u|$: z moved towards zero by λ, and not
    beyond.
    """
    return max(z - penalty, 0.0) - max(-z - penalty, 0.0)


@dataclass(frozen=True)
class Path:
    """Coefficients for each of m penalties, and how well cross-validation found them to predict.

    Attributes:
        penalties: values of λ, (m,).
        coefficients: (m, p).
        freedom: effective degrees of freedom, (m,).
        errors: mean squared error on the examples that each fold holds out, (folds, m).
    """

    penalties: Tensor
    coefficients: Tensor
    freedom: Tensor
    errors: Tensor

    @property
    def chosen(self) -> int:
        """The index of the penalty with the least mean error."""
        return int(self.errors.mean(0).argmin())


def cross_validated_path(
    method: Penalised, penalties: Tensor, train: Examples, folds: list[tuple[Examples, Examples]]
) -> Path:
    """The path over all training examples, with the errors that each fold gives.

    Args:
        method: :func:`ridge` or :func:`lasso`.
        penalties: values of λ, (m,).
        train: all training examples.
        folds: pairs of examples to fit and examples held out.
    """
    errors = []
    for fit, held_out in folds:
        coefficients, _ = method(*fit, penalties)
        errors.append(mean_squared_errors(coefficients, *held_out))
    return Path(penalties, *method(*train, penalties), torch.stack(errors))


def mean_squared_errors(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Mean squared errors (m,) of m coefficient vectors w (m, p)."""
    return (y[:, None] - x @ w.T).square().mean(0)


def r_squared(w: Tensor, x: Tensor, y: Tensor) -> float:
    """R², the fraction of the variance of y that Xw explains."""
    return 1 - float((y - x @ w).square().sum() / (y - y.mean()).square().sum())


def excess_loss(w: Tensor, solution: Tensor, x: Tensor, y: Tensor) -> float:
    """The part of the loss that least squares removes and w does not, from 0 at the solution to 1
    at w = 0: (J(w) - J(w*)) / (J(0) - J(w*)).
    """
    least = (y - x @ solution).square().sum()
    return float(((y - x @ w).square().sum() - least) / (y.square().sum() - least))
