from __future__ import annotations

import pytest
import torch

from etude.errors import UserError
from etude.layers.anchors import decode, match
from etude.layers.boxes import candidates, giou, iou, suppress
from etude.networks.retinanet import RetinaNet
from etude.studies.vision.detection._losses import focal_loss


@pytest.mark.parametrize("strides", [(4, 8, 16), (8, 16), (4,), (8, 16, 32)])
@pytest.mark.parametrize("size", [(64, 64), (50, 70)])
def test_outputs_and_anchors_go_together(strides, size) -> None:
    torch.manual_seed(0)
    net = RetinaNet(3, 4, 8, strides)
    out = net(torch.randn(2, 3, *size))
    assert out.shape == (2, len(net.anchors(*size)), 7)
    assert sum(net.levels(*size)) == out.shape[1]
    assert not torch.equal(out[0], out[1])
    out.square().sum().backward()
    assert not [
        name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]


@pytest.mark.parametrize("strides", [(), (2, 4), (4, 16), (8, 4), (6, 12)])
def test_strides_that_no_pyramid_has_are_refused(strides) -> None:
    with pytest.raises(UserError, match="each twice the one before"):
        RetinaNet(3, 4, 8, strides)


@pytest.mark.parametrize("width", [7, 12, 100])
def test_a_pyramid_may_have_any_width(width: int) -> None:
    """Also one that eight does not divide, as groups of eight channels would ask."""
    assert RetinaNet(2, 4, width, (8,))(torch.randn(1, 3, 16, 16)).isfinite().all()


def test_scores_begin_near_one_in_a_hundred() -> None:
    torch.manual_seed(0)
    scores = RetinaNet(3, 8, 16)(torch.randn(2, 3, 64, 64))[..., :3].sigmoid()
    assert scores.mean().item() == pytest.approx(0.01, rel=0.2)


def test_an_anchor_answers_for_its_own_cell() -> None:
    """What changes in one corner of the picture changes most at the anchors there."""
    torch.manual_seed(0)
    net = RetinaNet(2, 4, 8, (4,)).eval()
    x = torch.randn(1, 3, 128, 128)
    other = x.clone()
    other[..., :8, 120:] += 3
    change = (net(x) - net(other)).abs().sum((0, 2))
    anchors = net.anchors(128, 128)
    left, top, right, bottom = anchors[change.argmax()].tolist()
    assert (left + right) / 2 > 100
    assert (top + bottom) / 2 < 28


def test_one_picture_can_be_learned_by_heart() -> None:
    torch.manual_seed(0)
    net = RetinaNet(2, 8, 16, (4, 8))
    x = torch.randn(1, 3, 32, 32)
    boxes, labels = torch.tensor([[[2.0, 3, 14, 14], [16, 15, 30, 30]]]), torch.tensor([[0, 1]])
    anchors = net.anchors(32, 32)
    matched = match(anchors, boxes, labels, 0.4, 0.5)[0]
    anchor = (matched >= 0).nonzero().squeeze(1)
    true = torch.zeros(len(anchors), 2)
    true[anchor, labels[0, matched[anchor]]] = 1
    optimizer = torch.optim.AdamW(net.parameters(), 5e-3)
    for _ in range(120):
        out = net(x)[0]
        told = (matched != -2)[:, None]
        loss = (focal_loss(out[:, :2], true) * told).sum() / len(anchor)
        loss = (
            loss
            + (1 - giou(decode(out[anchor, 2:], anchors[anchor]), boxes[0, matched[anchor]])).mean()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    out = net.eval()(x)
    found = suppress(candidates(out[..., :2].sigmoid(), decode(out[..., 2:], anchors), least=0.5))
    assert set(found.labels[0, :2].tolist()) == {0, 1}, "the two surest"
    assert (iou(found.boxes[0, :2], boxes[0]).amax(0) > 0.7).all()
