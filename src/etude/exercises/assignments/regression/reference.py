"""Regression in NumPy. Shapes: N examples of D numbers, M basis functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Parameters = dict[str, Array]

# -- linear models in closed form ------------------------------------------------------------------


def least_squares(x: Array, y: Array) -> tuple[Array, float]:
    """The linear model ŷ = x w + b with the least sum of squared errors.

    Args:
        x: examples, (N, D). With a column of ones beside them, the columns are linearly
            independent, but perhaps nearly dependent.
        y: targets, (N,).

    Returns:
        The weights w, (D,), and the bias b.
    """
    # task least-squares, 2 points: Add a column of ones for b. With X = Q R, the best weights solve
    #   R w = Qᵀ y. Forming Xᵀ X would lose half of the digits.
    q, r = np.linalg.qr(np.column_stack([x, np.ones(len(x))]))
    solution = np.linalg.solve(r, q.T @ y)
    return solution[:-1], float(solution[-1])
    # end of task


def ridge(x: Array, y: Array, penalty: float) -> tuple[Array, float]:
    """The linear model ŷ = x w + b with the least Σ (y − ŷ)² + λ ‖w‖² (Hoerl & Kennard, 1970).

    Args:
        x: examples, (N, D); N may be less than D.
        y: targets, (N,).
        penalty: λ, more than 0. The bias is not penalised.

    Returns:
        The weights w, (D,), and the bias b.
    """
    # task ridge, 2 points: Subtract the means of x and y first; then w has a closed form without a
    #   bias, and b follows from the means.
    x_mean = x.mean(0)
    y_mean = y.mean()
    centred = x - x_mean
    gram = centred.T @ centred + penalty * np.eye(x.shape[1])
    w = np.linalg.solve(gram, centred.T @ (y - y_mean))
    return w, float(y_mean - x_mean @ w)
    # end of task


# -- Gaussian basis functions ----------------------------------------------------------------------


def basis(x: Array, mu: Array, sigma: Array) -> Array:
    """Gaussian basis functions: φ(x) = exp(−(x − μ)² / σ²), with no ½ in the exponent.

    Args:
        x: points, (N,).
        mu: the place of each function, (M,).
        sigma: its width, (M,), not 0.

    Returns:
        (N, M).
    """
    # task basis, 2 points: One expression; put an axis of length 1 into the right place.
    phi: Array = np.exp(-(((x[:, None] - mu) / sigma) ** 2))
    return phi
    # end of task


def loss_of(parameters: Parameters, x: Array, y: Array) -> float:
    """Half the mean squared error, ½ mean (ŷ − y)², of ŷ = Σⱼ wⱼ φⱼ(x) + b.

    Args:
        parameters: ``w``, ``mu`` and ``sigma``, (M,) each, and ``b``, an array of shape ().
        x: points, (N,), with N at least 1.
        y: targets, (N,).
    """
    # task loss, 2 points: The basis functions of all points are a matrix, so Σⱼ is a product.
    phi = basis(x, parameters["mu"], parameters["sigma"])
    predicted = phi @ parameters["w"] + parameters["b"]
    return float(0.5 * ((predicted - y) ** 2).mean())
    # end of task


def gradients(parameters: Parameters, x: Array, y: Array) -> Parameters:
    """The gradient of ``loss_of`` by all parameters.

    Args:
        parameters: as in ``loss_of``.
        x: points, (N,), with N at least 1.
        y: targets, (N,).

    Returns:
        A table with the same names and shapes.
    """
    # task gradients, 4 points: By ŷ first, then by φ, then by μ and σ. Every function that you need
    #   on the way has the shape (N, M) of φ.
    w, mu, sigma = parameters["w"], parameters["mu"], parameters["sigma"]
    phi = basis(x, mu, sigma)
    by_prediction = (phi @ w + parameters["b"] - y) / len(x)  # (N,)
    distance = x[:, None] - mu
    by_exponent = by_prediction[:, None] * w * phi  # (N, M)
    return {
        "w": phi.T @ by_prediction,
        "mu": (by_exponent * 2 * distance / sigma**2).sum(0),
        "sigma": (by_exponent * 2 * distance**2 / sigma**3).sum(0),
        "b": np.asarray(by_prediction.sum()),
    }
    # end of task


def descent_step(
    parameters: Parameters, x: Array, y: Array, rows: Integers, learning_rate: float
) -> Parameters:
    """One step of stochastic gradient descent.

    Args:
        parameters: as in ``loss_of``; the function leaves the table and its arrays as they are.
        x: all points, (N,).
        y: all targets, (N,).
        rows: the numbers of the examples of this step, (B,), with B at least 1.
        learning_rate: η.

    Returns:
        A new table: each parameter minus η times the gradient of the loss of these examples alone.
    """
    # task descent-step, 2 points: Take the rows, compute their gradients, and make a new table.
    by = gradients(parameters, x[rows], y[rows])
    return {name: value - learning_rate * by[name] for name, value in parameters.items()}
    # end of task


def descent_step_leaves(
    parameters: Parameters, x: Array, y: Array, rows: Integers, learning_rate: float
) -> bool:
    """Given: whether ``descent_step`` leaves the parameters as they are."""
    before = {name: value.copy() for name, value in parameters.items()}
    descent_step(parameters, x, y, rows, learning_rate)
    return all(np.array_equal(value, parameters[name]) for name, value in before.items())


# -- lasso -----------------------------------------------------------------------------------------


def soft_threshold(x: Array, threshold: float) -> Array:
    """Each number, moved towards 0 by the threshold, and 0 if it would get past it.

    Args:
        x: of any shape.
        threshold: at least 0.

    Returns:
        The number z with the least ½ (z − x)² + threshold · abs(z), for each entry.
    """
    # task soft-threshold, 2 points: Shrink the absolute value, and give it back its sign.
    shrunk: Array = np.sign(x) * np.maximum(np.abs(x) - threshold, 0)
    return shrunk
    # end of task


def lasso(x: Array, y: Array, penalty: float, sweeps: int) -> Array:
    """Coordinate descent on (1 / 2N) ‖y − x w‖² + λ Σ abs(wⱼ) (Tibshirani, 1996; Friedman et al.,
    2007).

    It begins at w = 0. A sweep goes once through the weights, in their order, and gives each the
    value that is best while all others stay. There is no bias.

    Args:
        x: examples, (N, D), with N at least 1; no column is all zeros.
        y: targets, (N,).
        penalty: λ, at least 0.
        sweeps: how many there are, at least 0.

    Returns:
        w, (D,).
    """
    # task lasso, 3 points: For one weight, everything else is a constant: with ρ = xⱼ · (residual
    #   without weight j) / N and s = ‖xⱼ‖² / N, the best value follows from soft_threshold. Keep
    #   the residual up to date.
    n, d = x.shape
    w = np.zeros(d)
    residual = y
    squares = (x**2).sum(0) / n
    for _ in range(sweeps):
        for j in range(d):
            residual = residual + x[:, j] * w[j]
            correlation = x[:, j] @ residual / n
            w[j] = soft_threshold(correlation, penalty) / squares[j]
            residual = residual - x[:, j] * w[j]
    return w
    # end of task
