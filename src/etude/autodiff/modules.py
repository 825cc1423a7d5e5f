"""Layers with parameters, and what parameters begin with.

Whatever is drawn takes its generator, ``np.random.default_rng(seed)``: there is no hidden one.
Parameters begin as float64; ``net.astype(np.float32)`` changes that.
"""

# ruff: noqa: D102  (a layer's __call__ is told by its class)

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from etude.autodiff.convolution import Size, conv2d, pair
from etude.autodiff.operations import (
    dropout,
    embedding,
    gelu,
    matmul,
    softmax,
    standardise,
    transpose,
    where,
)
from etude.autodiff.tensor import Array, Operand, ShapeError, Tensor, as_tensor, as_tensors

Shape: TypeAlias = tuple[int, ...]
Rng: TypeAlias = np.random.Generator
Start: TypeAlias = Callable[
    [Shape, Rng], Tensor
]  # a matrix is (inputs, outputs), a kernel (outputs, inputs, *size)


def zeros(shape: Shape) -> Tensor:
    """A parameter that begins at 0."""
    return Tensor(np.zeros(shape), requires_grad=True)


def normal(shape: Shape, rng: Rng, std: float = 0.02) -> Tensor:
    """A parameter from N(0, std²)."""
    return Tensor(rng.normal(0, std, shape), requires_grad=True)


def xavier(shape: Shape, rng: Rng) -> Tensor:
    """A parameter from N(0, 2 / (inputs + outputs)), for tanh and the like (Glorot &
    Bengio, 2010).
    """
    return normal(shape, rng, math.sqrt(2 / sum(_fans(shape))))


def kaiming(shape: Shape, rng: Rng) -> Tensor:
    """A parameter from N(0, 2 / inputs), for ReLU (He et al., 2015)."""
    return normal(shape, rng, math.sqrt(2 / _fans(shape)[0]))


def orthogonal(shape: Shape, rng: Rng) -> Tensor:
    """A random matrix whose rows or columns, whichever are fewer, are orthonormal (Saxe et al.,
    2014).
    """
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))  # so that all rotations are equally likely
    return Tensor((q if rows >= columns else q.T).reshape(shape), requires_grad=True)


def _fans(shape: Shape) -> tuple[int, int]:
    if len(shape) < 2:
        raise ShapeError(
            f"an initialiser expected a matrix (inputs, outputs) or a kernel, got shape {shape}"
        )
    field = math.prod(shape[2:])
    return (shape[0], shape[1]) if len(shape) == 2 else (shape[1] * field, shape[0] * field)


class Module:
    """What has parameters: its attributes that are tensors requiring a gradient, and those of the
    modules in it.

    Its other tensors are buffers: kept in the state, but not trained. Modules may also stand in
    lists and tuples. A subclass says in ``__call__`` what it computes.
    """

    training = True

    def modules(self, path: str = "") -> Iterator[tuple[str, Module]]:
        """All modules, this one first, each with what its tensors' names begin with, like
        "blocks.0.attention.".
        """
        yield path, self
        for name, value in vars(self).items():
            several = enumerate(value) if isinstance(value, list | tuple) else ()
            for step, part in [(name, value), *[(f"{name}.{i}", part) for i, part in several]]:
                if isinstance(part, Module):
                    yield from part.modules(f"{path}{step}.")

    def _tensors(self) -> dict[str, Tensor]:
        found = [
            (path + name, x) for path, module in self.modules() for name, x in vars(module).items()
        ]
        return {name: x for name, x in found if isinstance(x, Tensor)}

    def named_parameters(self) -> dict[str, Tensor]:
        """What is trained, by path: {"layers.0.weight": …}."""
        return {name: x for name, x in self._tensors().items() if x.requires_grad}

    def parameters(self) -> list[Tensor]:
        """What is trained, each tensor once."""
        return list({id(p): p for p in self.named_parameters().values()}.values())

    def train(self, training: bool = True) -> Self:
        """Behave as in training: dropout drops, batch norm takes the mean and variance of its
        batch.
        """
        for _, module in self.modules():
            module.training = training
        return self

    def eval(self) -> Self:
        """Behave as in use."""
        return self.train(False)

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Put all parameters and buffers into another dtype; before an optimiser is made
        for them.
        """
        for x in self._tensors().values():
            x._value, x.version = x._value.astype(dtype), x.version + 1
        return self

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers, by path."""
        return {name: x.data.copy() for name, x in self._tensors().items()}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Put back what ``state_dict`` gave. ShapeError if a name or a shape differs; then
        nothing is changed.
        """
        mine, theirs = (
            {name: np.shape(x) for name, x in s.items()} for s in (self.state_dict(), state)
        )
        if mine != theirs:
            raise ShapeError(f"load_state_dict expected {mine}, got {theirs}")
        for name, x in self._tensors().items():
            x[...] = state[name]


class Sequential(Module):
    """Modules and functions, one after another: ``Sequential(Linear(2, 64, rng), relu, Linear(64,
    1, rng))``.
    """

    def __init__(self, *layers: Callable[[Any], Tensor]) -> None:
        self.layers = layers

    def __call__(self, x: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return as_tensor(x)


class Linear(Module):
    """x W + b: (…, inputs) → (…, outputs)."""

    def __init__(self, inputs: int, outputs: int, rng: Rng, start: Start = kaiming) -> None:
        self.weight, self.bias = start((inputs, outputs), rng), zeros((outputs,))

    def __call__(self, x: Operand) -> Tensor:
        return matmul(x, self.weight) + self.bias


class Conv2d(Module):
    """Convolution with bias: (batch, inputs, height, width) → (batch, outputs, …); options as of
    ``conv2d``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size,
        rng: Rng,
        start: Start = kaiming,
        **options: Any,
    ) -> None:
        self.weight = start((outputs, inputs // options.get("groups", 1), *pair(kernel)), rng)
        self.bias, self.options = zeros((outputs,)), options

    def __call__(self, x: Operand) -> Tensor:
        return conv2d(x, self.weight, self.bias, **self.options)


class BatchNorm(Module):
    """Each channel to mean 0 and variance 1, then scaled and shifted: (batch, channels, …) → the
    same.

    They are the batch's in training, and their running averages in use. Source: Ioffe & Szegedy
    (2015).
    """

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        self.weight, self.bias = Tensor(np.ones(channels), requires_grad=True), zeros((channels,))
        self.running_mean, self.running_var = Tensor(np.zeros(channels)), Tensor(np.ones(channels))
        self.momentum, self.eps = momentum, eps

    def __call__(self, x: Operand) -> Tensor:
        x = as_tensor(x)
        if x.shape[1:2] != self.bias.shape or (self.training and x.size <= x.shape[1]):
            raise ShapeError(
                f"BatchNorm expected {self.bias.size} channels of 2 numbers or more, got shape"
                f" {x.shape}"
            )
        axes, column = (0, *range(2, x.ndim)), (-1, *[1] * (x.ndim - 2))
        if self.training:
            v = standardise(x, axes, self.eps)
            self.running_mean += self.momentum * (x.data.mean(axes) - self.running_mean.data)
            self.running_var += self.momentum * (x.data.var(axes, ddof=1) - self.running_var.data)
        else:
            v = (x - self.running_mean.reshape(*column)) / (
                self.running_var.reshape(*column) + self.eps
            ) ** 0.5
        return v * self.weight.reshape(*column) + self.bias.reshape(*column)


class LayerNorm(Module):
    """Each vector to mean 0 and variance 1, then scaled and shifted: (…, width) → the same (Ba et
    al., 2016).
    """

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        self.weight, self.bias, self.eps = (
            Tensor(np.ones(width), requires_grad=True),
            zeros((width,)),
            eps,
        )

    def __call__(self, x: Operand) -> Tensor:
        return standardise(x, -1, self.eps) * self.weight + self.bias


class Embedding(Module):
    """A vector for each of so many entries: integers (…) → (…, width)."""

    def __init__(self, entries: int, width: int, rng: Rng, start: Start = normal) -> None:
        self.weight = start((entries, width), rng)

    def __call__(self, ids: Operand) -> Tensor:
        return embedding(self.weight, ids)


class Dropout(Module):
    """In training each entry 0 with probability p, else divided by 1 − p; in use nothing."""

    def __init__(self, p: float, rng: Rng) -> None:
        self.p, self.rng = p, rng

    def __call__(self, x: Operand) -> Tensor:
        return dropout(x, self.p, self.rng) if self.training else as_tensor(x)


def attention(q: Operand, k: Operand, v: Operand, causal: bool = False) -> Tensor:
    """softmax(q kᵀ / √width) v for queries (…, time, width), keys (…, keys, width) and values (…,
    keys, outputs).

    If causal, a query doesn't see the keys that come after it. Source: Vaswani et al. (2017).
    """
    q, k, v = as_tensors(q, k, v)
    scores = (
        q @ transpose(k, *range(k.ndim - 2), -1, -2) / math.sqrt(q.shape[-1])
    )  # (…, time, keys)
    if causal:
        scores = where(np.tri(*scores.shape[-2:], dtype=bool), scores, -math.inf)
    return softmax(scores) @ v


class MultiHeadAttention(Module):
    """Self-attention in heads of width / heads each: (batch, time, width) → the same."""

    def __init__(self, width: int, heads: int, rng: Rng, causal: bool = False) -> None:
        if width % heads:
            raise ShapeError(
                f"MultiHeadAttention expected a width that {heads} heads divide, got {width}"
            )
        self.project, self.mix = (
            Linear(width, 3 * width, rng, xavier),
            Linear(width, width, rng, xavier),
        )
        self.heads, self.causal = heads, causal

    def __call__(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        qkv = self.project(x).reshape(batch, time, 3, self.heads, width // self.heads)
        q, k, v = transpose(qkv, 2, 0, 3, 1, 4)  # each (batch, heads, time, width / heads)
        seen = attention(q, k, v, self.causal)
        return self.mix(transpose(seen, 0, 2, 1, 3).reshape(batch, time, width))


class TransformerBlock(Module):
    """x + attention(norm(x)), then to that the same with a perceptron: (batch, time, width) → the
    same.

    Source: Xiong et al. (2020), On layer normalization in the transformer architecture.
    """

    def __init__(self, width: int, heads: int, rng: Rng, causal: bool = True) -> None:
        self.norm1, self.norm2 = LayerNorm(width), LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads, rng, causal)
        self.perceptron = Sequential(
            Linear(width, 4 * width, rng), gelu, Linear(4 * width, width, rng, xavier)
        )

    def __call__(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.perceptron(self.norm2(x))
