"""What the optimisers are asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from etude.exercises.checks import Code, agree, array_of, check, same_answer, values_of


def _path(
    code: Code, function: str, gradients: Sequence[np.ndarray], memories: int, *options: float
) -> list[np.ndarray]:
    """The weights and what is remembered after each step, from zeros; Adam's are told the step."""
    shape = gradients[0].shape
    state = [np.zeros(shape) for _ in range(1 + memories)]
    path = []
    for number, gradient in enumerate(gradients, 1):
        w, *memory = state
        place = [number] if function.startswith("adam") else []
        found = code.call(function, w, gradient, *memory, *place, *options)
        names = ["the weights", "what is remembered", "the second of what is remembered"]
        state = [
            array_of(part, shape, f"{name} after step {number}")
            for part, name in zip(values_of(found, 1 + memories), names, strict=False)
        ]
        path += state
    return path


def _paths(
    student: Code, reference: Code, rng: Generator, function: str, memories: int, *options: float
) -> None:
    gradients = rng.normal(size=(5, 3, 2)) * np.array([1, 100, 0.01, 1, 0])[:, None, None]
    arguments = (function, gradients, memories, *options)
    expected = _path(reference, *arguments)
    found = _path(student, *arguments)
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        what = "the weights" if number % (1 + memories) == 0 else "what is remembered"
        agree(one, other, f"{what} after step {1 + number // (1 + memories)}", atol=1e-12)


@check("momentum", public=True)
def one_step(student: Code, reference: Code, rng: Generator) -> None:
    w, gradient, velocity = rng.normal(size=(3, 4))
    same_answer(student, reference, "momentum_step", w, gradient, velocity, 0.1, 0.9)
    same_answer(student, reference, "momentum_step", w, gradient, velocity, 0.1, 0.0)


@check("momentum")
def a_path_with_momentum(student: Code, reference: Code, rng: Generator) -> None:
    _paths(student, reference, rng, "momentum_step", 1, 0.3, 0.8)
    gradient = rng.normal(size=3)
    path = _path(student, "momentum_step", [gradient] * 60, 1, 0.1, 0.5)
    agree(path[-1], 2 * gradient, "the velocity after many equal gradients")


@check("nesterov", public=True)
def a_path_with_nesterovs_momentum(student: Code, reference: Code, rng: Generator) -> None:
    _paths(student, reference, rng, "nesterov_step", 1, 0.3, 0.8)


@check("nesterov")
def the_gradient_is_taken_ahead(student: Code, reference: Code, rng: Generator) -> None:
    curve, rate, momentum = rng.uniform(0.5, 2, 4), 0.2, 0.7
    w, move = rng.normal(size=4), np.zeros(4)  # of Sutskever's form: the gradient at w + μ move
    ahead, velocity = w.copy(), np.zeros(4)
    for number in range(1, 7):
        found = student.call("nesterov_step", ahead, curve * ahead, velocity, rate, momentum)
        ahead, velocity = (array_of(each, (4,)) for each in values_of(found, 2))
        move = momentum * move - rate * curve * (w + momentum * move)
        w = w + move
        what = f"the weights after step {number} down a bowl"
        agree(ahead, w + momentum * move, what)


@check("adagrad", public=True)
def a_path_of_adagrad(student: Code, reference: Code, rng: Generator) -> None:
    _paths(student, reference, rng, "adagrad_step", 1, 0.3)


@check("adagrad")
def adagrad_without_and_with_equal_gradients(
    student: Code, reference: Code, rng: Generator
) -> None:
    w, nothing = rng.normal(size=3), np.zeros(3)
    found = values_of(student.call("adagrad_step", w, nothing, nothing, 0.1), 2)
    agree(found[0], w, "the weights after a gradient of 0")
    gradient = rng.normal(size=5)
    path = _path(student, "adagrad_step", [gradient] * 4, 1, 1.0)
    length = np.sum(1 / np.sqrt([1, 2, 3, 4]))
    agree(path[-2], -length * np.sign(gradient), "the weights after four equal gradients")
    same_answer(student, reference, "adagrad_step", w, rng.normal(size=3), nothing, 0.1, 0.5)


@check("rmsprop", public=True)
def a_path_of_rmsprop(student: Code, reference: Code, rng: Generator) -> None:
    _paths(student, reference, rng, "rmsprop_step", 1, 0.3)


@check("rmsprop")
def rmsprop_forgets(student: Code, reference: Code, rng: Generator) -> None:
    _paths(student, reference, rng, "rmsprop_step", 1, 0.1, 0.6, 0.3)
    w, nothing = rng.normal(size=3), np.zeros(3)
    found = values_of(student.call("rmsprop_step", w, nothing, nothing, 0.1), 2)
    agree(found[0], w, "the weights after a gradient of 0")
    gradient = rng.normal(size=5)
    path = _path(student, "rmsprop_step", [100 * gradient, *[gradient] * 80], 1, 0.1, 0.5)
    agree(path[-2] - path[-4], -0.1 * np.sign(gradient), "the last of many equal steps", rtol=1e-5)


@check("adam", public=True)
def a_path_of_adam(student: Code, reference: Code, rng: Generator) -> None:
    _paths(student, reference, rng, "adam_step", 2, 0.1)


@check("adam")
def adam_with_other_numbers(student: Code, reference: Code, rng: Generator) -> None:
    _paths(student, reference, rng, "adam_step", 2, 0.1, 0.5, 0.7, 0.3)
    _paths(student, reference, rng, "adam_step", 2, 0.1, 0.0, 0.9)


@check("adam")
def equal_gradients_of_any_size_give_equal_steps(
    student: Code, reference: Code, rng: Generator
) -> None:
    gradient = rng.choice([-1, 1], 6) * 10.0 ** np.arange(-3, 3)
    path = _path(student, "adam_step", [gradient] * 4, 2, 0.1)
    for number in range(4):
        expected = -0.1 * (number + 1) * np.sign(gradient)
        agree(path[3 * number], expected, f"the weights after step {number + 1}", rtol=1e-4)


@check("adamw", public=True)
def a_path_of_adamw(student: Code, reference: Code, rng: Generator) -> None:
    _paths(student, reference, rng, "adamw_step", 2, 0.1, 0.5)


@check("adamw")
def the_shrinking_is_apart(student: Code, reference: Code, rng: Generator) -> None:
    w, gradient, nothing = rng.normal(size=4), rng.normal(size=4), np.zeros(4)
    found = values_of(student.call("adamw_step", w, nothing, nothing, nothing, 1, 0.1, 0.5), 3)
    agree(found[0], 0.95 * w, "the weights after a gradient of 0")
    agree(found[1], nothing, "the average of gradients of 0")
    before = (w, gradient, rng.normal(size=4), rng.random(4), 3, 0.1)
    found = student.call("adamw_step", *before, 0.0, 0.6, 0.8, 0.2)
    what = "Adam without shrinking"
    agree(found, reference.call("adam_step", *before, 0.6, 0.8, 0.2), what)


@check("clip", public=True)
def gradients_that_are_too_long(student: Code, reference: Code, rng: Generator) -> None:
    gradients = [rng.normal(size=(3, 2)), rng.normal(size=4)]
    same_answer(student, reference, "clip_by_norm", gradients, 0.5)
    same_answer(student, reference, "clip_by_norm", gradients, 100.0)


@check("clip")
def one_norm_for_all(student: Code, reference: Code, rng: Generator) -> None:
    gradients = [1e3 * rng.normal(size=(2, 3, 2)), rng.normal(size=1) + 3, rng.normal(size=5)]
    clipped, norm = values_of(student.call("clip_by_norm", gradients, 2.0), 2)
    parts = [array_of(p, g.shape) for p, g in zip(values_of(clipped, 3), gradients, strict=True)]
    together = np.concatenate([np.ravel(part) for part in parts])
    agree(float(np.linalg.norm(together)), 2.0, "the common norm")
    before = np.concatenate([np.ravel(each) for each in gradients])
    agree(norm, float(np.linalg.norm(before)), "the norm before")
    agree(together * np.linalg.norm(before) / 2, before, "the direction")
    same_answer(student, reference, "clip_by_norm", [np.zeros((2, 2)), np.zeros(3)], 1.0)
    same_answer(student, reference, "clip_by_norm", [np.array([3.0, 4.0])], 5.0)
    same_answer(student, reference, "clip_by_norm", [np.array([3.0]), np.array([[4.0]])], 4.5)


@check("schedule", public=True)
def a_whole_schedule(student: Code, reference: Code, rng: Generator) -> None:
    for step in range(23):
        what = f"the rate at step {step} of 20 with 5 of warm-up"
        same_answer(student, reference, "learning_rate", step, 20, 5, 0.3, what=what)


@check("schedule", points=2)
def its_ends_and_its_middle(student: Code, reference: Code, rng: Generator) -> None:
    peak, lowest = float(rng.uniform(1, 2)), float(rng.uniform(0.1, 0.5))
    for step, expected in ((0, peak / 4), (3, peak), (4, peak), (7, (peak + lowest) / 2)):
        found = student.call("learning_rate", step, 10, 4, peak, lowest)
        agree(found, expected, f"the rate at step {step} of 10 with 4 of warm-up")
    for step, steps, warmup in ((0, 8, 0), (3, 8, 0), (8, 8, 0), (9, 8, 1), (2, 3, 3), (3, 3, 3)):
        what = f"the rate at step {step} of {steps} with {warmup} of warm-up"
        same_answer(
            student, reference, "learning_rate", step, steps, warmup, peak, lowest, what=what
        )
