"""A study is proved to be resumable, or what differs is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from etude.cli import main
from etude.runs.folder import find_runs

STUDY = '''"""A line.

References
----------
None.
"""

from dataclasses import dataclass

import torch

from etude import Count, Run, Study, figures
from helper import seen


@dataclass
class Line(Study):
    steps: Count = 9  # of descent

    def __call__(self, run: Run) -> None:
        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        for _ in run.steps(range(self.steps), state=(net, optimizer)):
            x = torch.randn(4, 2)
            seen.append(float(x.sum()))
            loss = (net(x) - 1).square().mean() GAIN
            run.minimise(loss, optimizer)
            run.log(loss=loss)
        figure, (axes,) = figures.canvas(3, 2)
        axes.plot(list(run.curves()["loss"][""][1]))
        run.figure("losses", figure)
        run.table("last", ["loss"], [[float(loss)]])
        run.result({"loss": loss})
        run.keep(net)
'''


def prove(tmp_path: Path, gain: str, *words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of a study with a module beside it, whose list outlives no process."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helper.py").write_text("seen = []\n", encoding="utf-8")
    (tmp_path / "line.py").write_text(STUDY.replace("GAIN", gain), encoding="utf-8")
    runs = str(tmp_path / "runs")
    return main(
        ["run", str(tmp_path / "line.py"), "--prove-resume", "--quiet", "--runs", runs, *words]
    )


def test_a_study_that_is_resumed_exactly_is_proved_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prove(tmp_path, "", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == (
        "✓ stopped and resumed after step 2, 4, 6 of 9: metrics, log, weights, tables, figures"
        " are equal to the last bit\n"
    )
    (folder,) = find_runs(tmp_path / "runs")
    assert folder.state == "finished", "the run itself stays"


def test_what_differs_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that no state holds."""
    assert prove(tmp_path, "+ sum(seen[:-1])", monkeypatch=monkeypatch) == 1
    said = capsys.readouterr().out
    assert "✗ stopped and resumed after step 2, 4, 6 of 9" in said
    assert "  metric: loss is " in said
    assert "  log: step 3: loss is " in said
    assert "  table: last has other cells" in said
    assert "  figure: losses.png looks different" in said
    assert "run.steps(…, state=(…)) has to hold it" in said
    assert "weights" not in said, "a constant has no gradient"
    assert prove(tmp_path, "* len(seen)", monkeypatch=monkeypatch) == 1
    assert "  weights: weight in network.safetensors differs by up to" in capsys.readouterr().out


def test_what_can_not_be_proved_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prove(tmp_path, "", "--steps", "1", monkeypatch=monkeypatch) == 2
    assert "takes 1 step in loops over run.steps; expected at least 2" in capsys.readouterr().err
    assert prove(tmp_path, "", "--devices", "2", monkeypatch=monkeypatch) == 2
    assert "--prove-resume takes one process" in capsys.readouterr().err
