"""Code of one's own that was run before, and may therefore be executed again. Needs no torch.

The record of a run says where its study lies. A record may come from anyone, so the path in it is
followed only to code that this user has run: the same file with the same bytes, and with the same
bytes in every file that it imports from beside it. That is kept in the user's own folder of
settings: ``$ETUDE_CONFIG``, else ``etude`` in ``$XDG_CONFIG_HOME`` or what the system has for it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from etude import sources

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
    """Whether this user has run the study in this file as it is now."""
    before = _lines(_place(main))  # of a path that is not known, nothing is read
    return bool(before) and _digest(main) in before


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
    main = main.resolve()
    found: dict[Path, None] = {}
    waiting = [main]
    if main.parent.name == main.stem:  # a study in a folder is all of it
        waiting += sorted(main.parent.glob("*.py"))
    try:
        while waiting:
            file = waiting.pop()
            if file not in found and sources.PACKAGE not in file.parents:
                found[file] = None
                waiting += sources.imported_files(file)
        each = [
            f"{os.fsencode(file).hex()} {hashlib.sha256(file.read_bytes()).hexdigest()}"
            for file in sorted(found)
        ]
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    return hashlib.sha256("\n".join(each).encode()).hexdigest()
