"""The recurrent encoder and decoder: attention by hand, cells by hand, packing, learning."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, pad

from etude.errors import UserError
from etude.layers.attention import record_attention
from etude.layers.recurrence import GRU
from etude.layers.recurrent_attention import Additive, General
from etude.networks.recurrent_seq2seq import Bahdanau, Luong
from etude.networks.transformer import EncoderDecoder

KINDS = {
    "bahdanau": lambda **o: Bahdanau(9, 16, 1, **o),
    "bahdanau, 2 layers": lambda **o: Bahdanau(9, 16, 2, **o),
    "luong": lambda **o: Luong(9, 16, 1, **o),
    "transformer": lambda **o: EncoderDecoder(9, 16, 2, 1, **o),
}
each_kind = pytest.mark.parametrize("kind", KINDS)
SOURCE = torch.tensor([[3, 4, 5, 6, 2], [7, 8, 2, 0, 0], [4, 2, 0, 0, 0]])


def made(kind: str, **options):
    torch.manual_seed(0)
    return KINDS[kind](**options).double()


def test_additive_attention_is_the_formula() -> None:
    torch.manual_seed(0)
    net, q, m = Additive(4).double(), torch.randn(2, 3, 4).double(), torch.randn(2, 5, 4).double()
    mask = torch.arange(5) < torch.tensor([5, 2])[:, None, None]
    context, weights = net(q, net.key(m), m, mask)
    w, u, b, v = net.query.weight, net.key.weight, net.key.bias, net.score.weight[0]
    for i in range(2):
        n = int(mask[i].sum())
        for t in range(3):
            z = torch.stack([v @ torch.tanh(w @ q[i, t] + u @ m[i, s] + b) for s in range(n)])
            p = z.exp() / z.exp().sum()
            torch.testing.assert_close(weights[i, t], pad(p, (0, 5 - n)))
            torch.testing.assert_close(context[i, t], p @ m[i, :n])


def test_general_attention_is_the_formula() -> None:
    torch.manual_seed(0)
    net, q, m = General(4).double(), torch.randn(2, 3, 4).double(), torch.randn(2, 5, 4).double()
    mask = torch.arange(5) < torch.tensor([5, 2])[:, None, None]
    context = net(q, m, mask)
    for i in range(2):
        n = int(mask[i].sum())
        for t in range(3):
            z = torch.stack(
                [(net.query.weight @ q[i, t]) @ m[i, s] / math.sqrt(4) for s in range(n)]
            )
            torch.testing.assert_close(context[i, t], z.softmax(0) @ m[i, :n])


def cell(theirs, inputs: int, hidden: int, suffix: str = "_l0", into: str = "_l0") -> GRU:
    """The cell written out, with a library's weights."""
    mine = GRU(inputs, hidden).double()
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    mine.load_state_dict({f"{kind}{into}": getattr(theirs, f"{kind}{suffix}") for kind in kinds})
    return mine


@pytest.mark.parametrize("kind", ["bahdanau", "luong"])
def test_reading_and_writing_are_the_equations_with_the_cells_written_out(kind) -> None:
    net = made(kind).eval()
    for source in (SOURCE[:1], SOURCE[1:2, :3]):  # without padding: each alone
        y = torch.tensor([[1, 5, 3]])
        x = 4 * net.embedding.table[source]  # the root of the width
        forth = cell(net.encoder, 16, 8)(x)[0]
        back = cell(net.encoder, 16, 8, "_l0_reverse")(x.flip(1))[0].flip(1)
        m = torch.cat([forth, back], 2)
        torch.testing.assert_close(net.encode(source), m)
        h = torch.tanh(net.begin(back[:, 0]))
        expected = []
        for token in y[0]:
            e = 4 * net.embedding.table[token][None]
            if kind == "bahdanau":
                c = net.attention(h[:, None], net.attention.key(m), m)[0][:, 0]
                h = cell(net.cell, 32, 16, "")(torch.cat([e, c], 1)[:, None], (h[None],))[0][:, 0]
            else:
                h = cell(net.cells, 16, 16)(e[:, None], (h[None],))[0][:, 0]
                c = net.attention(h[:, None], m)[:, 0]
            expected.append(torch.tanh(net.output(torch.cat([h, c], 1))) @ net.embedding.table.T)
        torch.testing.assert_close(net(source, y), torch.stack(expected, 1))


@each_kind
def test_padding_changes_nothing(kind) -> None:
    net, target = made(kind).eval(), torch.tensor([[1, 5, 3]]).expand(3, 3)
    together = net(SOURCE, target)
    for i, length in enumerate((5, 3, 2)):
        torch.testing.assert_close(together[i], net(SOURCE[i : i + 1, :length], target[:1])[0])


@each_kind
def test_what_is_written_later_is_not_seen_and_what_was_read_is(kind) -> None:
    net, target = made(kind).eval(), torch.tensor([[1, 5, 3, 7]])
    scores = net(SOURCE[:1], target)
    other = target.clone()
    other[0, 2] = 8
    moved = (net(SOURCE[:1], other) - scores).abs().amax((0, 2)) > 1e-9
    assert moved.tolist() == [False, False, True, True]
    for place in range(5):
        read = SOURCE[:1].clone()
        read[0, place] = 8
        assert ((net(read, target) - scores).abs().amax((0, 2)) > 1e-9).all()


@each_kind
def test_in_pieces_it_writes_the_same(kind) -> None:
    net, target = made(kind).eval(), torch.randint(1, 9, (3, 6))
    memory, seen, past = net.encode(SOURCE), net.source_mask(SOURCE), net.cache()
    pieces = [net.decode(piece, memory, seen, past) for piece in target.split([1, 2, 3], 1)]
    torch.testing.assert_close(torch.cat(pieces, 1), net(SOURCE, target))


@each_kind
def test_rows_that_are_picked_go_on_as_they_were(kind) -> None:
    net, rows = made(kind).eval(), torch.tensor([2, 0, 0])
    target = torch.randint(1, 9, (3, 4))
    memory, seen, past = net.encode(SOURCE), net.source_mask(SOURCE), net.cache()
    past.select(rows)  # nothing yet
    net.decode(target[:, :3], memory, seen, past)
    past.select(rows)
    after = net.decode(target[rows, 3:], memory[rows], seen[rows], past)
    torch.testing.assert_close(after[:, 0], net(SOURCE, target)[rows, 3])


@each_kind
def test_what_is_watched_adds_up_to_one_and_lies_on_what_was_read(kind) -> None:
    net, target = made(kind).eval(), torch.tensor([[1, 5, 3]]).expand(3, 3)
    plain = net(SOURCE, target)
    with record_attention(net) as looks:
        torch.testing.assert_close(net(SOURCE, target), plain)
    weights = next(w for name, w in looks.items() if name.endswith("cross") or name == "attention")
    assert weights.shape == (3, 2 if kind == "transformer" else 1, 3, 5)
    torch.testing.assert_close(weights.sum(3), torch.ones_like(weights[..., 0]))
    assert (weights.masked_select(SOURCE[:, None, None] == 0) == 0).all()


@each_kind
def test_a_batch_can_be_learned_by_heart(kind) -> None:
    torch.manual_seed(0)
    net = KINDS[kind]()
    target = torch.tensor([[3, 4, 8, 2], [5, 5, 2, 0], [8, 2, 0, 0]])
    optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
    for _ in range(60):
        scores = net(SOURCE, pad(target[:, :-1], (1, 0), value=1))
        loss = cross_entropy(scores.flatten(0, 1), target.flatten(), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        silent = [
            n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
        ]
        optimizer.step()
    assert loss < 0.2
    assert not [name for name in silent if not name.endswith("key.bias")]


def test_dropout_is_for_training_only() -> None:
    net, target = made("luong", dropout=0.5), torch.tensor([[1, 5, 3]]).expand(3, 3)
    assert not torch.equal(net(SOURCE, target), net(SOURCE, target))
    net.eval()
    assert torch.equal(net(SOURCE, target), net(SOURCE, target))


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(
        UserError, match="two directions share a width of 7; expected an even width"
    ):
        Luong(9, 7)
