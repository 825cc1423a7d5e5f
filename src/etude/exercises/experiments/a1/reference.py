"""A noisy sine, fitted by Gaussians that learn their own shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The data: x, and y = sin(2πx) with noise; each (N,)."""
    # task data, 2 points: Draw N = 50 points, x uniformly at random from 0 to 1, and
    #   noise of σ = 0.1.
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, 50)
    return x, np.sin(2 * np.pi * x) + 0.1 * rng.normal(size=50)
    # end of task


def basis(x: Any, mu: Any, sigma: Any) -> Tensor:
    """The values φ of all basis functions at each point: (N,), (M,), (M,) → (N, M)."""
    # task basis, 1 point: Arguments are arrays or tensors; torch.as_tensor makes tensors of both.
    x, mu, sigma = map(torch.as_tensor, (x, mu, sigma))
    return torch.exp(-((x[:, None] - mu) ** 2) / sigma**2)
    # end of task


def predict(parameters: dict[str, Any], x: Any) -> Tensor:
    """The values ŷ of the model: (N,) → (N,).

    Args:
        parameters: w, mu and sigma, each (M,), and b; arrays or tensors.
        x: where.
    """
    # task model, 1 point: Add up the basis functions, each times its weight, and the bias.
    phi = basis(x, parameters["mu"], parameters["sigma"])
    return phi @ torch.as_tensor(parameters["w"]) + torch.as_tensor(parameters["b"])
    # end of task


def loss(y: Any, y_hat: Any) -> Tensor:
    """J of all pairs: (N,), (N,) → the loss of each, or their mean, or their sum."""
    # task loss, 1 point: Half of the squared error.
    return ((torch.as_tensor(y) - torch.as_tensor(y_hat)) ** 2 / 2).mean()
    # end of task


def train(x: np.ndarray, y: np.ndarray, seed: int) -> dict[str, Tensor]:
    """Learn w, mu, sigma and b from data, (N,) and (N,).

    Args:
        x: places.
        y: targets.
        seed: of all random numbers: the same seed and data give the same parameters.
    """
    # task train, 4 points: Choose M. Learn by stochastic gradient descent; a framework computes
    #   the gradients. All parameters are learned, w, b, μ and σ alike.
    torch.manual_seed(seed)
    bases, steps, rate = 8, 600, 0.3
    points, targets = (torch.as_tensor(each, dtype=torch.float32) for each in (x, y))
    parameters = {
        "w": 0.1 * torch.randn(bases),
        "b": torch.zeros(()),
        "mu": torch.linspace(-0.3, 1.3, bases),
        "sigma": torch.full((bases,), 0.3),
    }
    for value in parameters.values():
        value.requires_grad_()
    groups: list[dict[str, Any]] = [
        {"params": [parameters["w"], parameters["b"]]},
        {"params": [parameters["mu"], parameters["sigma"]], "lr": 0.03 * rate},
    ]
    optimizer = torch.optim.SGD(groups, rate)
    for _ in range(steps):
        rows = torch.randint(len(points), (10,))
        optimizer.zero_grad()
        loss(targets[rows], predict(parameters, points[rows])).backward()
        optimizer.step()
    return {name: value.detach() for name, value in parameters.items()}
    # end of task


def figures(seed: int) -> dict[str, str]:
    """The two plots of one run, as SVG: ``{"fit.svg": …, "bases.svg": …}``."""
    # task plots, 4 points: First the points, the sine without noise and the model; then each of
    #   the M basis functions. Name the axes, and say in a legend what is what.
    import io

    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.fonttype"] = "none"
    x, y = draw(seed)
    parameters = train(x, y, seed)
    grid = np.linspace(0, 1, 201)
    fit, bases = Figure(), Figure()
    axes = fit.subplots()
    axes.plot(x, y, "o", label="data")
    axes.plot(grid, np.sin(2 * np.pi * grid), "--", label="sin 2πx")
    axes.plot(grid, predict(parameters, torch.from_numpy(grid).float()), label="model")
    axes.set(xlabel="x", ylabel="y")
    axes.legend()
    below = bases.subplots()
    values = basis(torch.from_numpy(grid).float(), parameters["mu"], parameters["sigma"])
    for number, curve in enumerate(values.T):
        below.plot(grid, curve, label=f"φ{number + 1}")
    below.set(xlabel="x", ylabel="φ(x)")
    below.legend()
    found = {}
    for name, figure in {"fit.svg": fit, "bases.svg": bases}.items():
        file = io.StringIO()
        figure.savefig(file, format="svg")
        found[name] = file.getvalue()
    return found
    # end of task


if __name__ == "__main__":
    for name, svg in figures(0).items():
        Path(name).write_text(svg, encoding="utf-8")
