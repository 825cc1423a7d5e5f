"""Files that somebody names or hands in: opened only where they are plain files, read to a bound.

A pipe keeps its reader waiting for ever, a device has no end, and a link leads elsewhere. What lies
in a run's folder is opened by ``runs/files.py``, which minds the whole folder.
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

CAREFULLY = (  # of these, Windows has the last alone
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class Unreadable(Exception):
    """Why a file can't be read; the rest of a sentence that begins with its name."""


def opened(path: Path) -> BufferedReader:
    """A plain file, opened to be read; no link is followed to it.

    Raises:
        Unreadable: it is none, or can't be opened.
    """
    try:
        about = os.lstat(path)
        if stat.S_ISLNK(about.st_mode):
            raise Unreadable("can't be read: it is a link")
        if not stat.S_ISREG(about.st_mode):  # nor is a pipe or a device opened
            raise Unreadable("can't be read: it is no plain file")
        number = os.open(path, os.O_RDONLY | CAREFULLY)
    except (OSError, ValueError) as error:  # a name may hold a zero
        raise Unreadable(f"can't be read: {getattr(error, 'strerror', None) or error}") from None
    if not os.path.samestat(about, os.fstat(number)):
        os.close(number)
        raise Unreadable("can't be read: it has changed while it was opened")
    return os.fdopen(number, "rb")


def content_of(path: Path, most: int) -> bytes:
    """All of a plain file of at most ``most`` bytes; no link is followed to it.

    Raises:
        Unreadable: it is none, can't be read, or has more.
    """
    try:
        with opened(path) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise Unreadable(f"can't be read: {error.strerror or error}") from None
    if len(content) > most:
        raise Unreadable(f"has more than {most:,} bytes")
    return content
