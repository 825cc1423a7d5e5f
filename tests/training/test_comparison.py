"""Variants over seeds: paired, resumable, one table, one figure."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from etude.figures.intervals import Interval
from etude.figures.style import canvas
from etude.runs.run import Interrupted, Run
from etude.training.comparison import compare, interval


def variant(run: Run, gain: float, stop: str = "") -> tuple[float, int, float]:
    net = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for _ in run.steps(range(4), state=(net, optimizer)):
        loss = (net(torch.ones(1)) - torch.rand(1)).square().mean()
        run.minimise(loss, optimizer)
        run.log(loss=loss)
        if stop == f"{gain} {run.step} {run.seed}":
            raise KeyboardInterrupt
    run.result({"test/score": gain + net.weight.item(), "seed": run.seed}, held_out=7)
    run.figure("own", canvas()[0])
    run.keep(net)
    return gain, run.seed, net.weight.item()


def study(run: Run, stop: str = "") -> None:
    before = torch.rand(())
    found = compare(
        run,
        {"a": partial(variant, gain=1.0), "b": partial(variant, gain=3.0, stop=stop)},
        3,
        "test/score",
    )
    assert found.gain("b", "a", "test/score") == pytest.approx(
        [2.0] * 3
    )  # the same seeds: the same start
    assert found.mean("b", "seed") == run.seed * 3 + 1
    for name, gain in {"a": 1.0, "b": 3.0}.items():
        assert [made[:2] for made in found.made[name]] == [
            (gain, run.seed * 3 + k) for k in range(3)
        ]
        assert [gain + weight for _, _, weight in found.made[name]] == pytest.approx(
            found.measured[name]["test/score"]
        )
    run.result({"drawn": before + torch.rand(())})


def test_variants_share_seeds_and_give_one_table_and_one_figure(tmp_path: Path) -> None:
    with Run("compared", root=tmp_path, quiet=True, seed=2) as run:
        study(run)
        assert run.seed == 2
    assert run.metrics["a/seed"] == run.metrics["b/seed"] == 7
    assert run.metrics["b/test/score"] == pytest.approx(run.metrics["a/test/score"] + 2)
    assert run.held_out["a/test/score"] == 7
    assert [path.stem for path in run.folder.pictures()] == ["comparison"]
    assert not run.folder.network.exists()
    table = run.folder.tables_of()["comparison"]
    assert table[0] == ["mean ± 95 % over 3 seeds", "test/score", "seed"]
    assert [row[0] for row in table[1:]] == ["a", "b"]
    assert "±" in table[1][1]
    assert "mean ± 95 % over 3 seeds" in run.folder.report_html.read_text(encoding="utf-8")
    assert {row["stage"] for row in run.folder.metrics()} == {
        f"{v} #{k}" for v in "ab" for k in (1, 2, 3)
    }


def test_parts_do_not_move_the_runs_own_generator(tmp_path: Path) -> None:
    with Run("compared", root=tmp_path, quiet=True) as run:
        study(run)
    torch.manual_seed(0)
    assert run.metrics["drawn"] == pytest.approx(float(torch.rand(()) + torch.rand(())))


def test_stopped_in_a_variant_and_resumed(tmp_path: Path) -> None:
    with Run("compared", root=tmp_path, quiet=True) as whole:
        study(whole)
    with (
        pytest.raises((KeyboardInterrupt, Interrupted)),
        Run("compared", root=tmp_path, quiet=True, checkpoint_every=0) as run,
    ):
        study(run, stop="3.0 2 1")
    with Run("compared", root=tmp_path, quiet=True, resume=run.folder) as again:
        study(again)
    assert again.metrics == whole.metrics
    strip = [{k: v for k, v in row.items() if k != "seconds"} for row in whole.folder.metrics()]
    assert [
        {k: v for k, v in row.items() if k != "seconds"} for row in again.folder.metrics()
    ] == strip


def test_the_interval_is_students() -> None:
    from scipy import stats

    values = [1.0, 2.0, 4.0, 4.5]
    low, high = stats.t.interval(0.95, 3, loc=sum(values) / 4, scale=stats.sem(values))
    found = interval(values)
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))
    assert math.isnan(interval([1.0]).half)
    assert math.isnan(interval([1.0, 2.0]).half), "of two values it would be 12.7 standard errors"
    assert str(interval([1.0])) == "1"
    assert str(Interval(0.91234, 0.0123, [])) == "0.9123 ± 0.012"
