"""A training step in ``etude.autodiff``, the engine on NumPy, beside PyTorch and the package
``autograd``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from benchmarks.beside.work import Contender, Measured, Work, median_seconds

SHAPES = [(6, 1, 5, 5), (16, 6, 5, 5), (400, 120), (120, 84), (84, 10)]
BATCH, RATE = 64, 0.01
Step = Callable[[], float]


def lenet(
    p: list[Any],
    x: Any,
    conv: Callable[..., Any],
    pool: Callable[..., Any],
    relu: Callable[..., Any],
) -> Any:
    """LeCun et al. (1998), with ReLU and max pooling: images (64, 1, 28, 28) to logits (64, 10)."""
    x = pool(relu(conv(x, p[0], p[1], padding=2)), 2)
    x = pool(relu(conv(x, p[2], p[3], padding=0)), 2)
    x = relu(x.reshape(BATCH, 400) @ p[4] + p[5])
    return relu(x @ p[6] + p[7]) @ p[8] + p[9]


def in_etude(start: list[Any], images: Any, labels: Any) -> Step:
    """The engine's own convolution, pooling and optimiser."""
    from etude import autodiff as ad

    parameters = [ad.Tensor(a, requires_grad=True) for a in start]
    optimizer = ad.SGD(parameters, RATE)

    def step() -> float:
        loss = ad.cross_entropy(
            lenet(parameters, images, ad.conv2d, ad.max_pool2d, ad.relu), labels
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def in_torch(start: list[Any], images: Any, labels: Any) -> Step:
    """Eager, with as many threads as it takes by itself."""
    import torch
    from torch.nn import functional as F

    parameters = [torch.tensor(a, requires_grad=True) for a in start]
    optimizer = torch.optim.SGD(parameters, RATE)
    x, y = torch.tensor(images), torch.tensor(labels)

    def step() -> float:
        loss = F.cross_entropy(lenet(parameters, x, F.conv2d, F.max_pool2d, torch.relu), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def in_autograd(start: list[Any], images: Any, labels: Any) -> Step:
    """The package has no fast convolution, so this one is made of its slices and one matrix
    product.
    """
    import autograd.numpy as anp
    from autograd import value_and_grad

    def conv(x: Any, w: Any, b: Any, padding: int) -> Any:
        x = anp.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), "constant")
        k, n = w.shape[-1], x.shape[2] - w.shape[-1] + 1  # all images are square
        taps = anp.array([x[:, :, i : i + n, j : j + n] for i in range(k) for j in range(k)])
        inputs = math.prod(w.shape[1:])
        columns = anp.transpose(taps, (2, 0, 1, 3, 4)).reshape(
            inputs, -1
        )  # (channels · taps, batch · n · n)
        y = anp.dot(w.reshape(len(w), -1), columns).reshape(len(w), len(x), n, n)
        return anp.transpose(y, (1, 0, 2, 3)) + b[:, None, None]

    def pool(x: Any, size: int) -> Any:
        return anp.max(
            x.reshape(*x.shape[:2], x.shape[2] // size, size, x.shape[3] // size, size), axis=(3, 5)
        )

    def loss(parameters: list[Any]) -> Any:
        z = lenet(parameters, images, conv, pool, lambda x: anp.maximum(x, 0))
        z = z - anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - z[anp.arange(BATCH), labels])

    parameters, derivative = [a.copy() for a in start], value_and_grad(loss)

    def step() -> float:
        value, gradient = derivative(parameters)
        for p, g in zip(parameters, gradient, strict=True):
            p -= RATE * g
        return float(value)

    return step


def _timed(make: Callable[[list[Any], Any, Any], Step]) -> Contender:
    def run(seed: int) -> Measured:
        import numpy as np

        rng = np.random.default_rng(seed)
        inputs = [math.prod(shape[1:]) if len(shape) == 4 else shape[0] for shape in SHAPES]
        weights = [
            rng.normal(0, math.sqrt(2 / n), shape) for n, shape in zip(inputs, SHAPES, strict=True)
        ]
        start = [
            a.astype(np.float32)
            for w in weights
            for a in (w, np.zeros(w.shape[0 if w.ndim == 4 else 1]))
        ]
        images, labels = rng.random((BATCH, 1, 28, 28), np.float32), rng.integers(10, size=BATCH)
        step = make(start, images, labels)
        first = step()
        return Measured(1e3 * median_seconds(step), {"first loss": first})

    return run


WORKS = [
    Work(
        "step-engine",
        "a step of LeNet by an engine written from scratch, batch 64",
        "ms",
        "≥ 0.15 × PyTorch, ≥ 3 × autograd",
        {
            "etude.autodiff": _timed(in_etude),
            "PyTorch": _timed(in_torch),
            "autograd": _timed(in_autograd),
        },
        note=(
            "float32, ReLU, max pooling, SGD. Etude's engine and autograd stand on NumPy, PyTorch"
            " on kernels in C++. All begin with the same weights, so that the first losses are"
            " equal but for rounding. autograd has no fast convolution; here it is made of slices"
            " and one matrix product."
        ),
    ),
]
