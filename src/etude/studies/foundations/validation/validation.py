"""How wrong a model will be on new data, and how to estimate it beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from etude import Amount, Claim, Count, Run, Study, data

from ._figures import decomposition, fitted_curves, learning_curves, selection
from ._ridge import ridge_errors

DOUBLE = torch.float64


@dataclass
class Validation(Study):
    """Split the error into noise, bias and variance, and choose a model by cross-validation."""

    points: Count = 40  # N, examples in one data set
    noise: Amount = 0.3  # σ, standard deviation of what is added to f
    draws: Count = 10_000  # data sets; half give bias and variance, the other half the error
    degrees: tuple[Count, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12)  # polynomial degrees, rising
    sample_sizes: tuple[Count, ...] = (15, 20, 30, 50, 80, 130, 200, 400)  # N of learning curves
    parts: Count = 10  # K, parts of the training rows, each held out once to choose λ
    lambdas: Count = 41  # values of λ to choose from, between 10⁻² and 10⁴

    claims = [
        Claim(
            "decomposition/gap",
            at_most=0.02,
            source="an identity; bound: Etude",
        ),
        Claim("diabetes/r2", at_least=0.4, source="Etude"),
    ]
    courses = ["ITU", "NCKU", "CU"]

    def __call__(self, run: Run) -> None:
        self.decompose(run)
        self.measure_learning_curves(run)
        self.choose_penalty(run)

    def decompose(self, run: Run) -> None:
        """Measure noise, bias and variance of each degree, and the error on other data sets."""
        grid = 2 * torch.rand(1_000, dtype=DOUBLE) - 1  # new points, (cells,)
        f = truth(grid)
        noise = self.noise**2
        measured = []
        for degree in self.degrees:
            predictions, _ = self.fit(degree, self.points, grid)  # (draws, cells)
            ours, theirs = predictions.chunk(2)

            variance = ours.var(0).mean()
            # The mean of a finite number of fits varies too, by variance / draws.
            bias = (ours.mean(0) - f).square().mean()
            bias = bias - variance / len(ours)

            epsilon = self.noise * torch.randn(theirs.shape, dtype=DOUBLE)
            error = (f + epsilon - theirs).square().mean()
            terms = torch.stack([bias, variance, error]).tolist()
            measured.append([noise, *terms])

        table = []
        for degree, (*terms, error) in zip(self.degrees, measured, strict=True):
            total = sum(terms)
            gap = abs(total / error - 1)
            table.append([degree, *terms, total, error, gap])
        columns = [
            "degree",
            "noise",
            "bias²",
            "variance",
            "their sum",
            "error measured",
            "gap",
        ]
        run.table("decomposition", columns, table)
        gaps = [row[-1] for row in table]
        run.result({"decomposition/gap": max(gaps)}, held_out=len(grid))

        errors = [row[-1] for row in measured]
        best = self.degrees[errors.index(min(errors))]
        run.result({"best/degree": best})
        run.result({"best/error": min(errors)})

        picture = decomposition(self.degrees, torch.tensor(measured))
        run.figure("decomposition", picture)
        line = torch.linspace(-1, 1, 200, dtype=DOUBLE)
        shown = {}
        for degree in (self.degrees[0], best, self.degrees[-1]):
            predictions, _ = self.fit(degree, self.points, line)
            shown[degree] = predictions[:20]
        picture = fitted_curves(line, shown, truth(line), self.noise)
        run.figure("fits", picture)

    def measure_learning_curves(self, run: Run) -> None:
        """Measure training and test error against N, for a low, a middle and a high degree."""
        grid = 2 * torch.rand(200, dtype=DOUBLE) - 1
        middle = self.degrees[len(self.degrees) // 2]
        curves: dict[str, list[tuple[float, float]]] = {}
        for degree in (self.degrees[0], middle, self.degrees[-1]):
            curve = curves.setdefault(f"degree {degree}", [])
            for n in self.sample_sizes:
                predictions, residuals = self.fit(degree, n, grid)
                distance = (predictions - truth(grid)).square().mean()
                test = float(distance) + self.noise**2
                train = math.nan  # with as many coefficients as points it would be 0
                if n > degree + 1:
                    train = float(residuals.square().mean())
                curve.append((train, test))
        picture = learning_curves(self.sample_sizes, curves, self.noise**2)
        run.figure("learning_curves", picture)

    def choose_penalty(self, run: Run) -> None:
        """Choose λ of ridge regression on the training rows, and use the test rows once."""
        table = data.diabetes()
        penalties = torch.logspace(-2, 4, self.lambdas, dtype=DOUBLE)
        errors = self.cross_validate(table.train, penalties)  # (folds, λ)
        estimates = errors.mean(0)
        chosen = int(estimates.argmin())

        nested = []
        for train, held_out in data.folds(table.train, self.parts):
            inner = self.cross_validate(train, penalties).mean(0)
            outer = ridge_errors(train, held_out, penalties)
            nested.append(float(outer[inner.argmin()]))

        test = ridge_errors(table.train, table.test, penalties)[chosen]
        mean = table.train.labels.double().mean()
        deviations = table.test.labels.double() - mean
        spread = deviations.square().mean()
        r2 = 1 - float(test / spread)
        run.result({"diabetes/r2": r2}, held_out=len(table.test))
        mean_nested = sum(nested) / len(nested)
        rmse = float(test.sqrt())
        results: dict[str, float | Tensor] = {
            "diabetes/lambda": penalties[chosen],
            "diabetes/rmse/chosen": estimates[chosen].sqrt(),
            "diabetes/rmse/nested": math.sqrt(mean_nested),
            "diabetes/rmse/test": rmse,
        }
        run.result(results)
        picture = selection(penalties, errors.sqrt(), chosen, rmse)
        run.figure("selection", picture)

    def fit(self, degree: int, n: int, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Fit a polynomial to each of many data sets at once, by least squares.

        Each data set has one point in each of n equal parts of the axis.

        Args:
            degree: of the polynomials.
            n: the number of points in each data set.
            grid: the points at which predictions are made, (cells,).

        Returns:
            The predictions, (draws, cells), and the residuals of the fits, (draws, n).
        """
        within = torch.rand(self.draws, n, dtype=DOUBLE)
        places = torch.arange(n) + within  # one in each part, (draws, n)
        x = 2 * places / n - 1  # from -1 to 1
        epsilon = self.noise * torch.randn(x.shape, dtype=DOUBLE)
        y = truth(x) + epsilon
        design = legendre(x, degree)  # (draws, n, degree + 1)
        w = torch.linalg.lstsq(design, y[:, :, None]).solution  # (draws, degree + 1, 1)
        residuals = y - (design @ w).squeeze(2)
        predictions = w.squeeze(2) @ legendre(grid, degree).T
        return predictions, residuals

    def cross_validate(self, rows: data.Labelled[Tensor], penalties: Tensor) -> Tensor:
        """The mean squared error on each fold for each λ, (folds, λ)."""
        folds = data.folds(rows, self.parts)
        errors = []
        for train, held_out in folds:
            errors.append(ridge_errors(train, held_out, penalties))
        return torch.stack(errors)


def truth(x: Tensor) -> Tensor:
    """The function f on -1 … 1, of any shape, which is no polynomial."""
    slow = torch.sin(math.pi * x)
    fast = torch.cos(2.5 * math.pi * x)
    return slow + 0.5 * fast


def legendre(x: Tensor, degree: int) -> Tensor:
    """The Legendre polynomials P₀ … P_degree at x: (…) → (…, degree + 1).

    They follow from (n + 1) Pₙ₊₁ = (2n + 1) x Pₙ − n Pₙ₋₁.
    """
    p = [torch.ones_like(x), x]
    for n in range(1, degree):
        following = (2 * n + 1) * x * p[n] - n * p[n - 1]
        p.append(following / (n + 1))
    return torch.stack(p[: degree + 1], -1)
