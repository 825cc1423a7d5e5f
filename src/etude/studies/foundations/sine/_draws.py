"""Fits of many draws of the data at once: with shapes that are learned, and with shapes that stay
as they begin.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from etude import data


class Fits(nn.Module):
    """One model for each draw of the data, their parameters stacked: (draws, …).

    Args:
        network: makes a new model.
        draws: how many.
    """

    def __init__(self, network: Callable[[], nn.Module], draws: int) -> None:
        super().__init__()
        nets = [network() for _ in range(draws)]
        self.one = [nets[0]]  # in a list, so that its own parameters are not among these
        parameters, _ = stack_module_state(nets)
        self.stacked = nn.ParameterDict(parameters)

    def forward(self, x: Tensor) -> Tensor:
        """The fitted values of each model at its own points: (draws, rows) → (draws, rows)."""

        def fit(parameters: dict[str, Tensor], points: Tensor) -> Tensor:
            values: Tensor = functional_call(self.one[0], parameters, (points,))
            return values

        values: Tensor = vmap(fit)(dict(self.stacked.items()), x)
        return values

    def distances(self) -> Tensor:
        """The root mean square distance of each fit from the sine, (draws,)."""
        x = torch.linspace(0, 1, 201)
        with torch.no_grad():
            fits = self(x.expand(len(self.stacked["b"]), -1))
        return (fits - torch.sin(2 * math.pi * x)).square().mean(1).sqrt()


def drawn(points: int, noise: float, draws: int) -> tuple[Tensor, Tensor]:
    """x and y of many draws of the noisy sine, each (draws, points)."""
    pairs = [data.noisy_sine(points, noise) for _ in range(draws)]
    return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])
