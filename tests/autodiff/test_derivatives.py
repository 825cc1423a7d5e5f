"""Derivatives of functions: nested, in both modes, of any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional as F

from etude import autodiff as ad
from etude.autodiff import DtypeError, GradientError, Tensor
from etude.autodiff.operations import elementwise
from tests.autodiff.parity import close

rng = np.random.default_rng(0)


def test_the_fourth_derivative_of_tanh() -> None:
    x, t = 0.7, np.tanh(0.7)
    expected = 8 * t * (1 - t**2) * (2 - 3 * t**2)
    f: Callable[..., Any] = ad.tanh
    for _ in range(4):
        f = ad.grad(f)
    assert f(x).item() == pytest.approx(expected, rel=1e-12)

    def forward(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x: ad.jvp(f, x, 1.0)[1]

    assert forward(forward(forward(forward(ad.tanh))))(x).item() == pytest.approx(
        expected, rel=1e-12
    )
    assert forward(ad.grad(forward(ad.grad(ad.tanh))))(x).item() == pytest.approx(
        expected, rel=1e-12
    )
    assert ad.grad(forward(forward(ad.grad(ad.tanh))))(x).item() == pytest.approx(
        expected, rel=1e-12
    )


def test_derivatives_of_one_variable_are_not_confused_with_those_of_another() -> None:
    """Perturbation confusion (Siskind & Pearlmutter, 2005): d/dx x d/dy (x + y) is 1, and d/dx x
    d/dy x y is 2x.
    """

    def d(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x: ad.jvp(f, x, 1.0)[1]

    for outer in (ad.grad, d):
        for inner in (ad.grad, d):
            assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(3.0).item() == 1  # noqa: B023
            assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0).item() == 6  # noqa: B023


def small_network(w: Tensor) -> Tensor:
    """Convolution, normalisations and attention, all of whose weights are a part of w (77
    numbers).
    """
    images = np.linspace(-1, 1, 2 * 2 * 5 * 5).reshape(2, 2, 5, 5) ** 2
    h = ad.conv2d(images, w[:36].reshape(2, 2, 3, 3), w[36:38], stride=2, padding=1)  # (2, 2, 3, 3)
    h = ad.tanh(ad.standardise(h, (0, 2, 3), 1e-3))
    h = ad.conv_transpose2d(h, w[38:54].reshape(2, 2, 2, 2), stride=2)  # (2, 2, 6, 6)
    h = ad.gelu(ad.avg_pool2d(h, 2)).reshape(2, 6, 3)
    h = ad.standardise(h, -1, 1e-3) * w[54:57]
    h = ad.attention(h @ w[57:66].reshape(3, 3), h, h, causal=True)
    logits = ad.flatten(h) @ ad.sin(
        ad.broadcast_to(w[66:68], (18, 2)) * np.arange(18)[:, None]
    ) + ad.exp(w[68:70])
    return ad.cross_entropy(logits, [0, 1]) + ad.logsumexp(w[70:77]) * ad.softplus(w[0])


W, V = rng.normal(size=77) / 2, rng.normal(size=77)


def test_the_hessian_of_a_network_with_convolutions_and_norms() -> None:
    h = ad.hessian(small_network)(W).numpy()
    assert h.shape == (77, 77)
    assert_allclose(h, h.T, atol=1e-12)
    differences = np.array(
        [
            ad.grad(small_network)(W + e).numpy() - ad.grad(small_network)(W - e).numpy()
            for e in 1e-5 * np.eye(77)
        ]
    )
    assert_allclose(h, differences / 2e-5, atol=1e-6)
    close(ad.hvp(small_network, W, V), h @ V)
    reverse = ad.jacobian(ad.grad(small_network), "reverse")(W)
    close(reverse, h)
    close(ad.grad(lambda w: (ad.grad(small_network)(w) * V).sum())(W), h @ V)
    close(ad.grad(lambda w: ad.jvp(small_network, w, V)[1])(W), h @ V)


def test_the_third_derivative_of_a_network() -> None:
    third = ad.jvp(lambda w: ad.hvp(small_network, w, V), W, V)[1].numpy()
    h = 1e-4
    difference = (
        ad.hvp(small_network, W + h * V, V).numpy() - ad.hvp(small_network, W - h * V, V).numpy()
    )
    assert_allclose(third, difference / (2 * h), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
def test_jacobians(mode: Any) -> None:
    a = rng.normal(size=(4, 6))

    def ours(x: Tensor) -> Tensor:
        return ad.sin(a @ x.reshape(6, 1)).reshape(2, 2) * x[0, 0]

    x = rng.normal(size=(2, 3))
    expected = torch.func.jacrev(
        lambda x: torch.sin(torch.tensor(a) @ x.reshape(6, 1)).reshape(2, 2) * x[0, 0]
    )(torch.tensor(x))
    close(ad.jacobian(ours, mode)(x), expected)
    assert ad.jacobian(lambda x: x[:0], mode)(np.ones(3)).shape == (0, 3)
    assert ad.jacobian(lambda x: ad.concatenate([x, np.ones(2)]), mode)(np.ones(0)).shape == (2, 0)
    assert (
        ad.jacobian(lambda x: Tensor([1.0, 2.0]), mode)(np.ones(3)).numpy().tolist()
        == [[0] * 3] * 2
    )
    close(ad.jacobian(ad.jacobian(ad.exp, mode), mode)(np.ones(1)), np.exp(np.ones((1, 1, 1))))


def test_auto_takes_the_mode_with_fewer_passes() -> None:
    calls = []

    def f(x: Tensor) -> Tensor:
        calls.append(1)
        return ad.concatenate([x, x, x])

    ad.jacobian(f)(np.ones(2))
    assert len(calls) == 3  # once to see the shape, then forward for each of two entries
    calls.clear()
    ad.jacobian(lambda x: f(x).sum())(np.ones(2))
    assert len(calls) == 1


def test_products_with_jacobians() -> None:
    x, y = rng.normal(size=(2, 3)), rng.normal(size=3)
    v, x_tangent, y_tangent = rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), rng.normal(size=3)
    value, (x_adjoint, y_adjoint) = ad.vjp(ad.multiply, (x, y), v)
    close(value, x * y)
    close(x_adjoint, v * y)
    close(y_adjoint, (v * x).sum(0))
    value, v_tangent = ad.jvp(ad.multiply, (x, y), (x_tangent, y_tangent))
    close(value, x * y)
    close(v_tangent, x_tangent * y + x * y_tangent)
    (a, b), (a_tangent, b_tangent) = ad.jvp(lambda x: (ad.sin(x), Tensor(y)), x, x_tangent)
    close(a_tangent, np.cos(x) * x_tangent)
    close(b_tangent, 0 * y)
    close(a, np.sin(x))
    close(b, y)
    assert not value.requires_grad
    assert isinstance(ad.vjp(ad.exp, x, v)[1], Tensor)


def test_several_inputs() -> None:
    f = lambda x, y: (x * x * y).sum()  # noqa: E731
    x_adjoint, y_adjoint = ad.grad(f)(np.array([1.0, 2.0]), 3.0)
    assert x_adjoint.numpy().tolist() == [6, 12]
    assert y_adjoint.item() == 5
    hx, hy = ad.hvp(f, (np.array([1.0, 2.0]), 3.0), (np.array([1.0, 0.0]), 1.0))
    assert hx.numpy().tolist() == [8, 4]
    assert hy.item() == 2


def test_what_does_not_matter_has_derivative_zero() -> None:
    assert ad.grad(lambda x, y: x * x)(2.0, np.ones(3).sum())[1].item() == 0
    assert ad.grad(lambda x: Tensor(1.0))(np.ones(3)).numpy().tolist() == [0, 0, 0]
    assert ad.jvp(lambda x: Tensor(np.ones(2)), 1.0, 1.0)[1].numpy().tolist() == [0, 0]
    assert ad.grad(lambda x: x)(2.0).item() == 1


def test_a_gradient_is_recorded_only_where_someone_may_differentiate_it_again() -> None:
    w, x = Tensor(rng.normal(size=3), requires_grad=True), rng.normal(size=3)
    f = lambda x: (ad.sin(x * w)).sum()  # noqa: E731
    g = ad.grad(f)(x)
    assert g.requires_grad  # by w
    (g * g).sum().backward()
    t = torch.tensor(w.numpy().copy(), requires_grad=True)
    u = torch.tensor(x, requires_grad=True)
    (torch.autograd.grad(torch.sin(u * t).sum(), u, create_graph=True)[0] ** 2).sum().backward()
    close(w.grad, t.grad)
    assert not ad.grad(lambda x: ad.sin(x).sum())(x).requires_grad
    with ad.no_grad():
        assert not ad.grad(f)(x).requires_grad
        close(ad.grad(f)(x), g)


def test_a_gradient_of_inner_functions_leaves_the_outer_graph_whole() -> None:
    w = Tensor(2.0, requires_grad=True)
    h = w * w
    assert ad.grad(lambda x: x * h.detach())(3.0).item() == 4
    with ad.no_grad():
        assert ad.grad(lambda x: x * h)(3.0).item() == 4
    h.backward()
    assert w.grad.item() == 4


def test_forward_over_reverse_through_a_module() -> None:
    net = ad.Sequential(ad.Linear(3, 4, rng), ad.tanh, ad.Linear(4, 1, rng))
    x = rng.normal(size=(5, 3))
    y, y_tangent = ad.jvp(net, x, np.ones((5, 3)))
    assert y_tangent.requires_grad  # by the weights
    y_tangent.sum().backward()
    assert net.layers[0].weight.grad is not None
    assert not net.layers[0].weight.grad.tangents  # the level is over
    close(y, net(x))


def test_check_gradients_finds_a_wrong_derivative() -> None:
    wrong = elementwise("wrong", np.sin, lambda v, x: ad.cos(x) * (1 + 1e-4 * (x.data == 2)))
    with pytest.raises(
        GradientError,
        match=r"expected -0.832293673., .* input 2 at \(1, 0\), got -0.8323769025 in reverse mode",
    ):
        ad.check_gradients(
            lambda y, x: (wrong(x) * 2).sum() + y, 1.0, np.array([[0.0, 1.0], [2.0, 3.0]])
        )
    assert 0 < ad.check_gradients(ad.sin, np.array([[0.0, 1.0], [2.0, 3.0]])) < 1e-9
    with pytest.raises(
        DtypeError, match="check_gradients expected float64, got float32 for input 2"
    ):
        ad.check_gradients(ad.multiply, np.ones(2), np.ones(2, np.float32))


def test_check_gradients_finds_a_wrong_tangent() -> None:
    from etude.autodiff.operations import record

    def wrong(x: Tensor) -> Tensor:
        return record(
            "wrong",
            x.data * 2,
            (x,),
            (lambda v_adjoint, v, x: v_adjoint * 2,),
            lambda v, xs, x_tangents: x_tangents[0] * 3,
        )

    with pytest.raises(GradientError, match="in forward mode"):
        ad.check_gradients(wrong, np.ones(2))


def test_gradients_agree_between_modes_for_random_compositions() -> None:
    unary = [
        ad.sin,
        ad.tanh,
        ad.softplus,
        ad.gelu,
        ad.sigmoid,
        lambda x: ad.softmax(x),
        lambda x: x.T.reshape(*x.shape),
    ]
    for seed in range(10):
        draw = np.random.default_rng(seed)
        chain = [unary[i] for i in draw.integers(len(unary), size=6)]

        def f(x: Tensor, chain: list[Any] = chain) -> Tensor:
            for g in chain:
                x = g(x) + x[::-1] * 0.5
            return x

        x = draw.normal(size=(3, 2))
        close(ad.jacobian(f, "forward")(x), ad.jacobian(f, "reverse")(x))
        assert ad.check_gradients(f, x) < 1e-6


def test_a_gradient_penalty_as_of_a_wasserstein_critic() -> None:
    """Gulrajani et al. (2017): the gradient, by the weights, of the gradient's length at
    the input.
    """
    a, b, x = rng.normal(size=(3, 4)), rng.normal(size=(4, 1)), rng.normal(size=(5, 3))
    ours = [Tensor(m, requires_grad=True) for m in (a, b)]
    slope = ad.grad(lambda x: (ad.softplus(x @ ours[0]) @ ours[1]).sum())(x)
    (((slope**2).sum(1) ** 0.5 - 1) ** 2).mean().backward()
    theirs = [torch.tensor(m, requires_grad=True) for m in (a, b)]
    t = torch.tensor(x, requires_grad=True)
    (slope,) = torch.autograd.grad(
        (F.softplus(t @ theirs[0]) @ theirs[1]).sum(), t, create_graph=True
    )
    (((slope**2).sum(1) ** 0.5 - 1) ** 2).mean().backward()
    for mine, other in zip(ours, theirs, strict=True):
        close(mine.grad, other.grad)
