"""Descent on quadratics: the best coefficients in theory, and the errors that they leave."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def best_on_a_quadratic(κ: float) -> dict[str, tuple[dict[str, float], float]]:
    """The best coefficients on quadratics with curvatures from 1 to κ, and the rates they give.

    Returns:
        For each method its learning rate and momentum, and the factor ρ by which a step multiplies
        the error in the long run.

    Source: the derivation in the lesson; Polyak (1964).
    """
    r = math.sqrt(κ)
    return {
        "sgd": ({"lr": 2 / (κ + 1)}, (κ - 1) / (κ + 1)),
        "nesterov": ({"lr": 1 / κ, "momentum": (r - 1) / (r + 1)}, 1 - 1 / r),
        "momentum": (
            {"lr": 4 / (r + 1) ** 2, "momentum": ((r - 1) / (r + 1)) ** 2},
            (r - 1) / (r + 1),
        ),
    }


def quadratic_errors(
    make: Callable[[list[Tensor]], torch.optim.Optimizer], condition: float, steps: int
) -> list[float]:
    """The distances to the minimum of (x² + κy²) / 2 at the start, (1, 1), and after each step.

    Args:
        make: makes the optimiser from a list of parameters.
        condition: the condition number κ.
        steps: steps of the optimiser.
    """
    curvature = torch.tensor([1.0, condition], dtype=torch.double)
    w = torch.ones(2, dtype=torch.double, requires_grad=True)
    optimizer = make([w])
    errors = [math.sqrt(2)]
    for _ in range(steps):
        w.grad = curvature * w.detach()
        optimizer.step()
        errors.append(float(w.detach().norm()))
    return errors
