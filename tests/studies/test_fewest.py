"""The fewest study: nine trained numbers and no more, drawings that are what their text says, and
four fifths right.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

import etude
from etude import data
from etude.networks.strokes import DRAWINGS, NUMBERS, START, StrokeNetwork, drawing
from etude.studies.foundations.fewest._ordinary import parameters
from etude.studies.foundations.fewest.fewest import Fewest

ALONE = {"channels": (), "grids": ()}  # without the ordinary networks


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    train = data.uci_digits().train
    return train.inputs[:64].float() / 16, train.labels[:64]


def test_nine_numbers_are_trained_and_nothing_else_is_kept() -> None:
    net = Fewest().network()
    assert parameters(net) == len(START) == 9
    assert [tuple(t.shape) for t in net.state_dict().values()] == [(9,)]


def test_the_optimiser_changes_nothing_but_the_nine(digits) -> None:
    net = Fewest().network()
    before = {name: tensor.clone() for name, tensor in net.named_buffers()}
    optimizer = torch.optim.Adam(net.parameters(), 0.05)
    cross_entropy(net(digits[0]), digits[1]).backward()
    optimizer.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.named_buffers())
    assert (net.theta != 0).all()


def test_points_lie_evenly_along_a_drawing() -> None:
    line = drawing("0 0, 1 0, 1 1", points=4)
    torch.testing.assert_close(
        line, torch.tensor([[0.25, 0.0], [0.75, 0.0], [1.0, 0.25], [1.0, 0.75]])
    )
    circle = drawing(".5 .5 .4 .4 0 360", points=50) - 0.5
    torch.testing.assert_close(circle.norm(dim=1), torch.full((50,), 0.4), atol=1e-3, rtol=0)
    quarter = drawing("0 0 1 1 0 90", points=100)
    assert (quarter >= 0).all(), "90 degrees is downwards"


def test_two_strokes_are_not_joined() -> None:
    dots = drawing("0 0, 0 1 | 1 0, 1 1", points=20)
    assert set(dots[:, 0].tolist()) == {0.0, 1.0}


def test_the_numbers_of_the_drawings_are_counted() -> None:
    words = (
        " ".join(text for drawings in DRAWINGS.values() for text in drawings)
        .replace(",", " ")
        .replace("|", " ")
    )
    assert len(words.split()) == NUMBERS
    assert set(DRAWINGS) == set(range(10))


def test_the_output_is_the_softmax_that_the_lesson_writes(digits) -> None:
    net = Fewest().network()
    likeness = net.likeness(digits[0][:3])  # (3, templates)
    owner = torch.tensor([digit for digit, drawings in DRAWINGS.items() for _ in drawings])
    weight = torch.stack([likeness[:, owner == c].exp().mean(1) for c in range(10)], dim=1)
    torch.testing.assert_close(net(digits[0][:3]).softmax(1), weight / weight.sum(1, keepdim=True))


def test_the_window_takes_out_place_size_and_slant() -> None:
    net = Fewest().network()
    with torch.no_grad():
        upright = net.draw(64)[[40]]
        base = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
        moved = torch.tensor([[[1.3, 0.4, 0.1], [0, 1.3, -0.1]]])

        def warp(matrix: torch.Tensor) -> torch.Tensor:
            grid = torch.nn.functional.affine_grid(matrix, [1, 1, 64, 64], align_corners=False)
            return torch.nn.functional.grid_sample(upright, grid, align_corners=False)

        same = torch.nn.functional.cosine_similarity(
            net.features(warp(base)), net.features(warp(moved))
        )
        raw = torch.nn.functional.cosine_similarity(warp(base).flatten(1), warp(moved).flatten(1))
    assert same > 0.97 > 0.7 > raw


def test_shapes_and_gradients(digits) -> None:
    net = Fewest().network()
    x = digits[0].clone().requires_grad_()
    out = net(x)
    assert out.shape == (64, 10)
    cross_entropy(out, digits[1]).backward()
    assert (net.theta.grad != 0).all()
    assert (x.grad.flatten(1).abs().sum(1) > 0).all()
    assert net(torch.zeros(2, 1, 28, 28)).isfinite().all(), "a blank sheet"


def test_the_gradient_is_what_differences_give(digits) -> None:
    net = Fewest().network()
    cross_entropy(net(digits[0]), digits[1]).backward()
    for i in range(9):
        ends = []
        for step in (1e-2, -1e-2):
            with torch.no_grad():
                net.theta[i] += step
                ends.append(cross_entropy(net(digits[0]), digits[1]).item())
                net.theta[i] -= step
        assert net.theta.grad[i].item() == pytest.approx(
            (ends[0] - ends[1]) / 2e-2, rel=0.1, abs=0.01
        ), [*START][i]


def test_one_batch_can_be_learned(digits) -> None:
    net = Fewest().network()
    optimizer = torch.optim.Adam(net.parameters(), 0.05)
    first = cross_entropy(net(digits[0]), digits[1]).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = cross_entropy(net(digits[0]), digits[1])
        loss.backward()
        optimizer.step()
    assert loss < first / 3


def test_remembered_images_stand_in_for_the_drawings(digits) -> None:
    net = StrokeNetwork(*digits)
    assert (net(digits[0]).argmax(1) == digits[1]).all(), "each image is most like itself"
    assert parameters(net) == 9


def test_the_claims_hold_and_neither_training_nor_drawings_can_be_left_out(tmp_path) -> None:
    small = {"channels": (1,), "grids": (4,)}  # the ordinary networks of the control
    run = etude.run("fewest", seed=0, root=tmp_path, quiet=True, steps=60, **small)
    assert all(verdict.holds for verdict in run.verdicts), "after 60 steps already"
    claim = next(claim for claim in Fewest.claims if claim.metric == "test/accuracy")
    for twin in ("untrained/accuracy", "small/accuracy"):
        assert not claim.allows(run.metrics[twin])
    assert run.metrics["numbers/fixed"] == NUMBERS
    loaded = etude.load(run.folder.path)
    test = data.uci_digits().test
    guess = loaded.predict(test.inputs[0])
    assert sum(guess.values()) == pytest.approx(1, abs=1e-5)


def test_a_run_with_prototypes_is_loaded_with_them(tmp_path) -> None:
    run = etude.run("fewest", seed=0, root=tmp_path, quiet=True, steps=3, prototypes=40, **ALONE)
    net = etude.load(run.folder.path).network
    assert net.templates.shape == (40, 1, 8, 8)
    assert net.templates.sum() > 0
    assert run.metrics["numbers/fixed"] == 40 * 64


def test_the_ordinary_networks_shrink() -> None:
    sizes = [parameters(net) for family, _, net in Fewest().ordinary() if family == "convolutional"]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 5e4
    for _, _, net in Fewest(dataset="mnist").ordinary():
        assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)
