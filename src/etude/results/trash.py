"""Runs that were thrown away, and can be had back: they lie in ``.trash`` among the runs."""

from __future__ import annotations

import shutil
from pathlib import Path

from etude.errors import UserError
from etude.runs.folder import RunFolder, find_runs, runs_root


def discard(folder: RunFolder, root: str | Path | None = None) -> None:
    """Move a run to the trash.

    Raises:
        UserError: it is running, or can't be moved.
    """
    if folder.state == "running":
        raise UserError(f"run {folder.name} is running; stop it first")
    _move(folder, runs_root(root) / ".trash")


def discarded(root: str | Path | None = None) -> list[RunFolder]:
    """What lies in the trash, oldest first."""
    return find_runs(runs_root(root) / ".trash")


def restore(folder: RunFolder, root: str | Path | None = None) -> None:
    """Move a run from the trash back among the runs.

    Raises:
        UserError: it can't be moved.
    """
    _move(folder, runs_root(root))


def empty(root: str | Path | None = None) -> int:
    """Delete for good what lies in the trash; returns how many runs."""
    found = discarded(root)
    shutil.rmtree(runs_root(root) / ".trash", ignore_errors=True)
    return len(found)


def _move(folder: RunFolder, to: Path) -> None:
    target = to / folder.path.parent.name / folder.path.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.path.rename(target)
    except OSError as error:
        raise UserError(
            f"run {folder.name} can't be moved to {target}: {error.strerror or error}"
        ) from error
