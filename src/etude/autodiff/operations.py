"""The operations, each beside its derivative.

For v = f(x₁, x₂, …) with the partial derivatives dᵢ = ∂v/∂xᵢ,

- an *elementwise* operation is given by its dᵢ, once: v̇ = Σᵢ dᵢ ẋᵢ forward, x̄ᵢ = v̄ dᵢ in
  reverse;
- a *multilinear* one is its own derivative: v̇ = Σᵢ f(…, ẋᵢ, …), and x̄ᵢ is multilinear again, in
  v̄ and the other xⱼ;
- the few others say both.

Derivatives are computed by the same operations, and so have derivatives themselves. Where one has
to be chosen (of relu at 0, of a maximum at a tie), it is chosen as torch does.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from etude.autodiff.tensor import (
    Array,
    Axis,
    DtypeError,
    Operand,
    ShapeError,
    Tensor,
    as_tensor,
    as_tensors,
    record,
)

Operation: TypeAlias = Callable[..., Tensor]
Map: TypeAlias = Callable[..., Any]  # of arrays
Partial: TypeAlias = (
    int | Callable[..., Tensor | Array]
)  # ±1, or (v, x₁, …) ↦ dᵢ; an array is a constant


def _compute(name: str, expected: str, f: Map, xs: Sequence[Tensor]) -> Array:
    """f of the operands' arrays.

    Where NumPy has a complaint about shapes, it becomes one sentence.
    """
    try:
        return np.asarray(f(*[x._value for x in xs]))
    except (ValueError, IndexError) as error:
        got = " and ".join([str(x.shape) for x in xs])
        raise ShapeError(f"{name} expected {expected}, got {got} ({error})") from error


def elementwise(name: str, f: Map, *partials: Partial) -> Operation:
    """The operation v = f(x₁, …), entry by entry and broadcasting, by its partial derivatives dᵢ(v,
    x₁, …).
    """

    def times(t: Tensor, partial: Partial, v: Tensor, xs: Sequence[Tensor]) -> Tensor:
        d = partial if isinstance(partial, int) else partial(v, *xs)
        if isinstance(d, int):
            return t if d == 1 else -t
        return t * d if isinstance(d, Tensor) else weigh(np.asarray(d), t)

    def pull(i: int, d: Partial) -> Operation:
        return lambda v_adjoint, v, *xs: sum_to(times(v_adjoint, d, v, xs), xs[i].shape)

    def push(v: Tensor, xs: Sequence[Tensor], x_tangents: Sequence[Tensor | None]) -> Tensor:
        terms = [
            times(x_tangent, d, v, xs)
            for d, x_tangent in zip(partials, x_tangents, strict=True)
            if x_tangent is not None
        ]
        return broadcast_to(functools.reduce(add, terms), v.shape)

    def operation(*operands: Operand) -> Tensor:
        xs = as_tensors(*operands)
        return record(name, _compute(name, "shapes that broadcast", f, xs), xs, pulls, push)

    pulls = tuple([pull(i, d) for i, d in enumerate(partials)])
    return operation


def keep(mask: Array, a: Array) -> Array:
    """a where the mask holds, 0 elsewhere, by and-ing its bits with −1 or 0: np.where takes ten
    times as long.
    """
    bits = a.view(f"i{a.itemsize}")
    kept: Array = (bits & -mask.astype(bits.dtype)).view(a.dtype)
    return kept


def weigh(weights: Array, x: Tensor) -> Tensor:
    """Constant weights times x, where a weight of 0 gives 0, even of an infinity or NaN."""

    def scaled(a: Array, _: Any = None) -> Array:
        return (
            keep(weights, a)
            if weights.dtype == bool
            else keep(weights != 0, a * weights.astype(a.dtype))
        )

    return linear(
        "select", broadcast_to(x, np.broadcast_shapes(weights.shape, x.shape)), scaled, scaled
    )


def _power_dx(v: Tensor, x: Tensor, y: Tensor) -> Tensor:
    flat = (x == 0) & (y == 0)  # 0⁰ is flat in x, as 0ʸ is in y
    return y * x ** (where(flat, 1, y - 1) if flat.any() else y - 1)


def _power_dy(v: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return v * log(where((x == 0) & (y >= 0), 1, x))


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))  # never overflows
    value: Array = np.where(x >= 0, 1, e).astype(e.dtype) / (1 + e)
    return value


def _gelu_dx(v: Tensor, x: Tensor) -> Tensor:
    t = tanh(_C * (x + 0.044715 * x**3))
    return (1 + t) / 2 + x / 2 * (1 - t * t) * _C * (1 + 3 * 0.044715 * x**2)


def _ahead(x: Tensor, y: Tensor) -> Array:
    return np.where(x == y, 0.5, ~(x < y))  # at a tie: half to each


_C = math.sqrt(2 / math.pi)
add = elementwise("add", np.add, 1, 1)
subtract = elementwise("subtract", np.subtract, 1, -1)
multiply = elementwise("multiply", np.multiply, lambda v, x, y: y, lambda v, x, y: x)
divide = elementwise("divide", np.divide, lambda v, x, y: 1 / y, lambda v, x, y: -v / y)
power = elementwise("power", np.power, _power_dx, _power_dy)
negative = elementwise("negative", np.negative, -1)
exp = elementwise("exp", np.exp, lambda v, x: v)
expm1 = elementwise("expm1", np.expm1, lambda v, x: v + 1)
log: Operation = elementwise("log", np.log, lambda v, x: 1 / x)
log1p = elementwise("log1p", np.log1p, lambda v, x: 1 / (1 + x))
sqrt = elementwise("sqrt", np.sqrt, lambda v, x: 0.5 / v)
sin: Operation = elementwise("sin", np.sin, lambda v, x: cos(x))
cos: Operation = elementwise("cos", np.cos, lambda v, x: -sin(x))
tanh: Operation = elementwise("tanh", np.tanh, lambda v, x: 1 - v * v)
sigmoid = elementwise("sigmoid", _sigmoid, lambda v, x: v * (1 - v))
softplus = elementwise("softplus", lambda x: np.logaddexp(x, 0), lambda v, x: sigmoid(x))
gelu = elementwise(
    "gelu", lambda x: x / 2 * (1 + np.tanh(_C * (x + 0.044715 * x**3))), _gelu_dx
)  # the form with tanh
relu = elementwise("relu", lambda x: np.maximum(x, 0), lambda v, x: ~(v <= 0))  # at 0: 0
abs = elementwise("abs", np.abs, lambda v, x: np.sign(x.data))  # at 0: 0
maximum = elementwise(
    "maximum", np.maximum, lambda v, x, y: _ahead(x, y), lambda v, x, y: _ahead(y, x)
)
minimum = elementwise(
    "minimum", np.minimum, lambda v, x, y: _ahead(-x, -y), lambda v, x, y: _ahead(-y, -x)
)


def where(condition: Any, x: Operand, y: Operand) -> Tensor:
    """x where the condition, an array, holds, and y elsewhere.

    Nothing comes from the other side, not even NaN.
    """
    c = np.asarray(condition, bool)
    return elementwise(
        "where", lambda x, y: np.where(c, x, y), lambda v, x, y: c, lambda v, x, y: ~c
    )(x, y)


def clip(x: Operand, low: float, high: float) -> Tensor:
    """x held between two bounds; its derivative is 1 from one to the other, bounds included."""
    return elementwise(
        "clip", lambda x: np.clip(x, low, high), lambda v, x: (x >= low) & (x <= high)
    )(x)


def dropout(x: Operand, p: float, rng: np.random.Generator) -> Tensor:
    """Each entry 0 with probability p, else divided by 1 − p, which keeps the mean (Srivastava et
    al., 2014).
    """
    if not 0 <= p < 1:
        raise ValueError(f"dropout expected a probability from 0 to below 1, got {p}")
    x = as_tensor(x)
    return x * np.where(rng.random(x.shape) < p, 0, 1 / (1 - p)).astype(x.dtype)


def linear(
    name: str, x: Operand, f: Map, back: Map, expected: str = "a tensor", value: Array | None = None
) -> Tensor:
    """v = f(x) for a linear map of arrays: v̇ = f(ẋ), and x̄ = fᵀ(v̄) is linear, too, so that
    nothing more is needed.

    ``back`` computes fᵀ from v̄ and x's shape. Where f is linear only around x, its ``value`` there
    is given.
    """
    x = as_tensor(x)
    shape, transposed = x.shape, name[:-1] if name.endswith("ᵀ") else f"{name}ᵀ"
    value = _compute(name, expected, f, (x,)) if value is None else value
    pulls = (
        lambda v_adjoint, v, x: linear(
            transposed, v_adjoint, lambda a: back(a, shape), lambda a, _: f(a)
        ),
    )
    return record(
        name, value, (x,), pulls, lambda v, xs, x_tangents: linear(name, x_tangents[0], f, back)
    )


def multilinear(
    name: str, maps: Sequence[Map], slot: int, xs: Sequence[Tensor], expected: str
) -> Tensor:
    """v = maps[slot](xs): one of the maps that belong to a form F(z₀, z₁, …) that is linear in each
    of its arguments.

    maps[k] is ∂F/∂zₖ, as a function of the others in their order; the xs are all but z_slot. Let v̄
    be that one: then the adjoint of any other is F's derivative by it, so one of the maps again. To
    differentiate is to choose a slot.
    """
    others = [k for k in range(len(maps)) if k != slot]

    def pull(k: int) -> Operation:
        def adjoint(v_adjoint: Tensor, v: Tensor, *xs: Tensor) -> Tensor:
            z = dict(zip(others, xs, strict=True)) | {slot: v_adjoint}
            transposed = name[:-1] if name.endswith("ᵀ") else f"{name}ᵀ"
            return multilinear(transposed, maps, k, [z[j] for j in sorted(z) if j != k], expected)

        return adjoint

    def push(v: Tensor, xs: Sequence[Tensor], x_tangents: Sequence[Tensor | None]) -> Tensor:
        moved = [
            [*xs[:i], x_tangent, *xs[i + 1 :]]
            for i, x_tangent in enumerate(x_tangents)
            if x_tangent is not None
        ]
        return functools.reduce(
            add, [multilinear(name, maps, slot, terms, expected) for terms in moved]
        )

    value = _compute(name, expected, maps[slot], xs)
    return record(name, value, tuple(xs), tuple([pull(k) for k in others]), push)


def matmul(x: Operand, y: Operand) -> Tensor:
    """The matrix product (…, n, k) @ (…, k, m) → (…, n, m), over broadcast batches.

    A vector on the left is a row, on the right a column, and that axis isn't in the result.
    """
    x, y = as_tensors(x, y)
    if x.ndim == 1 or y.ndim == 1:
        v = matmul(x.reshape(1, -1) if x.ndim == 1 else x, y.reshape(-1, 1) if y.ndim == 1 else y)
        return reshape(
            v, v.shape[: v.ndim - 2] + v.shape[-2:-1] * (x.ndim > 1) + v.shape[-1:] * (y.ndim > 1)
        )
    x_shape, y_shape, shared = (
        x.shape,
        y.shape,
        y.ndim == 2,
    )  # shared: one product for the whole batch

    def flat(a: Array) -> Array:
        return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])

    def product(x: Array, y: Array) -> Array:
        v: Array = (flat(x) @ y).reshape(*x.shape[:-1], y.shape[-1]) if shared else x @ y
        return v

    def by_x(v: Array, y: Array) -> Array:
        return _sum_to(product(v, y.swapaxes(-1, -2)), x_shape)

    def by_y(v: Array, x: Array) -> Array:
        return flat(x).T @ flat(v) if shared else _sum_to(x.swapaxes(-1, -2) @ v, y_shape)

    return multilinear("matmul", (product, by_x, by_y), 0, (x, y), "shapes (…, n, k) and (…, k, m)")


def einsum(subscripts: str, *operands: Operand) -> Tensor:
    """Einstein's sum, like ``einsum("bik, bkj -> bij", x, y)``: with "->", without "...", no letter
    twice in a term.
    """
    xs = as_tensors(*operands)
    given, _, out = subscripts.replace(" ", "").partition("->")
    form = [out, *given.split(",")]
    sizes = {
        c: n
        for term, x in zip(form[1:], xs, strict=False)
        for c, n in zip(term, x.shape, strict=False)
    }
    shapes = [tuple([sizes.get(c, -1) for c in term]) for term in form]
    if (
        shapes[1:] != [x.shape for x in xs]
        or -1 in shapes[0]
        or any(len(set(term)) < len(term) for term in form)
    ):
        got = " and ".join([str(x.shape) for x in xs])
        raise ShapeError(
            f"einsum expected operands that fit '{subscripts}', no letter twice in a term, got"
            f" {got}"
        )

    def along(slot: int) -> Map:
        terms = form[:slot] + form[slot + 1 :]
        lone = [
            c for c in form[slot] if c not in "".join(terms)
        ]  # summed over in one operand: repeat along it
        sums = f"{','.join(terms + lone)}->{form[slot]}"
        return lambda *zs: np.einsum(
            sums, *zs, *[np.ones(sizes[c], zs[0].dtype) for c in lone], optimize=True
        )

    return multilinear("einsum", [along(k) for k in range(len(form))], 0, xs, subscripts)


def _reduced(
    name: str, x: Operand, axis: Axis
) -> tuple[Tensor, tuple[int, ...], tuple[int, ...], int]:
    """What a reduction needs: the tensor, the axes, the shape that is left where they are kept, the
    entries in each.
    """
    x = as_tensor(x)
    wanted = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = sorted({a % x.ndim for a in wanted if -x.ndim <= a < x.ndim})
    if len(axes) < len(wanted):
        possible = f"{-x.ndim} to {x.ndim - 1} of shape {x.shape}"
        raise ShapeError(f"{name} expected different axes from {possible}, got {axis}")
    kept = tuple([1 if i in axes else n for i, n in enumerate(x.shape)])
    return x, tuple(axes), kept, math.prod([x.shape[i] for i in axes])


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over some axes, or over all."""
    x, axes, kept, _ = _reduced("sum", x, axis)
    back = lambda v_adjoint, shape: np.broadcast_to(v_adjoint.reshape(kept), shape)  # noqa: E731
    return linear("sum", x, lambda a: a.sum(axes, keepdims=keepdims), back)


def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over some axes, or over all."""
    x, axes, kept, n = _reduced("mean", x, axis)
    back = lambda v_adjoint, shape: np.broadcast_to(v_adjoint.reshape(kept) / n, shape)  # noqa: E731
    return linear("mean", x, lambda a: a.mean(axes, keepdims=keepdims), back)


def var(x: Operand, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """The variance over some axes, or over all: the squared distances to the mean, over their
    number less ddof.
    """
    x, axes, _, n = _reduced("var", x, axis)
    centred = x - mean(x, axes, keepdims=True)
    return sum(centred * centred, axes, keepdims) / (n - ddof)


def amax(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest over some axes, or over all. Ties share the gradient equally."""
    x, axes, kept, _ = _reduced("amax", x, axis)
    best = _compute(
        "amax", "at least one entry along each axis", lambda a: a.max(axes, keepdims=True), (x,)
    )

    def share(x: Tensor, t: Tensor) -> Tensor:
        ties = x == best
        return weigh(ties / ties.sum(axes, keepdims=True), t)

    pulls = (lambda v_adjoint, v, x: share(x, reshape(v_adjoint, kept)),)
    push = lambda v, xs, x_tangents: sum(share(xs[0], x_tangents[0]), axes, keepdims)  # noqa: E731
    return record("amax", best if keepdims else best.squeeze(axes), (x,), pulls, push)


def amin(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest over some axes, or over all. Ties share the gradient equally."""
    return -amax(-as_tensor(x), axis, keepdims)


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """v = log Σᵢ exp xᵢ over some axes, or over all, with ∂v/∂xᵢ = softmax(x)ᵢ."""
    x, axes, kept, _ = _reduced("logsumexp", x, axis)
    top = x.data.max(axes, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0).astype(x.dtype)
    with np.errstate(divide="ignore"):  # the logarithm of nothing is −∞
        value = top + np.log(
            np.exp(x.data - top).sum(axes, keepdims=True)
        )  # no exponent above 0: nothing overflows
    pulls = (lambda v_adjoint, v, x: softmax(x, axes) * reshape(v_adjoint, kept),)
    push = lambda v, xs, x_tangents: sum(softmax(xs[0], axes) * x_tangents[0], axes, keepdims)  # noqa: E731
    return record("logsumexp", value if keepdims else value.squeeze(axes), (x,), pulls, push)


def log_softmax(x: Operand, axis: Axis = -1) -> Tensor:
    """vᵢ = log softmax(x)ᵢ = xᵢ − log Σⱼ exp xⱼ, so that no probability is rounded to 0 first."""
    return as_tensor(x) - logsumexp(x, axis, keepdims=True)


def softmax(x: Operand, axis: Axis = -1) -> Tensor:
    """vᵢ = exp xᵢ / Σⱼ exp xⱼ. Its Jacobian J = diag(v) − v vᵀ is symmetric: one map serves
    both modes.
    """
    x, axes, _, _ = _reduced("softmax", x, axis)
    e = np.exp(x.data - x.data.max(axes, keepdims=True, initial=-np.inf))

    def jacobian(t: Tensor, v: Tensor) -> Tensor:
        return v * (t - sum(v * t, axes, keepdims=True))

    pulls = (lambda v_adjoint, v, x: jacobian(v_adjoint, v),)
    return record(
        "softmax",
        e / e.sum(axes, keepdims=True),
        (x,),
        pulls,
        lambda v, xs, x_tangents: jacobian(x_tangents[0], v),
    )


def standardise(x: Operand, axis: Axis, eps: float) -> Tensor:
    """(x − μ) / √(σ² + ε): mean 0 and variance 1 over some axes."""
    centred = x - mean(x, axis, keepdims=True)
    return centred / sqrt(mean(centred * centred, axis, keepdims=True) + eps)


def astype(x: Tensor, dtype: Any) -> Tensor:
    """The same numbers in another dtype."""
    old = x.dtype
    return (
        x
        if old == dtype
        else linear(
            "astype", x, lambda a: a.astype(dtype), lambda v_adjoint, _: v_adjoint.astype(old)
        )
    )


def reshape(x: Operand, shape: tuple[int, ...]) -> Tensor:
    """The same entries in another shape; one length may be -1."""
    expected = f"as many entries as shape {shape} has"
    return linear(
        "reshape",
        x,
        lambda a: a.reshape(shape),
        lambda v_adjoint, old: v_adjoint.reshape(old),
        expected,
    )


def flatten(x: Operand) -> Tensor:
    """All axes but the batch as one: (batch, …) → (batch, features)."""
    x = as_tensor(x)
    return reshape(x, (len(x), math.prod(x.shape[1:])))


def transpose(x: Operand, *order: int) -> Tensor:
    """The axes in another order, by default reversed."""
    order = order or tuple(reversed(range(as_tensor(x).ndim)))
    back = lambda v_adjoint, shape: v_adjoint.transpose(np.argsort([a % len(shape) for a in order]))  # noqa: E731
    return linear(
        "transpose",
        x,
        lambda a: a.transpose(order),
        back,
        f"a shape with the axes {order}, each once",
    )


def broadcast_to(x: Operand, shape: tuple[int, ...]) -> Tensor:
    """x repeated along new leading axes, and along axes of length 1."""
    x, expected = as_tensor(x), f"a shape that broadcasts to {shape}"
    return (
        x
        if x.shape == shape
        else linear("broadcast_to", x, lambda a: np.broadcast_to(a, shape), _sum_to, expected)
    )


def sum_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The transpose of ``broadcast_to``: the sum over what was repeated."""
    return (
        x
        if x.shape == shape
        else linear("broadcast_toᵀ", x, lambda a: _sum_to(a, shape), np.broadcast_to)
    )


def _sum_to(a: Array, shape: tuple[int, ...]) -> Array:
    new = a.ndim - len(shape)
    repeated = tuple([i for i, n in enumerate(a.shape) if i < new or n != shape[i - new]])
    return np.asarray(a.sum(repeated, keepdims=True)).reshape(shape) if repeated else a


def index(x: Operand, key: Any) -> Tensor:
    """``x[key]`` for integers, slices, None, "..." and arrays of integers or bools, as NumPy has
    it.
    """
    key = tuple(
        [
            k.data if isinstance(k, Tensor) else k
            for k in (key if isinstance(key, tuple) else (key,))
        ]
    )
    basic = not any(isinstance(k, np.ndarray | list | bool) for k in key)

    def back(v_adjoint: Array, shape: tuple[int, ...]) -> Array:
        if basic:
            whole = np.zeros(shape, v_adjoint.dtype)
            whole[key] = v_adjoint
            return whole
        places = np.arange(math.prod(shape)).reshape(shape)[
            key
        ]  # one place may be there several times: add up
        return (
            np.bincount(places.ravel(), v_adjoint.ravel(), math.prod(shape))
            .reshape(shape)
            .astype(v_adjoint.dtype)
        )

    return linear("index", x, lambda a: a[key], back, "places that a tensor of its shape has")


def embedding(table: Operand, ids: Operand) -> Tensor:
    """The rows of a table (entries, width) at integers of any shape (…) → (…, width)."""
    return index(table, check_labels("embedding", ids, len(as_tensor(table))))


def check_labels(name: str, labels: Operand, classes: int) -> Array:
    """Integers from 0 to below ``classes``, as an array."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise DtypeError(f"{name} expected integers, got {labels.dtype}")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ShapeError(
            f"{name} expected integers from 0 to {classes - 1}, got {labels.min()} to"
            f" {labels.max()}"
        )
    return labels


def concatenate(tensors: Sequence[Operand], axis: int = 0) -> Tensor:
    """Tensors one after another along an axis."""
    xs = as_tensors(*tensors)
    if not xs:
        raise ShapeError("concatenate expected at least one tensor, got none")
    _, (axis,), _, _ = _reduced("concatenate", xs[0], axis)
    value = _compute(
        "concatenate", f"shapes equal but for axis {axis}", lambda *a: np.concatenate(a, axis), xs
    )

    def push(v: Tensor, xs: Sequence[Tensor], x_tangents: Sequence[Tensor | None]) -> Tensor:
        return concatenate(
            [
                np.zeros_like(x.data) if x_tangent is None else x_tangent
                for x, x_tangent in zip(xs, x_tangents, strict=True)
            ],
            axis,
        )

    parts = _parts([x.shape[axis] for x in xs], axis)
    return record(
        "concatenate",
        value,
        xs,
        tuple([lambda v_adjoint, v, *xs, part=part: v_adjoint[part] for part in parts]),
        push,
    )


def _parts(lengths: Sequence[int], axis: int) -> list[tuple[slice, ...]]:
    ends = np.cumsum(lengths).tolist()
    return [
        (*[slice(None)] * axis, slice(end - n, end)) for n, end in zip(lengths, ends, strict=True)
    ]


def stack(tensors: Sequence[Operand], axis: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis."""
    xs = as_tensors(*tensors)
    if len({x.shape for x in xs}) != 1 or not -xs[0].ndim - 1 <= axis <= xs[0].ndim:
        got = f"{[x.shape for x in xs]} and {axis}"
        raise ShapeError(
            f"stack expected tensors of one shape, and an axis that the result can have, got {got}"
        )
    at = axis % (xs[0].ndim + 1)
    return concatenate([reshape(x, (*x.shape[:at], 1, *x.shape[at:])) for x in xs], at)


def split(x: Operand, lengths: Sequence[int], axis: int = 0) -> list[Tensor]:
    """Pieces of given lengths, one after another along an axis."""
    x, (axis,), _, n = _reduced("split", x, axis)
    if math.fsum(lengths) != n:
        raise ShapeError(f"split expected lengths that add up to {n}, got {list(lengths)}")
    return [index(x, part) for part in _parts(lengths, axis)]


def pad(x: Operand, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """x between constant entries, so many before and after it along each axis."""
    x = as_tensor(x)
    if len(widths) != x.ndim or any(min(pair) < 0 for pair in widths):
        raise ShapeError(
            f"pad expected {x.ndim} pairs of widths from 0 for shape {x.shape}, got {list(widths)}"
        )
    inside = tuple(
        [slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True)]
    )

    def padded(a: Array, value: float = 0.0) -> Array:
        whole = np.full(
            [before + n + after for (before, after), n in zip(widths, a.shape, strict=True)],
            value,
            a.dtype,
        )
        whole[inside] = a
        return whole

    return linear(
        "pad", x, padded, lambda v_adjoint, _: v_adjoint[inside], value=padded(x.data, value)
    )
