"""Activations: each is its formula, and its derivative the formula's; the hard limit has the one
that it is lent.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from etude.errors import UserError
from etude.layers.activations import ACTIVATIONS, HardLimit, Maxout, dense

Z = torch.linspace(-6, 6, 242, dtype=torch.float64)  # without 0, where some have no derivative
FORMULAS: dict[str, Callable[[float], float]] = {
    "identity": lambda z: z,
    "hard_limit": lambda z: 1.0 if z > 0 else 0.0,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": lambda z: (math.exp(z) - math.exp(-z)) / (math.exp(z) + math.exp(-z)),
    "relu": lambda z: max(0.0, z),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.exp(z) - 1,
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * (math.exp(z) - 1)),
    "swish": lambda z: z / (1 + math.exp(-z)),
    "gelu": lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2,
}


def slope(name: str, z: Tensor) -> Tensor:
    z = z.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(ACTIVATIONS[name]()(z).sum(), z)
    return gradient


def test_every_activation_has_its_formula_here() -> None:
    assert ACTIVATIONS.keys() == FORMULAS.keys() | {"maxout"}


@pytest.mark.parametrize("name", FORMULAS)
def test_each_is_its_formula(name: str) -> None:
    expected = torch.tensor([FORMULAS[name](z) for z in Z.tolist()], dtype=torch.float64)
    torch.testing.assert_close(ACTIVATIONS[name]()(Z), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(FORMULAS.keys() - {"hard_limit"}))
def test_each_derivative_is_the_difference_quotient(name: str) -> None:
    h = 1e-6
    quotient = torch.tensor(
        [(FORMULAS[name](z + h) - FORMULAS[name](z - h)) / (2 * h) for z in Z.tolist()]
    )
    torch.testing.assert_close(slope(name, Z), quotient.double(), atol=1e-6, rtol=1e-5)


def test_the_hard_limit_is_exact_and_its_derivative_is_that_of_a_clipped_line() -> None:
    z = torch.tensor([-3.0, -1.5, -0.7, -1e-30, 0.0, 1e-30, 0.3, 0.999, 1.5])
    assert HardLimit()(z).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert slope("hard_limit", z).tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0]
    assert set(HardLimit()(torch.randn(100_000)).tolist()) == {0.0, 1.0}
    assert HardLimit()(torch.randn(3, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_maxout_takes_the_largest_of_neighbours(pieces: int) -> None:
    z = torch.randn(4, 3, 6 * pieces)
    out = Maxout(pieces)(z)
    assert out.shape == (4, 3, 6)
    for i in range(6):
        assert torch.equal(out[..., i], z[..., i * pieces : (i + 1) * pieces].max(-1).values)


def test_maxout_passes_the_gradient_to_the_largest_alone() -> None:
    z = torch.tensor([[1.0, 3.0, -2.0, -5.0]], requires_grad=True)
    (Maxout()(z) * torch.tensor([2.0, 7.0])).sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [[0, 2, 7, 0]]


def test_maxout_of_z_and_0_is_relu() -> None:
    z = torch.randn(5, 3)
    pairs = torch.stack([z, torch.zeros_like(z)], -1).flatten(-2)
    assert torch.equal(Maxout()(pairs), torch.relu(z))


def test_what_can_not_be_parted_is_told() -> None:
    with pytest.raises(UserError, match="7 numbers can't be parted into units of 2 each"):
        Maxout()(torch.rand(1, 7))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_dense_layer_has_the_units_that_were_asked_for(name: str) -> None:
    layer = dense(name, 3, 8)
    assert layer(torch.randn(5, 3)).shape == (5, 8)
    weights = sum(p.numel() for p in layer.parameters())
    assert weights == 8 * 4 * (2 if name == "maxout" else 1)
