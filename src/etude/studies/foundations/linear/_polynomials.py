"""Least squares with powers of x as the columns: too many bases, and too few digits."""

from __future__ import annotations

import math

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import pad

from etude import data

from ._figures import growing_fits, lost_digits
from ._least_squares import by_cholesky, by_inverse, by_qr, mean_squared_errors, ridge

SOLVERS = {
    "inverse of $X^T X$": by_inverse,
    "Cholesky of $X^T X$": by_cholesky,
    "QR of $X$": by_qr,
}


def powers(x: Tensor, bases: int) -> Tensor:
    """The powers 0 … bases - 1 of x (n,), one in each column: (n, bases)."""
    return x[:, None] ** torch.arange(bases)


def growing_bases(points: int, noise: float, bases: int, path_points: int) -> Figure:
    """A noisy sine fitted by 1 … ``bases`` powers of x, and by all of them with ridge.

    The best number of powers and the best λ are chosen on points of their own, which are neither
    fitted nor drawn.

    Args:
        points: examples of the sample that is fitted.
        noise: standard deviation of the noise.
        bases: the largest number of powers.
        path_points: values of λ that ridge tries.
    """
    x, y = (v.double() for v in data.noisy_sine(points, noise))
    x_new, y_new = (v.double() for v in data.noisy_sine(1_000, noise))
    x_choice, y_choice = (v.double() for v in data.noisy_sine(1_000, noise))
    grid = torch.linspace(0, 1, 401).double()
    phi = powers(2 * x - 1, bases)
    phi_new = powers(2 * x_new - 1, bases)
    phi_choice = powers(2 * x_choice - 1, bases)
    phi_grid = powers(2 * grid - 1, bases)

    solutions = [by_qr(phi[:, :m], y) for m in range(1, bases + 1)]
    w = torch.stack([pad(solution, (0, bases - len(solution))) for solution in solutions])
    errors = {
        "the points": mean_squared_errors(w, phi, y).sqrt(),
        "fresh points": mean_squared_errors(w, phi_new, y_new).sqrt(),
    }

    best = int(mean_squared_errors(w, phi_choice, y_choice).argmin()) + 1
    shown = sorted({min(2, bases), best, bases})
    fits = {f"{m} bases": {"fit": phi_grid @ w[m - 1]} for m in shown}

    w_ridge, _ = ridge(phi, y, torch.logspace(1, -9, path_points, dtype=torch.double))
    least = mean_squared_errors(w_ridge, phi_choice, y_choice).argmin()
    fits[f"{bases} bases"]["with ridge"] = phi_grid @ w_ridge[least]

    return growing_fits((x, y), grid, torch.sin(2 * math.pi * grid), fits, errors, noise)


def stability() -> Figure:
    """Polynomials of growing degree whose coefficients are all 1, recovered from exact values in
    three ways.
    """
    x = torch.linspace(0, 1, 100).double()
    designs = [powers(x, degree + 1) for degree in range(1, 17)]

    errors = {}
    for name, solve in SOLVERS.items():
        of_coefficients, of_values = [], []
        for design in designs:
            values = design.sum(1)  # all coefficients are 1
            error = solve(design, values) - 1
            of_coefficients.append(error.square().mean().sqrt().item())
            of_values.append(((design @ error).norm() / values.norm()).item())
        errors[name] = of_coefficients, of_values

    return lost_digits(errors, [float(torch.linalg.cond(design)) for design in designs])
