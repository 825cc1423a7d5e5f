"""What code finds in a sandbox: the interpreter, the packages it may import; and the commands that
start it there.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import random
import shutil
import sys
import sysconfig
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from etude.errors import UserError

if TYPE_CHECKING:
    from etude.exercises.sandbox import Sandbox

CONFINE = Path(__file__).with_name("confine.py")
PYTHON = ("-I", "-S", "-B", "-X", "utf8")  # nothing of the user's, no site, no files of bytecode


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


def bubblewrap(
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


def guarded(sandbox: Sandbox, folder: Path, settings: dict[str, object]) -> list[str]:
    """The command of tiers B and C, and the folder that they need."""
    python = interpreter()
    packages = importable(sandbox.packages)
    (folder / "packages").mkdir()
    for name, path in packages.items():
        (folder / "packages" / name).symlink_to(path)
    (folder / "folder").mkdir()
    folder.chmod(0o755)
    settings["packages"] = str(folder / "packages")
    if sandbox.tier.value == "B":
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
