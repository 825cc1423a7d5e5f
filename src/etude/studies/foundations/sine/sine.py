"""A noisy sine, fitted by Gaussians that learn their own shape."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    OptimizerName,
    Positive,
    Run,
    Study,
    data,
    training,
)

from ._draws import Fits, drawn
from ._figures import families, fitted_curve


class GaussianBases(nn.Module):
    r"""A weighted sum of Gaussians, $\hat y = \sum_j w_j \phi_j(x) + b$, all of it learned.

    The bases are $\phi_j(x) = \exp(-(x - \mu_j)^2 / \sigma_j^2)$.

    Args:
        bases: the number of Gaussians.
        margin: how far beyond 0 and 1 the first and the last of them begin.
        bandwidth: their σ at the start.
    """

    def __init__(self, bases: int, margin: float, bandwidth: float) -> None:
        super().__init__()
        self.w = nn.Parameter(0.1 * torch.randn(bases))
        self.b = nn.Parameter(torch.zeros(()))
        self.mu = nn.Parameter(torch.linspace(-margin, 1 + margin, bases))
        self.sigma = nn.Parameter(torch.full((bases,), bandwidth))

    def phi(self, x: Tensor) -> Tensor:
        """The values of all bases at each point: (rows,) → (rows, bases)."""
        distances = (x[:, None] - self.mu) ** 2
        return torch.exp(-distances / self.sigma**2)

    def forward(self, x: Tensor) -> Tensor:
        """The fitted values: (rows,) → (rows,)."""
        return self.phi(x) @ self.w + self.b


@dataclass
class Sine(Study):
    """Regress a noisy sine on Gaussian bases, by stochastic gradient descent."""

    points: Count = 50  # N, training examples with x drawn uniformly from 0 to 1
    noise: Amount = 0.1  # σ_noise, standard deviation of what is added to the sine
    bases: Count = 8  # M, number of Gaussians that are added up
    bandwidth: Positive = 0.5  # σ_j of every basis at the start
    margin: Amount = 0.3  # distance by which the first centres μ_j extend beyond 0 and beyond 1
    steps: Count = 4_000  # steps of stochastic gradient descent
    batch: Count = 10  # examples per step
    learning_rate: Positive = 0.3  # first rate of w and b; falls to zero along a straight line
    bases_rate: Amount = 0.01  # learning rate of μ and σ, as a fraction of that of w and b
    draws: Count = 20  # further draws of the data, fitted with learned shapes and without
    bandwidths: tuple[Positive, ...] = (0.1, 0.2, 0.4, 0.5, 0.7)  # σ_j at the start of those fits
    optimizer: OptimizerName = "sgd"  # rule of a step; choose the learning rate to suit it

    claims = [
        Claim(
            "sine/rmse",
            at_most=0.06,
            seeds=5,
            each=True,
            source="ECE-472 (2022), assignment 1; bound: Etude",
        ),
        Claim("learned/rmse", at_most=0.1, seeds=5, source="Etude"),
        Control(
            "solved/rmse",
            at_least=0.2,
            seeds=5,
            source="Etude: the best weights there are, by least squares on the sine",
            of="learned/rmse",
            without="learning of shapes",
        ),
    ]
    needs = ["linear"]

    def __call__(self, run: Run) -> None:
        x, y = map(run.place, data.noisy_sine(self.points, self.noise))
        net = run.place(self.network())
        groups: list[dict[str, Any]] = [
            {"params": [net.w, net.b]},
            {"params": [net.mu, net.sigma], "lr": self.bases_rate * self.learning_rate},
        ]
        optimizer = training.descent(self.optimizer, groups, self.learning_rate)
        schedule = LambdaLR(optimizer, lambda step: 1 - step / self.steps)
        batches = training.Batches((x, y), self.batch)

        for inputs, targets in run.steps(batches, self.steps, state=(net, optimizer, schedule)):
            loss = ((targets - net(inputs)) ** 2 / 2).mean()
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)

        grid = run.place(torch.linspace(0, 1, 1001))
        truth = torch.sin(2 * math.pi * grid)
        with torch.inference_mode():
            fit = net(grid)
            train_error = net(x) - y
        run.result({"parameters": sum(p.numel() for p in net.parameters())})
        run.result({"train/rmse": train_error.square().mean().sqrt()})
        run.result({"sine/rmse": (fit - truth).square().mean().sqrt()}, held_out=len(grid))

        run.figure("fit", fitted_curve(x, y, grid, fit, truth, r"$\sin 2\pi x$"))
        wide = run.place(torch.linspace(-self.margin - 0.2, 1.2 + self.margin, 600))
        with torch.inference_mode():
            learned = net.phi(wide)
            start = run.place(self.network()).phi(wide)
            panels = {
                "the bases: at the start (dashed) and learned; marks below: the data": learned,
                "times their weights: with b they add up to the fit": net.w * learned,
            }
        labels = [r"$\phi_j(x)$", r"$w_j\,\phi_j(x)$"]
        run.figure("bases", families(wide, panels, before=start, data=x, labels=labels))
        run.keep(net)
        self.compare_shapes(run)

    def compare_shapes(self, run: Run) -> None:
        """Fit further draws from shapes of several widths, which are learned or stay."""
        x, y = drawn(self.points, self.noise, self.draws)  # (draws, points)
        widths = len(self.bandwidths)
        starts = [sigma for sigma in self.bandwidths for _ in range(self.draws)]
        learned = Fits(map(self.network, starts))
        fixed = copy.deepcopy(learned)  # the same first weights
        weights = [
            *(learned.w, learned.b),
            *(fixed.w, fixed.b),
        ]
        shapes = [learned.mu, learned.sigma]
        slow = self.bases_rate * self.learning_rate
        groups: list[dict[str, Any]] = [
            {"params": weights},
            {"params": shapes, "lr": slow},
        ]
        optimizer = training.descent(self.optimizer, groups, self.learning_rate)
        schedule = LambdaLR(optimizer, lambda step: 1 - step / self.steps)
        batches = training.Batches((x.T, y.T), self.batch)
        state = (learned, fixed, optimizer, schedule)

        for inputs, targets in run.steps(batches, self.steps, state=state, name="draws"):
            points = inputs.T.repeat(widths, 1)  # (fits, batch)
            values = targets.T.repeat(widths, 1)
            losses = []
            for fits in (learned, fixed):
                error = values - fits(points)
                losses.append((error**2 / 2).mean(1).sum())
            loss = torch.stack(losses).sum()
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss / (2 * len(points)))

        grid = torch.linspace(0, 1, 201).expand(len(starts), -1)
        solved = fixed.solved(grid, torch.sin(2 * math.pi * grid))
        reached = {}
        for name, fits in {"learned": learned, "fixed": fixed, "solved": solved}.items():
            distances = fits.distances().view(widths, self.draws).mean(1)
            reached[name] = distances.tolist()
            run.result({f"{name}/rmse": distances.max()})
        rows = list(zip(self.bandwidths, *reached.values(), strict=True))
        run.table("shapes", ["σ at the start", *reached], rows)

    def network(self, bandwidth: float | None = None) -> GaussianBases:
        """A new model, with its bases where they begin, of the width that is given or set."""
        return GaussianBases(self.bases, self.margin, bandwidth or self.bandwidth)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The fitted value at one number x."""
        return {"y": net(data.read_numbers(input, 1)[0]).item()}

    def example(self) -> Tensor:
        """A batch for export and tests: two inputs, (2,)."""
        return torch.tensor([0.25, 0.75])
