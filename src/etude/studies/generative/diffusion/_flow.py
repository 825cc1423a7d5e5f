"""Flow matching: pictures become noise along straight lines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from ._process import Model, Step


class Flow:
    r"""$x_t = (1 - t)\, x_0 + t\, \epsilon$ for t from 0 to 1; the network predicts the velocity.

    The velocity is $\epsilon - x_0$. Time runs from the picture to noise, as in diffusion.

    Source: Lipman et al. (2023), Flow matching for generative modeling; Liu, Gong & Liu (2023),
    Rectified flow.

    Args:
        heun: whether a step takes the mean of the velocities at its two ends (except for the last
            step). It evaluates the network twice; its error falls with the cube of its length,
            that of Euler's step with the square.
    """

    def __init__(self, heun: bool = False) -> None:
        self.heun = heun

    def sample_times(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """Random times, uniform from 0 to 1, (n,)."""
        return torch.rand(n).to(device)

    def fraction(self, t: Tensor) -> Tensor:
        """Times as the network reads them: unchanged."""
        return t

    def mix(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The point of the line at time t: (batch, …), (batch,), (batch, …) → (batch, …)."""
        t = t.to(x).view(-1, *[1] * (x.ndim - 1))
        return (1 - t) * x + t * noise

    def target(self, x: Tensor, noise: Tensor) -> Tensor:
        """The velocity."""
        return noise - x

    def reverse(self, model: Model, x: Tensor, steps: int) -> Iterator[Step]:
        """Go from noise to pictures in ``steps`` equal steps.

        Args:
            model: predicts the velocity.
            x: noise, (batch, …).
            steps: how many.
        """
        times = [1 - i / steps for i in range(steps)] + [0.0]
        for t, s in pairwise(times):
            velocity = model(x, torch.full((len(x),), t, device=x.device))
            yield Step(t, x, x - t * velocity)
            end = x + (s - t) * velocity
            if self.heun and s > 0:
                velocity_there = model(end, torch.full((len(x),), s, device=x.device))
                end = x + (s - t) * (velocity + velocity_there) / 2
            x = end
        yield Step(0.0, x, x)
