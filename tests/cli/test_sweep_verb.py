from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import tiny
from etude.cli import main
from etude.cli.sweep import gathered
from etude.results.trials import Ended, Plan, Processes, Watch
from etude.runs.folder import RunFolder

pytest.importorskip("optuna", reason="sweeps need the extra 'search'")


@pytest.fixture
def study(place: Path) -> Path:
    log = "            run.log(loss=loss)"
    return tiny.write(
        place, old_1=log, new_1=f'{log}\n            run.log(**{{"validation/loss": loss}})'
    )


@pytest.fixture
def answers(
    study: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[Plan, dict[str, Any]]]:
    """What each trial was asked for, instead of running."""
    asked: list[tuple[Plan, dict[str, Any]]] = []

    def answer(
        self: Processes,
        plan: Plan,
        number: int,
        values: Mapping[str, Any],
        before: RunFolder | None,
        watch: Watch,
    ) -> Ended:
        asked.append((plan, dict(values)))
        result = {"metrics": {plan.metric: float(values["hidden"])}, "seconds": 1.0}
        return Ended(RunFolder(place / "fake" / str(number)), result)

    monkeypatch.setattr(Processes, "__call__", answer)
    return asked


def test_repeated_options_are_gathered() -> None:
    assert gathered(
        ["--over", "a=1,2", "--steps", "3", "--over", "b=1:2", "--prune", "--over=c=4,5"]
    ) == [
        "--steps",
        "3",
        "--prune",
        "--over",
        "a=1,2",
        "b=1:2",
        "c=4,5",
    ]
    assert gathered(["--over", "a=1,2", "b=3,4"]) == ["--over", "a=1,2", "b=3,4"]
    assert gathered(["--help"]) == ["--help"]


def test_the_best_command_is_printed_last(
    answers: list[tuple[Plan, dict[str, Any]]], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "sweep",
        "./tiny.py",
        "--over",
        "hidden=8,2,4",
        "--sampler",
        "grid",
        "--steps",
        "7",
        "--name",
        "mine",
    ]
    assert main(words) == 0
    captured = capsys.readouterr()
    out = captured.out.splitlines()
    assert out[-1] == f"etude run {place / 'tiny.py'} --seed 0 --steps 7 --hidden 2"
    assert "3 trials: 3 complete" in captured.out
    assert "3/3 · trial 2: hidden 4 → validation/loss 4 in 1.0 s; best 2 (trial 1)" in captured.err
    assert [values["hidden"] for _, values in answers] == [8, 2, 4]
    assert answers[0][0].fixed == {"steps": 7}
    assert (place / "runs" / "tiny" / "sweeps" / "mine" / "history.svg").is_file()

    assert main([*words, "--json"]) == 0  # goes on: nothing is left to do
    found = json.loads(capsys.readouterr().out)
    assert len(answers) == 3
    assert found["best"]["fields"] == {"hidden": 2}
    assert found["command"] == out[-1]
    assert main([*words, "--direction", "maximize"]) == 2
    assert (
        "sweep mine is another: its direction is minimize, not maximize" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--over", "hiden=1,2"], "study tiny has no field 'hiden'; did you mean 'hidden'?"),
        (["--over", "rate=log:0:1"], "has no logarithm"),
        ([], "a sweep varies at least one field: give --over"),
        (
            ["--over", "hidden=1,2", "--hidden", "3"],
            "field hidden is both varied by --over and fixed",
        ),
        (
            ["--over", "hidden=1,2", "--metric", "test/accuracy"],
            "--metric test/accuracy is measured on test data",
        ),
        (
            ["--over", "rate=0.1:1", "--sampler", "grid"],
            "--sampler grid needs a list for each field",
        ),
        (
            ["--over", "hidden=1,2", "--sampler", "tpee"],
            "--sampler can't be 'tpee'; expected one of tpe, random",
        ),
        (["--over", "hidden=1,2", "--name", "../x"], "--name '../x' can't be a folder's name"),
        (
            ["--over", "hidden=1,2", "--jbos", "2"],
            "study tiny has no option '--jbos'; did you mean '--jobs'?",
        ),
        (["--over", "hidden=1,2", "--scale", "qick"], "has no scale 'qick'; did you mean 'quick'?"),
    ],
)
def test_wrong_words(
    answers: list[tuple[Plan, dict[str, Any]]],
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["sweep", "./tiny.py", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert len(captured.err.splitlines()) == 1
    assert answers == []


def test_a_study_without_validation_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "./tiny.py", "--over", "hidden=1,2"]) == 2
    error = capsys.readouterr().err
    assert (
        "names no validation metric to choose by (its metrics: test/accuracy, test/loss,"
        " train/seen)" in error
    )


@pytest.mark.parametrize(
    "words",
    [
        ["sweep", "--help"],
        ["sweep", "./tiny.py", "--help"],
        ["reproduce", "--help"],
        ["sweep", "./tiny.py", "--over", "hidden=0,1"],
        ["reproduce", "./tiny.py", "--scale", "full"],
    ],
)
def test_answers_come_without_torch_or_optuna(study: Path, place: Path, words: list[str]) -> None:
    code = (
        "import sys; from etude.cli import main\n"
        f"try: code = main({words!r})\n"
        "except SystemExit as stop: code = stop.code or 0\n"
        "print(code, {'torch', 'optuna', 'matplotlib'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, timeout=400
    )
    assert done.stdout.splitlines()[-1] == f"{0 if '--help' in words else 2} set()", done.stderr
