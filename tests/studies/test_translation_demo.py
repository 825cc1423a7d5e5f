"""What the page shows of a translation."""

from __future__ import annotations

import numpy as np
import torch

from etude.data.pieces import Pieces
from etude.studies.language.translation._demo import translation_answers


def test_a_translation_is_shaded_by_doubt() -> None:
    pieces = Pieces(["ab ba"], 20)
    source, target = (torch.tensor([[*pieces.encode(text), 2]]) for text in ("ab", "ba ab"))
    p = torch.full((1, target.shape[1], 20), 0.25)
    look = torch.rand(1, 2, target.shape[1], source.shape[1]).softmax(3)
    tokens, grid = translation_answers(pieces, source, target, p, [look[0].flip(1), look[0]])
    assert "".join(piece for piece, _ in tokens.pieces) == "ba ab"
    assert {weight for _, weight in tokens.pieces} == {0.75}
    assert grid.rows[-1] == grid.columns[-1] == "end"
    assert np.allclose(grid.values, look[0].mean(0))
