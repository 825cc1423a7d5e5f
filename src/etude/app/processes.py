"""Runs that the page starts: each a process of its own, which outlives the page and the server."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etude.entry import Entry
from etude.errors import UserError
from etude.runs.folder import RunFolder, find_runs
from etude.runs.owner import ask_to_stop, is_same
from etude.runs.record import option_words

PATIENCE = 120.0  # seconds until a run has its folder: torch is imported first


def words_to_run(entry: Entry, scale: str, seed: int, changes: Mapping[str, Any]) -> list[str]:
    """The words behind ``etude`` that run a study."""
    words = [
        "run",
        entry.name if entry.module else str(entry.path),
        "--scale",
        scale,
        "--seed",
        str(seed),
    ]
    for name, value in changes.items():
        words += option_words(name, value)
    return words


def words_to_resume(folder: RunFolder) -> list[str]:
    """The words behind ``etude`` that go on with a run."""
    return ["resume", str(folder.path)]


def stop(folder: RunFolder) -> None:
    """Ask a run to stop; it saves itself first.

    Raises:
        UserError: it is not running, or not as a process of this machine.
    """
    if folder.state != "running":
        raise UserError(
            f"run {folder.name} is {folder.state}; only one that is running can be stopped"
        )
    ask_to_stop(folder.status(), folder.name)


def running(root: Path) -> list[RunFolder]:
    """The runs that are under way. A look at names, even where there are thousands."""
    found = []
    for path in root.glob("*/*/.status.json"):  # which ends with the run, if nothing kills it
        folder = RunFolder(path.parent)
        if folder.state == "running":
            found.append(folder)
    return found


def threads_of(folder: RunFolder) -> int | None:
    """How many threads a run takes, as it has recorded; None where it has not."""
    try:
        threads = folder.study().get("threads")
    except UserError:
        return None
    return threads if isinstance(threads, int) and threads > 0 else None


def begun(root: Path, pid: int) -> RunFolder | None:
    """The run of a process, once it has said what it is; None before.

    Its first sign of life is older than its record, without which the folder is no run's yet.
    """
    for folder in running(root):
        if folder.study_json.is_file() and is_same(folder.status(), pid):
            return folder
    return None


def launch(words: Sequence[str], root: Path) -> RunFolder:
    """Start ``etude`` with these words as a process of its own; returns as soon as its run's folder
    is there.

    Raises:
        UserError: it ended before it began, and why.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "etude", *words, "--runs", str(root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        patience = time.monotonic() + PATIENCE
        while time.monotonic() < patience:
            over = process.poll() is not None
            if folder := begun(root, process.pid):
                return folder
            if over:
                break
            time.sleep(0.05)
        said.seek(0)
        lines = [line for line in said.read().splitlines() if line.strip()]
    if process.poll() is None:
        process.kill()
        raise UserError(
            f"the run did not begin within {PATIENCE:.0f} s and was ended; is the machine very"
            " busy?"
        )
    if process.returncode == 0:  # over before it was seen: a run of a moment
        return find_runs(root)[-1]
    raise UserError(
        lines[-1].removeprefix("etude: ")
        if lines
        else f"the run ended with code {process.returncode}"
    )
