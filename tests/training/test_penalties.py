"""Penalties: their values, their gradients, their proximal step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import register_parametrization

from etude.studies.foundations.regularization._penalties import (
    HardConcrete,
    l2,
    negative_entropy,
    nuclear_norm,
    soft_threshold,
)


def matrices() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=generator, dtype=torch.double) for shape in ((5, 3), (3, 4))
    ]


def test_the_gradient_of_l2_is_the_weight() -> None:
    weights = [w.requires_grad_() for w in matrices()]
    l2(weights).backward()
    for w in weights:
        assert torch.allclose(w.grad, w)


def test_softening_is_the_proximal_step_of_l1() -> None:
    w = torch.linspace(-1, 1, 21, dtype=torch.double)
    v = torch.linspace(-1.5, 1.5, 3001, dtype=torch.double)[:, None]
    best = v[((v - w) ** 2 / 2 + 0.3 * v.abs()).argmin(0), 0]
    soft_threshold([w], 0.3)
    assert torch.allclose(w, best, atol=1e-3)
    assert (w == 0).sum() == 7


def test_the_gradient_of_the_nuclear_norm_is_u_v() -> None:
    weights = [w.requires_grad_() for w in matrices()]
    norm = nuclear_norm(weights)
    norm.backward()
    assert norm.item() == pytest.approx(
        sum(torch.linalg.matrix_norm(w, "nuc").item() for w in weights)
    )
    for w in weights:
        u, _, vh = torch.linalg.svd(w.detach(), full_matrices=False)
        assert torch.allclose(w.grad, u @ vh)


def test_confidence_is_negative_entropy() -> None:
    assert negative_entropy(torch.zeros(3, 10)).item() == pytest.approx(-math.log(10))
    assert negative_entropy(torch.tensor([[100.0, 0.0]])).item() == pytest.approx(0)
    z = torch.tensor([[1.0, 2.0, -1.0]], dtype=torch.double, requires_grad=True)
    negative_entropy(z).backward()
    p = z.detach().softmax(1)
    entropy = -(p * p.log()).sum()
    assert torch.allclose(z.grad, p * (p.log() + entropy))  # as the lesson says


@pytest.mark.parametrize("log_alpha", [-2.0, 0.0, 1.0])
def test_gates_are_open_as_often_as_expected(log_alpha: float) -> None:
    torch.manual_seed(0)
    gate = HardConcrete(torch.Size((200, 200)), log_alpha)
    drawn = gate(torch.ones(200, 200))
    assert 0 <= drawn.min() <= drawn.max() <= 1
    assert (drawn == 0).any()
    assert (drawn == 1).any()
    assert (drawn > 0).double().mean().item() == pytest.approx(
        gate.expected_open().item() / 40_000, abs=0.01
    )


def test_a_gated_layer_learns_its_gates_and_is_still_in_evaluation() -> None:
    layer = nn.Linear(4, 3)
    register_parametrization(layer, "weight", HardConcrete(layer.weight.shape))
    x = torch.rand(2, 4)
    assert not torch.equal(layer(x), layer(x))
    layer(x).sum().backward()
    gate = layer.parametrizations.weight[0]
    assert gate.log_alpha.grad.abs().sum() > 0
    layer.eval()
    assert torch.equal(layer(x), layer(x))
    with torch.no_grad():
        gate.log_alpha.fill_(-5.0)
    assert torch.equal(layer.weight, torch.zeros(3, 4))
