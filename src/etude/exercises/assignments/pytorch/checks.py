"""What the tensors are asked."""

from __future__ import annotations

import ast

import numpy as np
from numpy.random import Generator

from etude.exercises.checks import (
    Code,
    Failure,
    Value,
    agree,
    array_of,
    check,
    numeric_gradient,
    require,
)


def _pair(found: Value) -> tuple[float, Value]:
    if not isinstance(found, list | tuple) or len(found) != 2:
        raise Failure(f"the answer is a {type(found).__name__}; expected a loss and a gradient")
    if not isinstance(found[0], float):
        raise Failure(f"the loss is a {type(found[0]).__name__}; expected a float")
    return found[0], found[1]


# -- tensors and dtypes ----------------------------------------------------------------------------


@check("normalise", public=True)
def one_channel(student: Code, reference: Code, rng: Generator) -> None:
    images = rng.integers(0, 256, (2, 3, 4, 1)).astype(np.uint8)
    found = array_of(student.call("normalise", images, [0.5], [0.25]), (2, 1, 3, 4), "the images")
    require(found.dtype == np.float32, f"the images hold {found.dtype}; expected float32")
    agree(found[:, 0], (images[..., 0] / 255 - 0.5) / 0.25, "the images", rtol=1e-4, atol=1e-5)


@check("normalise")
def three_channels_and_no_image(student: Code, reference: Code, rng: Generator) -> None:
    mean, std = [0.49, 0.48, 0.45], [0.25, 0.24, 0.26]
    for shape in ((4, 2, 5, 3), (1, 1, 1, 3), (0, 4, 4, 3)):
        images = rng.integers(0, 256, shape).astype(np.uint8)
        expected = (np.moveaxis(images, 3, 1) / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(
            std, (3, 1, 1)
        )
        found = student.call("normalise", images, mean, std)
        agree(found, expected, f"images of shape {shape}", rtol=1e-4, atol=1e-5)


# -- automatic differentiation ---------------------------------------------------------------------


@check("logistic", public=True)
def the_loss(student: Code, reference: Code, rng: Generator) -> None:
    x, w = rng.normal(size=(7, 3)), rng.normal(size=3)
    y = rng.choice([-1.0, 1.0], 7)
    found, gradient = _pair(student.call("logistic_loss", w, x, y))
    agree(found, np.log(1 + np.exp(-y * (x @ w))).mean(), "the loss")
    array_of(gradient, (3,), "the gradient")


@check("logistic")
def the_gradient_and_large_numbers(student: Code, reference: Code, rng: Generator) -> None:
    x, w = rng.normal(size=(7, 3)), rng.normal(size=3)
    y = rng.choice([-1.0, 1.0], 7)
    gradient = array_of(_pair(student.call("logistic_loss", w, x, y))[1], (3,), "the gradient")
    expected = numeric_gradient(lambda v: _pair(student.call("logistic_loss", v, x, y))[0], w)
    agree(gradient, expected, "the gradient, beside differences of your loss", rtol=1e-5)
    agree(gradient, reference.call("logistic_loss", w, x, y)[1], "the gradient")
    found = student.call("logistic_loss", 1e3 * w, x, y)
    agree(found, reference.call("logistic_loss", 1e3 * w, x, y), "loss and gradient far from 0")


def _swish(x: np.ndarray) -> np.ndarray:
    values: np.ndarray = x / (1 + np.exp(-x))
    return values


@check("swish", public=True)
def the_derivative(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=5)
    found = array_of(student.call("swish_gradient", x, np.ones(5)), (5,), "the gradient")
    expected = numeric_gradient(lambda v: float(_swish(v).sum()), x)
    agree(found, expected, "the gradient, beside differences", rtol=1e-5, atol=1e-7)


@check("swish")
def what_comes_from_above(student: Code, reference: Code, rng: Generator) -> None:
    for shape in ((), (0,), (3, 4), (2, 1, 3)):
        x, upstream = np.asarray(3 * rng.normal(size=shape)), np.asarray(rng.normal(size=shape))
        expected = reference.call("swish_gradient", x, upstream)
        found = student.call("swish_gradient", x, upstream)
        agree(found, expected, f"the gradient of shape {shape}")
    found = student.call("swish_gradient", np.array([-1e3, 0.0, 1e3]), np.array([1.0, 2.0, 3.0]))
    agree(found, np.array([0.0, 1.0, 3.0]), "the gradient at −1000, 0 and 1000")


# -- a module with parameters ----------------------------------------------------------------------


@check("layer-norm-parameters", public=True)
def names_and_shapes(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("layer_norm_parameters", 5)
    names = sorted(found) if isinstance(found, dict) else []
    require(names == ["bias", "gain"], f"the parameters are {names}; expected bias and gain")
    for name in names:
        array_of(found[name], (5,), f"the parameter {name}")


@check("layer-norm-parameters")
def ones_and_zeros(student: Code, reference: Code, rng: Generator) -> None:
    for width in (1, int(rng.integers(2, 20))):
        expected = {"gain": np.ones(width), "bias": np.zeros(width)}
        agree(student.call("layer_norm_parameters", width), expected, "the parameters")


@check("layer-norm", public=True)
def mean_and_variance(student: Code, reference: Code, rng: Generator) -> None:
    x = 3 + 2 * rng.normal(size=(4, 6))
    found = student.call("layer_norm", x, np.ones(6), np.zeros(6), 0.0)
    found = array_of(found, (4, 6), "the answer")
    agree(found.mean(1), np.zeros(4), "the mean of each vector")
    agree(found.var(1), np.ones(4), "the variance of each vector")


@check("layer-norm")
def gain_bias_and_vectors_that_do_not_vary(student: Code, reference: Code, rng: Generator) -> None:
    for shape in ((3,), (2, 5), (2, 3, 4), (0, 2), (2, 1)):
        x, gain, bias = rng.normal(size=shape), rng.normal(size=shape[-1:]), rng.normal(size=1)
        bias = np.resize(bias, shape[-1]) + np.arange(shape[-1])
        for eps in (1e-5, 0.3):
            m, v = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
            expected = (x - m) / np.sqrt(v + eps) * gain + bias
            found = student.call("layer_norm", x, gain, bias, eps)
            agree(found, expected, f"the answer for shape {shape} and ε = {eps}")
    found = student.call("layer_norm", np.full((2, 3), 7.0), np.ones(3), np.ones(3), 1e-5)
    agree(found, np.ones((2, 3)), "the answer for a vector of equal numbers")
    for node in ast.walk(ast.parse(student.source())):
        if isinstance(node, ast.ClassDef) and node.name == "LayerNorm":
            text = "".join(
                ast.unparse(each) for each in node.body if not isinstance(each, ast.Expr)
            )
            hidden = [name for name in ("nn.LayerNorm", "F.layer_norm") if name in text]
            require(not hidden, "your class uses PyTorch's own layer normalisation")


# -- a training step -------------------------------------------------------------------------------


def _trained(
    x: np.ndarray, y: np.ndarray, classes: int, steps: int, learning_rate: float
) -> tuple[list[float], np.ndarray]:
    """The same training in NumPy."""
    w = np.zeros((classes, x.shape[1]))
    n = np.arange(len(x))
    losses = []
    for _ in range(steps):
        powers = np.exp(x @ w.T)
        p = powers / powers.sum(1, keepdims=True)
        losses.append(float(-np.log(p[n, y]).mean()))
        p[n, y] -= 1
        w = w - learning_rate * p.T @ x / len(x)
    return losses, w


@check("train-step", public=True)
def one_step(student: Code, reference: Code, rng: Generator) -> None:
    x, y = rng.normal(size=(8, 3)), rng.integers(0, 4, 8)
    losses, w, _ = student.call("train", x, y, 4, 1, 0.5)
    expected = _trained(x, y, 4, 1, 0.5)
    agree(losses, expected[0], "the loss of the first step")
    agree(w, expected[1], "the weights after one step")


@check("train-step")
def several_steps_in_training_mode(student: Code, reference: Code, rng: Generator) -> None:
    x, y = rng.normal(size=(20, 3)), rng.integers(0, 4, 20)
    losses, w, training = student.call("train", x, y, 4, 6, 0.3)
    expected = _trained(x, y, 4, 6, 0.3)
    agree(losses, expected[0], "the losses of six steps")
    agree(w, expected[1], "the weights after six steps")
    require(bool(training), "the model is not in training mode after the step")


# -- a loader --------------------------------------------------------------------------------------


def _batches(student: Code, n: int, size: int, seed: int) -> list[int]:
    """Ask for the batches of n examples that can be told apart, and return their order."""
    x = np.stack([np.arange(n), -np.arange(n)], 1).astype(np.float64)
    y = 3 * np.arange(n)
    found = student.call("batches", x, y, size, seed)
    sizes = [min(size, n - begin) for begin in range(0, n, size)]
    what = f"the batches of {size} of {n} examples"
    if not isinstance(found, list) or len(found) != len(sizes):
        raise Failure(f"{what} are {type(found).__name__}; expected a list of {len(sizes)}")
    order: list[int] = []
    for batch, expected in zip(found, sizes, strict=True):
        if not isinstance(batch, list | tuple) or len(batch) != 2:
            raise Failure(f"{what}: a batch is no pair of examples and labels")
        points = array_of(batch[0], (expected, 2), "the examples of a batch")
        rows = points[:, 0].astype(int)
        require(bool((points == x[rows % n]).all()), f"{what} hold an example that is not there")
        agree(batch[1], y[rows % n], "the labels of a batch")
        order += rows.tolist()
    require(sorted(order) == list(range(n)), f"{what} do not hold each example once")
    return order


@check("batches", public=True)
def each_example_once(student: Code, reference: Code, rng: Generator) -> None:
    _batches(student, 10, 4, 0)
    _batches(student, 6, 3, 1)
    _batches(student, 1, 5, 2)


@check("batches")
def the_seed_alone_decides(student: Code, reference: Code, rng: Generator) -> None:
    seed = int(rng.integers(1000))
    first = _batches(student, 30, 7, seed)
    require(first != sorted(first), "the examples stay in their order; expected another one")
    require(first == _batches(student, 30, 7, seed), "one seed gives two orders")
    require(first != _batches(student, 30, 7, seed + 1), "two seeds give one order")
    x, y = rng.normal(size=(6, 2)), rng.integers(0, 3, 6)
    moved = student.call("batches_move_the_global_generator", x, y, 4, seed)
    require(not moved, "batches moves PyTorch's own random numbers; use a generator of its own")


# -- freezing --------------------------------------------------------------------------------------


@check("freeze", public=True)
def one_layer(student: Code, reference: Code, rng: Generator) -> None:
    names, left = student.call("frozen", ["0"], 2)
    agree(names, ["0.weight", "0.bias"], "the parameters that are frozen")
    agree(left, [8], "how many numbers are still trained")


@check("freeze")
def parts_by_their_whole_name(student: Code, reference: Code, rng: Generator) -> None:
    for parts in ([], ["1"], ["1", "10"], ["0.weight", "0"], ["none"], ["1.wei"], ["11.bias", "2"]):
        names, left = student.call("frozen", parts)
        expected = reference.call("frozen", parts)
        agree(names, expected[0], f"the parameters that are frozen with {parts}")
        agree(left, expected[1], f"how many numbers are still trained with {parts}")


# -- saving and loading ----------------------------------------------------------------------------


@check("load", public=True)
def a_state(student: Code, reference: Code, rng: Generator) -> None:
    arrays = {"weight": rng.normal(size=(2, 3)), "bias": rng.normal(size=2)}
    error, state, _ = student.call("loaded", "state", arrays)
    agree(error, "", "the error for a good file")
    agree(state, arrays, "the state")
    agree(student.call("loaded", "state", {})[:2], ["", {}], "error and state for an empty table")


@check("load")
def a_file_that_is_damaged_or_harmful(student: Code, reference: Code, rng: Generator) -> None:
    arrays = {"weight": rng.normal(size=(2, 3))}
    for kind in ("bomb", "half", "empty", "noise", "list", "text"):
        error, _, executed = student.call("loaded", kind, arrays)
        require(not executed, f"a line of the file '{kind}' was executed")
        agree(error, "ValueError", f"the error for the file '{kind}'")
