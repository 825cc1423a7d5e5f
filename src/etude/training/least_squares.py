r"""Least squares, solved: three ways to the normal equations, and the two penalties.

Throughout, X is (n, p) and y (n,), both in float64; a penalty is of the mean squared error's half,
so that it means the same for any n.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def by_inverse(x: Tensor, y: Tensor) -> Tensor:
    r"""$w = (X^T X)^{-1} X^T y$ as it is written: what to leave alone. (p,)."""
    w: Tensor = torch.linalg.inv(x.T @ x) @ (x.T @ y)
    return w


def by_cholesky(x: Tensor, y: Tensor) -> Tensor:
    r"""$X^T X = L L^T$, then two triangular systems: the fastest, for a good X.

    (p,), NaN where it fails.
    """
    factor, failed = torch.linalg.cholesky_ex(x.T @ x)
    w: Tensor = torch.cholesky_solve(x.T @ y[:, None], factor).squeeze(1)
    return w * torch.nan if failed else w


def by_qr(x: Tensor, y: Tensor) -> Tensor:
    r"""$X = QR$, then the triangular system $R w = Q^T y$: $X^T X$ is never formed. (p,).

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
    gram, slope = (
        (x.T @ x / len(x)).numpy(),
        (x.T @ y / len(x)).numpy(),
    )  # NumPy is faster with single numbers
    diagonal, left = (
        gram.diagonal().tolist(),
        slope.copy(),
    )  # left: what the columns still have in common with y - Xw
    w, path = [0.0] * len(slope), []
    for penalty in penalties.tolist():
        moved = np.inf
        while moved > tolerance:
            moved = 0.0
            for j, before in enumerate(w):
                own = (
                    float(left[j]) + diagonal[j] * before
                )  # column j against what the others leave of y
                w[j] = soft_threshold(own, penalty) / diagonal[j]
                if w[j] != before:
                    left -= gram[j] * (w[j] - before)
                    moved = max(moved, abs(w[j] - before))
            if moved > tolerance:
                w = _with_signs(gram, slope, np.array(w), penalty).tolist()
                left = slope - gram @ w
        path.append(w.copy())
    coefficients = torch.tensor(path, dtype=torch.double)
    return coefficients, (coefficients != 0).sum(1)


def _with_signs(gram: np.ndarray, slope: np.ndarray, w: np.ndarray, penalty: float) -> np.ndarray:
    """The minimum among coefficients with the signs of these, by one linear system; these, where it
    has other signs.

    A round finds the signs long before it has found the numbers.
    """
    on = w.nonzero()[0]
    signs = np.sign(w[on])
    try:
        solved = np.linalg.solve(gram[np.ix_(on, on)], slope[on] - penalty * signs)
    except np.linalg.LinAlgError:  # columns that depend on one another
        return w
    if (solved * signs > 0).all():
        w[on] = solved
    return w


def soft_threshold(z: float, penalty: float) -> float:
    r"""The u that minimises $(u - z)^2 / 2 + \lambda |u|$: z moved towards zero by λ, and not
    beyond.
    """
    return max(z - penalty, 0.0) - max(-z - penalty, 0.0)
