from __future__ import annotations

import pytest
import torch

from etude.demos import Pictures, Said
from etude.errors import UserError
from etude.layers.boxes import Detections
from etude.studies.vision.detection.detection import Detection
from etude.studies.vision.segmentation.segmentation import Segmentation


def test_held_out_scenes_are_the_same_for_every_seed_and_none_is_trained_on() -> None:
    for study in (Detection(scenes=150), Segmentation(scenes=150)):
        first, second = [], []
        for seed, sets in ((0, first), (1, second)):
            torch.manual_seed(seed)
            parts = study.pictures()
            sets += [
                getattr(part, "images", getattr(part, "inputs", None))
                for part in (parts.train, parts.validation, parts.test)
            ]
        assert torch.equal(first[1], second[1])
        assert torch.equal(first[2], second[2])
        assert not torch.equal(first[0], second[0])
        held_out = {image.numpy().tobytes() for part in first[1:] for image in part}
        assert len(held_out) == 700
        assert held_out.isdisjoint(image.numpy().tobytes() for image in first[0])


def test_predictions_are_in_the_pictures_own_pixels() -> None:
    study = Detection()

    def detect(net: object, images: torch.Tensor, **options: bool) -> Detections:
        assert images.shape == (1, 3, 64, 64)
        return Detections(
            torch.tensor([[[0.0, 16, 32, 64]]]), torch.tensor([[0.9]]), torch.tensor([[3]])
        )

    study.detect = detect  # type: ignore[method-assign]
    said = study.predict(torch.nn.Identity(), torch.zeros(3, 100, 200, dtype=torch.uint8))
    assert list(said) == ["star at 0, 25, 100, 100"]


def test_the_demo_shows_a_scene_before_and_after() -> None:
    study = Detection(width=4, pyramid=8)
    demo = study.demo()
    values = {name: control.default for name, control in demo.inputs.items()}  # type: ignore[union-attr]
    net = study.network()
    pictures, said = demo.answer(net, **values | {"least": 0.05})
    assert isinstance(pictures, Pictures)
    assert [name.partition(":")[0] for name in pictures.images] == [
        "the scene",
        "before suppression",
        "after it",
    ]
    assert all(image.shape == (320, 320, 3) for image in pictures.images.values())
    again, sure = demo.answer(net, **values | {"least": 0.95})
    assert isinstance(again, Pictures)
    assert "after it: 0 boxes" in again.images
    assert isinstance(said, Said)
    assert isinstance(sure, Said)
    assert "No detection" in sure.text
    with pytest.raises(UserError, match="drawn scenes"):
        Detection.at("full").demo()
