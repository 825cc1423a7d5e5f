"""The comparison with peers: its works can be stated, its table says what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.beside.__main__ import once
from benchmarks.beside.chart import draw
from benchmarks.beside.table import write
from benchmarks.beside.work import Measured, Work, works
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]


def test_every_work_is_stated_once_with_peers() -> None:
    stated = works()
    assert {"step-mlp", "start"} <= set(stated)
    for work in stated.values():
        assert work.patience is None or work.goal, (
            "a table says of who was stopped only what it had not reached"
        )
        assert len(work.contenders) > 1
        assert "etude" in next(iter(work.contenders))


def table(tmp_path: Path, work: Work, **contenders: dict[str, object]) -> list[str]:
    """The rows behind the head, of what was measured on one machine."""
    result = {
        "date": "2026-01-01",
        "command": "c",
        "versions": {"torch": "1"},
        "contenders": contenders,
    }
    write(tmp_path / "page.md", {"w": work}, {"a machine": {"w": result}})
    return [
        line for line in (tmp_path / "page.md").read_text().splitlines() if line.startswith("| ")
    ][1:]


def nothing(seed: int) -> Measured:
    return Measured()


@pytest.mark.parametrize(("unit", "ratio"), [("s", "4 ×"), ("steps/s", "0.25 ×")])
def test_a_ratio_above_one_says_that_etude_is_faster(tmp_path: Path, unit: str, ratio: str) -> None:
    work = Work("w", "a work", unit, "≥ 2 ×", {"etude": nothing, "peer": nothing})
    own, other = (
        {"values": [2.0, 1.0, 3.0], "reached": {"accuracy": [0.5, 0.7, 0.6]}},
        {"values": [8.0, 9.0, 7.0], "reached": {}},
    )
    rows = table(tmp_path, work, etude=own, peer=other)
    assert (
        rows[0]
        == f"| a work | **etude** | 2 {unit} (1 … 3) |  | accuracy 0.6 (0.5 … 0.7) | ≥ 2 × |"
    )
    assert rows[1] == f"|  | peer | 8 {unit} (7 … 9) | {ratio} |  |  |"


@pytest.mark.parametrize(("unit", "more"), [("s", "> "), ("steps/s", "")])
def test_who_did_not_get_there_took_more_than_that(tmp_path: Path, unit: str, more: str) -> None:
    names = "etude", "silent", "short", "often"
    work = Work("w", "a work", unit, "≥ 2 ×", dict.fromkeys(names, nothing), goal=("accuracy", 0.9))
    rows = table(
        tmp_path,
        work,
        etude={"values": [2.0], "reached": {"accuracy": [0.9]}},
        silent={"values": [2.0], "reached": {}},
        short={"values": [2.0], "reached": {"accuracy": [0.8]}},
        often={"values": [2.0, 2.0, 8.0], "reached": {"accuracy": [0.9, 0.9, 0.3]}},
    )
    assert rows[0] == f"| a work | **etude** | 2 {unit} |  | accuracy 0.9 | ≥ 2 × |"
    assert rows[1] == f"|  | silent | {more}2 {unit} | {more}1 × | 0 of 1 got there |  |"
    assert (
        rows[2] == f"|  | short | {more}2 {unit} | {more}1 × | accuracy 0.8, 0 of 1 got there |  |"
    )
    assert (
        rows[3]
        == f"|  | often | 2 {unit} (2 … 8) | 1 × | accuracy 0.7 (0.3 … 0.9), 2 of 3 got there |  |"
    )


def test_the_machine_that_measured_last_stands_first(tmp_path: Path) -> None:
    work = Work("w", "a work", "s", "≥ 2 ×", {"etude": nothing, "peer": nothing})

    def measured(date: str) -> dict[str, object]:
        contenders = {"etude": {"values": [1.0], "reached": {}}}
        return {"w": {"date": date, "command": "c", "versions": {}, "contenders": contenders}}

    write(
        tmp_path / "page.md",
        {"w": work},
        {"old": measured("2026-01-01"), "new": measured("2026-02-01")},
    )
    heads = [
        line for line in (tmp_path / "page.md").read_text().splitlines() if line.startswith("## ")
    ]
    assert heads == ["## new", "## old", "## How to read them"]


def test_the_picture_says_beside_whom_etude_is_least_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **told: drawn.append(figure))
    names = "etude", "etude, otherwise", "slow", "fast", "import etude"
    stated = {
        name: Work(name, name, "s", "", dict.fromkeys(names, nothing))
        for name in ("won", "lost", "not done")
    }
    values = {"won": (2.0, 1.0, 40.0, 6.0, 0.1), "lost": (2.0, 3.0, 2.0, 1.0, 9.0)}
    found = {
        work: {
            "contenders": {
                name: {"values": [v], "reached": {}} for name, v in zip(names, taken, strict=True)
            }
        }
        for work, taken in values.items()
    }
    draw(tmp_path / "chart.webp", stated, found, "a machine")
    (axes,) = drawn[0].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["won", "lost"]
    assert [text.get_text() for text in axes.texts] == [
        "3 × fast … 20 × slow",
        "0.5 × fast … 1 × slow",
    ]
    assert [bar.get_x() + bar.get_width() for bar in axes.patches] == pytest.approx([3, 0.5])


def test_a_peer_is_stopped_when_patience_ends_and_says_what_it_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = 'import time; print(\'{"so far": {"accuracy": 0.5}}\', flush=True); time.sleep(60)'
    original = subprocess.Popen
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, **told: original([sys.executable, "-c", program], **told),
    )
    said = once(Work("w", "a work", "s", "", {}), "slow", 0, limit=4.0)
    assert said == {"value": 4.0, "reached": {"accuracy": 0.5}, "stopped": True}


def test_a_contender_answers_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "benchmarks.beside.one", "start", "import etude", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert 0 < json.loads(done.stdout)["value"] < 100


def test_an_unknown_work_gets_a_sentence() -> None:
    command = [sys.executable, "-m", "benchmarks.beside", "no-such-work"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no work 'no-such-work'; expected some of" in done.stderr
