"""How wrong a model will be on what it has not seen, and how to know in time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from etude import data
from etude.claims import Claim
from etude.figures.validation import decomposition, draws_of, learning_curves, selection
from etude.runs.run import Run
from etude.study import Amount, Count, Study

DOUBLE = torch.float64
Rows = data.Labelled[Tensor]


@dataclass
class Validation(Study):
    """Take the error apart into noise, bias and variance, and choose a model without looking at the
    test.
    """

    points: Count = 40  # N, of one draw
    noise: Amount = 0.3  # σ, standard deviation of what is added to f
    draws: Count = 10_000  # of N points; half give bias and variance, half the error
    degrees: tuple[Count, ...] = (
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        10,
        12,
    )  # of the polynomials, the supplest last
    sizes: tuple[Count, ...] = (15, 20, 30, 50, 80, 130, 200, 400)  # N along the learning curves
    folds_inside: Count = 10  # K of the cross-validation that chooses λ
    penalties: Count = 41  # values of λ, from 10⁻² to 10⁴, that there are to choose from

    claims = [
        Claim(
            "decomposition/gap",
            at_most=0.02,
            source="the decomposition is an identity; curriculum: within 2 %",
        ),
        Claim("diabetes/r2", at_least=0.4, source="Etude"),
    ]
    courses = ["ITU", "NCKU", "CU"]

    def __call__(self, run: Run) -> None:
        self.take_apart(run)
        self.learn(run)
        self.choose(run)

    def take_apart(self, run: Run) -> None:
        """Noise, bias and variance of each degree; and the error, measured on draws and points of
        its own.
        """
        grid = 2 * torch.rand(1_000, dtype=DOUBLE) - 1  # new points, where errors are measured
        found = []
        for degree in self.degrees:
            answers = self.answers(degree, self.points, grid)[0]  # (draws, grid)
            ours, theirs = answers.chunk(2)
            bias = (ours.mean(0) - truth(grid)).square().mean() - ours.var(0).mean() / len(ours)
            error = (self.noisy(grid, len(theirs)) - theirs).square().mean()
            found.append([self.noise**2, float(bias), float(ours.var(0).mean()), float(error)])
        columns = ["degree", "noise", "bias²", "variance", "their sum", "error measured", "gap"]
        gaps = [abs(sum(parts) / error - 1) for *parts, error in found]
        table = [
            [degree, *parts, sum(parts), error, gap]
            for degree, (*parts, error), gap in zip(self.degrees, found, gaps, strict=True)
        ]
        run.table("decomposition", columns, table)
        run.result({"decomposition/gap": max(gaps)}, held_out=len(grid))
        best = min(range(len(found)), key=lambda i: found[i][3])
        run.result({"best/degree": self.degrees[best], "best/error": found[best][3]})
        run.figure("decomposition", decomposition(self.degrees, torch.tensor(found)))
        line = torch.linspace(-1, 1, 200, dtype=DOUBLE)
        few = (self.degrees[0], self.degrees[best], self.degrees[-1])
        shown = {degree: self.answers(degree, self.points, line)[0][:20] for degree in few}
        run.figure("fits", draws_of(line, shown, truth(line), self.noise))

    def learn(self, run: Run) -> None:
        """Training and test error against the number of points, for stiff and supple models."""
        grid = 2 * torch.rand(200, dtype=DOUBLE) - 1
        curves: dict[str, list[tuple[float, float]]] = {}
        for degree in (self.degrees[0], self.degrees[len(self.degrees) // 2], self.degrees[-1]):
            for n in self.sizes:
                answers, residuals = self.answers(degree, n, grid)
                test = float((answers - truth(grid)).square().mean()) + self.noise**2
                fitted = float(residuals.square().mean()) if n > degree + 1 else math.nan
                curves.setdefault(f"degree {degree}", []).append((fitted, test))
        run.figure("learning_curves", learning_curves(self.sizes, curves, self.noise**2))

    def choose(self, run: Run) -> None:
        """λ of ridge regression by cross-validation on the training rows; the test rows once, for
        the one chosen.
        """
        table = data.diabetes()
        λ = torch.logspace(-2, 4, self.penalties, dtype=DOUBLE)
        errors = self.cross_validated(table.train, λ)  # (folds, λ)
        chosen = int(errors.mean(0).argmin())
        nested = []
        for train, held in data.folds(table.train, self.folds_inside):
            inner = int(self.cross_validated(train, λ).mean(0).argmin())
            nested.append(float(ridge_errors(train, held, λ)[inner]))
        test = ridge_errors(table.train, table.test, λ)
        spread = table.test.labels.double() - table.train.labels.double().mean()
        r2 = 1 - float(test[chosen] / spread.square().mean())
        run.result({"diabetes/r2": r2}, held_out=len(table.test))
        run.result(
            {
                "diabetes/lambda": λ[chosen],
                "diabetes/rmse/chosen": errors.mean(0)[chosen].sqrt(),
                "diabetes/rmse/nested": math.sqrt(sum(nested) / len(nested)),
                "diabetes/rmse/test": test[chosen].sqrt(),
            }
        )
        run.figure("selection", selection(λ, errors.sqrt(), chosen, float(test[chosen].sqrt())))

    def answers(self, degree: int, n: int, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Least squares on every draw at once: predictions (draws, cells), and residuals (draws,
        n).
        """
        x = (
            2 * (torch.arange(n) + torch.rand(self.draws, n, dtype=DOUBLE)) / n - 1
        )  # one in each of n equal parts
        y = truth(x) + self.noise * torch.randn(x.shape, dtype=DOUBLE)
        design = legendre(x, degree)  # (draws, n, degree + 1)
        w = torch.linalg.lstsq(design, y[:, :, None]).solution
        return (w.squeeze(2) @ legendre(grid, degree).T), (y - (design @ w).squeeze(2))

    def noisy(self, grid: Tensor, draws: int) -> Tensor:
        """New points: (draws, cells)."""
        return truth(grid) + self.noise * torch.randn(draws, len(grid), dtype=DOUBLE)

    def cross_validated(self, rows: Rows, λ: Tensor) -> Tensor:
        """Mean squared error on each fold for each λ: (folds, λ)."""
        return torch.stack(
            [ridge_errors(train, held, λ) for train, held in data.folds(rows, self.folds_inside)]
        )


def truth(x: Tensor) -> Tensor:
    """f, on -1 … 1: no polynomial."""
    return torch.sin(math.pi * x) + 0.5 * torch.cos(2.5 * math.pi * x)


def legendre(x: Tensor, degree: int) -> Tensor:
    """P₀ … P_degree at x: (…) → (…, degree + 1), by (n + 1) Pₙ₊₁ = (2n + 1) x Pₙ − n Pₙ₋₁."""
    p = [torch.ones_like(x), x]
    for n in range(1, degree):
        p.append(((2 * n + 1) * x * p[n] - n * p[n - 1]) / (n + 1))
    return torch.stack(p[: degree + 1], -1)


def ridge_errors(train: Rows, test: Rows, λ: Tensor) -> Tensor:
    """Mean squared error on ``test`` of ridge regression on ``train``, for each λ, from one
    decomposition: (λ,).
    """
    x, new = with_products(train.inputs.double(), test.inputs.double())
    y = train.labels.double()
    U, d, Vt = torch.linalg.svd(x, full_matrices=False)
    shrunk = d / (d**2 + λ[:, None])  # (λ, columns)
    w = (shrunk * (U.T @ (y - y.mean()))) @ Vt  # (λ, columns)
    errors: Tensor = (test.labels.double() - y.mean() - w @ new.T).square().mean(1)
    return errors


def with_products(x: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and their products of two, scaled to mean 0 and variance 1 on ``x``: (n, 10) → (n,
    65).
    """

    def columns(z: Tensor) -> Tensor:
        z = (z - x.mean(0)) / x.std(0)
        i, j = torch.triu_indices(z.shape[1], z.shape[1])
        return torch.cat([z, z[:, i] * z[:, j]], 1)

    own, other = columns(x), columns(new)
    mean, scale = own.mean(0), own.std(0)
    return (own - mean) / scale, (other - mean) / scale
