"""Runs that the page starts: each a process of its own, which outlives the page and the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etude.catalogue import Entry
from etude.errors import UserError
from etude.runs.folder import RunFolder, find_runs
from etude.runs.record import option_words

PATIENCE = 60.0  # seconds until a run has its folder: torch is imported first


def start(entry: Entry, scale: str, seed: int, changes: Mapping[str, Any], root: Path) -> RunFolder:
    """Run a study; returns as soon as its folder is there.

    Raises:
        UserError: it ended before it began, and why.
    """
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
    return _launch([*words, "--runs", str(root)], root)


def resume(folder: RunFolder, root: Path) -> RunFolder:
    """Go on with a run that was stopped.

    Raises:
        UserError: it can't be resumed, and why.
    """
    return _launch(["resume", str(folder.path), "--runs", str(root)], root)


def stop(folder: RunFolder) -> None:
    """Ask a run to stop; it saves itself first.

    Raises:
        UserError: it is not running.
    """
    pid = folder.status().get("pid")
    if folder.state != "running" or not isinstance(pid, int) or pid <= 1:
        raise UserError(
            f"run {folder.name} is {folder.state}; only one that is running can be stopped"
        )
    try:
        os.kill(pid, signal.SIGINT)
    except ProcessLookupError:
        raise UserError(f"run {folder.name} has just ended") from None


def _launch(words: list[str], root: Path) -> RunFolder:
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "etude", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        patience = time.monotonic() + PATIENCE
        while time.monotonic() < patience:
            over = process.poll() is not None
            for folder in reversed(find_runs(root)):
                if folder.status().get("pid") == process.pid:
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
