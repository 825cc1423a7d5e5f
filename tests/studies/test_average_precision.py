"""Equal to COCO's own evaluation."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from etude.data.shapes import scenes
from etude.layers.boxes import Detections, suppress
from etude.studies.vision.detection._average_precision import (
    COCO_THRESHOLDS,
    average_precision,
)
from etude.studies.vision.detection.detection import Detection


def by_coco(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    true_boxes: Tensor,
    true_labels: Tensor,
    classes: int,
):
    """(precision (thresholds, 101, classes), recall (thresholds, classes)); -1 becomes NaN."""

    def wide(box: list[float]) -> list[float]:
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    truth = COCO()
    annotations, results = [], []
    for i in range(len(boxes)):
        for box, label in zip(true_boxes[i].tolist(), true_labels[i].tolist(), strict=True):
            if label >= 0:
                w = wide(box)
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": i,
                        "category_id": label,
                        "bbox": w,
                        "area": w[2] * w[3],
                        "iscrowd": 0,
                    }
                )
        for box, score, label in zip(
            boxes[i].tolist(), scores[i].tolist(), labels[i].tolist(), strict=True
        ):
            if label >= 0:
                results.append(
                    {"image_id": i, "category_id": label, "bbox": wide(box), "score": score}
                )
    images = [{"id": i} for i in range(len(boxes))]
    truth.dataset = {
        "info": {},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": k} for k in range(classes)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(results), "bbox")
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.evaluate()
        judge.accumulate()
    precision, recall = judge.eval["precision"][:, :, :, 0, -1], judge.eval["recall"][:, :, 0, -1]
    return (torch.from_numpy(np.where(x < 0, np.nan, x)) for x in (precision, recall))


def drawn(
    seed: int, n: int = 12, found: int = 14, true: int = 6, classes: int = 3, *, whole: bool = False
):
    """Detections near true boxes and elsewhere, some with the wrong class, many scores equal."""
    g = torch.Generator().manual_seed(seed)
    corner, size = (
        50 * torch.rand(n, true, 2, generator=g),
        4 + 20 * torch.rand(n, true, 2, generator=g),
    )
    true_boxes = torch.cat([corner, corner + size], -1).double()
    true_labels = torch.randint(-1, classes, (n, true), generator=g)
    pick = torch.randint(true, (n, found), generator=g)
    boxes = true_boxes.gather(1, pick[..., None].expand(-1, -1, 4)) + 2.5 * torch.randn(
        n, found, 4, generator=g
    )
    if whole:  # IoUs that are exactly at a threshold, and equal to each other
        true_boxes, boxes = (true_boxes / 4).round() * 4, (boxes / 4).round() * 4
    boxes[..., 2:] = torch.maximum(boxes[..., 2:], boxes[..., :2])
    labels = true_labels.gather(1, pick)
    labels = torch.where(
        torch.rand(n, found, generator=g) < 0.25,
        torch.randint(-1, classes, (n, found), generator=g),
        labels,
    )
    scores = torch.randint(1, 30, (n, found), generator=g) / 30
    return boxes, scores.double(), labels, true_boxes, true_labels


def assert_same(case: tuple[Tensor, ...], classes: int) -> None:
    ours = average_precision(*case, classes)
    precision, recall = by_coco(*case, classes)
    torch.testing.assert_close(ours.precision, precision, rtol=0, atol=1e-9, equal_nan=True)
    torch.testing.assert_close(ours.recall, recall, rtol=0, atol=1e-9, equal_nan=True)
    assert ours.mean == pytest.approx(float(precision.nanmean()), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("whole", [False, True])
def test_equal_to_pycocotools(seed: int, whole: bool) -> None:
    assert_same(drawn(seed, whole=whole), 3)


def test_more_than_a_hundred_detections_of_a_class() -> None:
    assert_same(drawn(5, n=3, found=260, classes=1), 1)


def test_edge_cases_are_pycocotools() -> None:
    boxes, scores, labels, true_boxes, true_labels = drawn(6)
    assert_same(
        (boxes, scores, labels, true_boxes, true_labels.masked_fill(true_labels == 1, -1)), 3
    )  # no object of a class
    assert_same(
        (boxes, scores, labels.masked_fill(labels == 2, -1), true_boxes, true_labels), 3
    )  # no detection of one
    one_empty = true_labels.clone()
    one_empty[:4] = -1
    assert_same((boxes, scores, labels, true_boxes, one_empty), 3)  # pictures without objects
    twice = torch.cat([true_boxes, true_boxes], 1), torch.cat([true_labels, true_labels], 1)
    assert_same((boxes, scores, labels, *twice), 3)  # every object is there twice
    same = true_boxes, torch.ones(true_labels.shape).double(), true_labels, true_boxes, true_labels
    assert_same(same, 3)
    assert average_precision(*same, 3).mean == 1.0


def test_the_example_of_the_lesson() -> None:
    """Four objects; right, right, wrong, right: 51 times 1, 25 times ¾, 25 times 0."""
    true = torch.tensor([[[0.0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9], [60, 0, 69, 9]]])
    found = torch.tensor([[[0.0, 0, 9, 9], [20, 0, 29, 9], [80, 0, 89, 9], [40, 0, 49, 9]]])
    zeros = torch.zeros(1, 4, dtype=torch.long)
    measured = average_precision(
        found, torch.tensor([[0.9, 0.8, 0.7, 0.6]]), zeros, true, zeros, 1, (0.5,)
    )
    assert measured.at(0.5) == pytest.approx((51 + 25 * 0.75) / 101)
    assert measured.recall.tolist() == [[0.75]]


def test_nothing_found_and_nothing_there() -> None:
    none, true = torch.zeros(2, 0, 4), torch.tensor([[[0.0, 0, 5, 5]]] * 2)
    labels = torch.zeros(2, 0, dtype=torch.long)
    measured = average_precision(
        none, torch.zeros(2, 0), labels, true, torch.zeros(2, 1, dtype=torch.long), 2
    )
    assert measured.table[:, 0].tolist() == [0.0] * 10
    assert measured.table[:, 1].isnan().all()
    assert measured.at(COCO_THRESHOLDS[0]) == 0.0
    assert np.isnan(average_precision(none, torch.zeros(2, 0), labels, none, labels, 2).mean)


def test_boxes_that_are_not_suppressed_cost_what_is_claimed() -> None:
    """Three boxes around each object: all but one are taken away, or the precision is low."""
    truth = scenes(60, generator=torch.Generator().manual_seed(0)).boxed
    boxes = truth.boxes.repeat_interleave(3, 1)
    labels = truth.labels.repeat_interleave(3, 1)
    scores = torch.rand(labels.shape, generator=torch.Generator().manual_seed(0))
    found = Detections(boxes, scores.where(labels >= 0, 0.0), labels)
    claim = next(claim for claim in Detection.claims if claim.metric == "test/map50")
    allowed = []
    for each in (suppress(found, 0.5), found):
        measured = average_precision(*each, truth.boxes, truth.labels, 4)
        allowed.append(claim.allows(measured.at(0.5)))
    assert allowed == [True, False]
