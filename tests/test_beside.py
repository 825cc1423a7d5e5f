"""The comparison with peers: its works can be stated, its table says what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.beside.table import write
from benchmarks.beside.work import Measured, Work, works

ROOT = Path(__file__).parents[1]


def test_every_work_is_stated_once_with_peers() -> None:
    stated = works()
    assert {"step-mlp", "start"} <= set(stated)
    for work in stated.values():
        assert len(work.contenders) > 1
        assert "etude" in next(iter(work.contenders))


@pytest.mark.parametrize(("unit", "ratio"), [("s", "4 ×"), ("steps/s", "0.25 ×")])
def test_a_ratio_above_one_says_that_etude_is_faster(tmp_path: Path, unit: str, ratio: str) -> None:
    work = Work("w", "a work", unit, "≥ 2 ×", {"etude": lambda seed: Measured(), "peer": lambda seed: Measured()})
    taken = {
        "etude": {"values": [2.0, 1.0, 3.0], "reached": {"accuracy": [0.5, 0.7, 0.6]}},
        "peer": {"values": [8.0, 9.0, 7.0], "reached": {}},
    }
    result = {"date": "2026-01-01", "machine": "m", "command": "c", "versions": {"torch": "1"}, "contenders": taken}
    write(tmp_path / "page.md", {"w": work}, {"w": result})
    rows = [line for line in (tmp_path / "page.md").read_text().splitlines() if line.startswith("| ")]
    assert rows[1] == f"| a work | **etude** | 2 {unit} (1 … 3) |  | accuracy 0.6 | ≥ 2 × |"
    assert rows[2] == f"|  | peer | 8 {unit} (7 … 9) | {ratio} |  |  |"


def test_a_contender_answers_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "benchmarks.beside.one", "start", "import etude", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert 0 < json.loads(done.stdout)["value"] < 100


def test_an_unknown_work_gets_a_sentence() -> None:
    command = [sys.executable, "-m", "benchmarks.beside", "no-such-work"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no work 'no-such-work'; expected some of" in done.stderr
