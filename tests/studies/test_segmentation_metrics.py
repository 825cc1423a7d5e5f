from __future__ import annotations

import pytest
import torch
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from etude.studies.vision.segmentation._losses import IGNORED, balanced_weights, dice_loss
from etude.studies.vision.segmentation._metrics import (
    intersection_over_union,
    pixel_accuracy,
    pixel_confusion,
)


def drawn(classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    truth = torch.randint(classes, (3, 9, 8), generator=g)
    wrong = torch.rand(truth.shape, generator=g) < 0.4
    return torch.where(wrong, torch.randint(classes, truth.shape, generator=g), truth), truth


def test_measures_are_scikit_learns() -> None:
    predicted, truth = drawn()
    counts = pixel_confusion(predicted, truth, 5)
    assert torch.equal(
        counts, torch.from_numpy(confusion_matrix(truth.flatten(), predicted.flatten()))
    )
    expected = torch.from_numpy(jaccard_score(truth.flatten(), predicted.flatten(), average=None))
    torch.testing.assert_close(intersection_over_union(counts), expected, rtol=0, atol=1e-12)
    assert pixel_accuracy(counts) == pytest.approx((predicted == truth).double().mean().item())
    iou = intersection_over_union(counts)
    dice = torch.from_numpy(f1_score(truth.flatten(), predicted.flatten(), average=None))
    torch.testing.assert_close(2 * iou / (1 + iou), dice)  # as the lesson says


def test_pixels_without_a_class_count_nowhere() -> None:
    predicted, truth = drawn()
    hidden = truth.clone()
    hidden[0] = IGNORED
    assert torch.equal(
        pixel_confusion(predicted, hidden, 5), pixel_confusion(predicted[1:], truth[1:], 5)
    )
    scores = torch.randn(3, 5, 9, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(dice_loss(scores, hidden), dice_loss(scores[1:], truth[1:]))
    assert torch.equal(balanced_weights(hidden.byte(), 5), balanced_weights(truth[1:].byte(), 5))


def test_a_class_that_is_nowhere_has_no_iou() -> None:
    predicted, truth = drawn()
    iou = intersection_over_union(pixel_confusion(predicted, truth, 6))
    assert iou[5].isnan()
    assert not iou[:5].isnan().any()


def test_the_dice_loss_of_certain_scores_is_that_of_the_sets() -> None:
    predicted, truth = drawn()
    scores = 1e4 * torch.nn.functional.one_hot(predicted, 5).movedim(-1, 1).float()
    expected = 1 - torch.tensor(f1_score(truth.flatten(), predicted.flatten(), average="macro"))
    assert dice_loss(scores, truth) == pytest.approx(
        float(expected), abs=0.02
    )  # but for the ones that are added
    right = 1e4 * torch.nn.functional.one_hot(truth, 5).movedim(-1, 1).float()
    assert dice_loss(right, truth) == pytest.approx(0.0, abs=1e-6)


def test_balanced_weights() -> None:
    truth = torch.tensor([0] * 60 + [1] * 30 + [2] * 10 + [IGNORED] * 50, dtype=torch.uint8)
    torch.testing.assert_close(balanced_weights(truth[None], 3), torch.tensor([0.5, 1.0, 3.0]))


def test_a_class_is_compared_with_the_images_that_have_it() -> None:
    """Class 2 covers half of the one image that it is in: it gets the weight of a large class."""
    images = torch.tensor([[0] * 8 + [1] * 2, [0] * 8 + [1] * 2, [0] * 5 + [2] * 5])
    frequency = torch.tensor([21 / 30, 4 / 20, 5 / 10])
    found = balanced_weights(images.byte()[:, None], 3)
    torch.testing.assert_close(found, 0.5 / frequency)
