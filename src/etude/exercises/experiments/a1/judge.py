"""What ECE-472's first assignment demands of a noisy sine and its fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etude.exercises.checks import (
    Code,
    Value,
    agree,
    any_array,
    array_of,
    require,
    shape_of,
    values_of,
)
from etude.exercises.pictures import Axes, plot, well_labelled
from etude.exercises.sandbox import Limits
from etude.exercises.work import Missing, Work, condition, evidence

PACKAGES = ("torch", "numpy")
LIMITS = {
    "quick": Limits(wall=300.0, cpu=120, memory=4 << 30),
    "full": Limits(wall=300.0, cpu=120, memory=4 << 30),
}
POINTS, NOISE = 50, 0.1
DRAWS = 40  # of the student's data, to see how they are distributed
NEAR = 0.15  # root mean square distance of a fit from the sine; the reference reaches 0.04
AT_RANDOM = {
    *("randint", "randperm", "permutation", "choice", "shuffle", "integers", "sample"),
    *("DataLoader", "RandomSampler", "multinomial"),
}
OTHERWISE = {  # what finds parameters, and is no stochastic gradient descent
    *("lstsq", "solve", "pinv", "inv", "polyfit", "curve_fit", "minimize", "least_squares"),
    *("LBFGS", "LinearRegression", "Ridge", "leastsq", "fmin"),
}


def files(code: Code) -> dict[str, bytes]:
    """What is handed in beside the code, as the code makes it."""
    return {name: svg.encode() for name, svg in code.call("figures", 0).items()}


# -- data ------------------------------------------------------------------------------------------


@evidence
def draws(work: Work) -> list[tuple[np.ndarray, np.ndarray]]:
    """Data sets that the student's code draws."""
    seeds = work.rng("seeds").choice(10**6, DRAWS, replace=False)
    pairs = [values_of(work.call("draw", int(seed)), 2) for seed in seeds]
    return [(numbers(x, "x"), numbers(y, "y")) for x, y in pairs]


def numbers(found: Value, what: str) -> np.ndarray:
    """A row of numbers, however many.

    Raises:
        Failure: it is none.
    """
    row = array_of(found, shape_of(found, what)[:1] or (0,), what).astype(float)
    require(bool(np.isfinite(row).all()), f"{what} holds what is no number")
    return row


@condition(
    "data",
    "There are 50 points, and x is uniform on 0 to 1.",
    r"drawn from $\mathcal{U}(0, 1)$ … Set $N=50, \sigma_{\mathrm{noise}}=0.1$.",
)
def places(work: Work) -> None:
    found = [x for x, _ in draws(work)]
    for x in found:
        require(len(x) == POINTS, f"there are {len(x)} points; expected {POINTS}")
    every = np.sort(np.concatenate(found))
    require(bool(every[0] >= 0 and every[-1] <= 1), "some x lie outside of 0 to 1")
    alike = np.array_equal(np.sort(found[0]), np.sort(found[1]))
    require(not alike, "x is the same for two seeds; expected points that are drawn")
    n = len(every)
    distance = np.abs(every - (np.arange(n) + 0.5) / n).max()  # Kolmogorov and Smirnov's
    require(
        distance < 2.2 / np.sqrt(n),
        f"x is not uniform: over {DRAWS} draws its distribution is off by {distance:.2f}",
    )


@condition(
    "data",
    "The targets are sin(2πx) and Gaussian noise with σ = 0.1.",
    r"y_i = \sin\left(2\pi x_i\right) + \epsilon_i … is drawn from $\mathcal{N}(0,"
    r" \sigma_{\text{noise}})$ … Set $N=50, \sigma_{\mathrm{noise}}=0.1$.",
)
def targets(work: Work) -> None:
    for x, y in draws(work):
        require(len(x) == len(y), f"there are {len(x)} x and {len(y)} y; expected pairs")
    noise = np.concatenate([y - np.sin(2 * np.pi * x) for x, y in draws(work)])
    mean, sd, n = noise.mean(), noise.std(), len(noise)
    require(
        bool(abs(mean) < 5 * NOISE / np.sqrt(n) and abs(sd - NOISE) < 4 * NOISE / np.sqrt(2 * n)),
        f"y − sin(2πx) has mean {mean:.3f} and σ {sd:.3f}; expected 0 and {NOISE}",
    )
    tails = ((noise - mean) ** 4).mean() / sd**4
    require(
        bool(abs(tails - 3) < 6 * np.sqrt(24 / n)),
        f"the noise is not Gaussian: its kurtosis is {tails:.1f}; expected 3",
    )


# -- the model -------------------------------------------------------------------------------------


@condition(
    "model",
    "The model is a weighted sum of M basis functions and a bias.",
    r"\hat{y}_i = \sum_{j=1}^{M} w_j \phi_j (x_i \mid \mu_j, \sigma_j) + b",
)
def weighted_sum(work: Work) -> None:
    rng = work.rng("model")
    x, w, mu, sigma = rng.uniform(size=9), *rng.uniform(0.3, 1, (3, 5))
    phi = array_of(work.call("basis", x, mu, sigma), (9, 5), "what basis returns")
    parameters = {"w": w, "b": np.float64(0.7), "mu": mu, "sigma": sigma}
    agree(work.call("predict", parameters, x), phi @ w + 0.7, "ŷ", rtol=1e-4, atol=1e-5)


@condition(
    "basis",
    "Each basis function is exp(−(x − μ)² / σ²).",
    r"\phi(x \mid \mu, \sigma) = \exp \frac{-(x - \mu)^2}{\sigma^2}",
)
def gaussian(work: Work) -> None:
    rng = work.rng("basis")
    x, mu, sigma = rng.uniform(size=9), *rng.uniform(0.3, 1, (2, 5))
    expected = np.exp(-((x[:, None] - mu) ** 2) / sigma**2)
    agree(work.call("basis", x, mu, sigma), expected, "φ", rtol=1e-4, atol=1e-5)


@condition(
    "loss",
    "The loss is half the squared error, over all pairs.",
    r"J(y, \hat{y}) = \frac{1}{2}(y - \hat{y})^2 … for all (x_i, y_i) pairs.",
)
def half_the_square(work: Work) -> None:
    y, y_hat = work.rng("loss").normal(size=(2, 7))
    each = (y - y_hat) ** 2 / 2
    found = any_array(work.call("loss", y, y_hat), "the loss")
    expected = each if found.shape == (7,) else each.mean()
    if found.shape == () and np.isclose(found, each.sum(), rtol=1e-4):
        expected = each.sum()
    agree(found, expected, "the loss", rtol=1e-4, atol=1e-5)


# -- training --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fits:
    """Two trainings with one seed on the same x: their parameters, and the distance of the first
    fit from the sine without noise.
    """

    first: dict[str, np.ndarray]
    second: dict[str, np.ndarray]
    distance: float


@evidence
def fits(work: Work) -> Fits:
    """What the student's code learns from data that it never had."""
    rng = work.rng("training data")
    x = rng.uniform(size=POINTS)
    y = np.sin(2 * np.pi * x) + NOISE * rng.normal(size=POINTS)
    seed = int(rng.integers(10**6))
    first = parameters(work.call("train", x, y, seed))
    # not −y: who starts at w = b = 0 then learns −w and −b, and bit for bit the same μ and σ
    other = np.cos(2 * np.pi * x) + NOISE * rng.normal(size=POINTS)
    second = parameters(work.call("train", x, other, seed))
    grid = np.linspace(0, 1, 101)
    fit = array_of(work.call("predict", first, grid.astype(np.float32)), grid.shape, "ŷ")
    return Fits(first, second, float(np.sqrt(((fit - np.sin(2 * np.pi * grid)) ** 2).mean())))


def parameters(found: Value) -> dict[str, np.ndarray]:
    """w, mu and sigma, each (M,), and b.

    Raises:
        Failure: they are something else.
    """
    require(
        isinstance(found, dict) and set(found) == {"w", "b", "mu", "sigma"},
        "train returns something else than a table of w, b, mu and sigma",
    )
    rows = {name: numbers(found[name], name) for name in ("w", "mu", "sigma")}
    sizes = {len(row) for row in rows.values()}
    require(len(sizes) == 1 and sizes != {0}, "w, mu and sigma have different lengths")
    bias = any_array(found["b"], "b")
    require(bias.size == 1, "b is more than one number")
    return {**rows, "b": bias.astype(float).reshape(())}


@condition(
    "train",
    "The bias, the weights, the places μ and the widths σ are all learned.",
    r"find estimates \hat{b} , $\{\hat{\mu}_j\}$, $\{\hat{\sigma}_j\}$, and $\{\hat{w}_j\}$ that"
    r" minimize the loss function",
    points=2,
)
def learned(work: Work) -> None:
    found = fits(work)
    for name, words in {"b": "the bias", "w": "w", "mu": "μ", "sigma": "σ"}.items():
        a, b = found.first[name], found.second[name]
        same = a.shape == b.shape and np.allclose(a, b, rtol=1e-7, atol=0)
        require(not same, f"{words} is the same after training on other targets: it is not learned")
    require(
        found.distance < NEAR,
        f"the fit is {found.distance:.2f} from the sine without noise (root mean square); expected"
        f" less than {NEAR}",
    )


@condition(
    "train",
    "Stochastic gradient descent finds the parameters.",
    "Estimates for the parameters must be found using stochastic gradient descent.",
)
def stochastic(work: Work) -> None:
    fits(work)
    words = work.code.words("train")
    for other in sorted(words & OTHERWISE):
        require(False, f"train uses {other}, which is no stochastic gradient descent")
    require(
        bool(words & AT_RANDOM),
        "train draws no examples at random; expected a few of them in each step",
    )


@condition(
    "train",
    "A framework with automatic differentiation computes the gradients.",
    "A framework that supports automatic differentiation must be used. … Use of automatic"
    " differentiation is required.",
)
def automatic(work: Work) -> None:
    fits(work)
    words = work.code.words("train")
    ways = [{"backward"}, {"autograd", "grad"}, {"GradientTape"}, {"func", "grad"}, {"jax", "grad"}]
    require(
        any(way <= words for way in ways),
        "train asks no framework for gradients; expected backward() or autograd.grad",
    )


# -- plots -----------------------------------------------------------------------------------------


@evidence
def plots(work: Work) -> list[Axes]:
    """All axes in the files that were handed in."""
    pictures = {name: each for name, each in work.files.items() if name.lower().endswith(".svg")}
    if not pictures:
        raise Missing("no plot was handed in; expected two files of SVG")
    return [axes for name in sorted(pictures) for axes in plot(name, pictures[name])]


def first_and_second(work: Work) -> tuple[Axes, Axes]:
    """The plot with the most points, and of the others that with the most curves."""
    found = plots(work)
    require(len(found) >= 2, f"there is {len(found)} plot; expected two")
    first = max(found, key=lambda axes: len(axes.points))
    others = [axes for axes in found if axes is not first]
    return first, max(others, key=lambda axes: len(axes.spanning(0, 1)))


@condition("plots", "There are two plots.", "Produce two plots.", points=2)
def two(work: Work) -> None:
    first, second = first_and_second(work)
    well_labelled([first], "the first plot", 3)
    well_labelled([second], "the second plot", 0)


@condition(
    "plots",
    "The first plot shows the points, the sine without noise and the model's curve.",
    "First, show the data-points, a noiseless sinewave, and the manifold produced by the regression"
    " model.",
)
def the_fit(work: Work) -> None:
    first, _ = first_and_second(work)
    inside = first.points[(first.points[:, 0] >= 0) & (first.points[:, 0] <= 1)]
    require(len(inside) >= POINTS, f"it shows {len(inside)} points; expected {POINTS}")
    sine = np.sin(2 * np.pi * np.linspace(0, 1, 101))
    off = [float(np.sqrt(((y - sine) ** 2).mean())) for y in first.spanning(0.03, 0.97)]
    near = [distance for distance in off if distance < 0.35]  # the ends are cut a little
    require(bool(near) and min(near) < 0.12, "it does not show the sine without noise")
    require(len(near) >= 2, "it does not show the model's curve beside the sine")


@condition(
    "plots",
    "The second plot shows each of the M basis functions.",
    "Second, show each of the M basis functions.",
)
def each_basis(work: Work) -> None:
    _, second = first_and_second(work)
    m = len(fits(work).first["w"])
    shown = len(second.spanning(0.05, 0.95))
    require(shown >= m, f"it shows {shown} curves; expected {m}, one for each basis function")
