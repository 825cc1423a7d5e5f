"""The spirals study: every training point right, with the L2 penalty; a straight line can't."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

import etude
from etude import data
from etude.studies.foundations.spirals._demo import EXCLUSIVE_OR
from etude.studies.foundations.spirals.spirals import Spirals


def test_shapes_and_that_the_output_depends_on_both_inputs() -> None:
    net = Spirals().network()
    x = torch.rand(6, 2, requires_grad=True)
    logits = net(x)
    assert logits.shape == (6, 1)
    (gradient,) = torch.autograd.grad(logits.sum(), x)
    assert (gradient.abs().sum(0) > 0).all()


def test_every_parameter_gets_a_gradient() -> None:
    net = Spirals().network()
    x, label = data.two_spirals(100, 2.0, 0.03)
    binary_cross_entropy_with_logits(net(x).squeeze(1), label).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_sixteen_points_can_be_learned_by_heart() -> None:
    torch.manual_seed(0)
    net = Spirals().network()
    x, label = data.two_spirals(16, 2.0, 0.03)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(500):
        optimizer.zero_grad()
        loss = binary_cross_entropy_with_logits(net(x).squeeze(1), label)
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_the_demos_exclusive_or_is_one_where_the_signs_differ() -> None:
    assert all(label == (x * y < 0) for x, y, label in EXCLUSIVE_OR)
    assert {label for *_, label in EXCLUSIVE_OR} == {0, 1}


def test_the_claim_holds(tmp_path) -> None:
    run = etude.run("spirals", seed=0, root=tmp_path, quiet=True)
    assert all(verdict.holds for verdict in run.verdicts), "without hidden layers it fails"
    assert run.metrics["test/accuracy"] > 0.99
    trained = etude.load(run.folder.path)
    assert sum(trained.predict("0.5 -0.2").values()) == pytest.approx(1)
    assert trained.predict([0.5, -0.2]) == trained.predict("0.5, -0.2")
    assert (run.folder.figures / "boundary.svg").is_file()


def test_without_an_activation_the_boundary_is_straight(tmp_path) -> None:
    run = etude.run("spirals", seed=0, root=tmp_path, quiet=True, activation="identity", steps=200)
    assert not Spirals.claims[0].allows(run.metrics["train/accuracy"])
    assert run.metrics["train/accuracy"] < 0.75


def test_the_penalty_makes_the_weights_smaller(tmp_path) -> None:
    def size(weight_decay: float) -> float:
        changes = {"weight_decay": weight_decay, "steps": 300}
        run = etude.run("spirals", seed=0, root=tmp_path, quiet=True, **changes)
        return sum(
            p.square().sum().item()
            for p in etude.load(run.folder.path).network.parameters()
            if p.ndim == 2
        )

    assert size(0.01) < 0.8 * size(0.0)
