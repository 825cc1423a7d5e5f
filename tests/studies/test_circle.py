"""The circle study: no line does better than derived, three ReLUs do it, every activation but none
learns it.
"""

from __future__ import annotations

import math

import pytest
import torch
from matplotlib import pyplot as plt
from torch.nn.functional import binary_cross_entropy_with_logits

import etude
from etude import data
from etude.layers.activations import ACTIVATIONS
from etude.studies.foundations._planes import decision_boundaries
from etude.studies.foundations.circle.circle import Circle, best_line, hexagon
from etude.training.evaluation import accuracy, outputs


@pytest.mark.parametrize("gap", [0.0, 0.4, 2.0])
def test_the_best_line_is_the_best_of_many(gap: float) -> None:
    x, label = data.rings(200_000, 1.0, gap, torch.Generator().manual_seed(0))
    along = x[:, 0]  # all directions are alike
    tried = [
        ((along < c) == label.bool()).float().mean().item()
        for c in torch.linspace(0, 1, 101).tolist()
    ]
    assert max(tried) == pytest.approx(best_line(gap), abs=0.004)


def test_no_gap_makes_a_line_better_than_three_quarters() -> None:
    found = [best_line(gap) for gap in (0.0, 0.1, 0.4, 1.0, 10.0, 1_000.0)]
    assert found == sorted(found)
    assert 0.6 < found[0] < found[-1] < 0.75
    assert found[-1] == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize("gap", [0.16, 0.4])
def test_three_relus_can_be_right_everywhere(gap: float) -> None:
    x, label = data.rings(20_000, 1.0, gap)
    assert accuracy(outputs(hexagon(gap), x), label) == 1.0


def test_but_not_in_a_gap_that_is_narrower_than_a_hexagon() -> None:
    x, label = data.rings(20_000, 1.0, 0.1)
    assert accuracy(outputs(hexagon(0.1), x), label) < 1.0


def test_the_three_make_a_regular_hexagon() -> None:
    """Along each direction, f falls below 0 at the distance of a regular hexagon's side."""
    net = hexagon(0.4)
    edge = 2.4 / (1 + 2 / math.sqrt(3))
    for degrees in range(0, 360, 5):
        angle = math.radians(degrees)
        beside = math.radians((degrees + 30) % 60 - 30)  # from the middle of the nearest side
        r = edge / math.cos(beside)
        x = torch.tensor([[math.cos(angle), math.sin(angle)]])
        assert net(x * (r - 1e-3)).item() > 0 > net(x * (r + 1e-3)).item()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_parameter_of_every_network_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    net = Circle().network(name)
    x, label = data.rings(100, 1.0, 0.4)
    binary_cross_entropy_with_logits(net(x).squeeze(1), label).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_without_an_activation_two_layers_are_one_line() -> None:
    net = Circle().network("identity").double()
    x, y = torch.randn(2, 50, 2, dtype=torch.float64)
    torch.testing.assert_close(net((x + y) / 2), (net(x) + net(y)) / 2)


def test_the_claims_hold(tmp_path) -> None:
    run = etude.run("circle", seed=0, root=tmp_path, quiet=True, repeats=1, activation="hard_limit")
    assert all(verdict.holds for verdict in run.verdicts)
    assert run.metrics["none/test/accuracy"] < run.metrics["line/accuracy"] + 0.05
    assert (
        run.metrics["none/steps"]
        == 600
        > run.metrics["hard_limit/steps"]
        > run.metrics["relu/steps"]
    )
    assert run.held_out["worst/accuracy"] == 1_000
    assert {p.name for p in run.folder.figures.glob("*.png")} == {
        "boundaries.png",
        "comparison.png",
    }
    trained = etude.load(run.folder.path)
    assert trained.predict("0.1 -0.2")["disc"] > 0.9
    assert trained.predict([1.6, 0.3])["ring"] > 0.9
    assert sum(trained.predict("1.2, 0").values()) == pytest.approx(1)


def test_with_two_units_none_learns_it_all(tmp_path) -> None:
    run = etude.run("circle", seed=0, root=tmp_path, quiet=True, repeats=1, width=2, steps=150)
    assert not run.verdicts[0].holds
    assert run.metrics["relu/test/accuracy"] < 0.9


def test_boundaries_side_by_side_leave_no_empty_panel_and_the_networks_as_they_were() -> None:
    net = hexagon(0.4).train()
    x, label = data.rings(60, 1.0, 0.4)
    figure = decision_boundaries({f"net {i}": net for i in range(5)}, x, label, columns=3)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"net {i}" for i in range(5)]
    assert net.training
    plt.close(figure)
