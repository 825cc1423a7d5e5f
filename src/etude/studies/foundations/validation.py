r"""How wrong a model will be on what it has not seen, and how to know in time.

A model that is chosen because it fits its data well has not been tested on them. What counts is the error on points
that come later. It can't be measured beforehand, but it can be understood, and it can be estimated.

**What the error is made of.** Points come from $y = f(x) + \epsilon$ with noise of variance $\sigma^2$. A method is
given $N$ of them, the draw $D$, and answers $\hat y_D(x)$. Another draw would have given another answer; let
$\bar y(x) = \mathrm{E}_D[\hat y_D(x)]$ be their mean. For a new point, write

$$y - \hat y_D = \underbrace{\epsilon}_{\text{noise}} + \underbrace{f - \bar y}_{\text{bias}}
+ \underbrace{\bar y - \hat y_D}_{\text{variance}}.$$

The three parts are independent of each other or have mean zero, so in the mean of the square the mixed terms vanish:

$$\mathrm{E}\big[(y - \hat y_D)^2\big]
= \sigma^2 + \big(f - \bar y\big)^2 + \mathrm{E}_D\big[(\hat y_D - \bar y)^2\big].$$

A stiff model (a straight line) is wrong in the same way whatever it is given: *bias*, it underfits. A supple one (a
polynomial of degree 12) follows each draw's noise: *variance*, it overfits. Nothing can be done about $\sigma^2$.

Here $f$ is known, so all three can be measured. Thousands of draws are fitted at once, in Legendre polynomials. Their
points lie one in each of $N$ equal parts of the axis: left to chance, a few draws would leave a hole at an end, and a
polynomial gone wild in that hole would be most of the mean. Bias and variance are taken from one half of the draws;
the error, on new noisy points, from the other half. That both sides agree within 2 % is the claim, and it could fail.

**What can be done without knowing $f$.** Hold out: fit on a part, measure on the rest. With few points the rest is
small and its verdict noisy. *Cross-validation* parts the data into $K$ folds, fits $K$ times without one of them, and
judges every point by the model that has not seen it:

$$\mathrm{CV} = \frac{1}{N} \sum_{k=1}^{K} \sum_{i \in \text{fold } k} \big(y_i - \hat y_{-k}(x_i)\big)^2.$$

It judges models made from $N (K-1)/K$ points, so it is a little too dark, more so where the curve below is steep.

**The learning curve.** Against $N$, training error rises and test error falls towards each other, at $\sigma^2$ plus
squared bias. A wide gap says variance: more data will help. No gap and a high level say bias: more data will not.

**Choosing.** On the diabetes table the measurements and their products are 65 columns for 332 rows. The ridge penalty
$\lambda$ decides how many of them have a say. Cross-validation on the training rows picks it; the test rows are used
once, at the end. The smallest of many estimates is too small: it was chosen for its luck as well (Cawley & Talbot).
How much so is measured here by *nested* cross-validation, which chooses anew inside each outer fold.

What to look at
---------------
- *decomposition*: bias falls, variance rises, their sum has one valley. The dots are the measured errors.
- *fits*: the same method on twenty draws. Left: all alike and all wrong. Right: right on average and each one wild.
- *learning curves*: solid on new points, dashed on the points fitted.
- *selection*: estimates by fold and their mean over the penalty; the choice, and the test error that it then had.

Exercises
---------
1. `etude run validation --noise 0`: where is the valley now, and why does the variance not vanish?
2. `etude run validation --points 15`, then 200. Which degree is best? Explain with the learning curves.
3. `etude run validation --folds-inside 2`, then 30: how do level and spread of the estimates change?
4. Any study that holds data out can do this: `etude run digits --folds 5`. Compare with the spread over `--seed`.
5. The variance of least squares with $p$ columns is $\sigma^2 p / N$ on the points fitted. Hold the figure to it.

References
----------
Geman, S., Bienenstock, E. & Doursat, R. (1992). Neural networks and the bias/variance dilemma. Neural Computation 4(1).

Stone, M. (1974). Cross-validatory choice and assessment of statistical predictions. JRSS B 36(2).

Kohavi, R. (1995). A study of cross-validation and bootstrap for accuracy estimation and model selection. IJCAI.

Cawley, G. & Talbot, N. (2010). On over-fitting in model selection and subsequent selection bias in performance
evaluation. JMLR 11.

Hastie, T., Tibshirani, R. & Friedman, J. (2009). The Elements of Statistical Learning, chapter 7. Springer.
"""

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
    """Take the error apart into noise, bias and variance, and choose a model without looking at the test."""

    points: Count = 40  # N, of one draw
    noise: Amount = 0.3  # σ, standard deviation of what is added to f
    draws: Count = 10_000  # of N points; half give bias and variance, half the error
    degrees: tuple[Count, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12)  # of the polynomials, the supplest last
    sizes: tuple[Count, ...] = (15, 20, 30, 50, 80, 130, 200, 400)  # N along the learning curves
    folds_inside: Count = 10  # K of the cross-validation that chooses λ
    penalties: Count = 41  # values of λ, from 10⁻² to 10⁴, that there are to choose from

    claims = [
        Claim("decomposition/gap", at_most=0.02, source="the decomposition is an identity; curriculum: within 2 %"),
        Claim("diabetes/r2", at_least=0.4, source="Etude"),
    ]
    courses = ["ITU", "NCKU", "CU"]

    def __call__(self, run: Run) -> None:
        self.take_apart(run)
        self.learn(run)
        self.choose(run)

    def take_apart(self, run: Run) -> None:
        """Noise, bias and variance of each degree; and the error, measured on draws and points of its own."""
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
        """λ of ridge regression by cross-validation on the training rows; the test rows once, for the one chosen."""
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
        """Least squares on every draw at once: predictions (draws, cells), and residuals (draws, n)."""
        x = 2 * (torch.arange(n) + torch.rand(self.draws, n, dtype=DOUBLE)) / n - 1  # one in each of n equal parts
        y = truth(x) + self.noise * torch.randn(x.shape, dtype=DOUBLE)
        design = legendre(x, degree)  # (draws, n, degree + 1)
        w = torch.linalg.lstsq(design, y[:, :, None]).solution
        return (w.squeeze(2) @ legendre(grid, degree).T), (y - (design @ w).squeeze(2))

    def noisy(self, grid: Tensor, draws: int) -> Tensor:
        """New points: (draws, cells)."""
        return truth(grid) + self.noise * torch.randn(draws, len(grid), dtype=DOUBLE)

    def cross_validated(self, rows: Rows, λ: Tensor) -> Tensor:
        """Mean squared error on each fold for each λ: (folds, λ)."""
        return torch.stack([ridge_errors(train, held, λ) for train, held in data.folds(rows, self.folds_inside)])


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
    """Mean squared error on ``test`` of ridge regression on ``train``, for each λ, from one decomposition: (λ,)."""
    x, new = with_products(train.inputs.double(), test.inputs.double())
    y = train.labels.double()
    U, d, Vt = torch.linalg.svd(x, full_matrices=False)
    shrunk = d / (d**2 + λ[:, None])  # (λ, columns)
    w = (shrunk * (U.T @ (y - y.mean()))) @ Vt  # (λ, columns)
    errors: Tensor = (test.labels.double() - y.mean() - w @ new.T).square().mean(1)
    return errors


def with_products(x: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and their products of two, scaled to mean 0 and variance 1 on ``x``: (n, 10) → (n, 65)."""

    def columns(z: Tensor) -> Tensor:
        z = (z - x.mean(0)) / x.std(0)
        i, j = torch.triu_indices(z.shape[1], z.shape[1])
        return torch.cat([z, z[:, i] * z[:, j]], 1)

    own, other = columns(x), columns(new)
    mean, scale = own.mean(0), own.std(0)
    return (own - mean) / scale, (other - mean) / scale
