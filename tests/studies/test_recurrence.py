"""The recurrence study: the task is as told, gradients go as derived, gates add what a plain
network can't.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import etude
from etude.errors import UserError
from etude.layers.recurrence import GRU, LSTM, RNN, Recurrent
from etude.studies.language.recurrence._cliff import descents, one_unit_loss
from etude.studies.language.recurrence._gradients import factor_per_step, gradient_sizes
from etude.studies.language.recurrence.recurrence import Recurrence


@pytest.mark.parametrize("length", [4, 5, 50])
def test_two_values_of_the_first_half_are_marked_and_added(length: int) -> None:
    torch.manual_seed(0)
    x, y = next(Recurrence(length=length).sequences(3_000))
    value, mark = x.unbind(2)
    assert x.shape == (3_000, length, 2)
    assert (mark.sum(1) == 2).all()
    assert (mark[:, length // 2 :] == 0).all()
    assert (mark[:, : length // 2].sum(0) > 0).all(), (
        "every place of the first half is marked at times"
    )
    torch.testing.assert_close(
        y, torch.stack([row[m == 1].sum() for row, m in zip(value, mark, strict=True)])
    )
    assert (y - 1).square().mean().item() == pytest.approx(1 / 6, abs=0.01), (
        "what always saying 1 costs"
    )


def test_too_short_a_sequence_is_told(tmp_path) -> None:
    with pytest.raises(UserError, match="length is 3; expected 4 or more"):
        etude.run("recurrence", root=tmp_path, quiet=True, length=3)


def jacobian(cells: Recurrent, x: Tensor, back: int) -> Tensor:
    """∂s_T/∂s_(T-back) of one sequence, whole, by automatic differentiation of the rest of it."""
    _, state = cells(x[:, :-back])

    def rest(s: Tensor) -> Tensor:
        return torch.cat(cells(x[:, -back:], s.split(5, 2))[1], 2).flatten()

    s = torch.cat(state, 2).detach()
    return torch.autograd.functional.jacobian(rest, s).reshape(s.numel(), s.numel())


@pytest.mark.parametrize("cell", [RNN, GRU, LSTM])
def test_the_gradient_through_time_is_that_of_the_jacobian(cell) -> None:
    torch.manual_seed(0)
    cells = cell(2, 5).double()
    x = torch.rand(1, 8, 2, dtype=torch.double)
    expected = [jacobian(cells, x, back).square().sum(0).mean().sqrt() for back in (1, 3, 6)]
    many = x.expand(40_000, -1, -1)  # as many random directions
    found = gradient_sizes(cells, many)
    assert found.shape == (8,)
    assert found[0].item() == pytest.approx(1)
    for back, size in zip((1, 3, 6), expected, strict=True):
        assert found[back].item() == pytest.approx(size.item(), rel=0.02)


def test_without_saturation_the_gradient_of_an_orthogonal_network_is_its_gain_to_the_power_k() -> (
    None
):
    """No input and no bias: h stays 0, where tanh has slope 1, and the bound is reached."""
    cells = Recurrence().network("rnn", 0.8).cells
    with torch.no_grad():
        cells.bias_ih_l0.zero_()
        cells.bias_hh_l0.zero_()
    sizes = gradient_sizes(cells, torch.zeros(3, 50, 2))
    torch.testing.assert_close(sizes, 0.8 ** torch.arange(50), rtol=1e-4, atol=0)
    assert factor_per_step(sizes) == pytest.approx(0.8, rel=1e-4)


@pytest.mark.parametrize("gain", [0.5, 0.9, 1.0, 1.3, 3.0])
def test_the_bound_holds(gain: float) -> None:
    torch.manual_seed(0)
    study = Recurrence()
    sizes = gradient_sizes(study.network("rnn", gain).cells, next(study.sequences(100))[0])
    assert (sizes.double() <= gain ** torch.arange(50, dtype=torch.double) * 1.0001).all()
    if gain <= 1:
        assert (sizes.diff() < 0).all()
    if gain == 3:
        assert sizes[-1] > 1e3


def test_the_lstm_begins_with_memories_up_to_the_length() -> None:
    torch.manual_seed(0)
    lstm = Recurrence(width=400).network("lstm").cells
    i, f, _, _ = (lstm.bias_ih_l0 + lstm.bias_hh_l0).chunk(4)
    torch.testing.assert_close(i, -f)
    assert f.min() >= 0
    assert math.log(40) < f.max() <= math.log(49)
    assert f.exp().mean().item() == pytest.approx(25, abs=2)
    old = Recurrence().network("lstm, bias 1").cells
    assert ((old.bias_ih_l0 + old.bias_hh_l0)[32:64] == 1).all()


def test_clipped_steps_are_short_and_others_are_the_gradients() -> None:
    torch.manual_seed(0)
    start = torch.tensor([1.0, -0.5]) + torch.tensor([2.0, 1.0]) * torch.rand(50, 2)
    free, held = descents(start, 50, math.inf, updates=60), descents(start, 50, 0.5, updates=60)
    longest = [path.diff(dim=0).norm(dim=2).max().item() for path in (free, held)]
    assert longest[1] <= 0.2 * 0.5 * 1.0001 < longest[0]
    p = start[0].clone().requires_grad_()
    (g,) = torch.autograd.grad(one_unit_loss(p, 50), p)
    torch.testing.assert_close(free[1, 0], start[0] - 0.2 * g)
    direction = held[1, 0] - held[0, 0]
    torch.testing.assert_close(direction / direction.norm(), -g / g.norm(), rtol=1e-4, atol=1e-4)


def test_without_clipping_too_few_descents_arrive() -> None:
    torch.manual_seed(0)
    start = torch.tensor([1.0, -0.5]) + torch.tensor([2.0, 1.0]) * torch.rand(40, 2)
    last = descents(start, 50, math.inf)[-1]
    arrived = (one_unit_loss(last, 50) < 1e-3).double().mean().item()
    claim = next(claim for claim in Recurrence.claims if claim.metric == "cliff/clipped")
    assert arrived > 0.5
    assert not claim.allows(arrived)


def test_the_loop_and_the_kernel_train_alike(tmp_path) -> None:
    """The same weights after some steps, whichever computes them."""
    runs = [
        etude.run(
            "recurrence",
            seed=0,
            root=tmp_path,
            quiet=True,
            steps=5,
            repeats=1,
            fused=fused,
            length=12,
        )
        for fused in (True, False)
    ]
    kernel, loop = (etude.load(run.folder.path).network.state_dict() for run in runs)
    for name, weight in kernel.items():
        torch.testing.assert_close(weight, loop[name], rtol=0, atol=1e-4)


@pytest.mark.claims
def test_the_claims_hold(tmp_path) -> None:
    run = etude.run("recurrence", seed=0, root=tmp_path, quiet=True, repeats=1)
    assert all(verdict.holds for verdict in run.verdicts)
    assert run.metrics["lstm, bias 1/test/mse"] > 0.1
    assert run.metrics["cliff/not clipped"] < 0.95
    assert run.held_out["lstm/test/mse"] == 2_000
    assert {p.name for p in run.folder.figures.glob("*.png")} == {
        "comparison.png",
        "gradients.png",
        "cliff.png",
    }
    said = etude.load(run.folder.path).predict("0.3 0.9* 0.2 0.1 0.8 0.25* " + "0.7 0.1 0.4 " * 14)
    assert said["sum"] == pytest.approx(1.15, abs=0.2)
