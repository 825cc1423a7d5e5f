"""Derivatives of functions: gradients, products with Jacobians, Jacobians, Hessians, and a check
against differences.

All of them nest: ``grad(grad(f))``, ``jacobian(grad(f))``, the gradient of a gradient's length.
Tensors that a function uses but isn't given are constants to its derivative, and the derivative can
be differentiated by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, Literal, TypeAlias

import numpy as np

from etude.autodiff import tensor as graph
from etude.autodiff.operations import reshape, stack
from etude.autodiff.tensor import (
    DtypeError,
    Operand,
    ShapeError,
    Tensor,
    alias,
    as_tensor,
    recording,
)

Function: TypeAlias = Callable[..., Any]
Inputs: TypeAlias = "Operand | tuple[Operand, ...]"
_LEVELS = count()  # never the same again: a tangent that outlives its jvp is dead


class GradientError(RuntimeError):
    """A derivative that differences don't confirm."""


def _inputs(x: Inputs) -> list[Tensor]:
    xs = [as_tensor(x) for x in (x if isinstance(x, tuple) else (x,))]
    for x in xs:
        if x.dtype.kind != "f":
            raise DtypeError(
                f"a derivative expected floating-point numbers to be taken by, got {x.dtype}"
            )
    return xs


def _zeros(x: Tensor) -> Tensor:
    return Tensor(np.zeros_like(x.data))


class _Watched:
    """A function's value at copies of its inputs, to be pulled back to them."""

    def __init__(self, f: Function, xs: Sequence[Tensor]) -> None:
        with recording(True):
            self.inputs = [alias(x, x.tangents) for x in xs]
            for x in self.inputs:
                x.requires_grad = True
            self.y = as_tensor(f(*self.inputs))
        self.stops = {id(x) for x in self.inputs}
        reached, leading = graph.trace(self.y, self.stops), set(self.stops)
        for v in reached:  # operands first
            if any(id(x) in leading for x in v.parents):
                leading.add(id(v))
        self.order = [v for v in reached if id(v) in leading]
        outer = any(x.parents for x in self.inputs) or any(
            not v.operation and id(v) not in leading for v in reached
        )
        self.nested = (
            outer and graph.is_recording()
        )  # if so, the derivative may itself be differentiated

    def pull(self, y_adjoint: Tensor, retain_graph: bool = False) -> list[Tensor]:
        """The adjoints of the inputs."""
        retain = self.nested or retain_graph
        order = list(self.order) if retain else self.order
        pulled = (
            graph.pull_back(self.y, y_adjoint, order, self.stops, self.nested, retain)
            if order
            else []
        )
        x_adjoints = {id(x): x_adjoint for x, x_adjoint in pulled}
        return [x_adjoints[id(x)] if id(x) in x_adjoints else _zeros(x) for x in self.inputs]


def grad(f: Function) -> Function:
    """The gradient of a scalar function, as a function: ∇f(x), or for several inputs a tuple of
    gradients.
    """

    def gradient(*inputs: Operand) -> Any:
        watched = _Watched(f, _inputs(inputs))
        if watched.y.size != 1:
            raise ShapeError(
                f"grad expected a function with a scalar value, got shape {watched.y.shape}"
            )
        x_adjoints = watched.pull(Tensor(np.ones_like(watched.y.data)))
        return x_adjoints[0] if len(x_adjoints) == 1 else tuple(x_adjoints)

    return gradient


def vjp(f: Function, x: Inputs, y_adjoint: Operand) -> tuple[Tensor, Any]:
    """y = f(x) and, in reverse mode, x̄ = Jᵀ ȳ: the value and the adjoint of the input, or a tuple
    of adjoints for a tuple of inputs.
    """
    watched = _Watched(f, _inputs(x))
    with recording(watched.nested):
        y = alias(watched.y, watched.y.tangents)
    x_adjoints = watched.pull(as_tensor(y_adjoint))
    return y, tuple(x_adjoints) if isinstance(x, tuple) else x_adjoints[0]


def jvp(f: Function, x: Inputs, x_tangent: Inputs) -> tuple[Any, Any]:
    """y = f(x) and, in forward mode, ẏ = J ẋ: the value and its tangent.

    Args:
        f: a function of one or several tensors.
        x: its input, or a tuple of inputs.
        x_tangent: the tangent of the input, or a tuple of them.

    Returns:
        y and ẏ; if f gives a tuple, both are tuples.

    Raises:
        ShapeError: a tangent has another shape than its input.
    """
    xs = _inputs(x)
    x_tangents = [
        as_tensor(t) for t in (x_tangent if isinstance(x_tangent, tuple) else (x_tangent,))
    ]
    level = next(_LEVELS)
    expected = [x.shape for x in xs]
    given = [t.shape for t in x_tangents]
    if given != expected:
        raise ShapeError(f"jvp expected tangents of shape {expected}, got {given}")
    graph.ACTIVE.add(level)
    try:
        moving = [
            alias(x, {**x.tangents, level: t.astype(x.dtype)})
            for x, t in zip(xs, x_tangents, strict=True)
        ]
        value = f(*moving)
        ys = [as_tensor(y) for y in (value if isinstance(value, tuple) else (value,))]
        pairs = [
            (graph.below(y, level), y.tangents[level] if level in y.tangents else _zeros(y))
            for y in ys
        ]
    finally:
        graph.ACTIVE.discard(level)
    if isinstance(value, tuple):
        return tuple(y for y, _ in pairs), tuple(y_tangent for _, y_tangent in pairs)
    return pairs[0]


def _basis(x: Tensor) -> Iterator[Tensor]:
    for place in np.ndindex(x.shape):
        e = np.zeros(x.shape, x.dtype)
        e[place] = 1
        yield Tensor(e)


def jacobian(
    f: Function, mode: Literal["forward", "reverse", "auto"] = "auto"
) -> Callable[[Operand], Tensor]:
    """The function x ↦ ∂f(x)/∂x, of shape (*shape of f(x), *shape of x).

    Forward mode takes a pass for each entry of x, reverse mode one for each entry of f(x); "auto"
    takes the fewer.
    """
    if mode not in ("forward", "reverse", "auto"):
        raise ValueError(f"jacobian expected mode 'forward', 'reverse' or 'auto', got '{mode}'")

    def matrix(x: Operand) -> Tensor:
        (x,) = _inputs(x)
        watched = _Watched(f, (x,))
        if mode == "forward" or (mode == "auto" and x.size < watched.y.size):
            parts, axis = [jvp(f, x, e)[1] for e in _basis(x)], -1
        else:
            parts, axis = [watched.pull(e, retain_graph=True)[0] for e in _basis(watched.y)], 0
        shape = (*watched.y.shape, *x.shape)
        return reshape(stack(parts, axis), shape) if parts else Tensor(np.zeros(shape, x.dtype))

    return matrix


def hessian(f: Function) -> Callable[[Operand], Tensor]:
    """The function x ↦ ∂²f(x)/∂x∂x of a scalar f, of shape (*shape of x, *shape of x): forward over
    reverse mode.
    """
    return jacobian(grad(f), "forward")


def hvp(f: Function, x: Inputs, v: Inputs) -> Any:
    """The Hessian of a scalar f times v, forward over reverse mode: it is never made itself
    (Pearlmutter, 1994).
    """
    return jvp(grad(f), x, v)[1]


def check_gradients(f: Function, *inputs: Operand, tolerance: float = 1e-6) -> float:
    """Hold both modes against central differences (f(x + h) − f(x − h)) / 2h, for every entry of
    every input.

    A value that isn't scalar is weighted with random numbers first, the same at each call. Gives
    the worst error, relative to the difference where that is above 1.

    Raises:
        GradientError: an error above the tolerance; says of which input and entry.
        DtypeError: an input isn't float64, which differences need.
    """
    xs = tuple(_inputs(inputs))
    for i, x in enumerate(xs):
        if x.dtype != np.float64:
            raise DtypeError(f"check_gradients expected float64, got {x.dtype} for input {i + 1}")
    shape = f(*xs).shape
    weights = np.random.default_rng(0).normal(size=shape) if shape else np.ones(())
    (_, x_adjoints), worst = vjp(f, xs, weights), 0.0
    for i, (x, x_adjoint) in enumerate(zip(xs, x_adjoints, strict=True)):

        def along(z: Tensor, i: int = i) -> Tensor:
            y: Tensor = (f(*xs[:i], z, *xs[i + 1 :]) * weights).sum()
            return y

        for place, e in zip(np.ndindex(x.shape), _basis(x), strict=True):
            h = 6e-6 * max(
                1.0, abs(float(x.data[place]))
            )  # the cube root of float64's rounding: its best balance
            expected = float(along(x + h * e) - along(x - h * e)) / (2 * h)
            for mode, got in (
                ("reverse", float(x_adjoint.data[place])),
                ("forward", float(jvp(along, x, e)[1])),
            ):
                error = abs(got - expected) / max(1.0, abs(expected))
                if not error <= tolerance:
                    wanted = (
                        f"{expected:.10g}, as differences give it, for input {i + 1} at {place}"
                    )
                    raise GradientError(
                        f"check_gradients expected {wanted}, got {got:.10g} in {mode} mode"
                    )
                worst = max(worst, error)
    return worst
