from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from etude.data import Boxed
from etude.demos import Pictures, Said
from etude.figures.style import PALETTE
from etude.layers.boxes import Detections
from etude.studies.vision.detection._demo import comparison, framed


def test_a_frame_lies_on_the_edge_of_its_box() -> None:
    image = torch.full((3, 10, 12), 0.5)
    boxes, labels = torch.tensor([[2.0, 1, 6, 5], [-9, -9, 99, 99]]), torch.tensor([2, 0])
    drawn = framed(image, boxes, labels, enlarged=4)
    assert drawn.shape == (40, 48, 3)
    assert (framed(image, boxes[:0], labels[:0], enlarged=4) == 0.5).all()
    assert (image == 0.5).all(), "the picture itself is left alone"
    for row, column in ((4, 8), (4, 23), (19, 8), (19, 23)):
        assert drawn[row, column].tolist() == pytest.approx(to_rgb(PALETTE[2]), abs=1e-6)
    assert drawn[0, 0].tolist() == pytest.approx(to_rgb(PALETTE[0]), abs=1e-6), (
        "what reaches beyond is cut off"
    )
    assert drawn[39, 47].tolist() == pytest.approx(to_rgb(PALETTE[0]), abs=1e-6)
    inside = drawn[6:18, 10:22]
    assert np.allclose(inside, 0.5)


def test_captions_count_what_scores_high_enough() -> None:
    boxes = torch.tensor([[[1.0, 1, 5, 5], [1, 1, 6, 5], [0, 0, 0, 0]]])
    raw = Detections(boxes, torch.tensor([[0.9, 0.6, 0.0]]), torch.tensor([[1, 1, -1]]))
    kept = Detections(*(column[:, :1] for column in raw))
    true = torch.tensor([[[1.0, 1, 5, 5], [0, 0, 0, 0]]])
    scene = Boxed(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), true, torch.tensor([[1, -1]]))
    for least, names, text in (
        (
            0.0,
            ["the scene: 1 shape", "before suppression: 2 boxes", "after it: 1 box"],
            "square 0.90",
        ),
        (
            0.95,
            ["the scene: 1 shape", "before suppression: 0 boxes", "after it: 0 boxes"],
            "No detection",
        ),
    ):
        pictures, said = comparison(scene, raw, kept, ("disc", "square"), least)
        assert isinstance(pictures, Pictures)
        assert list(pictures.images) == names
        assert isinstance(said, Said)
        assert text in said.text
