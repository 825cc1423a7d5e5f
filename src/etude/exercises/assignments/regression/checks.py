"""What the regressions are asked."""

from __future__ import annotations

from functools import partial

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

SHAPES = ("w", "mu", "sigma", "b")


def _model(found: Value, width: int) -> tuple[np.ndarray, float]:
    """Weights and bias of an answer."""
    if not isinstance(found, list | tuple) or len(found) != 2:
        raise Failure(f"the answer is a {type(found).__name__}; expected weights and a bias")
    bias = found[1]
    if not isinstance(bias, float | int | np.generic) and np.shape(bias) != ():
        raise Failure(f"the bias is a {type(bias).__name__}; expected a number")
    return array_of(found[0], (width,), "the weights"), float(bias)


def _parameters(rng: Generator, m: int = 3) -> dict[str, np.ndarray]:
    return {
        "w": rng.normal(size=m),
        "mu": rng.uniform(0, 1, m),
        "sigma": rng.uniform(0.2, 0.6, m) * rng.choice([-1, 1], m),
        "b": np.asarray(rng.normal()),
    }


def _points(rng: Generator, n: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """CU's data: a sine with noise."""
    x = rng.uniform(0, 1, n)
    return x, np.sin(2 * np.pi * x) + 0.1 * rng.normal(size=n)


# -- linear models in closed form ------------------------------------------------------------------


@check("least-squares", public=True)
def a_line_through_points(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=(6, 2))
    w, b = _model(student.call("least_squares", x, x @ [2.0, -1.0] + 3), 2)
    agree(w, np.array([2.0, -1.0]), "the weights")
    agree(b, 3.0, "the bias")


@check("least-squares")
def errors_are_orthogonal_and_columns_nearly_dependent(
    student: Code, reference: Code, rng: Generator
) -> None:
    for n, d in ((3, 2), (1, 0), (30, 5)):
        x, y = rng.normal(size=(n, d)), rng.normal(size=n)
        w, b = _model(student.call("least_squares", x, y), d)
        errors = y - x @ w - b
        agree(x.T @ errors, np.zeros(d), "the product of x and the errors")
        agree(float(errors.sum()), 0.0, "the sum of the errors")
    t = rng.normal(size=40)
    x = np.stack([t, t + 1e-7 * rng.normal(size=40)], 1)
    w, b = _model(student.call("least_squares", x, x @ [1.0, 2.0] - 4), 2)
    agree(w, np.array([1.0, 2.0]), "the weights of two columns that are nearly equal", rtol=1e-4)
    agree(b, -4.0, "the bias beside two columns that are nearly equal", rtol=1e-4)


def _ridge_loss(x: np.ndarray, y: np.ndarray, penalty: float, wb: np.ndarray) -> float:
    w, b = wb[:-1], wb[-1]
    return float(((y - x @ w - b) ** 2).sum() + penalty * (w**2).sum())


@check("ridge", public=True)
def the_gradient_is_zero(student: Code, reference: Code, rng: Generator) -> None:
    x, y = 1 + rng.normal(size=(12, 3)), 5 + rng.normal(size=12)
    for penalty in (0.1, 10.0):
        w, b = _model(student.call("ridge", x, y, penalty), 3)
        slope = numeric_gradient(partial(_ridge_loss, x, y, penalty), np.append(w, b))
        agree(slope, np.zeros(4), f"the gradient of the loss for λ = {penalty}", atol=1e-5)


@check("ridge")
def more_weights_than_examples_and_extreme_penalties(
    student: Code, reference: Code, rng: Generator
) -> None:
    for n, d in ((1, 1), (4, 7), (20, 3)):
        x, y = rng.normal(size=(n, d)) - 2, rng.normal(size=n) + 3
        for penalty in (1e-3, 1.0):
            found = _model(student.call("ridge", x, y, penalty), d)
            expected = reference.call("ridge", x, y, penalty)
            agree(found, expected, f"weights and bias for λ = {penalty}", rtol=1e-5)
    w, b = _model(student.call("ridge", x, y, 1e12), 3)
    agree(w, np.zeros(3), "the weights for a huge λ")
    agree(b, float(y.mean()), "the bias for a huge λ")
    w, b = _model(student.call("ridge", x, y, 1e-9), 3)
    agree((w, b), reference.call("least_squares", x, y), "the model for a tiny λ", rtol=1e-5)


# -- Gaussian basis functions ----------------------------------------------------------------------


@check("basis", public=True)
def one_at_the_place_and_less_at_the_width(student: Code, reference: Code, rng: Generator) -> None:
    mu, sigma = rng.normal(size=4), rng.uniform(0.5, 2, 4)
    at = array_of(student.call("basis", mu, mu, sigma), (4, 4), "the basis functions")
    agree(at.diagonal(), np.ones(4), "a basis function at its place")
    beside = array_of(student.call("basis", mu - sigma, mu, sigma), (4, 4), "the basis functions")
    agree(beside.diagonal(), np.full(4, np.exp(-1)), "a basis function at the distance σ")


@check("basis")
def any_number_of_points(student: Code, reference: Code, rng: Generator) -> None:
    for n, m in ((0, 2), (1, 1), (7, 3), (3, 7)):
        x, mu = rng.normal(size=n), rng.normal(size=m)
        sigma = rng.uniform(0.3, 2, m) * rng.choice([-1, 1], m)
        expected = [
            [np.exp(-((a - c) ** 2) / s**2) for c, s in zip(mu, sigma, strict=True)] for a in x
        ]
        found = student.call("basis", x, mu, sigma)
        agree(found, np.reshape(expected, (n, m)), f"{m} basis functions of {n} points")


@check("loss", public=True)
def without_weights_and_with_one(student: Code, reference: Code, rng: Generator) -> None:
    x, y = _points(rng)
    parameters = _parameters(rng)
    parameters["w"] = np.zeros(3)
    expected = float(0.5 * ((parameters["b"] - y) ** 2).mean())
    agree(student.call("loss_of", parameters, x, y), expected, "the loss without weights")
    one = {"w": np.array([2.0]), "mu": np.array([1.0]), "sigma": np.array([3.0]), "b": np.zeros(())}
    found = student.call("loss_of", one, np.array([1.0, 1.0]), np.array([1.0, 5.0]))
    agree(found, 2.5, "the loss of ŷ = 2 for y = 1 and y = 5")


@check("loss")
def any_parameters(student: Code, reference: Code, rng: Generator) -> None:
    for n, m in ((1, 1), (50, 6)):
        x, y = _points(rng, n)
        parameters = _parameters(rng, m)
        expected = reference.call("loss_of", parameters, x, y)
        agree(student.call("loss_of", parameters, x, y), expected, f"the loss of {n} points")


def _gradients(
    student: Code, reference: Code, parameters: dict[str, np.ndarray], n: int, rng: Generator
) -> None:
    """Compare each gradient with differences of the student's own loss, and with the true one."""
    x, y = _points(rng, n)
    found = student.call("gradients", parameters, x, y)
    if not isinstance(found, dict) or sorted(found) != sorted(SHAPES):
        raise Failure(f"the answer is a {type(found).__name__}; expected w, mu, sigma and b")
    for name in SHAPES:

        def loss(value: np.ndarray, name: str = name) -> float:
            found = student.call("loss_of", {**parameters, name: value}, x, y)
            if not isinstance(found, float | int | np.generic):
                raise Failure(f"the loss is a {type(found).__name__}; expected a number")
            return float(found)

        agree(
            found[name],
            numeric_gradient(loss, parameters[name]),
            f"the gradient by {name}, beside differences of your loss",
            rtol=1e-4,
            atol=1e-7,
        )
    agree(found, reference.call("gradients", parameters, x, y), "the gradients")


@check("gradients", points=2, public=True)
def beside_differences(student: Code, reference: Code, rng: Generator) -> None:
    _gradients(student, reference, _parameters(rng), 9, rng)


@check("gradients", points=2)
def one_point_one_function_and_more_functions_than_points(
    student: Code, reference: Code, rng: Generator
) -> None:
    for n, m in ((1, 1), (1, 4), (4, 9), (50, 1), (5, 5)):
        _gradients(student, reference, _parameters(rng, m), n, rng)
    x, y = _points(rng, 40)
    parameters = _parameters(rng, 6)
    expected = reference.call("gradients", parameters, x, y)
    agree(student.call("gradients", parameters, x, y), expected, "the gradients of 40 points")


@check("descent-step", public=True)
def a_step_with_all_rows(student: Code, reference: Code, rng: Generator) -> None:
    x, y = _points(rng)
    parameters = _parameters(rng)
    rows = np.arange(9)
    expected = reference.call("descent_step", parameters, x, y, rows, 0.1)
    found = student.call("descent_step", parameters, x, y, rows, 0.1)
    agree(found, expected, "the parameters after the step")


@check("descent-step")
def only_the_rows_of_the_step(student: Code, reference: Code, rng: Generator) -> None:
    for size in (1, 4, 20):
        x, y = _points(rng, 30)
        parameters = _parameters(rng, 5)
        rows = rng.integers(0, 30, size)
        others = np.setdiff1d(np.arange(30), rows)
        expected = reference.call("descent_step", parameters, x, y, rows, 0.3)
        y[others] = 1e6
        found = student.call("descent_step", parameters, x, y, rows, 0.3)
        agree(found, expected, f"the parameters after a step with {size} rows")
        left = student.call("descent_step_leaves", parameters, x, y, rows, 0.3)
        require(bool(left), "descent_step changes the parameters that it is given")


# -- lasso -----------------------------------------------------------------------------------------


@check("soft-threshold", public=True)
def five_numbers(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("soft_threshold", np.array([-3.0, -0.5, 0.0, 1.0, 2.5]), 1.0)
    agree(found, np.array([-2.0, 0.0, 0.0, 0.0, 1.5]), "the numbers")


@check("soft-threshold")
def it_is_the_least_of_its_function(student: Code, reference: Code, rng: Generator) -> None:
    for shape in ((), (0,), (6,), (3, 4)):
        x = np.asarray(2 * rng.normal(size=shape))
        for threshold in (0.0, 0.7, 100.0):
            what = f"the answer for threshold {threshold}"
            found = student.call("soft_threshold", x, threshold)
            agree(found, reference.call("soft_threshold", x, threshold), what)
            z = np.asarray(found)
            best = (z - x) ** 2 / 2 + threshold * np.abs(z)
            for other in (0.0, 1e-3, -1e-3):
                near = z + other if other else np.zeros(shape)
                value = (near - x) ** 2 / 2 + threshold * np.abs(near)
                require(bool((best <= value + 1e-12).all()), f"{what} is not the best one")


def _objective(x: np.ndarray, y: np.ndarray, penalty: float, w: np.ndarray) -> float:
    return float(((y - x @ w) ** 2).mean() / 2 + penalty * np.abs(w).sum())


@check("lasso", public=True)
def orthogonal_columns_take_one_sweep(student: Code, reference: Code, rng: Generator) -> None:
    q, _ = np.linalg.qr(rng.normal(size=(12, 4)))
    x = q * np.sqrt(12)
    y = x @ [3.0, 0.05, -2.0, 0.0]
    found = student.call("lasso", x, y, 0.1, 1)
    agree(found, np.array([2.9, 0.0, -1.9, 0.0]), "the weights")
    agree(student.call("lasso", x, y, 0.1, 0), np.zeros(4), "the weights before the first sweep")


@check("lasso", points=2)
def each_sweep_and_the_conditions_of_an_optimum(
    student: Code, reference: Code, rng: Generator
) -> None:
    for n, d in ((1, 1), (5, 9), (30, 6)):
        x = rng.normal(size=(n, d)) * rng.uniform(0.5, 3, d) + 0.3
        y = rng.normal(size=n) + 2 * x[:, 0]
        for penalty in (0.0, 0.2):
            before = _objective(x, y, penalty, np.zeros(d))
            for sweeps in (1, 2, 5):
                what = f"the weights after {sweeps} sweeps for λ = {penalty}"
                w = array_of(student.call("lasso", x, y, penalty, sweeps), (d,), what)
                agree(w, reference.call("lasso", x, y, penalty, sweeps), what)
                after = _objective(x, y, penalty, w)
                require(after <= before + 1e-9, f"{what} are worse than the weights before")
                before = after
    w = array_of(student.call("lasso", x, y, 0.2, 300), (6,), "the weights after 300 sweeps")
    slope = x.T @ (y - x @ w) / 30
    agree(slope[w != 0], 0.2 * np.sign(w[w != 0]), "xⱼ · residual / N of weights that are not 0")
    require(bool((np.abs(slope) <= 0.2 + 1e-6).all()), "xⱼ · residual / N is more than λ")
    most = float(np.abs(x.T @ y).max() / 30)
    found = student.call("lasso", x, y, 1.0001 * most, 3)
    agree(found, np.zeros(6), "the weights for a λ that is too large for any of them")
