"""Every operation of ``etude.autodiff`` with inputs at which it is smooth, to be checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from etude import autodiff as ad

Array = np.ndarray[Any, np.dtype[Any]]
OF_ANY_NUMBER = (
    "exp",
    "expm1",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "softplus",
    "relu",
    "gelu",
    "abs",
)
OF_POSITIVE_NUMBERS = ("log", "log1p", "sqrt")


def operations() -> dict[str, tuple[Callable[..., ad.Tensor], *tuple[Array, ...]]]:
    """``{name: (operation, *inputs)}``."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 4))
    b = rng.normal(size=(4,)) + 3
    positive = rng.uniform(0.5, 2, (3, 4))
    m = rng.normal(size=(2, 4, 3))
    image = rng.normal(size=(2, 4, 6, 5))
    kernel = rng.normal(size=(4, 2, 3, 3))
    spaced = rng.permutation(60).reshape(1, 2, 6, 5) / 10.0  # no two are equal
    labels = np.array([1, 0, 3])
    where = rng.random((3, 4)) < 0.5
    up = rng.normal(size=(4, 3, 3, 3))

    found: dict[str, Any] = {}
    for name in OF_ANY_NUMBER:
        found[name] = getattr(ad, name), a
    for name in OF_POSITIVE_NUMBERS:
        found[name] = getattr(ad, name), positive
    found |= {
        "add": (lambda x, y: x + y, a, b),
        "subtract": (lambda x, y: x - y, a, b),
        "negate": (lambda x: -x, a),
        "multiply": (lambda x, y: x * y, a, b),
        "divide": (lambda x, y: x / y, a, b),
        "power": (lambda x, y: x**y, positive, b),
        "maximum": (ad.maximum, a, b - 3),
        "minimum": (ad.minimum, a, b - 3),
        "where": (lambda x, y: ad.where(where, x, y), a, b),
        "clip": (lambda x: ad.clip(x, -0.7, 0.7), a),
        "matmul": (ad.matmul, a, m),
        "einsum": (lambda x, y: ad.einsum("ij,kjl->kil", x, y), a, m),
        "sum": (lambda x: ad.sum(x, 1), a),
        "mean": (lambda x: ad.mean(x, 0), a),
        "var": (lambda x: ad.var(x, 1), a),
        "amax": (lambda x: ad.amax(x, 1), a),
        "amin": (lambda x: ad.amin(x, 0), a),
        "logsumexp": (lambda x: ad.logsumexp(x, 1), a),
        "softmax": (lambda x: ad.softmax(x, 1), a),
        "log softmax": (lambda x: ad.log_softmax(x, 0), a),
        "cross-entropy": (lambda x: ad.cross_entropy(x, labels), a),
        "reshape": (lambda x: x.reshape(4, 3), a),
        "transpose": (ad.transpose, a),
        "broadcast": (lambda x: ad.broadcast_to(x, (2, 4)), b),
        "index": (lambda x: x[[0, 2, 0]], a),
        "concatenate": (lambda x, y: ad.concatenate([x, y], 0), a, positive),
        "stack": (lambda x: ad.stack([x, 2 * x]), a),
        "standardise": (lambda x: ad.standardise(x, 1, 1e-5), a),
        "pad": (lambda x: ad.pad(x, ((1, 0), (2, 1))), a),
        "embedding": (lambda x: ad.embedding(x, labels % 3), a),
        "conv2d": (lambda x, w: ad.conv2d(x, w, stride=2, padding=1, groups=2), image, kernel),
        "transposed conv2d": (
            lambda x, w: ad.conv_transpose2d(x, w, stride=2, padding=1),
            image,
            up,
        ),
        "max pooling": (lambda x: ad.max_pool2d(x, 2), spaced),
        "average pooling": (lambda x: ad.avg_pool2d(x, 2), image),
        "dropout": (lambda x: ad.dropout(x, 0.4, np.random.default_rng(1)), a),
        "attention": (lambda q, k, v: ad.attention(q, k, v, causal=True), m, m + 1, m - 1),
    }
    return found
