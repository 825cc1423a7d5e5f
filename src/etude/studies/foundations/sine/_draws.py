"""Fits of many draws of the data at once: with shapes that are learned, and with shapes that stay
as they begin.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from etude import data


class Fits(nn.Module):
    """Several models at once, their parameters stacked: (fits, …).

    Args:
        models: the models, each with parameters w, b, mu and sigma.
    """

    def __init__(self, models: Iterable[nn.Module]) -> None:
        super().__init__()
        nets = [dict(model.named_parameters()) for model in models]
        self.w = nn.Parameter(torch.stack([net["w"].detach() for net in nets]))
        self.b = nn.Parameter(torch.stack([net["b"].detach() for net in nets]))
        self.mu = nn.Parameter(torch.stack([net["mu"].detach() for net in nets]))
        self.sigma = nn.Parameter(torch.stack([net["sigma"].detach() for net in nets]))

    def phi(self, x: Tensor) -> Tensor:
        """The bases of each model at its own points: (fits, rows) → (fits, rows, bases)."""
        distances = (x[:, :, None] - self.mu[:, None]) ** 2
        return torch.exp(-distances / self.sigma[:, None] ** 2)

    def forward(self, x: Tensor) -> Tensor:
        """The fitted values of each model at its own points: (fits, rows) → (fits, rows)."""
        values: Tensor = (self.phi(x) @ self.w[:, :, None]).squeeze(2) + self.b[:, None]
        return values

    def solved(self, x: Tensor, y: Tensor) -> Fits:
        """The same shapes with the weights of least squares: x and y (fits, rows)."""
        exact = copy.deepcopy(self).double()
        with torch.no_grad():
            phi = exact.phi(x.double())
            columns = torch.cat([phi, torch.ones_like(phi[:, :, :1])], 2)  # the last one for b
            best = torch.linalg.lstsq(columns, y.double()[:, :, None]).solution.squeeze(2)
            exact.w.copy_(best[:, :-1])
            exact.b.copy_(best[:, -1])
        return exact

    def distances(self) -> Tensor:
        """The root mean square distance of each fit from the sine, (fits,)."""
        x = torch.linspace(0, 1, 201)
        with torch.no_grad():
            fits = self(x.expand(len(self.b), -1))
        found: Tensor = (fits - torch.sin(2 * math.pi * x)).square().mean(1).sqrt()
        return found


def drawn(points: int, noise: float, draws: int) -> tuple[Tensor, Tensor]:
    """x and y of many draws of the noisy sine, each (draws, points)."""
    pairs = [data.noisy_sine(points, noise) for _ in range(draws)]
    return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])
