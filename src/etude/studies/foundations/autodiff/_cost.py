"""What a Jacobian costs: by differences, by forward mode and by reverse mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from timeit import repeat
from typing import Any

import numpy as np

from etude import autodiff as ad
from etude.autodiff import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
Function = Callable[[Any], Tensor]
SIZES = (1, 4, 16, 64, 256, 1024)


def differences(f: Function, x: Array, h: float = 6e-6) -> Array:
    """The Jacobian (m, n) of f at x (n,) by central differences, two evaluations for each input."""
    columns = [
        (f(x + h * unit).numpy() - f(x - h * unit).numpy()) / (2 * h) for unit in np.eye(len(x))
    ]
    return np.stack(columns, -1)


def forward_mode(f: Function, x: Array) -> Tensor:
    """The Jacobian (m, n) of f at x (n,), one column a pass."""
    return ad.jacobian(f, "forward")(x)


def reverse_mode(f: Function, x: Array) -> Tensor:
    """The Jacobian (m, n) of f at x (n,), one row a pass."""
    return ad.jacobian(f, "reverse")(x)


METHODS: Mapping[str, Callable[[Function, Array], Array | Tensor]] = {
    "differences": differences,
    "forward mode": forward_mode,
    "reverse mode": reverse_mode,
}


def hidden_layer(x: Any, A: Array, B: Array) -> Tensor:
    """A tanh(B x), the function whose Jacobian is timed: (n,) → (m,)."""
    value: Tensor = A @ ad.tanh(B @ x)  # type: ignore[assignment]
    return value


def relative_costs(inputs: int, outputs: int) -> dict[str, float]:
    """The time of each method for one Jacobian, divided by the time of one evaluation."""
    rng = np.random.default_rng(max(inputs, outputs))
    A = rng.normal(size=(outputs, 64)) / 8
    B = rng.normal(size=(64, inputs))
    f = partial(hidden_layer, A=A, B=B)
    x = np.ones(inputs)

    evaluation = min(repeat(partial(f, x), number=1))
    times = {
        name: min(repeat(partial(jacobian, f, x), number=1)) for name, jacobian in METHODS.items()
    }
    return {name: time / evaluation for name, time in times.items()}


def measure_costs(largest: int) -> dict[str, dict[str, dict[int, float]]]:
    """``{what grows: {method: {size: relative cost}}}``, for sizes up to ``largest``."""
    of_inputs: dict[str, dict[int, float]] = {name: {} for name in METHODS}
    of_outputs: dict[str, dict[int, float]] = {name: {} for name in METHODS}
    for size in SIZES:
        if size <= largest:
            for name, cost in relative_costs(size, 1).items():
                of_inputs[name][size] = cost
            for name, cost in relative_costs(1, size).items():
                of_outputs[name][size] = cost
    return {"inputs n, one output": of_inputs, "outputs m, one input": of_outputs}
