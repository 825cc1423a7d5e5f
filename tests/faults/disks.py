"""Disks, clocks, files and memory that fail under a run: it says so in one sentence, and goes on
exactly afterwards.
"""

from __future__ import annotations

import ctypes
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from etude.cli import main
from etude.runs.folder import RunFolder, find_runs
from tests.faults.kills import Case, Work, outcome, start, wait

STEPS = 24
NOBODY = 65534


@dataclass
class Trial:
    """One kind of fault: how often it was tried, and what went otherwise than it should."""

    name: str
    how: str
    tried: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        return not self.failed and (self.tried > 0 or bool(self.skipped))


CASE = Case("spirals", STEPS)


class Bench:
    """A folder for trials, and what the study reaches where nothing fails."""

    def __init__(self, place: Path, case: Case = CASE) -> None:
        self.place, self.case, self.count = place, case, 0
        place.chmod(0o755)
        self.said = place / "said.txt"
        code = wait(start(lambda: case(place / "whole"), self.said))
        assert code == 0, self.said.read_text()
        self.never = outcome(place / "whole")

    def root(self) -> Path:
        """A new folder for runs."""
        self.count += 1
        (path := self.place / f"trial-{self.count}").mkdir()
        return path

    def command(self, before: Work, *words: str) -> tuple[int | None, str]:
        """``etude`` with these words after ``before``, in a process of its own: exit code and what
        it says.
        """
        self.said.unlink(missing_ok=True)

        def work() -> None:
            before()
            raise SystemExit(main(words))

        return wait(start(work, self.said)), self.said.read_text() if self.said.exists() else ""

    def perform(
        self,
        root: Path,
        before: Work = lambda: None,
        resume: Path | None = None,
        *,
        begin_again: bool = False,
    ) -> tuple[int | None, str]:
        """The study, in a process of its own, as the command line would: a UserError is a sentence
        and code 2.
        """
        from etude.errors import UserError

        self.said.unlink(missing_ok=True)

        def work() -> None:
            before()
            try:
                self.case(root, resume, begin_again=begin_again)
            except UserError as error:
                print(f"etude: {error}", flush=True)
                raise SystemExit(2) from None

        return wait(start(work, self.said)), self.said.read_text() if self.said.exists() else ""

    def stopped(self, step: int = 15) -> RunFolder:
        """A run that was killed after a step; its last two checkpoints are there."""
        root = self.root()
        self.perform(root, lambda: stop_after(step))
        (folder,) = find_runs(root)
        return folder

    def ends_well(
        self,
        root: Path,
        trial: Trial,
        what: str,
        before: Work = lambda: None,
        *,
        begin_again: bool = False,
    ) -> str:
        """Resume the only run there; its end must be exact. Gives its log."""
        runs = find_runs(root)
        path = runs[0].path if runs else None
        code, said = self.perform(root, before, path, begin_again=begin_again)
        try:
            if code != 0 or outcome(root) != self.never:
                trial.failed.append(f"{what}: resumed, code {code}, other numbers: {said[-200:]}")
        except (AssertionError, ValueError) as error:
            trial.failed.append(f"{what}: {error}: {said[-200:]}")
        return "".join(path.read_text() for path in root.glob("*/*/log.txt"))


def stop_after(step: int) -> None:
    """End this process, as SIGKILL would, after a step of the first loop and its checkpoint."""
    from etude.runs.stage import Stage

    after = Stage.after_step

    def deadly(self: Stage[Any]) -> None:
        after(self)
        if self.step == step:
            os._exit(137)

    Stage.after_step = deadly  # type: ignore[method-assign]


def sentence(code: int | None, said: str, *words: str) -> bool:
    """Whether a command ended with code 2 and one sentence that has these words."""
    lines = [line for line in said.splitlines() if line.startswith("etude: ")]
    return (
        code == 2
        and "Traceback" not in said
        and len(lines) == 1
        and all(word in lines[0] for word in words)
    )


# -- the faults ------------------------------------------------------------------------------------


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[bool]:
    """A file system of so many bytes at ``place``, where this process may mount one."""
    place.mkdir(exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    mounted = libc.mount(b"tmpfs", str(place).encode(), b"tmpfs", 0, f"size={size}".encode()) == 0
    try:
        yield mounted
    finally:
        if mounted:
            libc.umount2(str(place).encode(), 2)


def full_disk(bench: Bench, tries: int) -> Trial:
    """Filled before the run, and so that some checkpoint no longer fits; afterwards there is space
    again.
    """
    trial = Trial(
        "full disk",
        "a tmpfs of 4 MB with 0 to 1,200 kB left; then space is freed and the run resumed",
    )
    for number in range(tries):
        root = bench.root()
        left = 1_200_000 * number // max(tries - 1, 1)
        with small_disk(root, 4_000_000) as mounted:
            if not mounted:
                trial.skipped = "this user may not mount a small file system"
                return trial
            ballast = root / "ballast"
            ballast.write_bytes(bytes(4_000_000 - left - 8192))
            code, said = bench.perform(root)
            trial.tried += 1
            if code != 0 and not sentence(code, said, "space" if "disk is full" in said else ""):
                trial.failed.append(f"{left:,} bytes left: code {code}: {said[-300:]}")
            ballast.unlink()
            if code != 0:
                bench.ends_well(root, trial, f"{left:,} bytes left")
    return trial


def small_files(bench: Bench, tries: int) -> Trial:
    """No file may become larger than a limit: what is larger can't be written."""
    trial = Trial(
        "file size limit",
        "RLIMIT_FSIZE of 2 to 200 kB; then the limit is lifted and the run resumed",
    )
    for number in range(tries):
        root = bench.root()
        limit = 2_000 + 198_000 * number // max(tries - 1, 1)
        code, said = bench.perform(
            root, lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        )
        trial.tried += 1
        if code != 0 and not sentence(code, said, "could not be written"):
            trial.failed.append(f"{limit:,} bytes: code {code}: {said[-300:]}")
        if code != 0:
            bench.ends_well(root, trial, f"{limit:,} bytes")
    return trial


def read_only(bench: Bench, tries: int) -> Trial:
    """A folder of all runs that may not be written, and a run's folder that loses this right after
    some steps.
    """
    trial = Trial(
        "read-only folder",
        "as a user without rights: from the start, and after some steps; then resumed",
    )
    if os.geteuid() != 0:
        user = None
    else:
        user = NOBODY
    root = bench.root()
    root.chmod(0o555)

    def without_rights() -> None:
        if user is not None:
            bench.case(
                Path(tempfile.mkdtemp(dir=bench.place))
            )  # this user may not be able to import what is needed
            os.setgid(user)
            os.setuid(user)

    code, said = bench.perform(root / "runs", without_rights)
    trial.tried += 1
    if not sentence(code, said, "can't be made"):
        trial.failed.append(f"from the start: code {code}: {said[-300:]}")
    for number in range(tries - 1):
        root = bench.root()
        root.chmod(0o777)
        step = 1 + number * STEPS // max(tries - 1, 1)

        def before(step: int = step) -> None:
            without_rights()
            _locked_after(step)

        code, said = bench.perform(root, before)
        trial.tried += 1
        if not sentence(code, said, "could not be written"):
            trial.failed.append(f"after step {step}: code {code}: {said[-300:]}")
        for path in [*root.rglob("*")]:
            if path.is_dir():
                path.chmod(0o777)
        bench.ends_well(root, trial, f"after step {step}")
    return trial


def _locked_after(step: int) -> None:
    from etude.runs.stage import Stage

    after = Stage.after_step

    def locked(self: Stage[Any]) -> None:
        if self.step + 1 == step:
            checkpoints = self.services.checkpoints.folder
            for folder in (checkpoints, checkpoints.parent):
                if folder.is_dir():
                    folder.chmod(0o555)
        after(self)

    Stage.after_step = locked  # type: ignore[method-assign]


def clocks(bench: Bench, tries: int) -> Trial:
    """The clock jumps by hours at every look, and files are as old or new as it says; the run is
    killed and resumed.
    """
    trial = Trial(
        "clock jumps",
        "the clock jumps up to 48 hours each way at every look, also that of files; killed,"
        " resumed",
    )
    for number in range(tries):
        root = bench.root()

        def before(number: int = number, stop: bool = True) -> None:
            _mad_clock(random.Random(number + 1000 * stop))
            if stop:
                stop_after(3 + number % (STEPS - 3))

        bench.perform(root, before)
        trial.tried += 1
        for folder in find_runs(root):
            for path in folder.path.rglob("*"):
                then = time.time() + random.Random(f"{number} {path.name}").uniform(
                    -172_800, 172_800
                )
                os.utime(path, (then, then))
        bench.ends_well(root, trial, f"clock {number}", lambda: before(stop=False))
    return trial


def _mad_clock(chance: random.Random) -> None:
    true, text, local = time.time, time.strftime, time.localtime

    def mad() -> float:
        return true() + chance.uniform(-172_800, 172_800)

    time.time = mad
    time.time_ns = lambda: int(mad() * 1e9)
    time.strftime = lambda form, when=None: text(form, when or local(mad()))  # type: ignore[assignment, misc]


def bit_flips(bench: Bench, tries: int) -> Trial:
    """One bit of the newest checkpoint: the one before it is used, says the log, and the end is
    exact.
    """
    trial = Trial(
        "checkpoint bit flips",
        "one bit of the newest checkpoint, in regions from its first byte to its last",
    )
    for number in range(tries):
        folder = bench.stopped()
        newest = max(folder.checkpoint.glob("0-*.pt"))
        content = bytearray(newest.read_bytes())
        at = (len(content) - 1) * number // max(tries - 1, 1)
        content[at] ^= 1 << number % 8
        newest.write_bytes(content)
        said = bench.ends_well(folder.path.parents[1], trial, f"byte {at:,} of {len(content):,}")
        trial.tried += 1
        if f"{newest.name} is damaged" not in said or "using the one before it" not in said:
            trial.failed.append(f"byte {at:,}: the log does not say so")
    return trial


def cut_logs(bench: Bench, tries: int) -> Trial:
    """``metrics.jsonl`` loses its end: a line's, some lines, or all; or is not there.

    Where no checkpoint fits what is left, the run is begun again only when that is asked for.
    """
    trial = Trial(
        "log cut short",
        "metrics.jsonl loses a part of a line, some lines, all of them, or is removed",
    )
    for number in range(tries):
        folder = bench.stopped()
        content = folder.metrics_jsonl.read_bytes()
        if number == 0:
            folder.metrics_jsonl.unlink()
        else:
            keep = len(content) * (number - 1) // max(tries - 2, 1)
            folder.metrics_jsonl.write_bytes(content[: max(0, keep - (number == tries - 1))])
        root, left = folder.path.parents[1], folder.metrics_jsonl
        before = left.read_bytes() if left.is_file() else None
        code, said = bench.perform(root, resume=folder.path)
        if refused := code == 2:
            after = left.read_bytes() if left.is_file() else None
            if not sentence(code, said, "--begin-again") or after != before:
                trial.failed.append(f"cut {number}: {said[-200:]}")
            bench.ends_well(root, trial, f"cut {number} of {tries}", begin_again=True)
        elif code != 0 or outcome(root) != bench.never:
            trial.failed.append(f"cut {number}: code {code}, other numbers: {said[-200:]}")
        if number == 0 and not refused:
            trial.failed.append("no log at all: begun again without a word")
        trial.tried += 1
    return trial


def two_writers(bench: Bench, tries: int) -> Trial:
    """A second process that resumes a run which another one writes is refused."""
    trial = Trial(
        "two processes",
        "a second 'etude resume' of a run that is being written: exit code 2, the first ends well",
    )
    for number in range(tries):
        folder = bench.stopped()
        reader, writer = os.pipe()

        def slow(writer: int = writer, folder: RunFolder = folder) -> None:
            from etude.runs.stage import Stage

            after = Stage.after_step

            def told(self: Stage[Any]) -> None:
                os.write(writer, b".")
                time.sleep(0.2)
                after(self)

            Stage.after_step = told  # type: ignore[method-assign]
            bench.case(folder.path.parents[1], folder.path)

        first = start(slow)
        os.read(reader, 1)  # it is in its loop
        code, said = bench.command(lambda: None, "resume", str(folder.path))
        trial.tried += 1
        if not sentence(code, said, "being written by another process"):
            trial.failed.append(f"{number}: code {code}: {said[-300:]}")
        wait(first)
        if outcome(folder.path.parents[1]) != bench.never:
            trial.failed.append(f"{number}: the first process did not end well")
        os.close(reader)
        os.close(writer)
    return trial


def no_memory(bench: Bench, tries: int) -> Trial:
    """Memory runs out, truly (a limit) and as PyTorch, NumPy and a GPU say it: told with what to
    lower.
    """
    trial = Trial(
        "out of memory",
        "RLIMIT_AS, and errors of PyTorch, NumPy and CUDA at some step: what to lower, code 2",
    )
    errors: list[Callable[[], BaseException]] = [
        MemoryError,
        lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        lambda: RuntimeError(
            "[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 64 bytes."
        ),
    ]
    for number in range(tries):
        root = bench.root()

        def before(number: int = number) -> None:
            if number % 4 == 3:
                _little_memory()
                return
            from etude.runs.run import Run

            minimise = Run.minimise

            def failing(self: Run, *arguments: Any, **options: Any) -> None:
                if self.step == 2 + number % (STEPS - 4):
                    raise errors[number % 4]()
                minimise(self, *arguments, **options)

            Run.minimise = failing  # type: ignore[method-assign]

        code, said = bench.perform(root, before)
        trial.tried += 1
        if not sentence(code, said, "out of memory", "--batch"):
            trial.failed.append(f"{number}: code {code}: {said[-300:]}")
        bench.ends_well(root, trial, f"out of memory {number}")
    return trial


def _little_memory() -> None:
    """A batch that asks for more than there may be: in the loop, after some steps."""
    from etude.runs.run import Run

    minimise = Run.minimise

    def hungry(self: Run, *arguments: Any, **options: Any) -> None:
        if self.step == 5:
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 27), size + (1 << 27)))
            torch.zeros(1 << 30).add_(1)
        minimise(self, *arguments, **options)

    Run.minimise = hungry  # type: ignore[method-assign]


FAULTS: tuple[Callable[[Bench, int], Trial], ...] = (
    full_disk,
    small_files,
    read_only,
    clocks,
    bit_flips,
    cut_logs,
    two_writers,
    no_memory,
)
