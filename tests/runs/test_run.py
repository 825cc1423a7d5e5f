"""The loop, the log, what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from etude.claims import Claim
from etude.errors import UserError
from etude.figures.animations import Film
from etude.figures.style import canvas
from etude.runs.folder import RunFolder, find_runs
from etude.runs.run import Diverged, Run


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run("unit", root=tmp_path, quiet=True) as run:
        yield run


def rows(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in run.folder.metrics()]


def test_a_row_holds_the_means_of_its_window(run: Run) -> None:
    for k in run.steps(range(1000)):  # 200 rows of five steps
        run.log(loss=float(k), tensor=torch.tensor(float(k)))
    assert len(rows(run)) == 200
    assert rows(run)[0] == {"step": 5, "loss": 2.0, "tensor": 2.0}
    assert rows(run)[-1] == {"step": 1000, "loss": 997.0, "tensor": 997.0}


def test_what_is_logged_on_every_nth_step_stands_at_that_step(run: Run) -> None:
    seen = []
    for k in run.steps(range(1000)):
        run.log(loss=float(k))
        if run.every(333):
            run.log(validation=float(k))
            seen.append(run.step + 1)
    assert seen == [333, 666, 999, 1000]
    assert [(row["step"], row["validation"]) for row in rows(run) if "validation" in row] == [
        (333, 332.0),
        (666, 665.0),
        (999, 998.0),
        (1000, 999.0),
    ]


def test_steps_begin_again_where_batches_end(run: Run) -> None:
    assert list(run.steps([1, 2, 3], 7)) == [1, 2, 3, 1, 2, 3, 1]
    assert list(run.steps([1, 2, 3])) == [1, 2, 3]
    assert list(run.steps(iter([1, 2]))) == [1, 2]


def test_stages_have_names(run: Run) -> None:
    for _ in run.steps(range(2)):
        run.log(a=1.0)
    for _ in run.steps(range(2), name="fine"):
        run.log(a=2.0)
    for _ in run.steps(range(1)):
        run.log(a=3.0)
    assert [row.get("stage") for row in rows(run)] == [None, None, "fine", "fine", "stage 3"]


def test_loops_do_not_nest(run: Run) -> None:
    with pytest.raises(RuntimeError, match="not nest"):
        for _ in run.steps(range(2)):
            for _ in run.steps(range(2)):
                pass


def descend(run: Run, *, accumulate: int, size: int, clip: float | None = None) -> torch.Tensor:
    """Four optimiser steps on the same 32 rows, in batches of ``size``."""
    torch.manual_seed(0)
    net = nn.Linear(3, 1).double()
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.5)
    x = torch.randn(32, 3, dtype=torch.float64)
    for part in run.steps(x.split(size) * 4, state=(net, optimizer)):
        run.minimise((net(part) - 1).square().mean(), optimizer, accumulate=accumulate, clip=clip)
    return net.weight.detach()


def test_accumulated_gradients_are_those_of_the_large_batch(run: Run) -> None:
    assert torch.allclose(
        descend(run, accumulate=4, size=8), descend(run, accumulate=1, size=32), atol=1e-12
    )


def test_the_gradient_is_clipped_to_its_norm(run: Run) -> None:
    net = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    before = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    for _ in run.steps(range(1), state=(net, optimizer)):
        run.minimise(1e4 * net(torch.ones(1, 3)).square().mean(), optimizer, clip=0.5)
    after = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.5, rel=1e-4)


def test_two_optimisers_do_not_mix_gradients(run: Run) -> None:
    a, b = nn.Linear(1, 1), nn.Linear(1, 1)
    first, second = torch.optim.SGD(a.parameters(), 0.1), torch.optim.SGD(b.parameters(), 0.1)
    for _ in run.steps(range(1), state=(a, b, first, second)):
        run.minimise(b(a(torch.ones(1, 1))).sum(), first)  # leaves a gradient on b
        before = b.weight.item()
        run.minimise(3 * b.weight.sum(), second)
    assert b.weight.item() == pytest.approx(before - 0.3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_at_once(tmp_path: Path, bad: float) -> None:
    net = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with (
        pytest.raises(Diverged, match=r"the loss is (nan|inf) at step 8 of unit"),
        Run("unit", root=tmp_path, quiet=True, checkpoint_every=1e-9) as run,
    ):
        for k in run.steps(range(20), state=(net, optimizer)):
            loss = net(torch.ones(1, 2)).square().mean()
            run.minimise(loss * (bad if k == 7 else 1.0), optimizer)
    assert all(p.isfinite().all() for p in net.parameters()), "the weights are those of before"
    (folder,) = find_runs(tmp_path)
    assert folder.state == "failed"
    last = sorted(folder.checkpoint.glob("0-*.pt"))[-1]
    assert last.name.startswith("0-00000007.")
    assert "Diverged" in (folder.path / "error.txt").read_text()


def test_result_figures_and_weights_are_kept(tmp_path: Path) -> None:
    claims = [
        Claim("test/accuracy", at_least=0.9),
        Claim("test/accuracy", at_least=0.5, scale="full"),
    ]
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    with Run("unit", root=tmp_path, quiet=True, claims=claims, fields={"hidden": 3}) as run:
        run.place(net)
        figure, (axes,) = canvas(2, 2)
        axes.plot([1, 2])
        run.figure("line", figure)
        run.result({"test/accuracy": torch.tensor(0.75)}, held_out=100)
        run.keep(net)
    folder = RunFolder(run.folder.path)
    result = folder.result()
    assert result is not None
    assert result["metrics"] == {"test/accuracy": 0.75}
    assert [claim["holds"] for claim in result["claims"]] == [
        False
    ]  # only the claim of this scale, and it fails
    assert result["seconds"] > 0
    assert result["peak_memory_bytes"] > 10_000_000
    assert folder.study()["fields"] == {"hidden": 3}
    assert (folder.figures / "line.svg").read_text().startswith("<?xml")
    from safetensors.torch import load_file

    kept = load_file(folder.network)
    assert kept.keys() == net.state_dict().keys()
    assert all(torch.equal(kept[key], value) for key, value in net.state_dict().items())


def test_numbers_that_are_not_finite_are_valid_json(run: Run) -> None:
    run.log(value=float("nan"))
    assert json.loads(run.folder.metrics_jsonl.read_text())["value"] is None


def test_a_perfect_score_on_many_held_out_examples_is_suspicious() -> None:
    claim = Claim("test/accuracy", at_least=0.9)
    assert claim.judge([1.0], held_out=1000).holds
    verdict = claim.judge([1.0], held_out=1001)
    assert verdict.suspicious
    assert not verdict.holds
    assert verdict.mark == "?"
    assert claim.judge([0.95, 1.0, 0.99], held_out=5000).suspicious
    assert Claim("train/accuracy", at_least=1.0).judge([1.0], held_out=5000).holds


def test_verdicts() -> None:
    mean = Claim("x", at_least=0.5)
    assert mean.judge([0.4, 0.7]).holds
    assert not Claim("x", at_least=0.5, each=True).judge([0.4, 0.7]).holds
    assert not mean.judge([0.7, None]).holds
    assert not mean.judge([]).holds
    assert not mean.judge([float("nan")]).holds
    assert not Claim("x", at_least=0.4, at_most=0.6).judge([0.7]).holds
    assert Claim("x", at_least=0.4, at_most=0.6).bound == "0.4 … 0.6"
    with pytest.raises(ValueError, match="no bound"):
        Claim("x")


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="can't be made"),
        Run("unit", root=tmp_path / "file" / "runs", quiet=True),
    ):
        pass


def test_a_device_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    for device in ("cuda:99", "abacus"):
        with pytest.raises(UserError, match=f"no device '{device}' on this machine"):
            Run("unit", root=tmp_path, device=device)


def test_a_run_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data"), Run("unit", root=tmp_path, quiet=True) as run:
        assert run.folder.path.exists()
        raise UserError("no data")
    assert not find_runs(tmp_path)
    assert not list((tmp_path / "unit").iterdir())


@pytest.mark.parametrize("whole", [False, True], ids=["what moves", "whole frames"])
def test_an_animation_is_a_gif_and_its_last_frame_a_figure(run: Run, whole: bool) -> None:
    from matplotlib.artist import Artist
    from PIL import Image

    figure, (axes,) = canvas(2, 2)
    (line,) = axes.plot([0, 0], [0, 5])
    axes.set(xlim=(-1, 5), ylim=(0, 5))

    def draw(frame: int) -> list[Artist] | None:
        line.set_data([frame, frame], [0, 5])
        title = axes.set_title(f"frame {frame}")
        return None if whole else [line, title]

    run.animation("walk", Film(figure, draw, 5))
    with Image.open(run.folder.figures / "walk.gif") as picture:
        assert picture.n_frames == 5  # type: ignore[attr-defined]
    assert {path.name for path in run.folder.figures.iterdir()} == {
        "walk.gif",
        "walk.png",
        "walk.svg",
    }
    assert "frame 4" in (run.folder.figures / "walk.svg").read_text(), "what moved is there, too"


@pytest.mark.parametrize(
    "error", [UserError("the disk is full"), KeyboardInterrupt()], ids=["full disk", "Ctrl-C"]
)
def test_a_run_whose_report_failed_is_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(folder: RunFolder, result: object) -> None:
        raise error

    def train(resume: RunFolder | None = None) -> RunFolder:
        with Run("late", root=tmp_path, quiet=True, resume=resume) as run:
            net = nn.Linear(1, 1)
            descent = torch.optim.SGD(net.parameters(), 0.1)
            for (x,) in run.steps([(torch.ones(1, 1),)], 5, state=(net, descent)):
                run.minimise(net(x).square().sum(), descent)
            run.result({"weight": net.weight})
        return run.folder

    with monkeypatch.context() as patch:
        patch.setattr("etude.runs.report.write_report", fail)
        with pytest.raises(type(error)):
            train()
    (folder,) = find_runs(tmp_path)
    assert folder.state != "finished"
    train(folder)
    assert folder.state == "finished"
    assert folder.report_html.is_file()
    resumed, never = folder.result(), train().result()
    assert resumed
    assert never
    assert resumed["metrics"] == never["metrics"]


def test_a_figure_that_is_still_drawn_is_not_among_the_pictures(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure, (axes,) = canvas(2, 2)
    axes.plot([0, 1])
    seen: list[set[str]] = []
    save = figure.savefig

    def slowly(part: Path, **options: Any) -> None:
        save(part, **options)
        assert part.stat().st_size > 0
        seen.append({path.name for path in run.folder.pictures()})

    monkeypatch.setattr(figure, "savefig", slowly)
    run.figure("line", figure)
    assert seen == [set(), {"line.svg"}]
    assert {path.name for path in run.folder.pictures()} == {"line.png"}
