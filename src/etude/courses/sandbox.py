"""Sandboxes: where a student's code runs, and what it can't do there.

There are three tiers. Each is tried before it is used (:func:`probe`), and a grade says in which it
was found.

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

import importlib.metadata
import json
import os
import random
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

from etude.errors import UserError, printable

HERE = Path(__file__).parent
CONFINE = HERE / "confine.py"
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


# -- what the sandbox holds ------------------------------------------------------------------------


@cache
def importable(packages: tuple[str, ...]) -> dict[str, Path]:
    """``{name: path}`` of the files and folders in which some distributions lie, and what they
    need.

    Raises:
        UserError: one is not installed.
    """
    found: dict[str, Path] = {}
    waiting, seen = list(packages), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name in packages:
                raise UserError(f"'{name}' is not installed; expected a package that is") from None
            continue  # what it needs on another machine only
        for file in distribution.files or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not top.endswith((".dist-info", ".pth")):
                found[top] = Path(str(distribution.locate_file(top)))
        for needed in distribution.requires or []:
            if "extra ==" not in needed:
                waiting.append(_distribution_of(needed))
    return found


def _distribution_of(requirement: str) -> str:
    end = next((n for n, s in enumerate(requirement) if not (s.isalnum() or s in "-_.")), None)
    return requirement[:end]


@dataclass(frozen=True)
class Interpreter:
    """Where Python lies.

    Attributes:
        program: the file that runs.
        library: the folder of the standard library.
        parts: what in it is Python's own, without packages that are installed.
        others: further files and folders without which it doesn't start.
    """

    program: Path
    library: Path
    parts: tuple[Path, ...]
    others: tuple[Path, ...]


@cache
def interpreter() -> Interpreter:
    """The interpreter of this process."""
    program = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib")).resolve()
    installed = {"site-packages", "dist-packages"}
    parts = tuple(each for each in sorted(library.iterdir()) if each.name not in installed)
    shared = Path(str(sysconfig.get_config_var("LIBDIR") or "/usr/lib"))
    own = sorted(shared.glob("libpython*.so*")) if not shared.is_relative_to("/usr/lib") else []
    system = [Path(each) for each in ("/usr/lib", "/usr/lib64", "/lib", "/lib64")]
    some = [*own, *system, Path("/etc/ld.so.cache"), Path("/proc/cpuinfo")]  # PyTorch reads it
    return Interpreter(program, library, parts, tuple(each for each in some if each.exists()))


def unused_user() -> int:
    """The number of a user that nobody is, and that nothing else runs as."""
    import pwd

    first, count = 0, 1 << 32
    with suppress(OSError, ValueError):  # a container has its own numbers
        lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
        first, _, count = max((tuple(map(int, line.split())) for line in lines), key=sum)
    last = min(first + count, 1 << 31) - 1
    while True:
        uid = random.SystemRandom().randint(max(first + 1, last - 50_000_000), last)
        try:
            pwd.getpwuid(uid)
        except KeyError:
            if uid not in (65_534, 65_535):
                return uid


ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
PYTHON = ("-I", "-S", "-B", "-X", "utf8")  # nothing of the user's, no site, no files of bytecode


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
            command = _bubblewrap(sandbox, program, settings, privileged=root)
        else:
            self._folder = Path(tempfile.mkdtemp(prefix="etude-sandbox-"))
            end, self._lifeline = os.pipe()
            held = (end,)
            settings["lifeline"] = end
            command = _guarded(sandbox, self._folder, settings)
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
    def pid(self) -> int:
        """The process that is ours: the sandbox's outermost."""
        return self._process.pid

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


def _bubblewrap(
    sandbox: Sandbox, program: Path, settings: dict[str, object], *, privileged: bool
) -> list[str]:
    """The command of tier A."""
    bwrap = shutil.which("bwrap")
    if not bwrap:
        raise UserError("bubblewrap is not installed; expected 'bwrap' on the path")
    python = interpreter()
    command = [bwrap, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--die-with-parent", "--new-session"]
    if privileged:
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user"]
    mounts = [Path(each) for each in (python.program, python.library, *python.others)]
    own = [Path("/etude/packages/numpy"), Path("/tmp")]
    for folder in sorted({above for path in (*mounts, *own) for above in path.parents}):
        command += ["--perms", "0755", "--dir", str(folder)]  # else only root may enter it
    for path in mounts:
        command += ["--ro-bind", str(path), str(path)]
    for name in ("site-packages", "dist-packages"):
        if (python.library / name).is_dir():
            command += ["--tmpfs", str(python.library / name)]
    for name, path in importable(sandbox.packages).items():
        command += ["--ro-bind", str(path), f"/etude/packages/{name}"]
    command += ["--ro-bind", str(CONFINE), "/etude/confine.py"]
    command += ["--ro-bind", str(program), "/etude/program.py"]
    command += ["--perms", "1777", "--size", str(sandbox.limits.folder), "--tmpfs", "/tmp"]
    command += ["--dev", "/dev", "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
    inside = {**settings, "program": "/etude/program.py", "packages": "/etude/packages"}
    return [*command, str(python.program), *PYTHON, "/etude/confine.py", json.dumps(inside)]


def _guarded(sandbox: Sandbox, folder: Path, settings: dict[str, object]) -> list[str]:
    """The command of tiers B and C, and the folder that they need."""
    python = interpreter()
    packages = importable(sandbox.packages)
    (folder / "packages").mkdir()
    for name, path in packages.items():
        (folder / "packages" / name).symlink_to(path)
    (folder / "folder").mkdir()
    folder.chmod(0o755)
    settings["packages"] = str(folder / "packages")
    if sandbox.tier == Tier.B:
        read = [python.program, *python.parts, *python.others, *packages.values()]
        devices = [Path("/dev") / each for each in ("null", "zero", "urandom", "random")]
        settings["read"] = [str(each) for each in (*read, *devices)]
        settings["listed"] = [str(python.library), str(folder / "packages")]
        if settings["uid"] is None:
            settings["uid"] = os.getuid()
            settings["users"] = f"{os.getuid()} {os.getuid()} 1"
            settings["groups"] = f"{os.getgid()} {os.getgid()} 1"
        else:  # files of root's stay readable as far as Landlock lets them
            settings["users"] = settings["groups"] = f"0 0 1\n1 {settings['uid']} 1\n"
            settings["uid"] = 1
    return [str(python.program), *PYTHON, str(CONFINE), json.dumps(settings)]


# -- whether a tier holds --------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """What was found when a tier was tried.

    Attributes:
        tier: which.
        refused: why it can't be used; ``""`` where it can.
    """

    tier: Tier
    refused: str = ""


FORBIDDEN = """
import json, os, socket, sys, threading
path, port, parent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
done = []
def attempt(words, act):
    try:
        act()
    except Exception:
        return
    done.append(words)
def connect():
    socket.create_connection(("127.0.0.1", port), 1).close()
def fork():
    for _ in range(100):
        if os.fork() == 0:
            threading.Event().wait(5)
            os._exit(0)
attempt("read a file of the grader's", lambda: open(path).read())
attempt("list the folder of a file of the grader's", lambda: os.listdir(os.path.dirname(path)))
attempt("write a file of the grader's", lambda: open(path, "a").close())
attempt("reach a port of this machine", connect)
attempt("see a process of the machine", lambda: os.kill(parent, 0))
attempt("take more memory than the limit", lambda: bytearray(1 << 33))
attempt("start a hundred processes", fork)
import numpy
print(json.dumps(done), flush=True)
"""


@cache
def probe(tier: Tier) -> Probe:
    """Try a tier: start code in it that does what is forbidden, and see whether it could.

    Of tier C only the limits are tried.
    """
    if sys.platform != "linux" and tier != Tier.C:
        return Probe(tier, f"it needs Linux, and this is {sys.platform}")
    with tempfile.TemporaryDirectory(prefix="etude-probe-") as folder:
        secret, program = Path(folder) / "secret", Path(folder) / "forbidden.py"
        secret.write_text("secret", encoding="utf-8")
        program.write_text(FORBIDDEN, encoding="utf-8")
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            port = server.getsockname()[1]
            try:
                box = Sandbox(tier, Limits(wall=60, cpu=30)).start(
                    program, str(secret), str(port), str(os.getpid())
                )
            except UserError as error:
                return Probe(tier, str(error))
            with box:
                said = _line(box)
            code = box.end()
        if said is None:
            reason = " ".join(box.log.split())
            return Probe(tier, reason or f"its code ended with {code} and said nothing")
    if tier == Tier.C:
        said = [each for each in said if "memory" in each]
    return Probe(tier, f"code in it could {', '.join(said)}" if said else "")


def _line(box: Boxed) -> list[str] | None:
    """The list that code prints in one line; ``None`` where it says nothing."""
    found = b""
    try:
        while not found.endswith(b"\n") and len(found) < 10_000:
            found += box.exchange(b"", 1)
        return [str(each) for each in json.loads(found)]
    except (TimeoutError, EOFError, ValueError):
        return None


@dataclass(frozen=True)
class Choice:
    """The tier that is used, and why better ones are not."""

    tier: Tier
    refused: Mapping[Tier, str] = field(default_factory=dict)


def choose(wanted: Tier | None = None, *, unsafe: bool = False) -> Choice:
    """The best tier that holds on this machine.

    Args:
        wanted: this one and no other.
        unsafe: whether tier C may be used, which is no sandbox.

    Raises:
        UserError: there is none; with the reasons.
    """
    if wanted == Tier.C and not unsafe:
        raise UserError("tier C is no sandbox; it is used only where 'unsafe' is said")
    tiers = [wanted] if wanted else [Tier.A, Tier.B, *([Tier.C] if unsafe else [])]
    refused: dict[Tier, str] = {}
    for tier in tiers:
        found = probe(tier)
        if not found.refused:
            return Choice(tier, refused)
        refused[tier] = found.refused
    reasons = "; ".join(f"{tier} ({tier.words}): {reason}" for tier, reason in refused.items())
    raise UserError(f"there is no sandbox for students' code on this machine: {reasons}")
