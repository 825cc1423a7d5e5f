from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d, interpolate, one_hot

from etude import data
from etude.data.shapes import scenes
from etude.studies.vision.segmentation._losses import IGNORED
from etude.studies.vision.segmentation._metrics import intersection_over_union, pixel_confusion
from etude.studies.vision.segmentation.segmentation import Segmentation, predicted_classes


def test_labels_move_with_their_pixels() -> None:
    """Every pixel's colour says its class; mirrored and shifted, it still does."""
    labels = torch.randint(
        0, 12, (30, 1, 24, 32), generator=torch.Generator().manual_seed(0)
    ).byte()
    labels[labels == 11] = IGNORED
    both = torch.cat([255 - labels, labels // 2, labels, labels], 1)
    for padding in (0, 5):
        moved = Segmentation(padding=padding).augment(both, torch.Generator().manual_seed(1))
        assert moved.dtype == torch.uint8
        assert moved.shape == both.shape
        assert torch.equal(moved[:, 0], 255 - moved[:, 3])
        assert torch.equal(moved[:, 1], moved[:, 3] // 2)
        same = (moved == both).flatten(1).all(1)
        assert 0 < int(same.sum()) < 30 if not padding else not same.all()


def test_who_calls_everything_ground_is_right_for_four_pixels_in_five() -> None:
    """The numbers of the lesson: IoU 0.80 for the ground, and 0.16 in the mean."""
    truth = scenes(400, generator=torch.Generator().manual_seed(0)).classes
    iou = intersection_over_union(pixel_confusion(torch.zeros_like(truth), truth, 5))
    assert abs(iou[0].item() - 0.80) < 0.01
    assert abs(iou.mean().item() - 0.16) < 0.005


def test_the_parts_of_a_segmented_picture_sum_to_one() -> None:
    study = Segmentation(width=4, levels=2)
    said = study.predict(study.network(), scenes(1, 80).images[0])
    assert abs(sum(said.values()) - 1) < 1e-6
    assert list(said) == ["ground", "disc", "square", "triangle", "star"]


def test_streets_have_eleven_classes_and_any_size() -> None:
    study = Segmentation.at("full", width=4)
    net = study.network()
    images = torch.randint(0, 255, (2, 3, 45, 60), dtype=torch.uint8)
    found = predicted_classes(net, images)
    assert found.shape == (2, 45, 60)
    assert int(found.max()) < len(data.CAMVID) == 11
    assert torch.equal(found[1:], predicted_classes(net, images[1:])), (
        "a picture's classes hang on itself alone"
    )
    assert net.training, "the network is given back as it was"


def test_a_map_of_the_last_levels_size_cannot_say_where() -> None:
    """The true classes, averaged over 8×8 pixels and enlarged: the best that such a map could say
    does not satisfy the claim.
    """
    truth = scenes(100, generator=torch.Generator().manual_seed(0)).classes
    shares = avg_pool2d(one_hot(truth.long(), 5).movedim(3, 1).float(), 8)
    coarse = interpolate(shares, scale_factor=8, mode="bilinear").argmax(1)
    miou = intersection_over_union(pixel_confusion(coarse, truth, 5)).mean().item()
    claim = next(claim for claim in Segmentation.claims if claim.metric == "test/miou")
    assert miou > 0.5
    assert not claim.allows(miou)
