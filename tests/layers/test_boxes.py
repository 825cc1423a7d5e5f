"""Boxes against arithmetic by hand, against loops, and against what must hold."""

from __future__ import annotations

import pytest
import torch
from pycocotools import mask as coco
from torch import Tensor

from etude.layers.anchors import BACKGROUND, IGNORED, decode, encode, grid_anchors, match
from etude.layers.boxes import Detections, candidates, concatenate, giou, iou, nms, suppress
from etude.studies.vision.detection._figures import anchor_counts
from etude.studies.vision.detection._losses import regression_loss


def drawn(*shape: int, seed: int = 0, side: float = 60.0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    corner, size = (
        side * torch.rand(*shape, 2, generator=g),
        1 + 30 * torch.rand(*shape, 2, generator=g),
    )
    return torch.cat([corner, corner + size], -1).double()


def test_iou_is_that_of_pycocotools() -> None:
    a, b = drawn(40), drawn(30, seed=1)
    as_coco = [torch.cat([x[:, :2], x[:, 2:] - x[:, :2]], 1).numpy() for x in (a, b)]
    expected = torch.from_numpy(coco.iou(*as_coco, [0] * 30))
    torch.testing.assert_close(iou(a, b), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        iou(torch.stack([a, a]), torch.stack([b, b]))[1], expected, rtol=0, atol=1e-12
    )


def test_iou_of_boxes_that_touch_contain_or_are_empty() -> None:
    a = torch.tensor([[0.0, 0, 2, 2], [0, 0, 0, 0]])
    b = torch.tensor([[2.0, 0, 4, 2], [0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 0, 0]])
    torch.testing.assert_close(iou(a, b), torch.tensor([[0, 0.25, 1, 0], [0, 0, 0, 0]]))


def test_giou() -> None:
    a, b = drawn(200), drawn(200, seed=1)
    value, plain = giou(a, b), iou(a, b).diag()
    assert (value <= plain + 1e-12).all()
    assert (value > -1).all()
    torch.testing.assert_close(giou(a, a), torch.ones(200).double())
    torch.testing.assert_close(giou(3 * a, 3 * b), value)  # scale does not matter
    by_hand = giou(
        torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[3.0, 0, 4, 1]])
    )  # union 2, around both 4
    torch.testing.assert_close(by_hand, torch.tensor([-0.5]))
    apart = torch.tensor([[0.0, 0, 1, 1]], requires_grad=True)
    giou(apart, torch.tensor([[3.0, 0, 4, 1]])).sum().backward()
    assert apart.grad[0, 2] > 0, "it tells a box that is apart where to grow"


def test_giou_is_that_of_detr() -> None:
    reference = pytest.importorskip("transformers.loss.loss_for_object_detection")
    a, b = drawn(200), drawn(200, seed=1)
    torch.testing.assert_close(
        giou(a, b), reference.generalized_box_iou(a, b).diag(), rtol=0, atol=1e-12
    )


def test_decoding_undoes_encoding() -> None:
    boxes, anchors = drawn(3, 50), drawn(50, seed=1)
    torch.testing.assert_close(decode(encode(boxes, anchors), anchors), boxes, rtol=0, atol=1e-9)
    torch.testing.assert_close(encode(anchors, anchors), torch.zeros(50, 4).double())
    shifted = encode(torch.tensor([[10.0, 0, 30, 10]]), torch.tensor([[0.0, 0, 10, 10]]))
    torch.testing.assert_close(shifted, torch.tensor([[1.5, 0, 0.6931472, 0]]))
    assert decode(torch.full((1, 4), 1e6), torch.tensor([[0.0, 0, 10, 10]])).isfinite().all()


def test_an_object_is_left_out_only_where_its_best_anchor_goes_to_another() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10]])
    boxes = torch.tensor([[[0.0, 0, 10, 9], [0.0, 0, 10, 8]]])
    assert match(anchors, boxes, torch.zeros(1, 2).long(), 0.4, 0.5).tolist() == [[0]]
    anchors = torch.tensor([[0.0, 0, 10, 10], [20.0, 20, 40, 40]])
    boxes = torch.tensor([[[0.0, 0, 10, 9], [20.0, 20, 24, 24]]])  # the second: an IoU of 0.04
    assert match(anchors, boxes, torch.zeros(1, 2).long(), 0.4, 0.5).tolist() == [[0, 1]]


def test_both_box_losses_are_zero_for_the_box_itself_and_grow() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [5, 5, 20, 15]])
    for kind in ("giou", "smooth"):
        exact, off = (
            regression_loss(value * torch.ones(2, 4), anchors, anchors, kind)
            for value in (0.0, 1.0)
        )
        assert exact.shape == (2,)
        assert exact.abs().max() < 1e-6
        assert (off > 0.1).all()
    offsets = torch.tensor([[0.1, 0, 0, 0], [1.0, 0, 0, 0]])
    assert regression_loss(offsets, anchors, anchors, "smooth").tolist() == pytest.approx(
        [0.05, 0.95]
    )


def test_anchors_lie_around_the_cells() -> None:
    anchors = grid_anchors(32, 48, (8, 16), 2.0, (1.0, 2.0), (0.5, 1.0, 2.0))
    assert len(anchors) == (4 * 6 + 2 * 3) * 6
    size = anchors[:, 2:] - anchors[:, :2]
    torch.testing.assert_close(size.prod(1)[:6], torch.tensor([256.0] * 3 + [1024.0] * 3))
    torch.testing.assert_close((size[:, 1] / size[:, 0])[:3], torch.tensor([0.5, 1.0, 2.0]))
    middle = (anchors[:, 2:] + anchors[:, :2]) / 2
    assert middle[[0, 6, 36, 144]].tolist() == [[4, 4], [12, 4], [4, 12], [8, 8]]
    assert len(grid_anchors(33, 48, (8,), 2.0, (1.0,), (1.0,))) == 5 * 6


def matched_by_loops(anchors: Tensor, boxes: Tensor, low: float, high: float) -> list[int]:
    """One picture, one anchor after the other."""
    overlap = iou(anchors, boxes)
    result = []
    for row in overlap.tolist():
        best = max(row)
        result.append(row.index(best) if best >= high else IGNORED if best >= low else BACKGROUND)
    for a in range(len(anchors)):
        forced = [
            b
            for b in range(len(boxes))
            if overlap[a, b] > 0 and overlap[a, b] == overlap[:, b].max()
        ]
        if forced:
            result[a] = max(forced, key=lambda b: float(overlap[a, b]))
    return result


def test_matching_is_that_of_the_loops() -> None:
    anchors = grid_anchors(64, 64, (8, 16), 2.0, (1.0, 1.4), (0.5, 1.0, 2.0)).double()
    boxes, labels = drawn(6, 5), torch.zeros(6, 5, dtype=torch.long)
    labels[1:, 3:] = -1
    labels[5] = -1
    found = match(anchors, boxes, labels, 0.4, 0.5)
    for i in range(5):
        there = boxes[i][labels[i] >= 0]
        assert found[i].tolist() == matched_by_loops(anchors, there, 0.4, 0.5)
        assert set(range(len(there))) <= set(found[i].tolist()), "no box goes without"
    assert (found[5] == BACKGROUND).all()
    assert (match(anchors, boxes[:, :0], labels[:, :0], 0.4, 0.5) == BACKGROUND).all()
    counts = anchor_counts(found, [384, 96])
    assert counts.shape == (3, 3)
    torch.testing.assert_close(counts.sum(1), torch.tensor([384.0, 96.0, 480.0]))
    assert counts[2, 0] == (found >= 0).sum() / 6


def kept_by_loops(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> list[bool]:
    """Greedy, one box after the other."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -float(scores[i])):
        same = [j for j in kept if labels[j] == labels[i]]
        if labels[i] >= 0 and all(
            float(iou(boxes[i][None], boxes[j][None])) <= threshold for j in same
        ):
            kept.append(i)
    return [i in kept for i in range(len(boxes))]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
def test_suppression_is_that_of_the_loops(threshold: float) -> None:
    g = torch.Generator().manual_seed(2)
    boxes, labels = drawn(8, 60, side=25.0), torch.randint(-1, 3, (8, 60), generator=g)
    scores = torch.randint(0, 20, (8, 60), generator=g) / 20  # many are equal
    kept = nms(boxes, scores, labels, threshold)
    for i in range(8):
        assert kept[i].tolist() == kept_by_loops(boxes[i], scores[i], labels[i], threshold)
    assert threshold > 0.5 or not torch.equal(kept, labels >= 0)


def test_suppression_along_a_long_chain() -> None:
    """Each box suppresses the next alone: every second one is kept, and the fixed point takes many
    rounds.
    """
    left = 4.0 * torch.arange(40)
    boxes = torch.stack([left, 0 * left, left + 10, 0 * left + 10], 1)[None]
    kept = nms(boxes, torch.linspace(1, 0, 40)[None], torch.zeros(1, 40, dtype=torch.long), 0.4)
    assert kept[0].tolist() == [True, False] * 20


def test_candidates_and_what_is_left_of_them() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 40, 40]]]).expand(2, -1, -1)
    scores = torch.tensor(
        [[[0.9, 0.2], [0.8, 0.01], [0.3, 0.6]], [[0.01, 0.01], [0.02, 0.03], [0.01, 0.07]]]
    )
    found = candidates(scores, boxes, least=0.05, most=5)
    assert found.labels.tolist() == [[0, 0, 1, 0, 1], [1, -1, -1, -1, -1]]
    torch.testing.assert_close(found.scores[0], torch.tensor([0.9, 0.8, 0.6, 0.3, 0.2]))
    assert (found.boxes[1, 1:] == 0).all()
    left = suppress(found, 0.5)
    assert left.labels.tolist() == [[0, 1, 0, 1], [1, -1, -1, -1]]
    assert left.boxes[0, 1].tolist() == [30, 30, 40, 40]
    assert suppress(found, 0.5, most=1).labels.tolist() == [[0], [1]]
    nothing = suppress(candidates(torch.zeros(2, 3, 2), boxes))
    assert nothing.labels.shape == (2, 0)
    together = concatenate([left, nothing])
    assert isinstance(together, Detections)
    assert together.labels.shape == (4, 4)
    assert (together.labels[2:] == -1).all()
