"""The perceptron: it learns what a line can part, proves what none can, and makes no more mistakes
than it may.
"""

from __future__ import annotations

import itertools

import pytest
import torch

import etude
from etude.studies.foundations.perceptron._rows import BITS, separable_rows
from etude.studies.foundations.perceptron.perceptron import (
    Perceptron,
    PerceptronRule,
    hard_limit,
)


def signed(targets: tuple[int, ...]) -> torch.Tensor:
    """Rows y (x, 1) of a truth table."""
    return (2.0 * torch.tensor(targets) - 1)[:, None] * torch.cat([BITS, torch.ones(4, 1)], 1)


def by_hand(a: torch.Tensor, w: torch.Tensor, passes: int) -> tuple[torch.Tensor, list[int]]:
    """The rule as it is told: row by row."""
    mistakes = []
    for _ in range(passes):
        for i, row in enumerate(a):
            if row @ w <= 0:
                w = w + row
                mistakes.append(i)
    return w, mistakes


def test_from_mistake_to_mistake_is_row_by_row() -> None:
    torch.manual_seed(0)
    a, start = torch.randint(-3, 4, (50, 6)).float(), torch.randint(-3, 4, (6,)).float()
    unit = Perceptron(a, start)
    counts = [unit.sweep() for _ in range(5)]
    w, mistakes = by_hand(a, start, 5)
    assert unit.mistakes == mistakes
    assert sum(counts) == len(mistakes)
    assert torch.equal(unit.w, w)
    path = unit.path()
    assert torch.equal(path[0], start)
    assert torch.equal(path[-1], w)
    assert torch.equal(path[1:] - path[:-1], a[mistakes])


@pytest.mark.parametrize("targets", list(itertools.product((0, 1), repeat=4)))
def test_each_function_of_two_bits_is_learned_or_proved_impossible(
    targets: tuple[int, ...],
) -> None:
    """Of the sixteen, all but XOR and equality; from every start."""
    a = signed(targets)
    for start in itertools.product((-2, 0, 3), repeat=3):
        unit = Perceptron(a, torch.tensor(start).float())
        for _ in range(40):
            if unit.sweep() == 0 or unit.cycle():
                break
        if targets in ((0, 1, 1, 0), (1, 0, 0, 1)):
            m = torch.bincount(torch.tensor(unit.cycle()), minlength=4).float()
            assert m.sum() > 0
            assert torch.equal(m @ a, torch.zeros(3)), "no certificate"
            positive = torch.tensor(targets) == 1
            means = [(m[part] @ BITS[part]) / m[part].sum() for part in (positive, ~positive)]
            assert torch.equal(means[0], means[1]), "the hulls meet"
        else:
            assert unit.cycle() == []
            assert hard_limit(unit.w, BITS).tolist() == list(targets)


def test_no_line_is_right_on_more_than_three_rows_of_xor() -> None:
    xor = torch.tensor([0, 1, 1, 0])
    axis = torch.linspace(-2, 2, 21)
    lines = torch.cartesian_prod(axis, axis, axis)
    right = torch.stack([hard_limit(w, BITS) == xor for w in lines]).sum(1)
    assert right.max() == 3


@pytest.mark.parametrize("dimensions", [2, 5, 50])
@pytest.mark.parametrize("margin", [0.5, 0.1, 0.02])
def test_mistakes_stay_within_the_bound_and_the_proof_holds_at_every_mistake(
    dimensions: int, margin: float
) -> None:
    torch.manual_seed(dimensions)
    a, u = separable_rows(300, dimensions, margin)
    torch.testing.assert_close(a.norm(dim=1), torch.ones(300))
    torch.testing.assert_close(a @ u, torch.full((300,), margin), atol=1e-5, rtol=0)
    unit = Perceptron(a, torch.zeros(dimensions))
    while unit.sweep():
        pass
    assert (a @ unit.w > 0).all()
    k = torch.arange(len(unit.mistakes) + 1)
    assert 0 < k[-1] <= margin**-2
    path = unit.path()
    assert (path @ u >= margin * k - 1e-3).all()
    assert (path.norm(dim=1) <= k.sqrt() + 1e-3).all()


@pytest.mark.parametrize("dimensions", [1, 7, 64])
def test_orthonormal_rows_reach_the_bound(dimensions: int) -> None:
    signs = (
        torch.randint(0, 2, (dimensions, 1), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    )
    unit = Perceptron(signs * torch.eye(dimensions).flip(0), torch.zeros(dimensions))
    assert unit.sweep() == dimensions
    assert unit.sweep() == 0


def test_where_it_stands_is_all_in_its_state() -> None:
    torch.manual_seed(0)
    a, _ = separable_rows(200, 10, 0.05)
    whole, part, other = (Perceptron(a, torch.zeros(10)) for _ in range(3))
    while whole.sweep():
        pass
    part.sweep()
    other.load_state_dict(part.state_dict())
    while other.sweep():
        pass
    assert torch.equal(other.w, whole.w)
    assert other.mistakes == whole.mistakes


@pytest.mark.parametrize("seed", [0, 1])
def test_the_claims_hold(tmp_path, seed) -> None:
    run = etude.run("perceptron", seed=seed, root=tmp_path, quiet=True, halvings=5)
    assert all(verdict.holds for verdict in run.verdicts)
    assert run.metrics["xor/one_layer"] == 0.75, "three of four, as OR does"
    assert run.metrics["xor/cycle"] == 4
    assert run.metrics["orthonormal/bound"] == 1.0
    assert 0.2 < run.metrics["mistakes/bound"] <= 1
    assert {p.name for p in run.folder.figures.glob("*.png")} == {
        "planes.png",
        "weights.png",
        "bound.png",
    }
    trained = etude.load(run.folder.path)
    for bits in ("0 0", "0 1", "1 0", "1 1"):
        said = trained.predict(bits)
        assert sum(said.values()) == pytest.approx(1)
        assert max(said, key=said.__getitem__) == str(int(bits[0] != bits[2]))


def test_without_a_second_pass_there_is_no_certificate(tmp_path) -> None:
    run = etude.run("perceptron", root=tmp_path, quiet=True, epochs=1, steps=5, halvings=1)
    held = {verdict.claim.metric: verdict.holds for verdict in run.verdicts}
    assert not held["xor/certificate"]
    assert run.metrics["xor/cycle"] == 0


def test_the_smooth_network_is_that_of_the_fields() -> None:
    net = PerceptronRule(width=7).network()
    assert sum(p.numel() for p in net.parameters()) == 7 * 3 + 8
