"""Least squares: solved, descended to, held back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import pad

from etude import data
from etude.claims import Claim
from etude.errors import UserError
from etude.figures.regression import Path, approach, growing_fits, lost_digits, penalty_paths
from etude.networks.standardised import Standardised
from etude.runs.run import Diverged, Run
from etude.study import Amount, Count, Positive, Study
from etude.training.batches import Batches
from etude.training.least_squares import by_cholesky, by_inverse, by_qr, lasso, ridge

Rows = data.Labelled[Tensor]
Pair = tuple[Tensor, Tensor]


@dataclass
class Linear(Study):
    """Predict the progress of diabetes by least squares: solved, descended to, and held back by a
    penalty.
    """

    batch: Count = 32  # B, examples a step of mini-batch descent
    passes: Count = 100  # over the training rows, for each kind of descent
    rate: Positive = 1.0  # the step at the start, as a part of the longest that is safe
    penalties: Count = 60  # λ along each path, from the strongest to the weakest
    parts: Count = 10  # of the training rows, each held out once to choose λ
    points: Count = 20  # of the noisy sine that shows under- and overfitting
    noise: Amount = 0.2  # its standard deviation
    bases: Count = 16  # powers of x that are fitted to it at most, from the zeroth on

    claims = [
        Claim("r2/gap", at_most=0.01, each=True, source="goal of the curriculum"),
        Claim("test/r2", at_least=0.52, each=True, source="Etude"),
    ]
    courses = ["OU", "ITU", "NCKU", "CU"]

    def __call__(self, run: Run) -> None:
        if self.bases > self.points:
            raise UserError(
                f"linear: {self.bases} bases for {self.points} points; expected no more bases than"
                " points"
            )
        table = data.diabetes()
        (x, y), test = standardised(table.train, table.test)  # (332, 10), (332,)
        splits = [standardised(*parts) for parts in data.folds(table.train, self.parts)]
        n, p = x.shape
        exact = by_qr(x, y)
        found, lines = {"closed form": exact}, {}
        h, beta = torch.linalg.eigvalsh(x.T @ x / n), x.square().sum(1).max()  # h_p … h_1
        run.result({"condition": h[-1] / h[0]})
        sizes = {"batch": n, "mini-batch": self.batch, "stochastic": 1}
        for kind, size in sizes.items():
            batches, steps = Batches((x, y), size), -(-self.passes * n // size)
            safe = size / (beta + (size - 1) * h[-1])
            w, seen = torch.zeros(p).double(), torch.full((steps,), torch.nan).double()
            state = nn.ParameterDict({"w": w, "seen": seen})  # which share their memory
            for rows, targets in run.steps(batches, steps, state=state, name=kind):
                error = rows @ w - targets
                w -= self.rate * safe * (1 - run.progress) * (rows.T @ error) / size
                run.log(loss=error.square().mean() / 2)
                if run.every(max(1, len(batches) // 10)):
                    seen[run.step] = r2(w, x, y)
                    run.log(**{"train/r2": seen[run.step]})
            if not w.isfinite().all():
                raise Diverged(
                    f"linear: {kind} descent diverged at rate {self.rate:g}; expected a rate"
                    " below 2"
                )
            at = seen.isfinite().nonzero().squeeze(1)
            found[kind], lines[kind] = w, (((at + 1) * size / n).tolist(), seen[at].tolist())

        fall = torch.logspace(0, -3, self.penalties, dtype=torch.double)
        paths = {
            "ridge": along(ridge, 100 * fall**2, (x, y), splits),
            "lasso": along(
                lasso, (x.T @ y / n).abs().max() * fall, (x, y), splits
            ),  # from where it is all zero
        }
        for name, path in paths.items():
            found[name] = path.coefficients[path.chosen]
            run.result(
                {
                    f"{name}/penalty": path.penalties[path.chosen],
                    f"{name}/freedom": path.freedom[path.chosen],
                }
            )

        reached = {name: r2(w, *test) for name, w in found.items()}
        run.result(
            {f"{name}/r2": value for name, value in reached.items()}, held_out=len(table.test)
        )
        descents = [reached[kind] for kind in sizes]
        gap = max(abs(value - reached["closed form"]) for value in descents)
        run.result({"test/r2": min(descents), "r2/gap": gap}, held_out=len(table.test))

        panels = {f"{n} training rows": (lines, r2(exact, x, y))}
        run.figure("descent", approach(panels, "closed form", "passes over the rows", "$R^2$"))
        run.figure("paths", penalty_paths(paths, data.DIABETES))
        run.figure("bases", self.growth())
        run.figure("stability", stability())

        net = self.network()
        net.fill(table.train.inputs, found["lasso"], table.train.labels.mean())
        run.keep(net)

    def growth(self) -> Figure:
        """Ever more powers of x fitted to one noisy sine; and all of them with ridge."""
        x, y = (v.double() for v in data.noisy_sine(self.points, self.noise))
        x_new, y_new = (v.double() for v in data.noisy_sine(1_000, self.noise))
        grid, sizes = torch.linspace(0, 1, 401).double(), range(1, self.bases + 1)
        phi, phi_new, phi_grid = (
            (2 * v[:, None] - 1) ** torch.arange(self.bases) for v in (x, x_new, grid)
        )
        w = torch.stack(
            [pad(by_qr(phi[:, :m], y), (0, self.bases - m)) for m in sizes]
        )  # a fit in each row
        held, _ = ridge(phi, y, torch.logspace(1, -9, self.penalties, dtype=torch.double))
        errors = {
            "the points": mse(w, phi, y).sqrt(),
            "fresh points": mse(w, phi_new, y_new).sqrt(),
        }
        best = int(errors["fresh points"].argmin()) + 1
        fits = {
            f"{m} bases": {"fit": phi_grid @ w[m - 1]}
            for m in sorted({min(2, self.bases), best, self.bases})
        }
        fits[f"{self.bases} bases"]["with ridge"] = (
            phi_grid @ held[mse(held, phi_new, y_new).argmin()]
        )
        return growing_fits((x, y), grid, torch.sin(2 * torch.pi * grid), fits, errors, self.noise)

    def network(self) -> Standardised:
        """Ten measurements to one number."""
        return Standardised(10, 1)

    def example(self) -> Tensor:
        """Two rows of the table, in its own units."""
        return data.diabetes().train.inputs[:2]

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The progress of the disease by ten measurements: numbers, or ``59 2 32.1 101 157 93 38 4
        4.9 87``.
        """
        return {"progress": net(data.read_numbers(input, 10, ", ".join(data.DIABETES))).item()}


def standardised(train: Rows, other: Rows) -> tuple[Pair, Pair]:
    """Both parts in float64: columns less the training rows' mean, over their deviation; labels
    less their mean.
    """
    x, y = train.inputs.double(), train.labels.double()
    mean, scale, middle = x.mean(0), x.std(0, correction=0), y.mean()
    return ((x - mean) / scale, y - middle), ((other.inputs - mean) / scale, other.labels - middle)


def r2(w: Tensor, x: Tensor, y: Tensor) -> float:
    """The part of the variance of y that Xw explains."""
    return 1 - float((y - x @ w).square().sum() / (y - y.mean()).square().sum())


def mse(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Mean squared errors (m,) of m coefficients w (m, p)."""
    return (y[:, None] - x @ w.T).square().mean(0)


def along(
    method: Callable[..., Pair], penalties: Tensor, train: Pair, splits: list[tuple[Pair, Pair]]
) -> Path:
    """The path over all rows, and its errors on the rows that each fold holds out."""
    errors = [mse(method(*fit, penalties)[0], *held) for fit, held in splits]
    return Path(penalties, *method(*train, penalties), torch.stack(errors))


def stability() -> Figure:
    """Polynomials of growing degree, all their coefficients 1, solved for in three ways."""
    designs = [
        torch.linspace(0, 1, 100).double()[:, None] ** torch.arange(degree + 1)
        for degree in range(1, 17)
    ]
    errors = {}
    ways = {
        "inverse of $X^T X$": by_inverse,
        "Cholesky of $X^T X$": by_cholesky,
        "QR of $X$": by_qr,
    }
    for way, solve in ways.items():
        lost = [solve(x, x.sum(1)) - 1 for x in designs]
        missed = [(x @ v).norm() / x.sum(1).norm() for x, v in zip(designs, lost, strict=True)]
        errors[way] = [v.square().mean().sqrt().item() for v in lost], [v.item() for v in missed]
    return lost_digits(errors, [float(torch.linalg.cond(x)) for x in designs])
