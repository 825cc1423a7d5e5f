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

    v_adjoint, x_tangents = rng.normal(size=y.shape), [rng.normal(size=a.shape) for a in arrays]
    y.backward(v_adjoint, create_graph=second)
    grads = torch.autograd.grad(
        t, ts, torch.tensor(v_adjoint), create_graph=second, materialize_grads=True
    )
    for x, g in zip(xs, grads, strict=True):
        close(x.grad, g)

    _, y_tangent = ad.jvp(ours, tuple(xs), tuple(x_tangents))
    _, t_tangent = torch.func.jvp(
        theirs,
        tuple(t.detach() for t in ts),
        tuple(torch.tensor(x_tangent) for x_tangent in x_tangents),
    )
    close(y_tangent, t_tangent)

    if second and any(g.requires_grad for g in grads):
        slope = sum(
            (g * torch.tensor(x_tangent)).sum()
            for g, x_tangent in zip(grads, x_tangents, strict=True)
        )
        seconds = torch.autograd.grad(slope, ts, materialize_grads=True)
        ours_slope = sum(
            (x.grad * x_tangent).sum() for x, x_tangent in zip(xs, x_tangents, strict=True)
        )
        for x in xs:
            x.grad = None
        if ours_slope.requires_grad:  # else it is constant, and its gradient zero
            ours_slope.backward()
        for x, g in zip(xs, seconds, strict=True):
            close(x.grad if x.grad is not None else np.zeros(x.shape), g)
