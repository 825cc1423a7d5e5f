"""Convolution and pooling of images (batch, channels, height, width).

Convolution is one form, linear in each argument: F(y, x, w) = Σ y[n, o, i] w[o, c, k] x[n, c, si +
dk − p], with i and k over both directions, stride s, dilation d and padding p. ∂F/∂y is the
convolution, ∂F/∂x the transposed convolution and ∂F/∂w the gradient of the kernel: the three are
each other's derivatives.

Inside, the batch is the last axis. What is copied for one place of the kernel are then long runs of
memory, and the whole batch is one matrix product. Results are views with the axes in their usual
order, so that the next layer finds its input laid out already.

References
----------
Dumoulin, V. & Visin, F. (2016). A guide to convolution arithmetic for deep learning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, reduce
from typing import TypeAlias

import numpy as np

from etude.autodiff.operations import keep, linear, multilinear, reshape
from etude.autodiff.tensor import Array, Operand, ShapeError, Tensor, as_tensor, as_tensors

Size: TypeAlias = int | tuple[int, int]  # one number stands for both directions
LAST, FIRST = (
    (1, 2, 3, 0),
    (3, 0, 1, 2),
)  # the orders of axes that put the batch last, and first again


def pair(n: Size) -> tuple[int, int]:
    """The numbers for both directions."""
    return n if isinstance(n, tuple) else (n, n)


class Window:
    """A window that slides over an image.

    Each place in it, a *tap*, meets a regular grid of pixels.
    """

    def __init__(
        self,
        name: str,
        image: Sequence[int],
        kernel: Size,
        stride: Size,
        padding: Size,
        dilation: Size,
    ) -> None:
        sides = list(zip(image, *map(pair, (kernel, stride, padding, dilation)), strict=True))
        if any(min(n, k, s, d) < 1 or p < 0 or n + 2 * p <= d * (k - 1) for n, k, s, p, d in sides):
            wanted = (
                "kernel, stride and dilation from 1, padding from 0 and an image that the kernel"
                " fits in"
            )
            got = f"{kernel}, {stride}, {dilation}, {padding} and {tuple(image)}"
            raise ShapeError(f"{name} expected {wanted}, got {got}")
        self.padded = [n + 2 * p for n, _, _, p, _ in sides]
        self.inside = (slice(None), *[slice(p, p + n) for n, _, _, p, _ in sides])
        self.outputs = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides]
        grids = [
            [slice(i * d, i * d + s * (m - 1) + 1, s) for i in range(k)]
            for m, (_, k, s, _, d) in zip(self.outputs, sides, strict=True)
        ]
        self.places = [(slice(None), row, column) for row in grids[0] for column in grids[1]]

    def taps(self, x: Array, padding: float = 0.0) -> list[Array]:
        """Images → for each place in the window the pixels that it meets: views (channels,
        *outputs, batch).
        """
        a = np.full((x.shape[1], *self.padded, x.shape[0]), padding, x.dtype)
        a[self.inside] = x.transpose(LAST)
        return [a[place] for place in self.places]

    def untap(self, parts: Sequence[Array] | Array) -> Array:
        """The transpose: each part is added to the pixels that its tap meets."""
        a = np.zeros((len(parts[0]), *self.padded, parts[0].shape[-1]), parts[0].dtype)
        for place, part in zip(self.places, parts, strict=True):
            a[place] += part
        return a[self.inside].transpose(FIRST)


def _convolve(
    name: str,
    slot: int,
    a: Operand,
    w: Operand,
    bias: Operand | None,
    options: Sequence[Size],
    groups: int,
    more: Size,
) -> Tensor:
    """∂F/∂y of images a (slot 0), or ∂F/∂x of what convolving them has given (slot 1)."""
    a, w = as_tensors(a, w)
    channels = 0 if w.ndim != 4 else w.shape[0] if slot else w.shape[1] * groups
    if a.ndim != 4 or a.shape[1] != channels or groups < 1 or w.shape[0] % groups:
        raise ShapeError(
            f"{name} expected images (batch, {channels}, height, width) for kernels {w.shape} in"
            f" {groups} groups that divide their number, got {a.shape}"
        )
    sides = zip(a.shape[2:], w.shape[2:], *map(pair, (*options, more)), strict=True)
    image = [s * (n - 1) + d * (k - 1) + 1 - 2 * p + m if slot else n for n, k, s, p, d, m in sides]
    window = Window(name, image, w.shape[2:], *options)
    if slot and window.outputs != [*a.shape[2:]]:
        raise ShapeError(
            f"{name} expected an output padding below the stride {options[0]}, got {more}"
        )
    shape, rows, columns = (
        w.shape,
        w.shape[0] // groups,
        math.prod(w.shape[1:]),
    )  # a group's weights are a matrix
    places, outputs = len(window.places), math.prod(window.outputs)

    def flat(
        y: Array,
    ) -> Array:  # (batch, groups · rows, *outputs) → (groups, rows, outputs · batch)
        return y.transpose(LAST).reshape(groups, rows, outputs * len(y))

    def gathered(
        x: Array,
    ) -> Array:  # (batch, channels, *image) → (groups, columns, outputs · batch)
        return np.stack(window.taps(x), 1).reshape(groups, columns, outputs * len(x))

    def by_y(x: Array, w: Array) -> Array:
        y = w.reshape(groups, rows, columns) @ gathered(x)
        return y.reshape(shape[0], *window.outputs, len(x)).transpose(FIRST)

    def by_x(y: Array, w: Array) -> Array:
        parts = w.reshape(groups, rows, columns).swapaxes(1, 2) @ flat(y)
        return window.untap(
            parts.reshape(groups * shape[1], places, *window.outputs, len(y)).swapaxes(0, 1)
        )

    def by_w(y: Array, x: Array) -> Array:
        return (
            (gathered(x) @ flat(y).swapaxes(1, 2)).swapaxes(1, 2).reshape(shape)
        )  # the other way takes twice as long

    v = multilinear(name, (by_y, by_x, by_w), slot, (a, w), "images and kernels that fit")
    return v if bias is None else v + reshape(bias, (-1, 1, 1))


def conv2d(
    x: Operand,
    w: Operand,
    bias: Operand | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """The convolution (strictly, the cross-correlation) of images x with kernels w, plus a bias for
    each output.

    Shapes: x (batch, channels, height, width), w (outputs, channels / groups, *kernel), bias
    (outputs,). Gives (batch, outputs, ⌊(height + 2 padding − dilation (kernel − 1) − 1) / stride⌋ +
    1, …).
    """
    return _convolve("conv2d", 0, x, w, bias, (stride, padding, dilation), groups, 0)


def conv_transpose2d(
    y: Operand,
    w: Operand,
    bias: Operand | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """The transpose of the convolution with the same options, plus a bias for each output.

    Shapes: y (batch, channels, height, width), w (channels, outputs / groups, *kernel), bias
    (outputs,). Gives (batch, outputs, stride (height − 1) + dilation (kernel − 1) + 1 − 2 padding +
    output_padding, …): with a stride, images of several sizes are convolved to one size, and the
    output padding says which of them is meant.
    """
    return _convolve(
        "conv_transpose2d", 1, y, w, bias, (stride, padding, dilation), groups, output_padding
    )


def max_pool2d(x: Operand, kernel: Size, stride: Size | None = None, padding: Size = 0) -> Tensor:
    """The largest entry of each window; its gradient goes to the first that is.

    The stride is by default the kernel.
    """
    x, window = _pool("max_pool2d", x, kernel, stride, padding)
    taps = window.taps(x.data, -np.inf)
    best = reduce(np.maximum, taps)

    @cache
    def winners() -> list[
        Array
    ]:  # for each tap the windows in which it is the first largest; NaN is larger than all
        free, masks = np.ones(best.shape, bool), []
        for tap in taps:
            masks.append(((tap == best) | np.isnan(tap)) & free)
            free &= ~masks[-1]
        return masks

    def pick(x: Array) -> Array:
        return reduce(np.add, map(keep, winners(), window.taps(x))).transpose(FIRST)

    def put(v_adjoint: Array, _: object) -> Array:
        return window.untap([keep(mask, v_adjoint.transpose(LAST)) for mask in winners()])

    return linear("max_pool2d", x, pick, put, value=best.transpose(FIRST))


def avg_pool2d(x: Operand, kernel: Size, stride: Size | None = None, padding: Size = 0) -> Tensor:
    """The mean of each window, zeros of the padding included.

    The stride is by default the kernel.
    """
    x, window = _pool("avg_pool2d", x, kernel, stride, padding)
    n = len(window.places)

    def put(v_adjoint: Array, _: object) -> Array:
        return window.untap([v_adjoint.transpose(LAST) / n] * n)

    return linear(
        "avg_pool2d", x, lambda x: (reduce(np.add, window.taps(x)) / n).transpose(FIRST), put
    )


def _pool(
    name: str, x: Operand, kernel: Size, stride: Size | None, padding: Size
) -> tuple[Tensor, Window]:
    x = as_tensor(x)
    if x.ndim != 4 or any(2 * p > k for p, k in zip(pair(padding), pair(kernel), strict=True)):
        wanted = f"images of four axes and a padding of at most half the kernel {kernel}"
        raise ShapeError(f"{name} expected {wanted}, got {x.shape} and {padding}")
    return x, Window(name, x.shape[2:], kernel, kernel if stride is None else stride, padding, 1)
