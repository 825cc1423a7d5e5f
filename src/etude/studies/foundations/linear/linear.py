"""Least squares in closed form, by gradient descent, and with a penalty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Positive,
    Run,
    Study,
    UserError,
    data,
    training,
)
from etude.networks.standardised import Standardised
from etude.runs.run import Diverged
from etude.studies.foundations._convergence import Series, convergence

from ._figures import penalty_paths
from ._least_squares import (
    Examples,
    by_qr,
    cross_validated_path,
    excess_loss,
    lasso,
    r_squared,
    ridge,
)
from ._polynomials import growing_bases, stability

Table = data.Labelled[Tensor]


@dataclass
class Linear(Study):
    """Predict the progress of diabetes by least squares: in closed form, by gradient descent, and
    with a penalty.
    """

    batch: Count = 32  # examples a step of mini-batch descent, B
    epochs: Positive = 100.0  # passes over the training data, for each kind of descent
    step_size: Positive = 1.0  # first step, in units of η_B, for which the bound is best
    path_points: Count = 60  # values of λ along each path, from the strongest to the weakest
    parts: Count = 10  # parts of the training data, each held out once to choose λ
    points: Count = 20  # examples of the noisy sine that shows under- and overfitting
    noise: Amount = 0.2  # standard deviation of the noise of that sine
    bases: Count = 16  # largest number of powers of x that are fitted to it

    claims = [
        Claim("stochastic/distance", at_most=0.1, source="Etude"),
        Control(
            "batch/distance",
            at_least=0.3,
            source="Etude",
            of="stochastic/distance",
            without="steps on single examples",
        ),
        Claim("r2/gap", at_most=0.01, each=True, source="Etude"),
        Claim("test/r2", at_least=0.52, each=True, source="Etude"),
    ]

    def __call__(self, run: Run) -> None:
        if self.bases > self.points:
            raise UserError(
                f"linear: {self.bases} bases for {self.points} points; expected no more bases than"
                " points"
            )
        table = data.diabetes()
        train, test = standardised(table.train, table.test)
        folds = [standardised(*tables) for tables in data.folds(table.train, self.parts)]
        x, y = train  # (332, 10), (332,)
        n = len(x)

        eigenvalues = torch.linalg.eigvalsh(x.T @ x / n)  # of H, the smallest first
        run.result({"condition": eigenvalues[-1] / eigenvalues[0]})
        coefficients = {"closed form": by_qr(x, y)}

        curves = {}
        descents = {"batch": n, "mini-batch": self.batch, "stochastic": 1}
        for name, batch in descents.items():
            coefficients[name], curves[name] = self.descend(run, name, train, batch)

        fall = torch.logspace(0, -3, self.path_points, dtype=torch.double)
        strongest = (x.T @ y / n).abs().max()  # under which the lasso leaves no coefficient
        paths = {
            "ridge": cross_validated_path(ridge, 100 * fall**2, train, folds),
            "lasso": cross_validated_path(lasso, strongest * fall, train, folds),
        }
        for name, path in paths.items():
            coefficients[name] = path.coefficients[path.chosen]
            run.result({f"{name}/penalty": path.penalties[path.chosen]})
            run.result({f"{name}/freedom": path.freedom[path.chosen]})

        r2 = {name: r_squared(w, *test) for name, w in coefficients.items()}
        gap = max(abs(r2[name] - r2["closed form"]) for name in descents)
        run.result({f"{name}/r2": value for name, value in r2.items()}, held_out=len(table.test))
        run.result({"test/r2": min(r2[name] for name in descents)}, held_out=len(table.test))
        run.result({"r2/gap": gap}, held_out=len(table.test))
        solution = coefficients["closed form"]
        for name in descents:
            w = coefficients[name]
            run.result({f"{name}/excess": excess_loss(w, solution, x, y)})
            run.result({f"{name}/distance": (w - solution).norm() / solution.norm()})

        optimum = r_squared(coefficients["closed form"], x, y)
        panels = {f"{n} training examples": (curves, optimum)}
        run.figure(
            "descent", convergence(panels, "closed form", "passes over the training data", "$R^2$")
        )
        run.figure("paths", penalty_paths(paths, data.DIABETES))
        run.figure("bases", growing_bases(self.points, self.noise, self.bases, self.path_points))
        run.figure("stability", stability())

        net = self.network()
        net.fill(table.train.inputs, coefficients["lasso"], table.train.labels.mean())
        run.keep(net)

    def descend(self, run: Run, name: str, train: Examples, batch: int) -> tuple[Tensor, Series]:
        """Gradient descent with a step that falls to zero along a straight line.

        Args:
            run: the run whose stage this is.
            name: the kind of descent.
            train: X (n, p) and y (n,).
            batch: examples a step, B.

        Returns:
            The coefficients (p,), and R² on the training data after so many passes over it.
        """
        x, y = train
        n, p = x.shape
        h = torch.linalg.eigvalsh(x.T @ x / n)[-1]
        beta = x.square().sum(1).max()
        best = batch / (beta + (batch - 1) * h)  # η_B; twice as long is safe

        batches = training.Batches(train, batch)
        steps = math.ceil(self.epochs * n / batch)
        w = torch.zeros(p).double()
        r2 = torch.full((steps,), torch.nan).double()
        state = nn.ParameterDict({"w": w, "r2": r2})  # parameters with the same memory

        for inputs, targets in run.steps(batches, steps, state=state, name=name):
            error = inputs @ w - targets  # (B,)
            step_size = self.step_size * best * (1 - run.progress)
            w -= step_size * (inputs.T @ error) / batch
            run.log(loss=error.square().mean() / 2)
            if run.every(max(1, len(batches) // 10)):
                r2[run.step] = r_squared(w, x, y)
                run.log(**{"train/r2": r2[run.step]})

        if not w.isfinite().all():
            raise Diverged(
                f"linear: {name} descent diverged at step size {self.step_size:g}; expected a"
                " step size below 2"
            )
        measured = r2.isfinite().nonzero().squeeze(1)
        passes = (measured + 1) * batch / n
        return w, (passes.tolist(), r2[measured].tolist())

    def network(self) -> Standardised:
        """A new network, from ten measurements to one number."""
        return Standardised(10, 1)

    def example(self) -> Tensor:
        """A batch for export and tests: two rows of the table in its own units, (2, 10)."""
        return data.diabetes().train.inputs[:2]

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The progress of the disease, from ten numbers or a text like ``59 2 32.1 101 157 93 38 4
        4.9 87``.
        """
        measurements = data.read_numbers(input, 10, ", ".join(data.DIABETES))
        return {"progress": net(measurements).item()}


def standardised(train: Table, other: Table) -> tuple[Examples, Examples]:
    """Both tables in float64, standardised by the training table: columns by their mean and
    deviation, labels by their mean.
    """
    x = train.inputs.double()
    y = train.labels.double()
    mean = x.mean(0)
    deviation = x.std(0, correction=0)
    mean_label = y.mean()
    return (
        ((x - mean) / deviation, y - mean_label),
        ((other.inputs - mean) / deviation, other.labels - mean_label),
    )
