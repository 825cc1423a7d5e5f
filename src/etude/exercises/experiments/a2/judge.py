"""What ECE-472's second assignment demands of two spirals and the network that separates them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from etude.exercises.checks import Code, any_array, array_of, require, shape_of, values_of
from etude.exercises.pictures import Axes, plot, well_labelled
from etude.exercises.sandbox import Limits
from etude.exercises.work import Missing, Work, condition, evidence

PACKAGES = ("torch", "numpy")
LIMITS = {
    "quick": Limits(wall=300.0, cpu=200, memory=4 << 30),
    "full": Limits(wall=300.0, cpu=200, memory=4 << 30),
}
STRONGER = 1e4  # times the penalty
FEWEST, MOST = 50, 20_000  # points


def files(code: Code) -> dict[str, bytes]:
    """What is handed in beside the code, as the code makes it."""
    return {"boundary.svg": str(code.call("figure", 0)).encode()}


@dataclass(frozen=True)
class Points:
    """Points (N, 2) and their classes (N,)."""

    x: np.ndarray
    t: np.ndarray


def points_of(work: Work, seed: int) -> Points:
    """What the student's code draws.

    Raises:
        Failure: it is something else than points of two classes.
    """
    x, t = values_of(work.call("draw", seed), 2)
    n = shape_of(x, "the points")[:1] or (0,)
    places, classes = array_of(x, (*n, 2), "the points"), array_of(t, n, "the classes")
    require(FEWEST <= n[0] <= MOST, f"there are {n[0]} points; expected {FEWEST} to {MOST:,}")
    require(bool(np.isfinite(places).all()), "a point is no pair of numbers")
    require(set(np.unique(classes).tolist()) == {0, 1}, "the classes are not 0 and 1")
    return Points(places.astype(float), classes.astype(int))


@evidence
def points(work: Work) -> Points:
    """The student's data, with a seed that the student does not know."""
    return points_of(work, int(work.rng("data").integers(10**6)))


@condition(
    "data", "The student's own code generates the data.", "You must generate the data yourself."
)
def generated(work: Work) -> None:
    one = points(work)
    other = points_of(work, int(work.rng("other data").integers(10**6)))
    require(
        one.x.shape != other.x.shape or not np.allclose(one.x, other.x),
        "two seeds give the same points; expected points that are drawn",
    )
    share = one.t.mean()
    require(0.3 < share < 0.7, f"class 1 has {share:.0%} of the points; expected about half")
    columns = np.c_[one.x, np.ones(len(one.x))]
    weights = np.linalg.lstsq(columns, 2.0 * one.t - 1, rcond=None)[0]
    line = ((columns @ weights > 0) == one.t).mean()
    require(line < 0.85, f"a line tells {line:.0%} of the points apart; spirals it can't")


# -- the network -----------------------------------------------------------------------------------


@evidence
def trained(work: Work) -> dict[str, np.ndarray]:
    """What is learned from the student's points."""
    return parameters_of(work, 1.0)


def parameters_of(work: Work, penalty: float) -> dict[str, np.ndarray]:
    """The parameters after training with a penalty so many times as strong.

    Raises:
        Failure: they are no table of arrays.
    """
    seed = int(work.rng("seed").integers(10**6))
    found = work.call("train", points(work).x, points(work).t, seed, penalty)
    require(isinstance(found, dict), "train returns something else than a table of arrays")
    return {str(name): any_array(each, str(name)) for name, each in found.items()}


@evidence
def probabilities(work: Work) -> np.ndarray:
    """What the network says of its training points."""
    own = points(work)
    return array_of(work.call("predict", trained(work), own.x), own.t.shape, "what predict returns")


@condition(
    "network",
    "The model is a multi-layer perceptron, and it returns the probability of class 1.",
    "As a model use a multi-layer perceptron f which returns an estimate for the conditional"
    r" density $p(t=1 \mid x)$",
    points=2,
)
def perceptron(work: Work) -> None:
    matrices = [each.shape for each in trained(work).values() if each.ndim == 2]
    require(
        len(matrices) >= 2,
        f"the network has {len(matrices)} matrices of weights; expected a hidden layer",
    )
    fits = all(set(a) & set(b) for a, b in pairwise(matrices))
    ends = 2 in matrices[0] and 1 in matrices[-1]
    require(fits and ends, "the matrices do not lead from two inputs to one output")
    probabilities(work)


@condition(
    "predict",
    "It takes two numbers and returns one from 0 to 1.",
    r"f \colon \mathbb{R}^2 \to [0, 1]",
)
def from_zero_to_one(work: Work) -> None:
    anywhere = work.rng("anywhere").normal(scale=3, size=(500, 2))
    p = array_of(work.call("predict", trained(work), anywhere), (500,), "what predict returns")
    require(bool(((p >= 0) & (p <= 1)).all()), f"predict returns {p.min():.3g} to {p.max():.3g}")


@condition(
    "train",
    "Every training point is classified correctly.",
    r"All of the examples in the training set should be classified correctedly (i.e. $p(t=1\mid"
    r" x)>0.5$ if and only if t=1).",
    points=3,
)
def all_right(work: Work) -> None:
    wrong = int(((probabilities(work) > 0.5) != points(work).t).sum())
    require(wrong == 0, f"{wrong} of {len(points(work).t)} training points are on the wrong side")


@condition(
    "train",
    "The loss has an L2 penalty on the parameters.",
    "Impose an L^2 penalty on the set of parameters.",
    points=2,
)
def penalised(work: Work) -> None:
    norms = [
        sum(float((each.astype(float) ** 2).sum()) for each in found.values())
        for found in (trained(work), parameters_of(work, STRONGER))
    ]
    require(bool(np.isfinite(norms[0])), "the parameters are no numbers after training")
    shrunk = not np.isfinite(norms[1]) or norms[1] < 0.95 * norms[0]
    require(
        bool(shrunk),
        f"a penalty {STRONGER:,.0f} times as strong leaves the parameters as large as they were",
    )


# -- the plot --------------------------------------------------------------------------------------


@evidence
def shown(work: Work) -> list[Axes]:
    """The axes of the plot."""
    if not any(name.lower().endswith(".svg") for name in work.files):
        raise Missing("no plot was handed in; expected a file of SVG")
    return [*plot(*work.file(".svg"))]


@condition("plot", "There is one plot.", "Produce one plot.")
def one(work: Work) -> None:
    found = shown(work)
    require(len(found) == 1, f"there are {len(found)} plots; expected one")
    well_labelled(found, "the plot", 2)


@condition(
    "plot",
    "The plot shows the points and the boundary at p = 0.5.",
    r"Show the examples and the boundary corresponding to $p(t=1\mid x)=0.5$.",
    points=2,
)
def boundary(work: Work) -> None:
    found = max(shown(work), key=lambda axes: len(axes.points))
    require(len(found.points) >= FEWEST, f"it shows {len(found.points)} points; expected the data")
    # Spirals need a boundary that winds: one that is longer than the picture is wide and high.
    size = float(np.ptp(found.points, axis=0).sum())
    lengths = [float(np.linalg.norm(np.diff(c, axis=0), axis=1).sum()) for c in found.curves]
    require(sum(lengths) > size, "it shows no boundary that winds between the points")
