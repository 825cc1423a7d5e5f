"""The first losses of every study, which may not move while the house is rebuilt around them.

``python -m tests.studies.golden`` writes them anew, ``… golden NAME …`` those of some studies; the
commit says why.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from etude.entry import Entry
from etude.runs.folder import machine
from etude.runs.run import Run
from studies.catalogue import ENTRIES, perform, shortened

STEPS = 20
PROCESSOR = "AMD EPYC"  # that they were written on; gpt on another, which agreed on it to 4e-6
ELSEWHERE = {
    "detection": 11,
    "policygradient": 6,
}  # first losses that another's rounding did not move by 1e-3
OF_PYTHON = {
    "agnews": "3.11.7",
    "gpt": "3.11.7",
}  # learn from Python's own help texts, which change with its releases


def at_home() -> bool:
    """Whether this processor rounds as the one on which they were written."""
    return bool(machine()["processor"].startswith(PROCESSOR))


def first_losses(entry: Entry, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seed 0, fp32, one thread, the first twenty steps of the first loop; of a study without losses
    what it reached.
    """
    torch.set_num_threads(1)
    shortened(STEPS, monkeypatch)
    return losses_of(perform(entry, root))


def losses_of(run: Run) -> list[float]:
    """The losses of the first steps of a run's first loop; else what it reached."""
    rows = [row for row in run.folder.metrics() if "loss" in row]
    first = rows[0].get("stage") if rows else None
    return [row["loss"] for row in rows if row.get("stage") == first][:STEPS] or list(
        run.metrics.values()
    )


def not_comparable(entry: Entry) -> str:
    """Why this Python's first losses can't be compared; empty where they can."""
    written = OF_PYTHON.get(entry.name, platform.python_version())
    if written == platform.python_version():
        return ""
    return f"{entry.name} learns from Python's help texts; its first losses are of {written}"


def moved(entry: Entry, run: Run) -> str:
    """What is wrong with the first losses of a run; empty if they are the study's."""
    if not file_of(entry).is_file():
        return "a new study: 'make golden' writes its first losses down"
    golden = json.loads(file_of(entry).read_text(encoding="utf-8"))
    compared = None if at_home() else ELSEWHERE.get(entry.name)  # None: all
    found = losses_of(run)
    near = pytest.approx(golden[:compared], rel=1e-3)
    if golden and len(found) == len(golden) and found[:compared] == near:
        return ""
    return f"the first losses were {golden}, and are {found}"


def file_of(entry: Entry) -> Path:
    """Where a study's first losses stand: beside it."""
    return entry.path.with_name("golden.json")


def main() -> None:
    """Write ``golden.json`` of every study, or of those that are named."""
    named = sys.argv[1:] or [entry.name for entry in ENTRIES]
    for entry in (entry for entry in ENTRIES if entry.name in named):
        with pytest.MonkeyPatch.context() as monkeypatch, tempfile.TemporaryDirectory() as folder:
            losses = first_losses(entry, Path(folder), monkeypatch)
        print(entry.name, losses[:3], "…")
        file_of(entry).write_text(json.dumps(losses) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
