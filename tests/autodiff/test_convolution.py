"""Convolution and pooling beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from etude import autodiff as ad
from tests.autodiff.parity import assert_parity, close

few = settings(max_examples=25, deadline=None, database=None)
ONE_OR_TWO = st.tuples(st.integers(1, 2), st.integers(1, 2))
KERNEL = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADDING = st.tuples(st.integers(0, 2), st.integers(0, 2))


def real(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


@few
@given(
    batch=st.integers(0, 2),
    groups=st.integers(1, 2),
    inputs=st.integers(1, 2),
    outputs=st.integers(1, 2),
    image=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=KERNEL,
    stride=ONE_OR_TWO,
    padding=PADDING,
    dilation=ONE_OR_TWO,
)
def test_convolution(
    batch: int,
    groups: int,
    inputs: int,
    outputs: int,
    image: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
) -> None:
    assume(
        all(
            n + 2 * p > d * (k - 1)
            for n, p, d, k in zip(image, padding, dilation, kernel, strict=True)
        )
    )
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    assert_parity(
        lambda *x: ad.conv2d(*x, **options),
        lambda *x: F.conv2d(*x, **options),
        real(batch, groups * inputs, *image),
        real(groups * outputs, inputs, *kernel),
        real(groups * outputs),
    )


@few
@given(
    batch=st.integers(0, 2),
    groups=st.integers(1, 2),
    inputs=st.integers(1, 2),
    outputs=st.integers(1, 2),
    image=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=KERNEL,
    stride=ONE_OR_TWO,
    padding=PADDING,
    dilation=ONE_OR_TWO,
    more=st.tuples(st.integers(0, 1), st.integers(0, 1)),
)
def test_transposed_convolution(
    batch: int,
    groups: int,
    inputs: int,
    outputs: int,
    image: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    more: Any,
) -> None:
    more = tuple(min(m, s - 1) for m, s in zip(more, stride, strict=True))
    sides = zip(image, kernel, stride, padding, dilation, more, strict=True)
    assume(all(s * (n - 1) + d * (k - 1) + 1 - 2 * p + m > 0 for n, k, s, p, d, m in sides))
    options = {
        "stride": stride,
        "padding": padding,
        "output_padding": more,
        "dilation": dilation,
        "groups": groups,
    }
    assert_parity(
        lambda *x: ad.conv_transpose2d(*x, **options),
        lambda *x: F.conv_transpose2d(*x, **options),
        real(batch, groups * inputs, *image),
        real(groups * inputs, outputs, *kernel),
        real(groups * outputs),
    )


def pools(kernel: Any, stride: Any, padding: Any) -> dict[str, Any]:
    return {
        "stride": stride,
        "padding": tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True)),
    }


@few
@given(
    image=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    kernel=KERNEL,
    stride=ONE_OR_TWO | st.none(),
    padding=PADDING,
    tied=st.booleans(),
)
def test_pooling(image: Any, kernel: Any, stride: Any, padding: Any, tied: bool) -> None:
    x = real(2, 2, *image)
    x = np.round(x) if tied else x
    options = pools(kernel, stride, padding)
    assert_parity(
        lambda x: ad.max_pool2d(x, kernel, **options),
        lambda x: F.max_pool2d(x, kernel, **options),
        x,
        second=False,
    )
    assert_parity(
        lambda x: ad.avg_pool2d(x, kernel, **options),
        lambda x: F.avg_pool2d(x, kernel, **options),
        x,
    )


def test_the_second_derivative_of_pooling() -> None:
    assert_parity(
        lambda x: ad.max_pool2d(x, 2) ** 3, lambda x: F.max_pool2d(x, 2) ** 3, real(2, 2, 5, 4)
    )
    assert_parity(
        lambda x: ad.avg_pool2d(x, 2, 1) ** 3,
        lambda x: F.avg_pool2d(x, 2, 1) ** 3,
        real(2, 2, 5, 4),
    )


def test_not_a_number_is_the_largest_in_its_window() -> None:
    a = real(1, 1, 4, 4)
    a[0, 0, 1, 1] = np.nan
    a[0, 0, 2, 3] = np.inf
    a[0, 0, 0, 2] = -np.inf
    x, t = ad.Tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
    y, u = ad.max_pool2d(x, 2), F.max_pool2d(t, 2)
    close(y, u)
    y.backward(np.ones(y.shape))
    u.backward(torch.ones_like(u))
    close(x.grad, t.grad)


def test_against_differences() -> None:
    x, w = real(2, 2, 5, 4), real(2, 1, 3, 2)
    assert ad.check_gradients(lambda x, w: ad.conv2d(x, w, None, (2, 1), 1, (1, 2), 2), x, w) < 1e-6
    assert (
        ad.check_gradients(lambda x, w: ad.conv_transpose2d(x, w, None, 2, 1, 1, (1, 2), 2), x, w)
        < 1e-6
    )
    assert ad.check_gradients(lambda x: ad.max_pool2d(x, 3, 2, 1), x) < 1e-6
    assert ad.check_gradients(lambda x: ad.avg_pool2d(x, 3, 2, 1), x) < 1e-6


def test_the_three_maps_of_convolution_are_closed_under_differentiation() -> None:
    """The gradient of a gradient by the kernel is recorded as the same maps again."""
    x, w = (
        ad.Tensor(real(1, 2, 5, 5), requires_grad=True),
        ad.Tensor(real(3, 2, 3, 3), requires_grad=True),
    )
    (ad.conv2d(x, w) ** 2).sum().backward(create_graph=True)
    assert x.grad.operation == "conv2dᵀ"
    assert w.grad.operation == "conv2dᵀ"
    assert_parity(
        lambda x, w: ad.conv2d(x, w) ** 3, lambda x, w: F.conv2d(x, w) ** 3, x.numpy(), w.numpy()
    )


def test_whatever_the_layout_of_memory() -> None:
    x, w = real(3, 2, 5, 5), real(4, 2, 3, 3)
    expected = F.conv2d(torch.tensor(x), torch.tensor(w))
    for a in (
        np.asfortranarray(x),
        x.transpose(3, 2, 1, 0).copy().transpose(3, 2, 1, 0),
        x[:, ::-1][:, ::-1],
    ):
        close(ad.conv2d(a, w), expected)
