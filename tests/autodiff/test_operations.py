"""Every operation beside PyTorch's: value, both modes, second order, and against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes
from numpy.testing import assert_array_equal
from torch.nn import functional as F

from etude import autodiff as ad
from tests.autodiff.parity import assert_parity, close

few = settings(max_examples=8, deadline=None, database=None)
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
PAIRS = mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)


def real(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape) * 2


def positive(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.abs(real(shape, seed)) + 0.1


def tied(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Small integers, zero among them: many are equal."""
    return np.random.default_rng(seed).integers(-1, 2, shape).astype(float)


UNARY: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., np.ndarray]]] = {
    "negative": (lambda x: -x, lambda x: -x, real),
    "exp": (ad.exp, torch.exp, real),
    "expm1": (ad.expm1, torch.expm1, real),
    "log": (ad.log, torch.log, positive),
    "log1p": (ad.log1p, torch.log1p, positive),
    "sqrt": (ad.sqrt, torch.sqrt, positive),
    "sin": (ad.sin, torch.sin, real),
    "cos": (ad.cos, torch.cos, real),
    "tanh": (ad.tanh, torch.tanh, real),
    "sigmoid": (ad.sigmoid, torch.sigmoid, real),
    "softplus": (ad.softplus, lambda x: F.softplus(x, threshold=100), real),
    "gelu": (ad.gelu, lambda x: F.gelu(x, approximate="tanh"), real),
    "relu": (ad.relu, torch.relu, real),
    "relu at ties": (ad.relu, torch.relu, tied),
    "abs": (ad.abs, torch.abs, real),
    "abs at ties": (ad.abs, torch.abs, tied),
    "clip": (lambda x: ad.clip(x, -1, 0.5), lambda x: torch.clamp(x, -1, 0.5), real),
    "clip at ties": (lambda x: ad.clip(x, -1, 0), lambda x: torch.clamp(x, -1, 0), tied),
    "scalars": (
        lambda x: 2 - 3 * x / 4 + 1 / (x + 9),
        lambda x: 2 - 3 * x / 4 + 1 / (x + 9),
        positive,
    ),
    "square": (lambda x: x**2, lambda x: x**2, tied),
    "power 0": (lambda x: x**0, lambda x: x**0, tied),
    "power 2.5": (lambda x: x**2.5, lambda x: x**2.5, positive),
    "power -1": (lambda x: x**-1, lambda x: x**-1, positive),
    "of a number": (lambda x: 2**x, lambda x: 2**x, real),
}
BINARY: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., np.ndarray]]] = {
    "add": (lambda x, y: x + y, lambda x, y: x + y, real),
    "subtract": (lambda x, y: x - y, lambda x, y: x - y, real),
    "multiply": (lambda x, y: x * y, lambda x, y: x * y, real),
    "divide": (lambda x, y: x / y, lambda x, y: x / y, positive),
    "power": (lambda x, y: x**y, lambda x, y: x**y, positive),
    "maximum": (ad.maximum, torch.maximum, real),
    "minimum": (ad.minimum, torch.minimum, real),
}


@pytest.mark.parametrize("name", UNARY)
@few
@given(shape=SHAPES, seed=SEEDS)
def test_elementwise_operations_of_one_tensor(name: str, shape: tuple[int, ...], seed: int) -> None:
    ours, theirs, draw = UNARY[name]
    assert_parity(ours, theirs, draw(shape, seed))


@pytest.mark.parametrize("name", BINARY)
@few
@given(shapes=PAIRS, seed=SEEDS)
def test_elementwise_operations_of_two_tensors_broadcast(name: str, shapes: Any, seed: int) -> None:
    ours, theirs, draw = BINARY[name]
    x, y = shapes.input_shapes
    assert_parity(ours, theirs, draw(x, seed), draw(y, seed + 1))


@few
@given(shapes=PAIRS, seed=SEEDS)
def test_a_maximum_at_a_tie_gives_half_to_each(shapes: Any, seed: int) -> None:
    x, y = (tied(shape, seed + i) for i, shape in enumerate(shapes.input_shapes))
    assert_parity(ad.maximum, torch.maximum, x, y)
    assert_parity(ad.minimum, torch.minimum, x, y)


@few
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=3, max_dims=3, min_side=0, max_side=3),
    seed=SEEDS,
)
def test_where(shapes: Any, seed: int) -> None:
    condition, x, y = (real(shape, seed + i) for i, shape in enumerate(shapes.input_shapes))
    c = condition > 0
    assert_parity(
        lambda x, y: ad.where(c, x, y), lambda x, y: torch.where(torch.tensor(c), x, y), x, y
    )


def axes(ndim: int) -> st.SearchStrategy[Any]:
    one = st.integers(-ndim, ndim - 1)
    return (
        st.none()
        | one
        | st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True).map(tuple)
    )


REDUCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., np.ndarray]]] = {
    "sum": (ad.sum, torch.sum, real),
    "mean": (ad.mean, torch.mean, real),
    "var": (ad.var, lambda x, a, keepdim: torch.var(x, a, correction=0, keepdim=keepdim), real),
    "var, ddof 1": (
        lambda x, a, k: ad.var(x, a, k, ddof=1),
        lambda x, a, keepdim: torch.var(x, a, correction=1, keepdim=keepdim),
        real,
    ),
    "amax": (ad.amax, torch.amax, real),
    "amax at ties": (ad.amax, torch.amax, tied),
    "amin": (ad.amin, torch.amin, real),
    "amin at ties": (ad.amin, torch.amin, tied),
    "logsumexp": (ad.logsumexp, torch.logsumexp, real),
}


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("name", REDUCTIONS)
@few
@given(data=st.data(), seed=SEEDS)
def test_reductions(name: str, data: st.DataObject, seed: int) -> None:
    ours, theirs, draw = REDUCTIONS[name]
    empty = 0 if name in ("sum", "mean") else 2 if "var" in name else 1
    shape = data.draw(array_shapes(min_dims=1, max_dims=3, min_side=empty, max_side=3))
    axis, keepdims = data.draw(axes(len(shape))), data.draw(st.booleans())
    every = tuple(range(len(shape))) if axis is None else axis
    with np.errstate(invalid="ignore", divide="ignore"):
        assert_parity(
            lambda x: ours(x, axis, keepdims),
            lambda x: theirs(x, every, keepdim=keepdims),
            draw(shape, seed),
        )


@few
@given(
    shape=array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
    axis=st.integers(0, 2),
    seed=SEEDS,
)
def test_softmax_and_its_logarithm(shape: tuple[int, ...], axis: int, seed: int) -> None:
    axis %= len(shape)
    x = real(shape, seed) * 100  # exp of it would overflow
    assert_parity(lambda x: ad.softmax(x, axis), lambda x: torch.softmax(x, axis), x)
    assert_parity(lambda x: ad.log_softmax(x, axis), lambda x: torch.log_softmax(x, axis), x)


@few
@given(seed=SEEDS)
def test_standardise(seed: int) -> None:
    assert_parity(
        lambda x: ad.standardise(x, -1, 1e-5), lambda x: F.layer_norm(x, (5,)), real((3, 5), seed)
    )
    assert_parity(
        lambda x: ad.standardise(x, (0, 2), 1e-5),
        lambda x: F.batch_norm(x, None, None, training=True),
        real((4, 3, 2), seed),
    )


MATRICES = [
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((4, 1, 2, 3), (5, 3, 2)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((1, 1), (1, 1)),
    ((4, 0, 2, 3), (3, 2)),
    ((1, 2, 3), (4, 3, 1)),
]


@pytest.mark.parametrize(("a", "b"), MATRICES)
def test_matmul(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    assert_parity(lambda x, y: x @ y, torch.matmul, real(a, 0), real(b, 1))


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    ("i,i->", (3,), (3,)),
    ("i,j->ij", (2,), (3,)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ij,kj->i", (2, 3), (4, 3)),
    ("ijk,kl,l->ij", (2, 3, 4), (4, 2), (2,)),
    ("bhqd, bhkd -> bhqk", (2, 2, 3, 4), (2, 2, 2, 4)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("ij,jk->ik", (2, 0), (0, 2)),
]


@pytest.mark.parametrize("case", EINSUMS, ids=lambda case: case[0])
def test_einsum(case: Any) -> None:
    subscripts, *shapes = case
    arrays = [real(shape, i) for i, shape in enumerate(shapes)]
    assert_parity(
        lambda *x: ad.einsum(subscripts, *x), lambda *x: torch.einsum(subscripts, *x), *arrays
    )


INDICES = [
    0,
    -1,
    slice(1, None),
    slice(None, None, 2),
    (slice(None), 1),
    (..., 0),
    (None, 0),
    (slice(None), None, 2),
    np.array([0, 2, 0]),
    np.array([[1, 1], [0, -1]]),
    (np.array([0, 0, 1]), np.array([2, 2, 0])),
    (slice(None), np.array([3, 3, 0])),
    (np.array([0, 1]), slice(1, 3)),
    np.array([True, False, True]),
    slice(2, 2),
    np.array([], int),
    (np.array([[0], [1]]), np.array([0, 3, 3])),
    [0, 1, 1],
]


@pytest.mark.parametrize("key", INDICES, ids=str)
def test_indexing(key: Any) -> None:
    keys = key if isinstance(key, tuple) else (key,)
    keys = tuple(torch.tensor(k) if isinstance(k, np.ndarray | list) else k for k in keys)
    assert_parity(lambda x: x[key], lambda x: x[keys], real((3, 4, 2), 0))


def test_indexing_by_a_tensor_of_integers() -> None:
    x = ad.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    x[ad.Tensor(np.array([0, 0, 2]))].sum().backward()
    close(x.grad, np.array([2.0, 0.0, 1.0]))


@few
@given(seed=SEEDS)
def test_shapes(seed: int) -> None:
    x, y, z = real((2, 3, 4), seed), real((2, 1, 4), seed + 1), real((2, 3, 4), seed + 2)
    assert_parity(lambda x: x.reshape(4, -1), lambda x: x.reshape(4, -1), x)
    assert_parity(lambda x: x.T, lambda x: x.permute(2, 1, 0), x)
    assert_parity(lambda x: ad.transpose(x, 1, -1, 0), lambda x: x.permute(1, -1, 0), x)
    assert_parity(
        lambda x: ad.broadcast_to(x, (5, 2, 3, 4)), lambda x: torch.broadcast_to(x, (5, 2, 3, 4)), y
    )
    assert_parity(lambda *x: ad.concatenate(x, 1), lambda *x: torch.cat(x, 1), x, y, z)
    assert_parity(lambda *x: ad.concatenate(x, -2), lambda *x: torch.cat(x, -2), x, y)
    for axis in (0, 1, -1):
        assert_parity(lambda *x: ad.stack(x, axis), lambda *x: torch.stack(x, axis), x, z)  # noqa: B023
    assert_parity(lambda x: ad.split(x, [1, 3], 2)[1], lambda x: torch.split(x, [1, 3], 2)[1], x)
    assert_parity(
        lambda x: ad.pad(x, [(0, 0), (1, 2), (0, 1)], 7.0),
        lambda x: F.pad(x, (0, 1, 1, 2, 0, 0), value=7.0),
        x,
    )
    assert_parity(ad.flatten, lambda x: x.flatten(1), x)


def test_shapes_with_nothing_in_them() -> None:
    x = real((2, 0, 3), 0)
    assert_parity(lambda x: x.reshape(3, 0), lambda x: x.reshape(3, 0), x)
    assert_parity(lambda x: x.T, lambda x: x.permute(2, 1, 0), x)
    assert_parity(ad.flatten, lambda x: x.flatten(1), x)
    assert_parity(lambda x: ad.concatenate([x, x]), lambda x: torch.cat([x, x]), x)
    assert_parity(
        lambda x: ad.pad(x, [(1, 0), (1, 0), (0, 0)]), lambda x: F.pad(x, (0, 0, 1, 0, 1, 0)), x
    )


@few
@given(seed=SEEDS)
def test_embedding(seed: int) -> None:
    ids = np.random.default_rng(seed).integers(0, 5, (2, 3))
    assert_parity(
        lambda w: ad.embedding(w, ids),
        lambda w: F.embedding(torch.tensor(ids), w),
        real((5, 4), seed),
        second=False,
    )


def test_dropout_keeps_the_mean_and_drops_what_it_drew() -> None:
    x = ad.Tensor(np.ones((200, 200)), requires_grad=True)
    y = ad.dropout(x, 0.25, np.random.default_rng(0))
    dropped = y.numpy() == 0
    assert abs(dropped.mean() - 0.25) < 0.01
    close(y, np.where(dropped, 0, 1 / 0.75))
    y.sum().backward()
    close(x.grad, y)


EXTREME = np.array([-np.inf, -1e308, -1.0, -0.0, 0.0, 1e-308, 1.0, 1e308, np.inf, np.nan])
AT_EXTREMES = {
    "exp": (ad.exp, torch.exp),
    "expm1": (ad.expm1, torch.expm1),
    "log": (ad.log, torch.log),
    "sqrt": (ad.sqrt, torch.sqrt),
    "tanh": (ad.tanh, torch.tanh),
    "sigmoid": (ad.sigmoid, torch.sigmoid),
    "softplus": (ad.softplus, lambda x: F.softplus(x, threshold=1e300)),
    "relu": (ad.relu, torch.relu),
    "clip": (lambda x: ad.clip(x, -2, 2), lambda x: torch.clamp(x, -2, 2)),
    "masked log": (
        lambda x: ad.where(x.data > 0, ad.log(x), 0.0),
        lambda x: torch.where(x > 0, torch.log(x), 0.0),
    ),
    "masked infinity": (lambda x: ad.sqrt(ad.relu(x)), lambda x: torch.sqrt(torch.relu(x))),
    "sum": (ad.sum, torch.sum),
    "reciprocal": (lambda x: 1 / x, lambda x: 1 / x),
}


@pytest.mark.parametrize("name", AT_EXTREMES)
def test_infinities_and_nan(name: str) -> None:
    ours, theirs = AT_EXTREMES[name]
    x, t = ad.Tensor(EXTREME, requires_grad=True), torch.tensor(EXTREME, requires_grad=True)
    with np.errstate(all="ignore"):
        y, u = ours(x), theirs(t)
        close(y, u)
        y.sum().backward()
    u.sum().backward()
    close(x.grad, t.grad)


@pytest.mark.parametrize(
    "rows", [[[0, -np.inf]], [[-np.inf, 1e300, 3]], [[np.nan, 1.0]], [[800.0, -800.0]]]
)
def test_softmax_of_infinities(rows: list[list[float]]) -> None:
    for ours, theirs in (
        (ad.softmax, torch.softmax),
        (ad.log_softmax, torch.log_softmax),
        (ad.logsumexp, torch.logsumexp),
    ):
        x, t = (
            ad.Tensor(rows, requires_grad=True),
            torch.tensor(rows, dtype=torch.float64, requires_grad=True),
        )
        y, u = ours(x, -1), theirs(t, -1)
        close(y, u)
        with np.errstate(invalid="ignore"):
            y.backward(np.ones(y.shape))
        u.backward(torch.ones_like(u))
        close(x.grad, t.grad)


def test_log_sum_exp_of_nothing_likely_is_minus_infinity() -> None:
    assert ad.logsumexp(np.array([-np.inf, -np.inf])).item() == -np.inf
    assert ad.logsumexp(np.zeros((2, 0)), 1).numpy().tolist() == [-np.inf, -np.inf]


def test_nan_in_a_maximum() -> None:
    x = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 2.0]])
    with np.errstate(invalid="ignore"):
        assert_parity(lambda x: ad.amax(x, 1), lambda x: torch.amax(x, 1), x, second=False)


def test_comparisons_give_plain_arrays() -> None:
    x, y = ad.Tensor([1.0, 2.0, 3.0], requires_grad=True), np.array([3.0, 2.0, 1.0])
    for ours, expected in (
        (x < y, [1, 0, 0]),
        (x <= y, [1, 1, 0]),
        (x > 2, [0, 0, 1]),
        (x >= ad.Tensor(y), [0, 1, 1]),
    ):
        assert isinstance(ours, np.ndarray)
        assert_array_equal(ours, expected)
    assert_array_equal(x == y, [False, True, False])
    assert_array_equal(x != y, [True, False, True])


def test_arrays_on_the_left_are_operands_too() -> None:
    x = ad.Tensor([1.0, 2.0], requires_grad=True)
    for y in (np.ones(2) + x, np.ones(2) * x, np.ones((3, 2)) @ x, np.float64(2) - x):
        assert isinstance(y, ad.Tensor)
        assert y.requires_grad


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_python_numbers_do_not_promote(dtype: Any) -> None:
    x = ad.Tensor(np.array([0.5, 2.0], dtype), requires_grad=True)
    for f in (
        lambda x: x * 2.0 + 1,
        lambda x: 1 / x,
        lambda x: x**2,
        lambda x: x**0.5,
        lambda x: 2.0**x,
        ad.exp,
        ad.sigmoid,
        ad.gelu,
        ad.softplus,
        ad.relu,
        lambda x: ad.clip(x, 0.0, 1.0),
        lambda x: ad.where(x > 1, x, 0.0),
        ad.softmax,
        ad.log_softmax,
        ad.logsumexp,
        ad.amax,
        ad.var,
        lambda x: ad.maximum(x, 1.0),
        lambda x: x[np.array([0, 0])],
        lambda x: ad.sum(x) * 2.0,
        lambda x: ad.standardise(x, 0, 1e-5),
        lambda x: ad.pad(x, [(1, 1)]),
        lambda x: ad.einsum("i,i->", x, x),
        ad.abs,
        lambda x: ad.dropout(x, 0.5, np.random.default_rng(0)),
        lambda x: ad.mean(x, 0),
    ):
        y = f(x)
        assert y.dtype == dtype
        x.grad = None
        y.sum().backward()
        assert x.grad.dtype == dtype
        assert ad.jvp(f, x, np.ones(2))[1].dtype == dtype


def test_mixed_precision_promotes_and_each_gradient_keeps_its_own() -> None:
    x, y = (
        ad.Tensor(np.ones(2, np.float32), requires_grad=True),
        ad.Tensor(np.ones(2), requires_grad=True),
    )
    z = x * y
    assert z.dtype == np.float64
    z.sum().backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64
    assert_parity(lambda x: x.astype(np.float64) ** 2, lambda x: x.double() ** 2, np.ones(3))


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_against_differences(name: str) -> None:
    ours, _, draw = (UNARY | BINARY)[name]
    if "ties" in name or draw is tied:
        draw = positive
    arrays = [draw((2, 2), 1)] if name in UNARY else [draw((2, 1), 1), draw((3,), 2)]
    assert ad.check_gradients(ours, *arrays) < 1e-6


def test_the_others_against_differences() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4))
    for f in (
        ad.sum,
        ad.mean,
        ad.var,
        ad.amax,
        ad.amin,
        ad.logsumexp,
        ad.softmax,
        ad.log_softmax,
        lambda x: x.T,
        ad.flatten,
        lambda x: ad.standardise(x, 0, 1e-5),
        lambda x: x.reshape(2, 6),
        lambda x: x[1:, ::2],
        lambda x: x[[0, 0, 2]],
        lambda x: ad.pad(x, [(1, 0), (0, 2)]),
        lambda x: ad.split(x, [1, 2])[1],
        lambda x: ad.broadcast_to(x, (2, 3, 4)),
        lambda x: ad.stack([x, 2 * x]),
        lambda x: ad.concatenate([x, x * x]),
        lambda x: ad.where(x > 0, x * x, 3 * x),
        lambda x: ad.einsum("ij,kj->ik", x, x),
        lambda x: ad.matmul(x, x.T),
        lambda x: ad.embedding(x, np.array([2, 2, 0])),
        lambda x: ad.dropout(x, 0.3, np.random.default_rng(0)),
    ):
        assert ad.check_gradients(f, x) < 1e-6
