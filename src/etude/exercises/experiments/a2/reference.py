"""Two spirals, and a network that tells one from the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The data: points (N, 2), and to which spiral each belongs, 0 or 1, (N,)."""
    # task data, 1 point: Two arms that wind around one another, with a little noise.
    rng = np.random.default_rng(seed)
    t = np.arange(240) % 2
    r = 0.1 + 0.9 * np.sqrt(np.linspace(0, 1, len(t)))
    angle = 2 * np.pi * 1.5 * r + np.pi * t
    x = np.stack([r * np.cos(angle), r * np.sin(angle)], 1)
    return x + 0.02 * rng.normal(size=x.shape), t
    # end of task


def network() -> nn.Module:
    """A new multi-layer perceptron: (N, 2) → (N, 1)."""
    # task network, 2 points: Choose its layers and their activation.
    from etude.networks.mlp import MLP

    return MLP(2, [48, 48], 1)
    # end of task


def train(x: np.ndarray, t: np.ndarray, seed: int, penalty: float = 1.0) -> dict[str, Tensor]:
    """Train a network on points (N, 2) with classes (N,).

    Args:
        x: points.
        t: classes, 0 and 1.
        seed: of all random numbers: the same seed and data give the same network.
        penalty: what the strength of your L2 penalty is multiplied by.

    Returns:
        The network's ``state_dict``.
    """
    # task train, 5 points: The loss is the cross-entropy, and an L2 penalty on the parameters. Its
    #   strength is your own number times penalty.
    from torch.nn.functional import binary_cross_entropy_with_logits

    torch.manual_seed(seed)
    points, classes = (torch.as_tensor(each, dtype=torch.float32) for each in (x, t))
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(400):
        logits = net(points).squeeze(1)
        squares = sum(p.square().sum() for p in net.parameters())
        loss = binary_cross_entropy_with_logits(logits, classes) + 1e-5 * penalty * squares
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.state_dict()
    # end of task


def predict(parameters: dict[str, Any], x: np.ndarray) -> Tensor:
    """The probability of class 1 at points, (N, 2) → (N,).

    Args:
        parameters: what ``train`` returned, as arrays.
        x: points.
    """
    # task predict, 1 point: Make a network, give it the parameters, and make a probability of what
    #   it returns.
    net = network()
    net.load_state_dict({name: torch.as_tensor(value) for name, value in parameters.items()})
    with torch.no_grad():
        logits = net(torch.as_tensor(x, dtype=torch.float32)).squeeze(1)
        return torch.sigmoid(logits)
    # end of task


def figure(seed: int) -> str:
    """The plot of one run, as SVG."""
    # task plot, 3 points: Show the points of both classes and the boundary at p = 0.5. Name the
    #   axes, and say in a legend what is what.
    import io

    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.fonttype"] = "none"
    x, t = draw(seed)
    parameters = train(x, t, seed)
    grid = np.linspace(-1.2, 1.2, 80)
    places = np.stack(np.meshgrid(grid, grid), 2)
    p = predict(parameters, places.reshape(-1, 2)).numpy().reshape(80, 80)
    picture = Figure()
    axes = picture.subplots()
    for k in (0, 1):
        axes.plot(*x[t == k].T, "o", label=f"class {k}")
    axes.contour(grid, grid, p, [0.5])
    axes.set(xlabel="x₁", ylabel="x₂", title="p(t = 1 | x) = 0.5")
    axes.legend()
    file = io.StringIO()
    picture.savefig(file, format="svg")
    return file.getvalue()
    # end of task


if __name__ == "__main__":
    Path("boundary.svg").write_text(figure(0), encoding="utf-8")
