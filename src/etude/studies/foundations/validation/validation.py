"""How wrong a model will be on new data, and how to estimate it beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from etude import Amount, Claim, Control, Count, Run, Study, data

from ._figures import decomposition, divisions, fitted_curves, learning_curves, selection
from ._ridge import cross_validate, estimates, nested, squared_errors
from ._screening import screened_r2

DOUBLE = torch.float64


@dataclass
class Validation(Study):
    """Split the error into noise, bias and variance, and choose a model by cross-validation."""

    points: Count = 40  # N, examples in one data set
    noise: Amount = 0.3  # σ, standard deviation of what is added to f
    draws: Count = 10_000  # data sets; half give bias and variance, the other half the error
    degrees: tuple[Count, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)  # of polynomials, rising
    sample_sizes: tuple[Count, ...] = (15, 20, 30, 50, 80, 130, 200, 400)  # N of learning curves
    parts: Count = 10  # K, parts of the training rows, each held out once to choose λ
    lambdas: Count = 41  # values of λ to choose from, between 10⁻⁵ and 10
    partitions: Count = 5  # into parts, over which the optimism of the choice is averaged
    divisions: Count = 60  # of the whole table into training and test rows
    noise_tables: Count = 50  # of noise, in which columns are screened
    noise_rows: Count = 50  # of such a table
    noise_columns: Count = 1_000  # of such a table
    kept: Count = 10  # columns that screening keeps

    claims = [
        Claim("decomposition/gap", at_most=0.02, source="an identity; bound: Etude"),
        Claim("divisions/cross_validation/gap", at_most=0.05, source="Etude"),
        Control(
            "divisions/training/gap",
            at_least=0.1,
            source="Etude",
            of="divisions/cross_validation/gap",
            without="rows that are held out",
        ),
        Claim("screening/inside/r2", at_most=0.0, source="ESL 7.10.2; bound: Etude"),
        Control(
            "screening/outside/r2",
            at_least=0.2,
            source="ESL 7.10.2; bound: Etude",
            of="screening/inside/r2",
            without="choosing within each fold",
        ),
    ]
    needs = ["linear"]

    def __call__(self, run: Run) -> None:
        self.decompose(run)
        self.measure_learning_curves(run)
        self.choose(run)
        self.divide_again(run)
        self.screen(run)

    def decompose(self, run: Run) -> None:
        """Measure noise, bias and variance of each degree, and the error on other data sets."""
        grid = 2 * torch.rand(1_000, dtype=DOUBLE) - 1  # new points, (cells,)
        f = truth(grid)
        noise = self.noise**2
        measured = []
        for degree in self.degrees:
            predictions, _ = self.fit(degree, self.points, self.draws, grid)  # (draws, cells)
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
        columns = ["degree", "noise", "bias²", "variance", "their sum", "error measured", "gap"]
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
            shown[degree], _ = self.fit(degree, self.points, 20, line)
        picture = fitted_curves(line, shown, truth(line), self.noise)
        run.figure("fits", picture)

    def measure_learning_curves(self, run: Run) -> None:
        """Measure training and test error against N, for a low, a middle and a high degree."""
        grid = (2 * torch.arange(200, dtype=DOUBLE) + 1) / 200 - 1  # evenly from -1 to 1
        draws = -(-self.draws // 10)  # a curve needs fewer than an identity
        middle = self.degrees[len(self.degrees) // 2]
        curves: dict[str, list[tuple[float, float]]] = {}
        for degree in (self.degrees[0], middle, self.degrees[-1]):
            curve = curves.setdefault(f"degree {degree}", [])
            for n in self.sample_sizes:
                predictions, residuals = self.fit(degree, n, draws, grid)
                distance = (predictions - truth(grid)).square().mean()
                test = float(distance) + self.noise**2
                train = math.nan  # with as many coefficients as points it would be 0
                if n > degree + 1:
                    train = float(residuals.square().mean())
                curve.append((train, test))
        picture = learning_curves(self.sample_sizes, curves, self.noise**2)
        run.figure("learning_curves", picture)

    def choose(self, run: Run) -> None:
        """Choose λ on the training rows, and use the test rows once, for both models."""
        table = data.diabetes()
        penalties = self.penalties()
        optimism = []
        for _ in range(self.partitions):
            folds = list(data.folds(table.train, self.parts))
            held_out = cross_validate(folds, penalties)
            honest = nested(folds, self.parts, penalties)
            optimism.append(float(honest.mean() - held_out.ridge[held_out.best].mean()))

        chosen = held_out.best  # by the last partition
        test = squared_errors(table.train, table.test, penalties)
        rows = []
        for name, of_ridge, of_plain in (
            ("cross-validation", held_out.ridge[chosen], held_out.plain),
            ("test", test.ridge[chosen], test.plain),
        ):
            difference = of_ridge - of_plain
            error = difference.std() / math.sqrt(len(difference))
            means = [of_ridge.mean(), of_plain.mean(), difference.mean()]
            numbers = torch.stack([*means, error]).tolist()
            rows.append([name, *numbers])
        columns = [
            "rows",
            "ridge, 64 columns",
            "least squares, 10",
            "difference",
            "its SE",
        ]
        run.table("choice", columns, rows)

        rmse: dict[str, float | Tensor] = {
            "diabetes/lambda": penalties[chosen],
            "diabetes/rmse/chosen": math.sqrt(rows[0][1]),
            "diabetes/rmse/nested": honest.mean().sqrt(),
            "diabetes/rmse/test": math.sqrt(rows[1][1]),
            "least_squares/rmse/chosen": math.sqrt(rows[0][2]),
            "least_squares/rmse/test": math.sqrt(rows[1][2]),
            "nested/optimism": sum(optimism) / len(optimism),
        }
        run.result(rmse)
        sizes = [len(fold) for _, fold in folds]
        by_fold = torch.split(held_out.ridge, sizes, 1)
        curves = torch.stack([errors.mean(1).sqrt() for errors in by_fold])
        picture = selection(penalties, curves, chosen, rmse)
        run.figure("selection", picture)

    def divide_again(self, run: Run) -> None:
        """Divide the whole table many times, and compare the estimates with the test errors."""
        table = data.diabetes()
        inputs = torch.cat([table.train.inputs, table.test.inputs])
        whole = data.Labelled(inputs, torch.cat([table.train.labels, table.test.labels]))
        penalties = self.penalties()
        measured = []
        for _ in range(self.divisions):
            train, test = data.hold_out(whole, len(table.test))
            measured.append(estimates(train, test, self.parts, penalties))

        terms = torch.stack(measured, 1)  # (5, divisions)
        estimate, error, training = terms[:3].mean(1)
        gap = abs(estimate / error - 1)
        run.result({"divisions/cross_validation/gap": gap})
        run.result({"divisions/training/gap": abs(training / error - 1)})

        differences = terms[:2] - terms[3:]  # of ridge and least squares
        estimated, found = differences
        correlation = torch.corrcoef(differences)[0, 1]
        run.result({"divisions/difference/cross_validation": estimated.mean()})
        run.result({"divisions/difference/test": found.mean()})
        run.result({"divisions/difference/correlation": correlation})
        picture = divisions(estimated, found)
        run.figure("divisions", picture)

    def screen(self, run: Run) -> None:
        """Choose columns of pure noise by their labels, before the folds and within them."""
        found: dict[str, list[float]] = {"outside": [], "inside": []}
        for _ in range(self.noise_tables):
            x = torch.randn(self.noise_rows, self.noise_columns, dtype=DOUBLE)
            y = torch.randn(self.noise_rows, dtype=DOUBLE)
            for where, values in found.items():
                inside = where == "inside"
                values.append(screened_r2(x, y, self.kept, self.parts, inside=inside))
        for where, values in found.items():
            run.result({f"screening/{where}/r2": sum(values) / len(values)})

    def penalties(self) -> Tensor:
        """The values of λ to choose from, (λ,)."""
        return torch.logspace(-5, 1, self.lambdas, dtype=DOUBLE)

    def fit(self, degree: int, n: int, draws: int, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Fit a polynomial to each of many data sets at once, by least squares.

        Each data set has one point in each of n equal parts of the axis.

        Args:
            degree: of the polynomials.
            n: the number of points in each data set.
            draws: the number of data sets.
            grid: the points at which predictions are made, (cells,).

        Returns:
            The predictions, (draws, cells), and the residuals of the fits, (draws, n).
        """
        within = torch.rand(draws, n, dtype=DOUBLE)
        places = torch.arange(n) + within  # one in each part, (draws, n)
        x = 2 * places / n - 1  # from -1 to 1
        epsilon = self.noise * torch.randn(x.shape, dtype=DOUBLE)
        y = truth(x) + epsilon
        design = legendre(x, degree)  # (draws, n, degree + 1)
        w = torch.linalg.lstsq(design, y[:, :, None]).solution  # (draws, degree + 1, 1)
        residuals = y - (design @ w).squeeze(2)
        predictions = w.squeeze(2) @ legendre(grid, degree).T
        return predictions, residuals


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
