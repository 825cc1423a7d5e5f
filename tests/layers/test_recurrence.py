"""Recurrent layers against PyTorch's: outputs, states, gradients, for stacks and both
directions.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from etude.errors import UserError
from etude.layers.recurrence import GRU, LSTM, RNN, Recurrent

CELLS = [(RNN, nn.RNN), (GRU, nn.GRU), (LSTM, nn.LSTM)]
SHAPES = [(1, False), (1, True), (3, False), (2, True)]
DTYPES = [(torch.double, 1e-10), (torch.float, 1e-6)]

each_cell = pytest.mark.parametrize(("ours", "theirs"), CELLS, ids=["rnn", "gru", "lstm"])
each_shape = pytest.mark.parametrize(("layers", "both"), SHAPES)
each_dtype = pytest.mark.parametrize(("dtype", "tolerance"), DTYPES, ids=["double", "single"])


def pair(ours, theirs, layers: int, both: bool, dtype: torch.dtype) -> tuple[Recurrent, nn.Module]:
    """Ours and PyTorch's, each with numbers of its own."""
    torch.manual_seed(layers)
    own = ours(3, 5, layers, bidirectional=both).to(dtype)
    return own, theirs(3, 5, layers, bidirectional=both, batch_first=True).to(dtype)


def drawn(states: int, rows: int, dtype: torch.dtype) -> tuple[Tensor, tuple[Tensor, ...]]:
    """An input of 7 steps and an initial state."""
    x = torch.randn(4, 7, 3, dtype=dtype, requires_grad=True)
    return x, tuple(torch.randn(rows, 4, 5, dtype=dtype, requires_grad=True) for _ in range(states))


def assert_same(
    own: Recurrent, other: nn.Module, x: Tensor, state: tuple[Tensor, ...], tolerance: float
) -> None:
    """Outputs, final states, and the gradients of the input, of the initial state and of every
    parameter.
    """
    for began in (None, state):
        y, ended = own(x, began)
        z, their_end = other(x, began if began is None or len(began) > 1 else began[0])
        found = [y, *ended]
        expected = [z, *(their_end if isinstance(their_end, tuple) else [their_end])]
        for f, e in zip(found, expected, strict=True):
            torch.testing.assert_close(f, e, rtol=tolerance, atol=tolerance)
        towards = [torch.randn_like(f) for f in found]
        wanted = [x, *(began or ())]
        ours = dict(own.named_parameters())
        theirs = dict(other.named_parameters())
        assert list(ours) == list(theirs)
        a = torch.autograd.grad(
            sum((f * t).sum() for f, t in zip(found, towards, strict=True)),
            [*wanted, *ours.values()],
        )
        b = torch.autograd.grad(
            sum((e * t).sum() for e, t in zip(expected, towards, strict=True)),
            [*wanted, *theirs.values()],
        )
        for f, e in zip(a, b, strict=True):
            torch.testing.assert_close(
                f, e, rtol=tolerance, atol=tolerance * max(1.0, float(e.abs().max()))
            )


@each_dtype
@each_shape
@each_cell
def test_outputs_states_and_gradients_are_pytorchs(
    ours, theirs, layers, both, dtype, tolerance
) -> None:
    own, other = pair(ours, theirs, layers, both, dtype)
    own.load_state_dict(other.state_dict())
    x, state = drawn(own.states, layers * (1 + both), dtype)
    assert_same(own, other, x, state, tolerance)


@each_shape
@each_cell
def test_pytorch_loads_our_weights(ours, theirs, layers, both) -> None:
    own, other = pair(ours, theirs, layers, both, torch.double)
    x, state = drawn(own.states, layers * (1 + both), torch.double)
    assert not torch.allclose(own(x)[0], other(x)[0]), "they were different before"
    other.load_state_dict(own.state_dict())
    assert_same(own, other, x, state, 1e-10)


@each_dtype
@each_shape
def test_the_fused_lstm_is_the_loop(layers, both, dtype, tolerance) -> None:
    torch.manual_seed(0)
    loop = LSTM(3, 5, layers, bidirectional=both).to(dtype)
    fused = LSTM(3, 5, layers, bidirectional=both, fused=True).to(dtype)
    fused.load_state_dict(loop.state_dict())
    x, state = drawn(2, layers * (1 + both), dtype)
    assert_same(loop, fused, x, state, tolerance)  # (h, c) is what both take


@each_cell
def test_a_sequence_may_come_in_pieces(ours, theirs) -> None:
    torch.manual_seed(0)
    net = ours(3, 5, 2).double()
    x = torch.randn(4, 7, 3, dtype=torch.double)
    whole, ended = net(x)
    pieces, state = [], None
    for piece in x.split([1, 4, 2], 1):
        y, state = net(piece, state)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=0, atol=1e-14)
    for found, expected in zip(state, ended, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


@each_cell
def test_nothing_comes_from_the_future_but_by_the_second_direction(ours, theirs) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 7, 3, requires_grad=True)
    (to_x,) = torch.autograd.grad(ours(3, 5, 2)(x)[0][0, 3].sum(), x)
    assert (to_x[0, :4].abs().sum(1) > 0).all()
    assert (to_x[0, 4:] == 0).all()
    (to_x,) = torch.autograd.grad(ours(3, 5, bidirectional=True)(x)[0][0, 3].sum(), x)
    assert (to_x[0].abs().sum(1) > 0).all()


@each_cell
def test_gradients_are_what_differences_give(ours, theirs) -> None:
    torch.manual_seed(0)
    net = ours(2, 3, bidirectional=True).double()
    x = torch.randn(2, 4, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: net(x)[0], x)


def test_the_rnn_is_its_equation() -> None:
    net = RNN(3, 5).double()
    x, h = torch.randn(1, 4, 3, dtype=torch.double), torch.zeros(5, dtype=torch.double)
    for t in range(4):
        w, u = net.weight_ih_l0, net.weight_hh_l0
        h = torch.tanh(w @ x[0, t] + net.bias_ih_l0 + u @ h + net.bias_hh_l0)
    torch.testing.assert_close(net(x)[0][0, -1], h)


def test_a_forget_gate_that_is_open_keeps_the_cell() -> None:
    """The constant error carousel: with f = 1 and i = 0, c and the gradient by it stay what they
    are.
    """
    net = LSTM(3, 5).double()
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    net.set_biases(i=-50.0, f=50.0)
    c = torch.randn(1, 4, 5, dtype=torch.double, requires_grad=True)
    _, (_, ended) = net(torch.randn(4, 100, 3, dtype=torch.double), (torch.zeros_like(c), c))
    torch.testing.assert_close(ended, c, rtol=0, atol=1e-12)
    (by_c,) = torch.autograd.grad(ended.sum(), c)
    torch.testing.assert_close(by_c, torch.ones_like(c), rtol=0, atol=1e-12)


def test_the_biases_are_set_in_every_layer_and_direction() -> None:
    net = LSTM(3, 5, 2, bidirectional=True)
    before = {name: bias.clone() for name, bias in net.named_parameters() if "bias" in name}
    wanted = torch.rand(5)
    net.set_biases(i=-2.0, f=wanted)
    for layer in ("l0", "l0_reverse", "l1", "l1_reverse"):
        b, b_u = getattr(net, f"bias_ih_{layer}"), getattr(net, f"bias_hh_{layer}")
        assert torch.equal((b + b_u)[5:10], wanted)
        assert ((b + b_u)[:5] == -2).all()
        assert torch.equal(b[10:], before[f"bias_ih_{layer}"][10:])
        assert torch.equal(b_u[10:], before[f"bias_hh_{layer}"][10:])


@pytest.mark.parametrize("shape", [(4, 7, 2), (7, 3), (3,)])
def test_another_shape_is_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        UserError, match=r"GRU got an input of shape \(.*\); expected \(batch, time, 3\)"
    ):
        GRU(3, 5)(torch.zeros(shape))
