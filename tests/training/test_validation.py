"""Cross-validation of any study that holds data out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import etude
from etude import Run, UserError
from etude.data import Labelled
from etude.training.validation import cross_validate, split

ROWS = Labelled(torch.arange(40.0)[:, None], torch.arange(40) % 2)


def study(run: Run) -> None:
    train, validation = split(run, ROWS, 8)
    seen.append((train.inputs.flatten().tolist(), validation.inputs.flatten().tolist()))
    run.result(
        {"validation/mean": validation.inputs.mean(), "test/mean": 1.0}, held_out=len(validation)
    )


seen: list[tuple[list[float], list[float]]] = []


def test_every_row_is_validated_once_and_no_test_result_is_seen(tmp_path: Path) -> None:
    seen.clear()
    with Run("folded", root=tmp_path, quiet=True) as run:
        cross_validate(run, study, 4)
        assert run.fold is None
    assert (
        sorted(row for _, validation in seen for row in validation)
        == ROWS.inputs.flatten().tolist()
    )
    assert all(not set(train) & set(validation) and len(train) == 30 for train, validation in seen)
    assert run.metrics["folds/mean"] == pytest.approx(19.5)
    assert set(run.metrics) == {"folds/mean", "folds/mean/sd"}
    assert run.held_out == {"folds/mean": 40}


def test_without_folds_it_is_one_split(tmp_path: Path) -> None:
    with Run("folded", root=tmp_path, quiet=True) as run:
        train, validation = split(run, ROWS, 8)
    assert (len(train), len(validation)) == (32, 8)


def test_a_study_that_holds_nothing_out_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sine holds out no validation data"):
        etude.run("sine", root=tmp_path, quiet=True, folds=3, steps=5)


def test_digits_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from etude.cli import main

    words = [
        "run",
        "digits",
        "--folds",
        "2",
        "--epochs",
        "0.3",
        "--width",
        "4",
        "--runs",
        str(tmp_path),
    ]
    assert main([*words, "--quiet", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert 0 < result["metrics"]["folds/accuracy"] <= 1
    assert result["held_out"]["folds/accuracy"] == 1437
    assert "--folds 2" in (Path(result["run"]) / "report.html").read_text(encoding="utf-8")
