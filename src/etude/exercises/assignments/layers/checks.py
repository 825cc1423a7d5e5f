"""What the layers are asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from etude.exercises.checks import (
    Code,
    Value,
    agree,
    array_of,
    check,
    numeric_gradient,
    require,
    same_answer,
    values_of,
)

TRUE = "the gradient, beside that of the true layer,"


def _gradient(found: Value, loss: Callable[[np.ndarray], float], at: np.ndarray, what: str) -> None:
    """Whether an answer is the gradient of a loss, which the student's own code computes. That
    alone proves little: a layer that does nothing has a gradient, too.
    """
    gradient = array_of(found, at.shape, f"the gradient by {what}")
    expected = numeric_gradient(loss, at)
    moves = bool(np.isfinite(expected).all() and expected.any())
    require(moves, f"your own layer does not answer to {what}, or not with numbers")
    agree(
        gradient,
        expected,
        f"the gradient by {what}, beside differences of your own layer",
        rtol=1e-4,
        atol=1e-6,
    )


# -- batch normalisation ---------------------------------------------------------------------------


def _batch(rng: Generator, n: int = 7, d: int = 4) -> tuple[np.ndarray, ...]:
    x = rng.normal(size=(n, d)) * rng.uniform(0.5, 5, d) + rng.normal(size=d)
    running_mean, running_var = rng.normal(size=d), rng.uniform(0.5, 2, d)
    return x, rng.normal(size=d), rng.normal(size=d), running_mean, running_var


@check("batch-norm", public=True)
def a_batch_in_training(student: Code, reference: Code, rng: Generator) -> None:
    arguments = _batch(rng)
    same_answer(student, reference, "batch_norm", *arguments, True, what="layer and averages")
    x = arguments[0]
    found = values_of(
        student.call("batch_norm", x, np.ones(4), np.zeros(4), *arguments[3:], True, 0.9, 1e-12), 3
    )
    out = array_of(found[0], (7, 4), "the normalised batch")
    agree(out.mean(0), np.zeros(4), "the mean of each unit", atol=1e-6)
    agree(out.std(0), np.ones(4), "the standard deviation of each unit", rtol=1e-5)


@check("batch-norm")
def after_training(student: Code, reference: Code, rng: Generator) -> None:
    arguments = _batch(rng)
    same_answer(student, reference, "batch_norm", *arguments, False, what="layer and averages")
    same_answer(
        student, reference, "batch_norm", *arguments, False, 0.5, 0.3, what="layer and averages"
    )
    x, *rest = arguments
    one = values_of(student.call("batch_norm", x[:1], *rest, False), 3)[0]
    all_of_them = values_of(student.call("batch_norm", x, *rest, False), 3)[0]
    agree(
        one,
        array_of(all_of_them, x.shape, "the batch")[:1],
        "one example alone, beside the same in a batch,",
    )


@check("batch-norm")
def far_from_zero_and_batches_of_one(student: Code, reference: Code, rng: Generator) -> None:
    x, *rest = _batch(rng, 20, 3)
    same_answer(
        student, reference, "batch_norm", x + 1e7, *rest, True, what="a batch far from zero"
    )
    same_answer(student, reference, "batch_norm", x[:1], *rest, True, what="a batch of one example")
    same_answer(
        student,
        reference,
        "batch_norm",
        x,
        *rest,
        True,
        0.25,
        0.3,
        what="the answer with other numbers",
    )


@check("batch-norm-backward", public=True)
def the_gradients_of_your_layer(student: Code, reference: Code, rng: Generator) -> None:
    x, gamma, beta, mean, var = _batch(rng, 5, 3)
    by_out = rng.normal(size=x.shape)

    def loss(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> float:
        out = values_of(student.call("batch_norm", x, gamma, beta, mean, var, True), 3)[0]
        return float((array_of(out, x.shape, "the batch") * by_out).sum())

    by_x, by_gamma, by_beta = values_of(student.call("batch_norm_backward", by_out, x, gamma), 3)
    _gradient(by_x, lambda v: loss(v, gamma, beta), x, "x")
    _gradient(by_gamma, lambda v: loss(x, v, beta), gamma, "gamma")
    _gradient(by_beta, lambda v: loss(x, gamma, v), beta, "beta")
    same_answer(student, reference, "batch_norm_backward", by_out, x, gamma, what=TRUE)


@check("batch-norm-backward", points=2)
def what_no_batch_can_change(student: Code, reference: Code, rng: Generator) -> None:
    x, gamma, *_ = _batch(rng, 9, 5)
    by_out = rng.normal(size=x.shape)
    arguments = (by_out, x, gamma, 0.2)
    same_answer(student, reference, "batch_norm_backward", *arguments, what="the gradients")
    by_x = values_of(student.call("batch_norm_backward", by_out, x, gamma, 1e-12), 3)[0]
    by_x = array_of(by_x, x.shape, "the gradient by x")
    agree(by_x.sum(0), np.zeros(5), "the gradient by a shift of all examples", atol=1e-9)
    along = (by_x * (x - x.mean(0))).sum(0)
    agree(along, np.zeros(5), "the gradient by a stretch of all examples", atol=1e-6)


# -- layer normalisation ---------------------------------------------------------------------------


@check("layer-norm", public=True)
def each_example(student: Code, reference: Code, rng: Generator) -> None:
    x, gamma, beta, *_ = _batch(rng, 3, 6)
    same_answer(student, reference, "layer_norm", x, gamma, beta)
    found = array_of(student.call("layer_norm", x, np.ones(6), np.zeros(6)), (3, 6))
    agree(found.mean(1), np.zeros(3), "the mean of each example", atol=1e-6)


@check("layer-norm")
def neither_shift_nor_stretch_matters(student: Code, reference: Code, rng: Generator) -> None:
    x, gamma, beta, *_ = _batch(rng, 4, 4)  # as many examples as units, so no shape helps
    same_answer(student, reference, "layer_norm", x, gamma, beta, 0.3)
    found = array_of(student.call("layer_norm", x, gamma, beta, 1e-12), (4, 4))
    moved = x * rng.uniform(1, 5, (4, 1)) + 1e3 * rng.normal(size=(4, 1))
    agree(
        student.call("layer_norm", moved, gamma, beta, 1e-12),
        found,
        "the answer for examples that are shifted and stretched",
        rtol=1e-5,
        atol=1e-6,
    )
    same = np.full((2, 4), 3.0)
    agree(
        student.call("layer_norm", same, gamma, beta),
        np.stack([beta, beta]),
        "the answer for an example of equal numbers",
    )


# -- dropout ---------------------------------------------------------------------------------------


@check("dropout", public=True)
def what_is_kept(student: Code, reference: Code, rng: Generator) -> None:
    x, draws = rng.normal(size=(6, 5)), rng.random((6, 5))
    same_answer(student, reference, "dropout", x, draws, 0.6, True, what="the layer in training")
    same_answer(
        student, reference, "dropout", x, draws, 0.6, False, what="the layer after training"
    )


@check("dropout")
def the_expectation_stays(student: Code, reference: Code, rng: Generator) -> None:
    draws = rng.permutation(10_000).reshape(100, 100) / 10_000
    for keep in (0.25, 0.9, 1.0):
        x = np.full((100, 100), 3.0)
        found = array_of(student.call("dropout", x, draws, keep, True), x.shape)
        agree(found.mean(), 3.0, f"the mean where {keep:g} is kept,")
        agree((found != 0).mean(), keep, f"the part that is not 0 where {keep:g} is kept,")
    same_answer(student, reference, "dropout", np.ones(3), np.array([0.0, 0.5, 0.7]), 0.5, True)


@check("dropout-backward", public=True)
def the_gradient_of_your_dropout(student: Code, reference: Code, rng: Generator) -> None:
    x, draws, by_out = rng.normal(size=(3, 4)), rng.random((3, 4)), rng.normal(size=(3, 4))
    draws[0, 0] = 0.9  # so that something is dropped
    for training in (True, False):
        _gradient(
            student.call("dropout_backward", by_out, draws, 0.7, training),
            lambda v, training=training: float(  # type: ignore[misc]
                (array_of(student.call("dropout", v, draws, 0.7, training), (3, 4)) * by_out).sum()
            ),
            x,
            "x",
        )
        same_answer(student, reference, "dropout_backward", by_out, draws, 0.7, training, what=TRUE)


@check("dropout-backward")
def the_gradient_of_dropout(student: Code, reference: Code, rng: Generator) -> None:
    for keep, shape in ((0.3, (50,)), (0.8, (4, 3, 5)), (1.0, (2, 2))):
        by_out, draws = rng.normal(size=shape), rng.random(shape)
        for training in (True, False):
            same_answer(student, reference, "dropout_backward", by_out, draws, keep, training)


# -- convolution -----------------------------------------------------------------------------------


def _images(
    rng: Generator,
    n: int = 2,
    channels: int = 3,
    size: tuple[int, int] = (5, 6),
    filters: int = 4,
    window: tuple[int, int] = (3, 2),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        rng.normal(size=(n, channels, *size)),
        rng.normal(size=(filters, channels, *window)),
        rng.normal(size=filters),
    )


@check("conv2d", public=True)
def without_padding(student: Code, reference: Code, rng: Generator) -> None:
    same_answer(student, reference, "conv2d", *_images(rng), 1, 0)
    x, *_ = _images(rng, 1, 1)
    one = np.ones((1, 1, 1, 1))
    agree(student.call("conv2d", x, one, np.zeros(1), 1, 0), x, "the answer for a filter of one 1")


@check("conv2d", points=2)
def with_stride_and_padding(student: Code, reference: Code, rng: Generator) -> None:
    for stride, padding in ((1, 1), (2, 0), (2, 1), (3, 2)):
        what = f"the answer for stride {stride} and padding {padding}"
        same_answer(student, reference, "conv2d", *_images(rng), stride, padding, what=what)
    same_answer(
        student, reference, "conv2d", *_images(rng, 1, 1, (3, 2), 1), 1, 0, what="one place"
    )
    x, w, b = _images(rng, size=(6, 6), window=(3, 3))
    turned = student.call("conv2d", x.swapaxes(2, 3), w.swapaxes(2, 3), b, 2, 1)
    agree(
        array_of(turned, (2, 4, 3, 3)).swapaxes(2, 3),
        reference.call("conv2d", x, w, b, 2, 1),
        "the answer for images and filters whose rows and columns are exchanged",
    )


@check("conv2d-backward", public=True)
def the_gradients_of_your_convolution(student: Code, reference: Code, rng: Generator) -> None:
    x, w, b = _images(rng, 1, 2, (4, 3), 2, (2, 2))
    by_out = rng.normal(size=(1, 2, 3, 2))

    def loss(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> float:
        out = array_of(student.call("conv2d", x, w, b, 1, 0), by_out.shape, "the layer's answer")
        return float((out * by_out).sum())

    by_x, by_w, by_b = values_of(student.call("conv2d_backward", by_out, x, w, 1, 0), 3)
    _gradient(by_x, lambda v: loss(v, w, b), x, "x")
    _gradient(by_w, lambda v: loss(x, v, b), w, "w")
    _gradient(by_b, lambda v: loss(x, w, v), b, "the biases")
    same_answer(student, reference, "conv2d_backward", by_out, x, w, 1, 0, what=TRUE)


@check("conv2d-backward", points=3)
def its_gradients_with_stride_and_padding(student: Code, reference: Code, rng: Generator) -> None:
    for stride, padding in ((1, 0), (1, 1), (2, 0), (2, 1), (3, 2)):
        x, w, b = _images(rng)
        by_out = rng.normal(size=reference.call("conv2d", x, w, b, stride, padding).shape)
        what = f"the gradients for stride {stride} and padding {padding}"
        same_answer(student, reference, "conv2d_backward", by_out, x, w, stride, padding, what=what)


# -- pooling ---------------------------------------------------------------------------------------


@check("max-pool", public=True)
def windows_side_by_side(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=(2, 3, 4, 6))
    same_answer(student, reference, "max_pool", x, 2, 2)
    agree(student.call("max_pool", x, 1, 1), x, "the answer for windows of one entry")


@check("max-pool")
def windows_that_overlap_or_leave_some_out(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=(2, 3, 7, 6)) - 5  # all below 0, so that no padding may win
    for size, stride in ((3, 2), (2, 3), (3, 1), (6, 1)):
        what = f"the answer for windows of {size} and stride {stride}"
        same_answer(student, reference, "max_pool", x, size, stride, what=what)


@check("max-pool-backward", public=True)
def the_gradient_of_your_pooling(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.permutation(32).reshape(1, 2, 4, 4) / 4.0
    by_out = rng.normal(size=(1, 2, 2, 2))

    def loss(x: np.ndarray) -> float:
        out = array_of(student.call("max_pool", x, 2, 2), by_out.shape, "the layer's answer")
        return float((out * by_out).sum())

    _gradient(student.call("max_pool_backward", by_out, x, 2, 2), loss, x, "x")
    same_answer(student, reference, "max_pool_backward", by_out, x, 2, 2, what=TRUE)


@check("max-pool-backward", points=2)
def its_gradient_where_windows_overlap_or_entries_are_equal(
    student: Code, reference: Code, rng: Generator
) -> None:
    for size, stride in ((3, 1), (3, 2), (2, 3), (2, 2)):
        for x in (rng.normal(size=(2, 3, 5, 6)), rng.integers(0, 2, (2, 3, 5, 6)).astype(float)):
            by_out = rng.normal(size=reference.call("max_pool", x, size, stride).shape)
            what = f"the gradient for windows of {size} and stride {stride}"
            same_answer(student, reference, "max_pool_backward", by_out, x, size, stride, what=what)
    found = student.call("max_pool_backward", np.ones((1, 1, 1, 1)), np.zeros((1, 1, 2, 2)), 2, 2)
    total = array_of(found, (1, 1, 2, 2)).sum()
    require(bool(total == 1), f"of four equal entries, all get {total:g} in sum; expected 1")
