"""Dropout against what its definition says."""

from __future__ import annotations

import pytest
import torch

from etude.layers.dropout import Dropout, dropout


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_the_part_that_is_dropped_and_the_mean(p: float) -> None:
    torch.manual_seed(0)
    n = 1_000_003  # no multiple of the four numbers that share a draw
    y = dropout(torch.ones(n), p)
    deviation = (p * (1 - p) / n) ** 0.5
    assert abs(float((y == 0).double().mean()) - p) <= 4 * deviation + 2**-16
    assert abs(float(y.double().mean()) - 1) <= 4 * deviation / (1 - p) + 2**-16
    torch.testing.assert_close(y[y != 0].unique(), torch.tensor([1 / (1 - p)]), rtol=1e-4, atol=0)


def test_numbers_that_share_a_draw_are_dropped_independently() -> None:
    torch.manual_seed(0)
    kept = (dropout(torch.ones(250_000, 4), 0.5) != 0).double()
    seen = torch.corrcoef(kept.T) - torch.eye(4)
    assert seen.abs().max() <= 4 / 250_000**0.5


def test_the_gradient_passes_where_the_number_did() -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 5, requires_grad=True)
    y = dropout(x, 0.4)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x.detach(), y.detach())
    assert 0 < (y == 0).sum() < y.numel()


def test_the_ends_the_kind_and_the_shape() -> None:
    x = torch.randn(3, 2, 5)
    torch.testing.assert_close(dropout(x, 0.0), x, rtol=0, atol=0)
    assert not dropout(x, 1.0).any()
    assert not dropout(x, 1 - 2**-20).any()  # which no 16 bits tell from 1
    for kind in (torch.bfloat16, torch.double):
        y = dropout(x.to(kind), 0.3)
        assert y.dtype == kind
        assert y.shape == x.shape
    assert dropout(x[:0], 0.3).shape == (0, 2, 5)


def test_only_training_drops_and_a_seed_fixes_what() -> None:
    layer, x = Dropout(0.5), torch.ones(100)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    torch.testing.assert_close(layer(x), first, rtol=0, atol=0)
    assert (first == 0).any()
    assert layer.eval()(x) is x
