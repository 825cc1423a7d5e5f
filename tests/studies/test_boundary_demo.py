"""The boundary demo: a network learns the points, and a point keeps the colour of its class."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from etude import data
from etude.catalogue import Catalogue
from etude.studies.foundations._boundary_demo import boundary_frames, clickable


def test_points_fill_the_square_and_keep_their_classes() -> None:
    x, label = data.rings(60, 1.0, 0.4)
    points = clickable(x, label)
    assert max(abs(value) for x1, x2, _ in points for value in (x1, x2)) == 1
    assert [one for *_, one in points] == label.int().tolist()


@pytest.mark.parametrize("name", ["spirals", "circle"])
def test_two_visits_see_the_same_points(name: str) -> None:
    study = Catalogue()[name].load().at("quick")
    first, second = (study.demo().inputs["points"] for _ in range(2))
    assert first == second


def test_two_points_are_separated_and_stand_on_the_plane() -> None:
    torch.manual_seed(0)
    frames = boundary_frames(
        [(-0.5, 0.0, 0), (0.5, 0.0, 1)],
        torch.nn.Linear(2, 1),
        steps=20,
        frames=2,
        learning_rate=0.2,
    )
    assert len(frames.images) == 3
    assert frames.captions[-1].endswith("100% right")
    first, last = frames.images[0], frames.images[-1]
    assert np.allclose(first[60, 30], last[60, 30])  # a point keeps its colour
    assert not np.allclose(first[60, 30], first[60, 90])
    assert np.abs(last[60, 0] - first[60, 0]).max() > 0.05
