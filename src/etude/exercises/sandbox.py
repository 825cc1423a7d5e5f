"""Sandboxes: where a student's code runs, and what it can't do there.

There are three tiers. Each is tried before it is used (:mod:`etude.exercises.tiers`), and a result
says which one it was.

- **A**: bubblewrap. The code sees an interpreter that it can't change, NumPy, and one empty folder;
  no other file, process, network, or user of the machine. Bubblewrap that root has started does not
  limit the number of processes, so the code becomes a user that nobody is. It does so inside, when
  the mounts are made: the interpreter may lie where only root may read.
- **B**: Landlock and namespaces, where there is no bubblewrap. The code sees the same; it can write
  nowhere, because the size of a folder could not be limited.
- **C**: limits only. This is no sandbox: the code can read and send whatever the grader can. It is
  used only where it is asked for by name.

In A and B the kernel also refuses calls that no exercise needs (``confine.refuse_calls``).
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from etude.errors import UserError, printable
from etude.exercises.mounts import bubblewrap, guarded, importable, unused_user

REFUSED = 97  # the exit code of confine.py where it can't do what it should


class Tier(StrEnum):
    """How well the code is shut in."""

    A = "A"
    B = "B"
    C = "C"

    @property
    def words(self) -> str:
        """What it is, for people."""
        return {
            "A": "bubblewrap",
            "B": "Landlock and namespaces",
            "C": "limits only, not a sandbox",
        }[self.value]


@dataclass(frozen=True)
class Limits:
    """What a student's code may use.

    Attributes:
        wall: seconds for which its answers are awaited, all together.
        cpu: seconds of a processor, for each of its processes.
        memory: bytes of address space, for each of its processes; PyTorch needs 2 GiB.
        file: bytes of a file that it writes.
        folder: bytes of all files that it writes.
        processes: processes and threads at a time.
        files: open files of a process.
        answer: bytes of one answer.
        answers: bytes of all answers.
        log: bytes of what it prints that are kept; the rest is dropped.
    """

    wall: float = 10.0
    cpu: int = 10
    memory: int = 1 << 30
    file: int = 16 << 20
    folder: int = 32 << 20
    processes: int = 16
    files: int = 64
    answer: int = 32 << 20
    answers: int = 256 << 20
    log: int = 64 << 10

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise UserError(f"the limit '{name}' is {value}; expected more than 0")


@dataclass(frozen=True)
class Sandbox:
    """How code is run.

    Attributes:
        tier: how well it is shut in.
        limits: what it may use.
        packages: the distributions that it may import, with what they need.
    """

    tier: Tier
    limits: Limits = field(default_factory=Limits)
    packages: tuple[str, ...] = ("numpy",)

    def start(self, program: Path, *arguments: str) -> Boxed:
        """Start a file of Python in the sandbox."""
        return Boxed(self, program, arguments)


ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class Boxed:
    """A file of Python that runs in a sandbox.

    Its input and its output are pipes, read and written by :meth:`exchange`. What it prints goes to
    :attr:`log`, up to a limit.

    Raises:
        UserError: the sandbox can't be started.
    """

    def __init__(self, sandbox: Sandbox, program: Path, arguments: Sequence[str]) -> None:
        importable(sandbox.packages)  # before anything is opened
        self.sandbox = sandbox
        self.left = sandbox.limits.wall
        self._open = False
        self._log = bytearray()
        self._folder: Path | None = None
        self._lifeline: int | None = None
        self._incoming = bytearray()
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        user = unused_user() if root and sandbox.tier != Tier.C else None
        settings: dict[str, object] = {
            "tier": sandbox.tier.value,
            "limits": asdict(sandbox.limits),
            "uid": user,
            "program": str(program),
            "arguments": list(arguments),
        }
        held: tuple[int, ...] = ()
        environment = dict(ENVIRONMENT)
        cwd = "/"
        if sandbox.tier == Tier.A:
            command = bubblewrap(sandbox, program, settings, privileged=root)
        else:
            self._folder = Path(tempfile.mkdtemp(prefix="etude-sandbox-"))
            end, self._lifeline = os.pipe()
            held = (end,)
            settings["lifeline"] = end
            command = guarded(sandbox, self._folder, settings)
            if sandbox.tier == Tier.C:
                cwd = str(self._folder / "folder")
                environment["TMPDIR"] = environment["HOME"] = cwd
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=held,
                env=environment,
                cwd=cwd,
            )
        except OSError as error:
            self._tidy()
            raise UserError(f"the sandbox can't be started: {error.strerror}") from None
        finally:
            for each in held:
                os.close(each)
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._in = self._process.stdin.fileno()
        self._out = self._process.stdout.fileno()
        self._err = self._process.stderr.fileno()
        for pipe in (self._in, self._out, self._err):
            os.set_blocking(pipe, False)
        self._open = True

    @property
    def log(self) -> str:
        """What was printed, as far as it is kept, and may be shown."""
        return printable(self._log.decode(errors="replace"), keep="\n\t")

    def begin(self) -> None:
        """Count the time anew, and forget what was printed."""
        self.left = self.sandbox.limits.wall
        self.take_log()

    def take_log(self) -> str:
        """What was printed since, and forget it."""
        self._drain()
        said = self.log
        self._log.clear()
        return said

    def _drain(self) -> None:
        with suppress(OSError, ValueError):
            while self._open and self._waits_in_log() and self._keep_log():
                pass

    def exchange(self, sent: bytes, size: int) -> bytes:
        """Send something, and read a number of bytes of the answer.

        Raises:
            TimeoutError: the time for all answers is over.
            EOFError: the process has ended, or has closed its pipes.
        """
        if not self._open:
            raise EOFError
        waiting = memoryview(sent)
        begun = time.monotonic()
        deadline = begun + self.left
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            with suppress(ValueError, KeyError, OSError):
                selector.register(self._err, selectors.EVENT_READ)
            if waiting:
                selector.register(self._in, selectors.EVENT_WRITE)
            try:
                while len(self._incoming) < size or waiting:
                    ready = selector.select(max(0.0, deadline - time.monotonic()))
                    if time.monotonic() >= deadline:
                        raise TimeoutError
                    for key, _ in ready:
                        if key.fd == self._in:
                            waiting = self._send(waiting)
                            if not waiting:
                                selector.unregister(self._in)
                        elif key.fd == self._err:
                            if not self._keep_log():
                                selector.unregister(self._err)
                        elif not self._receive(size):
                            raise EOFError
            finally:
                self.left -= time.monotonic() - begun
        found = bytes(self._incoming[:size])
        del self._incoming[:size]
        return found

    def _send(self, waiting: memoryview) -> memoryview:
        try:
            return waiting[os.write(self._in, waiting[:65_536]) :]
        except BlockingIOError:
            return waiting
        except OSError:
            raise EOFError from None

    def _receive(self, size: int) -> bool:
        with suppress(BlockingIOError):
            found = os.read(self._out, min(1 << 20, max(size - len(self._incoming), 1)))
            self._incoming += found
            return bool(found)
        return True

    def _keep_log(self) -> bool:
        with suppress(BlockingIOError):
            found = os.read(self._err, 65_536)
            self._log += found[: max(0, self.sandbox.limits.log - len(self._log))]
            return bool(found)
        return True

    def end(self) -> int:
        """End it, and all that it started; how it ended: an exit code, or a signal below 0."""
        if self._process.returncode is None and not self._ended_within(0):
            self._kill()
        self._drain()
        self._tidy()
        code = self._process.returncode
        return 128 - code if code > 128 else code

    def ended(self, seconds: float) -> int | None:
        """How it has ended by itself, if it has; after some seconds at most."""
        if not self._ended_within(seconds):
            return None
        code = self._process.returncode
        return 128 - code if code > 128 else code

    def _waits_in_log(self) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._err, selectors.EVENT_READ)
            return bool(selector.select(0))

    def _ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _kill(self) -> None:
        if self._lifeline is not None:  # the guard ends its child, and all that came of it
            os.close(self._lifeline)
            self._lifeline = None
            if self._ended_within(5):
                return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _tidy(self) -> None:
        self._open = False  # the numbers of its pipes may be another file's from now on
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        if hasattr(self, "_process"):
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe:
                    with suppress(OSError):
                        pipe.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Boxed:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
