"""The folder that holds all that one execution produced. Everything in it is data; reading
it executes nothing.
"""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Any, TypeGuard

from filelock import FileLock, Timeout

from etude.errors import UserError, nearest
from etude.runs import files
from etude.runs.record import DIGITS, checked_name, short

LOOK = 0.3  # seconds, in which whoever only looks whether a run is under way has let go again


def runs_root(root: str | Path | None = None) -> Path:
    """The folder of all runs: ``root``, else ``$ETUDE_RUNS``, else ``runs`` here."""
    return Path(root or os.environ.get("ETUDE_RUNS") or "runs").expanduser()


class RunFolder:
    """Paths and plain reading of one run. Importing or using it needs no torch."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.study_json = self.path / "study.json"
        self.metrics_jsonl = self.path / "metrics.jsonl"
        self.result_json = self.path / "result.json"
        self.report_html = self.path / "report.html"
        self.log_txt = self.path / "log.txt"
        self.status_json = self.path / ".status.json"  # while it runs
        self.network = self.path / "network.safetensors"
        self.figures = self.path / "figures"
        self.tables = self.path / "tables"
        self.checkpoint = self.path / "checkpoint"
        self.source = self.path / "source"

    @classmethod
    def create(cls, study: str, root: str | Path | None = None) -> RunFolder:
        """A new, empty run folder, ``<root>/<study>/<time>-<id>``.

        Raises:
            UserError: the folder can't be written.
        """
        name = f"{time.strftime('%Y-%m-%d_%H-%M-%S')}-{secrets.token_hex(2)}"
        path = runs_root(root) / study / name
        try:
            path.mkdir(parents=True)
        except OSError as error:
            reason = error.strerror or error
            raise UserError(
                f"the run folder {path} can't be made: {reason}; name a folder that you may write"
                " to with --runs DIR"
            ) from error
        return cls(path)

    @classmethod
    def open(
        cls,
        path: str | Path,
        root: str | Path | None = None,
        choose: Callable[[Sequence[RunFolder]], RunFolder] = lambda runs: runs[-1],
    ) -> RunFolder:
        """A run that is there: by its folder, or by (the beginning of) its name under the runs
        folder, or by its study's name.

        Args:
            path: the folder or the name.
            root: the folder of all runs.
            choose: which of a study's runs its name means, oldest first; by default the last.

        Raises:
            UserError: there is no such run, or more than one; or its folder holds what none may
                (:meth:`check`).
        """
        matches = cls.matching(path, root)
        if len(matches) > 1 and matches[0].path.parent == runs_root(root) / path:  # a study's
            matches = [choose(matches)]
        if len(matches) > 1:
            raise UserError(
                f"'{path}' names {len(matches)} runs; give more of the name, as 'etude runs' shows"
                " it"
            )
        matches[0].check()
        return matches[0]

    @classmethod
    def matching(cls, path: str | Path, root: str | Path | None = None) -> list[RunFolder]:
        """All runs that a folder, the beginning of a run's name, or a study's name means, oldest
        first.

        Raises:
            UserError: there is none.
        """
        given = Path(path)
        if os.path.lexists(given / "study.json"):
            return [cls(given)]
        if given.name and not given.is_absolute() and ".." not in given.parts:
            runs = find_runs(root)
            matches = [f for f in runs if f.path.name.startswith(given.name)]
            matches = [
                f for f in matches if len(given.parts) == 1 or f.path.parent.name == given.parts[-2]
            ]
            matches = matches or [f for f in runs if f.path.parent == runs_root(root) / given]
            if matches:
                return matches
        near = nearest(given.name, {folder.path.parent.name for folder in find_runs(root)})
        raise UserError(
            f"no run at '{given}': expected a folder with a study.json; 'etude runs' shows those"
            f" there are{near if 'did you mean' in near else ''}"
        )

    @property
    def name(self) -> str:
        """``<study>/<time>-<id>``."""
        path = self.path.resolve()  # '.' has a name, too
        return f"{path.parent.name}/{path.name}"

    def check(self) -> None:
        """Look through the folder, which may be anyone's, before it is used.

        Raises:
            UserError: something in it is a link, a pipe, a device: neither a plain file nor a
                folder.
        """
        files.check(self.path)

    def lock(self) -> FileLock:
        """The lock that the process which writes this run holds.

        Raises:
            UserError: another process holds it, or it is no plain file.
        """
        files.check_lock(self.path / ".lock")
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=LOOK)
        except Timeout:
            raise UserError(
                f"run {self.name} is being written by another process; wait for it or stop it"
            ) from None
        return lock

    def keep_source(self, code: Mapping[str, Path]) -> None:
        """Keep the code that is executed, ``source/<name>``, from which a run can be rebuilt.

        It is only ever read.

        Raises:
            UserError: the folder can't be written.
        """
        for name, file in code.items():
            place = self.source / name
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                files.overwrite(place, file.read_bytes())
            except OSError as error:
                raise UserError(f"{place} can't be written: {error.strerror or error}") from error

    @property
    def state(self) -> str:
        """``finished``, ``running``, ``failed`` or ``stopped`` (it can be resumed)."""
        if self.result_json.is_file():
            return "finished"
        with suppress(OSError, UserError):  # none, or one that may not be read, or is not ours
            if files.is_locked(self.path / ".lock"):
                return "running"
        return "failed" if (self.path / "error.txt").is_file() else "stopped"

    def tell(self, **status: Any) -> None:
        """Write where the run is, for :meth:`status`. Nothing rests on it: neither kept
        from a kill nor synced.
        """
        with suppress(OSError):
            files.overwrite(self.status_json, json.dumps(status).encode())

    def status(self) -> dict[str, Any]:
        """Of a run that is under way: its ``pid``, and from the first second on ``stage``, ``step``
        and ``total``.
        """
        try:
            return self._json(self.status_json)
        except UserError:
            return {}

    @property
    def is_tidy(self) -> bool:
        """Whether the report of a finished run is written, and its checkpoints are gone."""
        return self.report_html.is_file() and not self.checkpoint.is_dir()

    def study(self) -> dict[str, Any]:
        """What ran: name, scale, seed, every field, versions, machine.

        Raises:
            UserError: the record can't be read, or holds what no run records; or a link or a pipe
                lies beside it.
        """
        files.check(self.path, deep=False)
        return _checked(self._json(self.study_json), RECORDED, f"{self.study_json} is damaged: its")

    def result(self) -> dict[str, Any] | None:
        """Metrics and claims of a finished run; None before. Raises as :meth:`study` does."""
        if not self.result_json.is_file():
            return None
        result = _checked(
            self._json(self.result_json), REACHED, f"{self.result_json} is damaged: its"
        )
        wrong = [
            value
            for value in result.get("metrics", {}).values()
            if not (value is None or _is_number(value))
        ]
        wrong += [claim for claim in result.get("claims", []) if not _is_verdict(claim)]
        if wrong:
            raise UserError(
                f"{self.result_json} is damaged: it holds {short(wrong[0])} as a metric or a claim"
            )
        return result

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The rows of ``metrics.jsonl``; a last line that is cut short is passed over.

        Raises:
            UserError: it is no plain file, or too large.
        """
        if not self.metrics_jsonl.is_file():
            return
        with (
            files.reading(self.metrics_jsonl, files.LOG) as rows,
            TextIOWrapper(rows, encoding="utf-8", errors="replace") as file,
        ):
            for line in file:
                try:
                    row = _parsed(line)
                except ValueError:
                    continue
                if isinstance(row, dict):
                    yield row

    def last_row(self) -> dict[str, Any]:
        """The newest row of ``metrics.jsonl``; empty where there is none."""
        try:
            with files.reading(self.metrics_jsonl) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 65_536))
                lines = file.read().splitlines()
        except OSError:
            return {}
        for line in reversed(lines):
            try:
                row = _parsed(line.decode("utf-8", "replace"))
            except ValueError:
                continue
            if isinstance(row, dict):
                return row
        return {}

    def curves(self) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
        """``{metric: {stage: (steps, values)}}`` from the metrics."""
        curves: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
        for row in self.metrics():
            for key, value in row.items():
                if key in ("stage", "step", "seconds") or not _is_number(value):
                    continue
                steps, values = curves.setdefault(key, {}).setdefault(
                    str(row.get("stage", "")), ([], [])
                )
                step = row.get("step")
                steps.append(step if _is_number(step) else len(steps))
                values.append(value)
        return curves

    def pictures(self) -> list[Path]:
        """The figures in the order in which they were made: as PNG files, drawings as SVG.

        Raises:
            UserError: one is no plain file.
        """
        drawn = files.listed(self.figures, ".svg", ".png", ".gif")
        stems = {path.stem for path in drawn if path.suffix == ".png"}
        return [
            path
            for path in drawn
            if path.suffix == ".png" or (path.suffix == ".svg" and path.stem not in stems)
        ]

    def tables_of(self) -> dict[str, list[list[str]]]:
        """``{name: rows}`` of the tables that the run kept, the first row the columns' names.

        Raises:
            UserError: one can't be read.
        """
        found = {}
        for path in files.listed(self.tables, ".csv"):
            try:
                text = files.read(path).decode("utf-8")
                found[path.stem] = list(csv.reader(StringIO(text, newline="")))
            except (OSError, UnicodeDecodeError, csv.Error) as error:
                raise UserError(f"{path} can't be read as a table: {error}") from error
        return found

    def _json(self, path: Path) -> dict[str, Any]:
        try:
            content = _parsed(files.read(path).decode("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} can't be read as JSON: {error}") from error
        if not isinstance(content, dict):
            raise UserError(f"{path} holds a {type(content).__name__}; expected a JSON object")
        return content


RECORDED: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(
        ("study", "scale", "title", "lesson", "device", "precision", "started"), (str, "a text")
    ),
    **dict.fromkeys(("seed", "threads", "devices", "folds"), (int, "a whole number")),
    **dict.fromkeys(("fields", "changed", "versions", "machine"), (dict, "names and values")),
}
REACHED: dict[str, tuple[Any, str]] = {
    "metrics": (dict, "names and values"),
    "held_out": (dict, "names and values"),
    "claims": (list, "a list"),
    "notes": (list, "a list"),
    "seconds": (int | float, "a number"),
    "peak_memory_bytes": (int | None, "a whole number"),
}


def check_record(record: Mapping[str, Any], claims: Sequence[Any] = ()) -> None:
    """See to it that a run's record can be read again, before anything of the run is done.

    Args:
        record: what ``study.json`` will hold.
        claims: verdicts, as ``result.json`` will hold them.

    Raises:
        UserError: what :meth:`RunFolder.study` or :meth:`RunFolder.result` would refuse.
    """
    _checked(_parsed(as_json(record)), RECORDED, "this run can't be recorded: its")
    for claim in _parsed(as_json(claims)):
        if not _is_verdict(claim):
            raise UserError(f"a claim is {short(claim)}; expected a metric and its bounds")


def _checked(
    content: dict[str, Any], kinds: Mapping[str, tuple[Any, str]], whose: str
) -> dict[str, Any]:
    """A record whose entries, those that are there, are of these kinds."""
    for key, (kind, words) in kinds.items():
        if key in content and (
            not isinstance(content[key], kind) or isinstance(content[key], bool)
        ):
            are = "are" if key.endswith("s") else "is"
            raise UserError(f"{whose} {key} {are} {short(content[key])}; expected {words}")
    of_a_study = content.get("source") is not None
    for key in ("fields", "changed"):
        for name in content.get(key, {}):
            if of_a_study or key == "changed":  # it becomes an option, and a word in a notebook
                if not name.isidentifier():
                    raise UserError(f"{whose} {key} have one called {short(name)}; expected a name")
            else:
                checked_name(f"{whose} {key} have one whose name", name)
    return content


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_verdict(claim: Any) -> bool:
    if not isinstance(claim, dict) or not isinstance(about := claim.get("claim"), dict):
        return False
    mean = claim.get("mean")
    texts = (about.get("metric", ""), claim.get("name", ""), claim.get("kind", ""))
    return all(isinstance(text, str) for text in texts) and (mean is None or _is_number(mean))


def _parsed(text: str) -> Any:
    """JSON in which a number that is not finite is null, and every text can be written again; else
    a ValueError.
    """
    try:
        content = json.loads(
            text, parse_constant=lambda _: None, parse_float=_finite_float, parse_int=_finite_int
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if "\\u" in text:
        json.dumps(content, ensure_ascii=False).encode()  # half a character has no bytes
    return content


def _finite_float(text: str) -> float | None:
    return value if math.isfinite(value := float(text)) else None


def _finite_int(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS:
        raise ValueError(f"a number has {len(text):,} digits")
    return int(text)


def find_runs(root: str | Path | None = None) -> list[RunFolder]:
    """Every run under the runs folder, oldest first."""
    second = len("2025-01-31_12-00-00")
    found = []
    for study in studies_in(runs_root(root)):
        place = Path(study.path)
        for path in _folders(place):
            with suppress(OSError):  # no run, or it has just been moved
                begun = os.lstat(path / "study.json").st_mtime_ns
                found.append(((path.name[:second], begun, path.name), RunFolder(path)))
    return [run for _, run in sorted(found, key=lambda each: each[0])]


def studies_in(root: Path) -> list[os.DirEntry[str]]:
    """The folders in the folder of all runs; none where it is not there yet.

    Raises:
        UserError: it may not be read.
    """
    try:
        with os.scandir(root) as entries:
            return [entry for entry in entries if entry.is_dir()]
    except PermissionError as error:
        raise UserError(f"{root} can't be read: {error.strerror}") from error
    except OSError:
        return []


def _folders(place: Path) -> list[Path]:
    try:
        with os.scandir(place) as entries:
            return [place / entry.name for entry in entries if entry.is_dir()]
    except OSError:  # it is not there, or may not be looked into
        return []


def as_json(value: Any) -> str:
    """JSON in which a number that is not finite becomes null, and one of NumPy is a number."""
    return json.dumps(_finite(value), ensure_ascii=False, indent=2) + "\n"


def _finite(value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()  # of NumPy
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def environment() -> dict[str, Any]:
    """Versions, machine and commit, for ``study.json``."""
    return {"versions": versions(), "commit": _commit(), "machine": machine()}


def versions() -> dict[str, str]:
    """Of Python and of the packages on which the bits of a result rest."""
    found = {"python": platform.python_version()}
    for package in ("etude", "torch", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, Any]:
    """Processor, cores, memory and system."""
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(
            (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
            processor,
        )
    except OSError:
        pass
    memory = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_bytes": memory,
        "system": platform.system(),
    }


def _commit() -> str | None:
    source = Path(__file__).resolve().parents[3]
    if not (source / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(source), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def peak_memory() -> int | None:
    """The most memory that this process held, in bytes; None where the system does not say."""
    if os.name != "posix":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
