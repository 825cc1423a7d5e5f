"""What demos show: a text being written, looks across a translation, digits to begin with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from etude.data.pieces import Pieces
from etude.layers.attention import watching
from etude.networks.gpt import GPT
from etude.training.playground import handwritten, last_looks, look_across, written

CUT = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


@pytest.fixture
def net() -> GPT:
    torch.manual_seed(0)
    return GPT(256, 8, 2, 1, 16)


def test_what_is_written_hangs_on_the_seed_alone(net: GPT) -> None:
    one, again, other = (written(net, "ab", 40, seed, **CUT) for seed in (1, 1, 2))
    assert one == again != other
    assert len(one.pieces) == len(one.notes) == 41
    assert (one.pieces[0], one.given) == (("ab", 0.0), 1)
    assert not net._forward_hooks


def test_shades_are_the_surprise_and_notes_what_was_left(net: GPT) -> None:
    with torch.no_grad():
        net.table.zero_()  # all bytes are as likely: 8 bits each
    tokens = written(net, "a", 5, 0, temperature=1.0, top_k=3, top_p=1.0)
    assert [weight for _, weight in tokens.pieces[1:]] == pytest.approx([1.0] * 5)
    assert all("drawn from 3, had 0.4%" in note for note in tokens.notes[1:])
    greedy = written(net, "a", 5, 0, temperature=0.0, top_k=0, top_p=1.0)
    assert all("drawn from 1," in note for note in greedy.notes[1:])


def test_the_last_looks_stand_under_the_letters_before(net: GPT) -> None:
    with watching(net) as looks:
        tokens = written(net, "abcdef", 3, 0, **CUT)
    grid = last_looks(looks.values(), [piece for piece, _ in tokens.pieces[:-1]])
    assert list(grid.rows) == ["1.1", "1.2"]
    assert list(grid.columns)[:6] == list("abcdef")
    assert grid.values.shape == (2, 8)
    assert grid.values.sum(1) == pytest.approx([1, 1])


def test_a_translation_is_shaded_by_doubt() -> None:
    pieces = Pieces(["ab ba"], 20)
    source, target = (torch.tensor([[*pieces.encode(text), 2]]) for text in ("ab", "ba ab"))
    p = torch.full((1, target.shape[1], 20), 0.25)
    look = torch.rand(1, 2, target.shape[1], source.shape[1]).softmax(3)
    tokens, grid = look_across(
        pieces, source, target, p, {"self": look[:, :, :, :1], "cross": look}
    )
    assert "".join(piece for piece, _ in tokens.pieces) == "ba ab"
    assert {weight for _, weight in tokens.pieces} == {0.75}
    assert grid.rows[-1] == grid.columns[-1] == "end"
    assert np.allclose(grid.values, look[0].mean(0))


def test_handwritten_digits_fit_the_drawing() -> None:
    drawings = handwritten(3)
    assert [picture.shape for picture in drawings.values()] == [(28, 28)] * 3
    assert all(
        picture.max() > 0.8 and picture[:4].max() == picture[:, -4:].max() == 0
        for picture in drawings.values()
    )
