"""The schedules study: what is counted, and what a high rate does until it falls."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import etude
from etude.runs.run import Run
from etude.studies.foundations.schedules.schedules import (
    Schedule,
    Schedules,
    first_step,
    mean_line,
)
from etude.training.schedules import one_cycle, step_decay


def test_the_first_step_at_the_goal_of_the_mean() -> None:
    line = mean_line([([10, 20, 30], [0.1, 0.9, 1.0]), ([10, 20, 30], [0.3, 0.5, 0.8])])
    assert line[1] == pytest.approx([0.2, 0.7, 0.9])
    assert first_step(line, 0.7) == 20
    assert first_step(line, 0.95) is None


def test_larger_batches_make_fewer_updates_and_a_goal_that_is_missed_gives_no_ratio(
    tmp_path: Path,
) -> None:
    run = etude.run(
        "schedules", steps=100, short_steps=20, repeats=1, goal=1.0, root=tmp_path, quiet=True
    )
    assert run.metrics["step/updates"] == 100
    assert run.metrics["larger batches/updates"] == 50 + 25 // 5 + 25 // 25
    assert run.metrics["one-cycle/updates"] == 20
    assert "short/steps ratio" not in run.metrics
    assert {path.stem for path in run.folder.pictures()} == {
        "comparison",
        "validation",
        "schedules",
    }
    assert len(run.folder.tables_of()["reached"]) == 1 + 9


def test_a_high_rate_is_noise_until_it_falls_and_one_cycle_needs_no_half(tmp_path: Path) -> None:
    study = Schedules()
    shapes = {"step": (step_decay(1_200), 1_200), "one-cycle": (one_cycle(160), 160)}
    with Run("two", root=tmp_path, quiet=True) as run:
        for name, (shape, steps) in shapes.items():
            with run.part(name, seed=7):
                study.train(run, Schedule(shape, 0.4, steps))
        logged = run.folder.curves()["validation/accuracy"]
    step, cycle = (dict(zip(*logged[name], strict=True)) for name in shapes)
    kept = [accuracy for k, accuracy in step.items() if k <= 600]  # the rate has not fallen yet
    (claim,) = (claim for claim in Schedules.claims if claim.metric == "cosine/test/accuracy")
    assert max(kept) < 0.96
    assert not any(map(claim.allows, kept))
    assert step[1_200] > 0.97
    assert cycle[160] > 0.96


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_weights_before_a_norm_turn_by_an_angle_that_decay_and_momentum_decide(
    momentum: float,
) -> None:
    """Random gradients orthogonal to W, inversely proportional to its length."""
    torch.manual_seed(0)
    rate, decay = 0.1, 0.01 * (1 - momentum)
    w = torch.randn(400, dtype=torch.float64) / 20
    v = torch.zeros_like(w)
    angles = []
    for step in range(3_000):
        noise = torch.randn_like(w)
        noise -= (noise @ w) / (w @ w) * w
        g = noise / noise.norm() * w.norm() ** -1 + decay * w
        v = momentum * v + g
        before, w = w, w - rate * v
        if step > 1_500:
            angles.append(torch.linalg.vector_norm(w / w.norm() - before / before.norm()) ** 2)
    expected = math.sqrt(2 * rate * decay / (1 + momentum))
    assert math.sqrt(sum(angles) / len(angles)) == pytest.approx(expected, rel=0.05)
