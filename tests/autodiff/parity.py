"""Equal to PyTorch in float64: values, gradients, tangents and derivatives of gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.testing import assert_allclose

from etude import autodiff as ad

TOLERANCE = 1e-10


def close(got: Any, expected: Any) -> None:
    got, expected = (a.numpy() if isinstance(a, ad.Tensor) else a for a in (got, expected))
    expected = expected.numpy(force=True) if isinstance(expected, torch.Tensor) else expected
    assert got.shape == tuple(expected.shape)
    assert_allclose(got, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def assert_parity(
    ours: Callable[..., ad.Tensor],
    theirs: Callable[..., torch.Tensor],
    *arrays: np.ndarray,
    second: bool = True,
) -> None:
    """Value, x̄ for a random v̄, v̇ for random ẋ, and, with ``second``, the gradient of ⟨x̄, ẋ⟩."""
    rng = np.random.default_rng(0)
    xs = [ad.Tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, t = ours(*xs), theirs(*ts)
    close(y, t)

    v̄, ẋs = rng.normal(size=y.shape), [rng.normal(size=a.shape) for a in arrays]
    y.backward(v̄, create_graph=second)
    grads = torch.autograd.grad(t, ts, torch.tensor(v̄), create_graph=second, materialize_grads=True)
    for x, g in zip(xs, grads, strict=True):
        close(x.grad, g)

    _, ẏ = ad.jvp(ours, tuple(xs), tuple(ẋs))
    _, ṫ = torch.func.jvp(theirs, tuple(t.detach() for t in ts), tuple(torch.tensor(ẋ) for ẋ in ẋs))
    close(ẏ, ṫ)

    if second and any(g.requires_grad for g in grads):
        slope = sum((g * torch.tensor(ẋ)).sum() for g, ẋ in zip(grads, ẋs, strict=True))
        seconds = torch.autograd.grad(slope, ts, materialize_grads=True)
        ours_slope = sum((x.grad * ẋ).sum() for x, ẋ in zip(xs, ẋs, strict=True))
        for x in xs:
            x.grad = None
        if ours_slope.requires_grad:  # else it is constant, and its gradient zero
            ours_slope.backward()
        for x, g in zip(xs, seconds, strict=True):
            close(x.grad if x.grad is not None else np.zeros(x.shape), g)
