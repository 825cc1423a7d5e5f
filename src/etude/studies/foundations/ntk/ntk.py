"""A wide network is a kernel machine: the neural tangent kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from etude import data
from etude.claims import Claim
from etude.figures.kernels import approached, shrinking
from etude.runs.run import Run
from etude.study import Count, Positive, Study
from etude.training.comparison import compare


class Wide(nn.Module):
    r"""$f(x) = m^{-1/2} \sum_j a_j \max(0, w_j \cdot x)$, in pairs of units that cancel: f = 0 at
    the start.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        w, a = torch.randn(width // 2, inputs), torch.randn(width // 2)
        self.w = nn.Parameter(torch.cat([w, w]))
        self.a = nn.Parameter(torch.cat([a, -a]))

    def forward(self, x: Tensor) -> Tensor:
        """(rows, inputs) → (rows,)."""
        return torch.relu(x @ self.w.T) @ self.a / math.sqrt(len(self.a))

    def kernel(self, x: Tensor) -> Tensor:
        """∇f(x) · ∇f(x') of this network as it is: (rows, inputs) → (rows, rows)."""
        with torch.no_grad():
            z = x @ self.w.T
            active = (z > 0) * self.a
            return (torch.relu(z) @ torch.relu(z).T + (x @ x.T) * (active @ active.T)) / len(self.a)


def tangent_kernel(x: Tensor, y: Tensor) -> Tensor:
    """K, the limit of ``Wide.kernel`` for infinite width: (n, inputs), (m, inputs) → (n, m).

    Source: Cho & Saul (2009), arc-cosine kernels of degree 1 and 0; Jacot et al. (2018).
    """
    sizes = x.norm(dim=1)[:, None] * y.norm(dim=1)
    dot = x @ y.T
    angle = (dot / sizes).clamp(-1, 1).arccos()
    kernel: Tensor = sizes * (angle.sin() + (math.pi - angle) * angle.cos()) + dot * (
        math.pi - angle
    )
    return kernel / (2 * math.pi)


def descended(x: Tensor, y: Tensor, new: Tensor, rate: float, steps: int) -> Tensor:
    """f_T on new points after gradient descent with step size ``rate`` N / λ_max, by the kernel
    alone: (cells,).
    """
    λ, V = torch.linalg.eigh(tangent_kernel(x, x))
    coefficients = (1 - (1 - rate * λ / λ[-1]) ** steps) / λ * (V.T @ y)
    answers: Tensor = tangent_kernel(new, x) @ (V @ coefficients)
    return answers


@dataclass
class NTK(Study):
    """Hold networks of growing width to the kernel that their limit follows."""

    widths: tuple[Count, ...] = (16, 64, 256, 1024, 4096)  # of the hidden layer; even
    points: Count = 16  # on the circle, of the generated problem
    rows: Count = 100  # training images, zeros and ones
    steps: Count = 300  # of full-batch gradient descent
    learning_rate: Positive = 0.5  # in units of N / λ_max: above 2 it diverges, above 1 it swings
    seeds: Count = 3  # initialisations for each width

    claims = [
        Claim(
            "generated/widest",
            at_most=0.05,
            source="Jacot et al. (2018), in the limit 0; bound: curriculum",
        ),
        Claim(
            "digits/widest",
            at_most=0.05,
            source="Jacot et al. (2018), in the limit 0; bound: curriculum",
        ),
        Claim("digits/accuracy", at_least=0.97, source="Etude"),
    ]
    courses = ["OU"]

    def __call__(self, run: Run) -> None:
        angle = 2 * math.pi * (torch.arange(self.points) + 0.5) / self.points
        grid = torch.linspace(0, 2 * math.pi, 200)
        self.problem(run, "generated", on_circle(angle), target(angle), on_circle(grid), grid)

        digits = data.uci_digits()
        x, y = zeros_and_ones(digits.train)
        chosen = torch.randperm(len(x))[: self.rows]
        new, truth = zeros_and_ones(digits.test)
        outputs = self.problem(run, "digits", x[chosen], y[chosen], new)
        correct = (outputs.sign() == truth.sign()).float().mean()
        run.result({"digits/accuracy": correct}, held_out=len(new))

    def problem(
        self, run: Run, name: str, x: Tensor, y: Tensor, new: Tensor, grid: Tensor | None = None
    ) -> Tensor:
        """Train every width on (x, y), compare on ``new`` points with the kernel; the last widest
        network's outputs.
        """
        expected = descended(
            x.double(), y.double(), new.double(), self.learning_rate, self.steps
        ).float()
        answers: dict[int, Tensor] = {}
        task = partial(self.train, x=x, y=y, new=new, expected=expected, answers=answers)
        variants = {f"{name}, {width:,} units": partial(task, width=width) for width in self.widths}
        found = compare(run, variants, self.seeds, "distance", better="lower", name=name)
        widest = list(variants)[-1]
        run.result({f"{name}/widest": found.mean(widest, "distance")}, held_out=len(new))
        by_metric = {
            metric: [found.measured[variant][metric] for variant in variants]
            for metric in ("distance", "weights moved", "kernel changed")
        }
        run.figure(
            f"{name}_width",
            shrinking(self.widths, by_metric, f"{name}: what shrinks with the width"),
        )
        if grid is not None:
            run.figure("functions", approached(grid, expected, answers, on=(grid_of(x), y)))
        return answers[self.widths[-1]]

    def train(
        self,
        run: Run,
        width: int,
        x: Tensor,
        y: Tensor,
        new: Tensor,
        expected: Tensor,
        answers: dict[int, Tensor],
    ) -> None:
        """One network of one width, by gradient descent on all points at once."""
        net = Wide(x.shape[1], width + width % 2)
        start, kernel = net.w.detach().clone(), net.kernel(x)
        step = (
            self.learning_rate
            * len(x)
            / torch.linalg.eigvalsh(tangent_kernel(x.double(), x.double()))[-1]
        )
        optimizer = torch.optim.SGD(net.parameters(), float(step))
        for _ in run.steps(range(self.steps), state=(net, optimizer)):
            loss = (net(x) - y).square().mean() / 2
            run.minimise(loss, optimizer)
            run.log(loss=loss)
        with torch.no_grad():
            answers[width] = net(new)
            run.result(
                {"distance": (net(new) - expected).norm() / expected.norm()}, held_out=len(new)
            )
            run.result({"weights moved": (net.w - start).norm() / start.norm()})
            run.result({"kernel changed": (net.kernel(x) - kernel).norm() / kernel.norm()})


def on_circle(angle: Tensor) -> Tensor:
    """Points on the unit circle, with a 1 for the bias: (n,) → (n, 3)."""
    return torch.stack([angle.cos(), angle.sin(), torch.ones_like(angle)], 1)


def grid_of(x: Tensor) -> Tensor:
    """The angles, 0 … 2π, of points on the circle."""
    return torch.atan2(x[:, 1], x[:, 0]) % (2 * math.pi)


def target(angle: Tensor) -> Tensor:
    """What is to be learned on the circle."""
    return (2 * angle).sin() + 0.5 * (3 * angle).cos()


def zeros_and_ones(rows: data.Labelled[Tensor]) -> tuple[Tensor, Tensor]:
    """The digits 0 and 1, (n, 64 pixels and a 1), of length √2; their labels as -1 and 1."""
    of_two = rows[rows.labels < 2]
    x = of_two.inputs.flatten(1).float()
    x = x / x.norm(dim=1, keepdim=True)
    return torch.cat([x, torch.ones(len(x), 1)], 1), 2.0 * of_two.labels - 1
