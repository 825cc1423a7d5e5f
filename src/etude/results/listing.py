"""What a table of runs says of each. Needs no torch.

Where there are thousands of runs, most have not changed since somebody last looked. So what was
said of a run is kept with the times and sizes of the files it was read from.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from etude.errors import UserError
from etude.runs.folder import RunFolder, studies_in

READ_FROM = ("study.json", "result.json", "metrics.jsonl", "error.txt")
SECOND = len("2025-01-31_12-00-00")
WORTH_KEEPING = 100  # runs, from which on a list is kept from one command to the next


class Listing:
    """The runs under a folder, each looked at again only once its files have changed.

    Args:
        root: the folder of all runs.
        cache: a folder of this user's where the list is kept from one command to the next; None
            keeps it for as long as this object lives.
    """

    def __init__(self, root: Path, cache: Path | None = None) -> None:
        self.root = root
        self._known: dict[str, tuple[list[int], dict[str, Any]]] = {}
        self._file: Path | None = None
        if cache is not None:
            name = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
            self._file = cache / "listings" / f"{name}.json"
            self._load(self._file)

    def rows(self) -> list[dict[str, Any]]:
        """What :func:`describe` says of each run, oldest first."""
        found = []
        kept: dict[str, tuple[list[int], dict[str, Any]]] = {}
        changed = False
        for study, run, path, stamp in _looked_up(self.root):
            name = f"{study}/{run}"
            known = self._known.get(name)
            locked = os.access(f"{path}/.lock", os.F_OK)  # its state is another's to say
            if known and known[0] == stamp and not locked:
                row = known[1] | {"path": path}
            else:
                row = describe(RunFolder(path))
                changed = True
            if row["state"] != "damaged" and not locked:
                kept[name] = stamp, row
            found.append(((run[:SECOND], stamp[0], run), row))
        changed = changed or len(kept) != len(self._known)
        self._known = kept
        if self._file and changed and len(kept) >= WORTH_KEEPING:
            self._save(self._file)
        found.sort(key=lambda pair: pair[0])
        return [row for _, row in found]

    def _load(self, file: Path) -> None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["made by"] == _made_by():
                self._known = {name: (stamp, row) for name, (stamp, row) in kept["runs"].items()}

    def _save(self, file: Path) -> None:
        text = json.dumps({"made by": _made_by(), "runs": self._known})
        with suppress(OSError):  # nothing rests on it
            file.parent.mkdir(parents=True, exist_ok=True)
            number, part = tempfile.mkstemp(dir=file.parent)
            try:
                with os.fdopen(number, "w", encoding="utf-8") as out:
                    out.write(text)
                Path(part).replace(file)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise


def _looked_up(root: Path) -> Iterator[tuple[str, str, str, list[int]]]:
    """``(study, run, path, stamp)`` of each run: a stamp changes with what is said of the run."""
    for study in studies_in(root):
        for run in _folders(study.path):
            stamp: list[int] = []
            for name in READ_FROM:
                try:
                    of = os.stat(f"{run.path}/{name}")  # noqa: PTH116 - thousands of them
                except OSError:
                    stamp += [0, 0, 0]
                else:
                    stamp += [of.st_mtime_ns, of.st_size, of.st_ino]
            if stamp[0]:
                yield study.name, run.name, run.path, stamp


def _folders(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir()]
    except OSError:
        return []


def _made_by() -> list[int]:
    """What a list that is kept rests on beside the runs: how a run is described."""
    return [Path(__file__).stat().st_mtime_ns, len(READ_FROM)]


def describe(folder: RunFolder) -> dict[str, Any]:
    """What a program wants to know of one run; a run whose files can't be read has the state
    ``damaged``.
    """
    row: dict[str, Any] = {
        "run": folder.name,
        "path": str(folder.path),
        "study": folder.path.parent.name,
    }
    try:
        about, result, last = folder.study(), folder.result(), folder.last_row()
    except UserError as error:
        return {**row, "state": "damaged", "error": str(error)}
    claims = [claim for claim in (result or {}).get("claims", []) if isinstance(claim, dict)]
    metrics = (result or {}).get("metrics", {})
    return {
        **row,
        "study": about.get("study"),
        "scale": about.get("scale"),
        "seed": about.get("seed"),
        "changed": about.get("changed", {}),
        "state": folder.state,
        "steps": last.get("step"),
        "seconds": (result or last).get("seconds"),
        "main": main_metric(metrics, claims)
        if result
        else next((k for k in last if k.endswith("loss")), None),
        "metrics": metrics
        if result
        else {k: v for k, v in last.items() if k not in ("stage", "step", "seconds")},
        "claims": mark(claims),
    }


def main_metric(metrics: dict[str, Any], claims: list[dict[str, Any]]) -> str | None:
    """The first that is claimed; else the first that is not of training; else the first."""
    claimed = [claim.get("claim", {}).get("metric") for claim in claims]
    order = [*claimed, *[key for key in metrics if not key.startswith("train/")], *metrics]
    return next((key for key in order if key in metrics), None)


def mark(claims: list[dict[str, Any]]) -> str | None:
    """✓ all hold on this seed, ? one is suspiciously perfect, ✗ one does not hold; None: nothing is
    claimed.
    """
    if not claims:
        return None
    if any(claim.get("suspicious") for claim in claims):
        return "?"
    return "✓" if all(claim.get("holds") is True for claim in claims) else "✗"


def trusted(runs: Sequence[RunFolder]) -> RunFolder:
    """The run whose network is asked where a study's name is given: the newest whose claims hold;
    else the newest that is finished and kept a network; else the newest.

    Args:
        runs: of one study, oldest first, at least one.
    """
    finished = []
    for folder in reversed(runs):
        if folder.network.is_file() and folder.result_json.is_file():
            if claims(folder) == "✓":
                return folder
            finished.append(folder)
    return finished[0] if finished else runs[-1]


def claims(folder: RunFolder) -> str | None:
    """:func:`mark` of a run's claims; None where it has none that can be read."""
    with suppress(UserError):
        verdicts = (folder.result() or {}).get("claims", [])
        return mark([verdict for verdict in verdicts if isinstance(verdict, dict)])
    return None


def standing(folder: RunFolder) -> str:
    """What to think of a run's network, in a few words behind the run's name."""
    if not folder.result_json.is_file():
        return f"it is {folder.state}"
    return {
        "✓": "its claims hold",
        "✗": "its claims do not hold",
        "?": "its claims hold suspiciously well",
        None: "it claims nothing",
    }[claims(folder)]


def duration(seconds: Any) -> str:
    """``7.1 s`` or ``12.3 min``; ``–`` where nobody knows."""
    if not isinstance(seconds, int | float):
        return "–"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
