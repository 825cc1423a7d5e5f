"""What demos show: a boundary as it forms, digits to begin with."""

from __future__ import annotations

import numpy as np
import torch

from etude.training.playground import grow


def test_two_points_are_parted_and_stand_on_the_plane() -> None:
    torch.manual_seed(0)
    frames = grow(
        [(-0.5, 0.0, 0), (0.5, 0.0, 1)], torch.nn.Linear(2, 1), steps=20, frames=2, rate=0.2
    )
    assert len(frames.images) == 3
    assert frames.captions[-1].endswith("100% right")
    first, last = frames.images[0], frames.images[-1]
    assert np.allclose(first[60, 30], last[60, 30])  # a point keeps its colour
    assert not np.allclose(first[60, 30], first[60, 90])
    assert np.abs(last[60, 0] - first[60, 0]).max() > 0.05
