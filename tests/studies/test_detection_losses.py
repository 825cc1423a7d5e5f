from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from etude.studies.vision.detection._augmentation import random_mirror
from etude.studies.vision.detection._losses import focal_loss


def test_the_focal_loss_is_its_equation() -> None:
    g = torch.Generator().manual_seed(0)
    logits, targets = (
        4 * torch.randn(50, 3, generator=g).double(),
        torch.randint(2, (50, 3), generator=g).double(),
    )
    p = logits.sigmoid()
    true = torch.where(targets == 1, p, 1 - p)
    weight = torch.where(targets == 1, 0.25, 0.75)
    torch.testing.assert_close(focal_loss(logits, targets), -weight * (1 - true) ** 2 * true.log())
    torch.testing.assert_close(
        focal_loss(logits, targets, 0.0, 0.5),
        binary_cross_entropy_with_logits(logits, targets, reduction="none") / 2,
    )


def test_the_focal_loss_is_that_of_detr() -> None:
    reference = pytest.importorskip("transformers.loss.loss_for_object_detection")
    g = torch.Generator().manual_seed(0)
    logits, targets = (
        4 * torch.randn(50, 3, generator=g).double(),
        torch.randint(2, (50, 3), generator=g).double(),
    )
    theirs = reference.sigmoid_focal_loss(logits, targets, num_boxes=1, alpha=0.25, gamma=2)
    torch.testing.assert_close(focal_loss(logits, targets).mean(1).sum(), theirs, rtol=0, atol=1e-9)


def test_the_focal_loss_of_extreme_logits_has_a_gradient() -> None:
    logits = torch.tensor([-200.0, 200.0, -200.0, 200.0], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([0.0, 0.0, 1.0, 1.0]), alpha=0.5)
    loss.sum().backward()
    assert loss.tolist() == pytest.approx([0, 100, 100, 0])
    assert logits.grad.isfinite().all()
    assert logits.grad.tolist() == pytest.approx([0, 0.5, -0.5, 0])


def test_boxes_move_with_their_pictures() -> None:
    images = torch.zeros(40, 1, 12, 20)
    boxes = torch.tensor([3.0, 1, 7, 4]).expand(40, 2, 4).clone()
    images[:, :, 1:4, 3:7] = 1
    moved, new = random_mirror(images, boxes, torch.Generator().manual_seed(0))
    for image, (left, top, right, bottom) in zip(moved, new[:, 0].int().tolist(), strict=True):
        assert image.sum() == 12
        assert image[0, top:bottom, left:right].sum() == 12
    assert len({tuple(box) for box in new[:, 1].tolist()}) == 4, "both ways, and neither"
