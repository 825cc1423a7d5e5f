"""What the page shows of GPT: a text being written, and the last attention."""

from __future__ import annotations

import pytest
import torch

from etude.layers.attention import record_attention
from etude.networks.gpt import GPT
from etude.studies.language.gpt._demo import continuation, last_attention

CUT = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


@pytest.fixture
def net() -> GPT:
    torch.manual_seed(0)
    return GPT(256, 8, 2, 1, 16)


def test_what_is_written_hangs_on_the_seed_alone(net: GPT) -> None:
    one, again, other = (continuation(net, "ab", 40, seed, **CUT) for seed in (1, 1, 2))
    assert one == again != other
    assert len(one.pieces) == len(one.notes) == 41
    assert (one.pieces[0], one.given) == (("ab", 0.0), 1)
    assert not net._forward_hooks


def test_shades_are_the_surprise_and_notes_what_was_left(net: GPT) -> None:
    with torch.no_grad():
        net.table.zero_()  # all bytes are as likely: 8 bits each
    tokens = continuation(net, "a", 5, 0, temperature=1.0, top_k=3, top_p=1.0)
    assert [weight for _, weight in tokens.pieces[1:]] == pytest.approx([1.0] * 5)
    assert all("drawn from 3, had 0.4%" in note for note in tokens.notes[1:])
    greedy = continuation(net, "a", 5, 0, temperature=0.0, top_k=0, top_p=1.0)
    assert all("drawn from 1," in note for note in greedy.notes[1:])


def test_the_last_looks_stand_under_the_letters_before(net: GPT) -> None:
    with record_attention(net) as weights:
        tokens = continuation(net, "abcdef", 3, 0, **CUT)
    grid = last_attention(weights.values(), [piece for piece, _ in tokens.pieces[:-1]])
    assert list(grid.rows) == ["1.1", "1.2"]
    assert list(grid.columns)[:6] == list("abcdef")
    assert grid.values.shape == (2, 8)
    assert grid.values.sum(1) == pytest.approx([1, 1])
