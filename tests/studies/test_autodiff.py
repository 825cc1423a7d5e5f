"""The autodiff study: what it says of its expression is so, and its list of operations is whole."""

from __future__ import annotations

import numpy as np
import pytest

from etude import autodiff as ad
from etude.autodiff import Tensor
from etude.studies.foundations.autodiff._cost import differences
from etude.studies.foundations.autodiff._operations import operations
from etude.studies.foundations.autodiff.autodiff import (
    STEPS,
    Autodiff,
    newton,
    newton_by_differences,
    rosenbrock,
)


def test_the_expression_of_the_lesson() -> None:
    x1, x2 = Tensor(2.0, requires_grad=True), Tensor(5.0, requires_grad=True)
    y = ad.log(x1) + x1 * x2 - ad.sin(x2)
    y.backward()
    assert y.item() == pytest.approx(11.652, abs=1e-3)  # Baydin et al. (2018), table 2
    assert (x1.grad.item(), x2.grad.item()) == pytest.approx((5.5, 2 - np.cos(5)))


def test_newton_needs_the_hessian_as_it_is() -> None:
    derivatives = (ad.grad(rosenbrock), ad.hessian(rosenbrock))
    (claim,) = (claim for claim in Autodiff.claims if claim.metric == "rosenbrock/distance")
    assert claim.allows(newton(*derivatives))
    assert newton(*derivatives, steps=1) > 0.1
    assert not any(claim.allows(newton_by_differences(rosenbrock, h)) for h in STEPS)
    H = ad.hessian(rosenbrock)(np.array([-1.2, 1.0])).numpy()
    np.testing.assert_allclose(H, [[2 + 1200 * 1.44 - 400, 480], [480, 200]])


def test_the_check_of_the_study_finds_a_wrong_derivative() -> None:
    wrong = ad.operations.elementwise("wrong", np.sin, lambda v, x: 1.001 * ad.cos(x))
    with pytest.raises(ad.GradientError, match="expected"):
        ad.check_gradients(wrong, np.ones(3))


def test_differences_are_the_jacobian_nearly() -> None:
    A = np.random.default_rng(0).normal(size=(3, 4))
    found = differences(lambda x: ad.tanh(A @ x), np.ones(4))
    np.testing.assert_allclose(
        found, ad.jacobian(lambda x: ad.tanh(A @ x))(np.ones(4)).numpy(), atol=1e-9
    )


def test_every_differentiable_operation_is_checked() -> None:
    named = {name.replace(" ", "_") for name in operations()}
    same = {
        "avg_pool2d": "average_pooling",
        "max_pool2d": "max_pooling",
        "broadcast_to": "broadcast",
        "conv_transpose2d": "transposed_conv2d",
        "cross_entropy": "cross-entropy",
    }
    made_of_others = {"split", "mse", "binary_cross_entropy_with_logits", "flatten"}
    public = {n for n in ad.__all__ if n.islower() and callable(getattr(ad, n))}
    tools = {
        "check_gradients",
        "grad",
        "hessian",
        "hvp",
        "jacobian",
        "jvp",
        "vjp",
        "no_grad",
        "kaiming",
        "normal",
        "orthogonal",
        "xavier",
        "zeros",
    }
    missing = {n for n in public - tools - made_of_others if same.get(n, n) not in named}
    assert not missing
