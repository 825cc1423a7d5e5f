"""What the classifiers are asked."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from etude.exercises.checks import Code, Failure, agree, array_of, check, numeric_gradient, require


def _data(rng: Generator, n: int = 9, d: int = 5, c: int = 4) -> tuple[np.ndarray, np.ndarray]:
    labels = np.concatenate([np.arange(c), rng.integers(0, c, n - c)])
    return rng.normal(size=(n, d)), rng.permutation(labels)


@check("distances", public=True)
def all_pairs(student: Code, reference: Code, rng: Generator) -> None:
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    agree(student.call("distances", a, b), reference.call("distances", a, b), "the distances")


@check("distances")
def a_point_is_at_no_distance_from_itself(student: Code, reference: Code, rng: Generator) -> None:
    a = 1e4 * rng.normal(size=(20, 7)) + 1e3
    found = array_of(student.call("distances", a, a), (20, 20), "the distances")
    require(bool(np.isfinite(found).all()), "some distances are no numbers")
    agree(found.diagonal(), np.zeros(20), "the distance of a point from itself", atol=1e-2)
    agree(found, reference.call("distances", a, a), "the distances of points far apart", atol=1e-2)


@check("neighbours", public=True)
def one_neighbour(student: Code, reference: Code, rng: Generator) -> None:
    examples, labels = _data(rng, 12)
    points = rng.normal(size=(7, 5))
    arguments = (points, examples, labels, 1)
    agree(
        student.call("nearest_neighbours", *arguments),
        reference.call("nearest_neighbours", *arguments),
        "the labels",
    )


@check("neighbours")
def several_neighbours_and_the_smallest_label_of_equals(
    student: Code, reference: Code, rng: Generator
) -> None:
    examples, labels = _data(rng, 40, 2, 3)
    points = rng.normal(size=(30, 2))
    for k in (2, 4, 5):
        arguments = (points, examples, labels, k)
        agree(
            student.call("nearest_neighbours", *arguments),
            reference.call("nearest_neighbours", *arguments),
            f"the labels by {k} neighbours",
        )


def _loss_and_gradient(
    student: Code, reference: Code, function: str, rng: Generator, penalty: float
) -> None:
    x, y = _data(rng)
    w = rng.normal(size=(5, 4))
    _, gradient = _pair(student.call(function, w, x, y, penalty))
    found = array_of(gradient, (5, 4), "the gradient")
    expected = numeric_gradient(lambda v: _pair(student.call(function, v, x, y, penalty))[0], w)
    agree(found, expected, "the gradient, beside differences of your loss", rtol=1e-4, atol=1e-6)
    true = reference.call(function, w, x, y, penalty)[1]
    agree(found, true, "the gradient, beside that of the true loss,")


def _pair(found: object) -> tuple[float, object]:
    if not isinstance(found, list | tuple) or len(found) != 2:
        raise Failure(f"the answer is a {type(found).__name__}; expected a loss and a gradient")
    loss = found[0]
    if not isinstance(loss, float | int | np.generic) and not (
        isinstance(loss, np.ndarray) and loss.shape == ()
    ):
        raise Failure(f"the loss is a {type(loss).__name__}; expected a number")
    return float(loss), found[1]


def _loss(student: Code, reference: Code, function: str, rng: Generator) -> None:
    x, y = _data(rng)
    w = rng.normal(size=(5, 4))
    for penalty in (0.0, 0.3):
        found, _ = _pair(student.call(function, w, x, y, penalty))
        agree(found, reference.call(function, w, x, y, penalty)[0], f"the loss for λ = {penalty}")


@check("margin", public=True)
def the_loss(student: Code, reference: Code, rng: Generator) -> None:
    _loss(student, reference, "margin_loss", rng)


@check("margin", points=2)
def the_gradient(student: Code, reference: Code, rng: Generator) -> None:
    _loss_and_gradient(student, reference, "margin_loss", rng, 0.0)
    _loss_and_gradient(student, reference, "margin_loss", rng, 0.2)


@check("softmax", public=True)
def probabilities(student: Code, reference: Code, rng: Generator) -> None:
    scores = 3 * rng.normal(size=(6, 4))
    found = array_of(student.call("softmax", scores), (6, 4), "the probabilities")
    agree(found, reference.call("softmax", scores), "the probabilities")
    agree(found.sum(1), np.ones(6), "the sum of a row")


@check("softmax")
def large_scores(student: Code, reference: Code, rng: Generator) -> None:
    scores = rng.normal(size=(6, 4)) + np.array([[1e4], [-1e4], [0], [800], [-800], [5]])
    scores[:, 2] -= 2e3  # so that neither the largest nor the smallest alone will do
    agree(
        student.call("softmax", scores),
        reference.call("softmax", scores),
        "the probabilities of large scores",
    )


@check("softmax-loss", public=True)
def the_mean_of_the_logarithms(student: Code, reference: Code, rng: Generator) -> None:
    _loss(student, reference, "softmax_loss", rng)


@check("softmax-loss", points=2)
def its_gradient(student: Code, reference: Code, rng: Generator) -> None:
    _loss_and_gradient(student, reference, "softmax_loss", rng, 0.0)
    _loss_and_gradient(student, reference, "softmax_loss", rng, 0.2)


def _network(rng: Generator) -> tuple[np.ndarray, ...]:
    return tuple(rng.normal(size=shape) for shape in ((5, 6), (6,), (6, 4), (4,)))


@check("two-layers", public=True)
def scores(student: Code, reference: Code, rng: Generator) -> None:
    x, _ = _data(rng)
    weights = _network(rng)
    agree(
        student.call("two_layer_scores", x, *weights),
        reference.call("two_layer_scores", x, *weights),
        "the scores",
    )


@check("two-layer-loss", public=True)
def the_loss_of_two_layers(student: Code, reference: Code, rng: Generator) -> None:
    x, y = _data(rng)
    weights = _network(rng)
    for penalty in (0.0, 0.3):
        found, _ = _pair(student.call("two_layer_loss", x, y, *weights, penalty))
        expected = reference.call("two_layer_loss", x, y, *weights, penalty)[0]
        agree(found, expected, f"the loss for λ = {penalty}")


@check("two-layer-loss", points=3)
def the_gradients_of_two_layers(student: Code, reference: Code, rng: Generator) -> None:
    x, y = _data(rng)
    weights = _network(rng)
    for penalty in (0.0, 0.2):
        _, gradients = _pair(student.call("two_layer_loss", x, y, *weights, penalty))
        expected = reference.call("two_layer_loss", x, y, *weights, penalty)[1]
        agree(gradients, expected, "the gradients", rtol=1e-6)
