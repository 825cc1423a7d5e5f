"""The judge learns digits anywhere alike; the distances are what their formulas say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from etude import data
from etude.runs.run import Run
from etude.studies.generative._judge import (
    Judge,
    coverage,
    frechet_distance,
    gaussian_distance,
    judge_features,
    nearest_neighbours,
    record_quality,
    train_judge,
)
from etude.training.evaluation import accuracy, outputs


def cloud(n: int, size: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return (
        torch.randn(n, size, generator=g).double() @ torch.randn(size, size, generator=g).double()
    )


def test_the_judge_learns_and_depends_on_pictures_and_seed_alone(tmp_path) -> None:
    digits = data.uci_digits()
    x, y, test = digits.train.inputs / 16, digits.train.labels, digits.test
    judges = []
    for i in range(2):
        with Run(f"judged{i}", seed=i, root=tmp_path, precision="fp32", quiet=True) as run:
            torch.rand(i)  # what was drawn before does not matter, nor does the run's own seed
            before = torch.get_rng_state()
            judges.append(train_judge(run, x, y, seed=5, steps=120))
            assert torch.equal(before, torch.get_rng_state())
    assert accuracy(outputs(judges[0], test.inputs / 16), test.labels) > 0.93
    for a, b in zip(judges[0].parameters(), judges[1].parameters(), strict=True):
        assert torch.equal(a, b)
    features = judge_features(judges[0], test.inputs / 16, batch=100)
    assert features.shape == (360, 32)
    torch.testing.assert_close(
        judges[0].head(features.relu()), outputs(judges[0], test.inputs / 16)
    )


@pytest.mark.parametrize("side", [8, 28])
def test_every_weight_of_the_judge_learns(side: int) -> None:
    torch.manual_seed(0)
    net = Judge(side)
    out = net(torch.rand(4, 1, side, side))
    assert out.shape == (4, 10)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_the_distance_of_gaussians_is_the_closed_form() -> None:
    a, b = torch.tensor([4.0, 1.0, 9.0]).double(), torch.tensor([1.0, 1.0, 25.0]).double()
    shift = torch.tensor([3.0, 0.0, -1.0]).double()
    expected = 10 + (1 + 0 + 4)  # |shift|² and (√a - √b)²
    found = gaussian_distance(shift, a.diag(), torch.zeros(3).double(), b.diag())
    assert found == pytest.approx(expected)
    turn = torch.linalg.qr(cloud(3, 3)).Q
    turned = gaussian_distance(
        turn @ shift, turn @ a.diag() @ turn.T, torch.zeros(3).double(), turn @ b.diag() @ turn.T
    )
    assert turned == pytest.approx(expected)


def test_the_distance_is_that_of_scipys_matrix_root() -> None:
    from scipy.linalg import sqrtm

    a, b = cloud(200, 6), cloud(300, 6, seed=1) + 1
    cov_a, cov_b = np.cov(a.numpy().T), np.cov(b.numpy().T)
    root = np.trace(sqrtm(cov_a @ cov_b)).real
    shift = (a.mean(0) - b.mean(0)).square().sum().item()
    assert frechet_distance(a, b) == pytest.approx(
        shift + np.trace(cov_a) + np.trace(cov_b) - 2 * root, rel=1e-8
    )
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-8)


def test_equal_sets_have_no_distance_not_even_flat_ones() -> None:
    a = cloud(200, 6)
    flat = torch.cat([a, a[:, :2]], dim=1)  # a covariance without full rank
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(flat, flat) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(a, a + 0.1) == pytest.approx(0.06, rel=1e-6)


def test_the_nearest_is_found() -> None:
    among = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    far, which = nearest_neighbours(torch.tensor([[3.0, 0.0], [3.0, 3.5]]), among)
    torch.testing.assert_close(far, torch.tensor([3.0, 0.5]))
    assert which.tolist() == [0, 1]


def test_coverage_sees_what_is_left_out() -> None:
    real = torch.cat([cloud(100, 4) / 10, cloud(100, 4) / 10 + 50])
    assert coverage(real, real) == 1
    assert coverage(real, real[:100]) == 0.5
    assert coverage(real, real + 1_000) == 0


def test_what_is_appraised_and_on_how_many(tmp_path) -> None:
    torch.manual_seed(0)
    real, held, tested = (torch.rand(n, 1, 8, 8) for n in (60, 20, 30))
    judge, student = Judge(8), Judge(8)
    with Run("appraised", root=tmp_path, quiet=True) as run:
        kinds = [torch.randint(10, (len(x),)) for x in (held, tested)]
        record_quality(
            run,
            judge,
            student,
            real[:40] * 0,
            real,
            (held, kinds[0]),
            (tested, kinds[1]),
            real[20:],
        )
        m, n = run.metrics, run.held_out
    assert (
        n["judge/accuracy"]
        == n["student/accuracy"]
        == n["generated/distance"]
        == n["generated/coverage"]
        == 30
    )
    assert n["judge/validation accuracy"] == n["student/validation accuracy"] == 20
    assert m["judge/accuracy"] == accuracy(outputs(judge, tested), kinds[1])
    assert m["student/validation accuracy"] == accuracy(outputs(student, held), kinds[0])
    assert m["generated/distance"] > m["training digits/distance"]
    assert m["generated/coverage"] < m["training digits/coverage"]
    assert m["test digits/nearest"] == pytest.approx(
        nearest_neighbours(tested, real)[0].median().item()
    )
