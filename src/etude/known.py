"""Code of one's own that was run before, and may therefore be executed again. Needs no torch.

The record of a run says where its study lies. A record may come from anyone, so the path in it is
followed only to code that this user has run: the same file with the same bytes, and with the same
bytes in every file that it imports from beside it. That is kept in the user's own folder of
settings: ``$ETUDE_CONFIG``, else ``etude`` in ``$XDG_CONFIG_HOME`` or what the system has for it.
"""

from __future__ import annotations

import glob
import hashlib
import os
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from etude import sources
from etude.errors import UserError

MOST = 1 << 20  # bytes of what is kept of one path


def remember(main: Path) -> None:
    """Keep that this user has run the study in this file. Where the folder can't be written,
    nothing is kept, and the file must be named again.
    """
    line, place = _digest(main), _place(main)
    if line is None or line in _lines(place):
        return
    with suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        begin = "" if place.is_file() else f"{str(main.resolve())!a}\n"
        with place.open("a", encoding="utf-8") as file:
            file.write(f"{begin}{line}\n")


def has_run(main: Path) -> bool:
    """Whether this user has run what lies at this path, as it was then or as it is now."""
    return bool(_lines(_place(main)))


def is_as_run(main: Path) -> bool:
    """Whether this user has run the study in this file as it is now.

    What Python has compiled of it is thrown away, and compiled again when it is executed: it lies
    beside the source, says what is executed in the source's place, and may have been exchanged.
    """
    before = _lines(_place(main))  # of a path that is not known, nothing is read
    if not before or _digest(main) not in before:
        return False
    try:
        for file in _code(main):
            for compiled in file.parent.glob(f"__pycache__/{glob.escape(file.stem)}.*.pyc"):
                compiled.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _place(main: Path) -> Path:
    """The file in which what was run at one path is kept, a digest a line."""
    name = hashlib.sha256(os.fsencode(main.resolve())).hexdigest()
    return _settings() / "run" / name[:32]


def _settings() -> Path:
    if given := os.environ.get("ETUDE_CONFIG"):
        return Path(given)
    import platformdirs

    return platformdirs.user_config_path("etude")


def _lines(place: Path) -> list[str]:
    try:
        with place.open(encoding="utf-8") as file:
            return file.read(MOST).splitlines()[1:]  # the first says which path it is, for people
    except (OSError, ValueError):
        return []


def _digest(main: Path) -> str | None:
    """SHA-256 of every byte that Python would execute of the user's own: comments too, for one can
    say how the rest is to be read. None where a file can't be read.
    """
    try:
        each = [
            f"{os.fsencode(file).hex()} {hashlib.sha256(file.read_bytes()).hexdigest()}"
            for file in _code(main)
        ]
    except (OSError, SyntaxError, ValueError, RecursionError, UserError):
        return None
    return hashlib.sha256("\n".join(each).encode()).hexdigest()


def _code(main: Path) -> list[Path]:
    """The files of the user's own that a study is made of, in order; also what Python would import
    instead of one: a folder or a compiled file of its name.
    """
    main = main.resolve()
    found: dict[Path, None] = {}
    waiting = [main]
    if main.parent.name == main.stem:  # a study in a folder is all of it
        waiting += sorted(main.parent.glob("*.py"))
    while waiting:
        file = waiting.pop()
        if file in found or sources.PACKAGE in file.parents:
            continue
        found[file] = None
        if file.suffix != ".py":
            continue
        waiting += sources.imported_files(file)
        if file != main:
            instead = [file.with_suffix("") / "__init__.py"]
            instead += [file.with_suffix(ending) for ending in EXTENSION_SUFFIXES]
            waiting += [other for other in instead if other.is_file()]
    return sorted(found)
