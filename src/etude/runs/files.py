"""The files of a run's folder, which may come from anyone. Needs no torch.

A stranger's folder is data, and data do not say where else to look. So nothing in it is opened
through a link, only plain files are opened, and no larger ones than such a file can be: a pipe
would keep a reader waiting for ever, and a link would have the report of a run written over any
file of the person who asks for it. What is written here gets a temporary name that nobody can
foresee.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from etude.errors import UserError

RECORD = 16 << 20  # bytes of a record, a table: what is read whole and taken apart
PICTURE = 64 << 20
LOG = 128 << 20
TENSORS = 16 << 30  # of a network or a checkpoint
MOST_ENTRIES = 50_000  # files and folders of one run
DEEPEST = 16  # folders within folders

_CAREFULLY = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def check(folder: Path, *, deep: bool = True) -> None:
    """Look through a run's folder before anything in it is used.

    Args:
        folder: of the run.
        deep: look into its folders too; without, at what lies at its top, which costs next to
            nothing.

    Raises:
        UserError: it is a link, or something in it is neither a plain file nor a folder, or there
            is more in it than a run leaves.
    """
    waiting, seen = [(folder, 0)], 0
    while waiting:
        place, depth = waiting.pop()
        try:
            check_folder(place)
            with os.scandir(place) as entries:
                for entry in entries:
                    seen += 1
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if not is_folder and not entry.is_file(follow_symlinks=False):
                        _refuse(Path(entry.path), entry.stat(follow_symlinks=False))
                    if seen > MOST_ENTRIES or depth > DEEPEST:
                        raise UserError(
                            f"{folder} is no run's folder: it holds more than {MOST_ENTRIES:,}"
                            f" files, or folders more than {DEEPEST} deep"
                        )
                    if is_folder and deep:
                        waiting.append((Path(entry.path), depth + 1))
        except OSError as error:
            if depth and isinstance(error, FileNotFoundError):
                continue  # a run that is under way has just removed it
            raise UserError(f"{place} can't be read: {error.strerror or error}") from error


def read(path: Path, most: int = RECORD) -> bytes:
    """All of a file.

    Raises:
        OSError: it is not there, or can't be read.
        UserError: it is no plain file, or has more than ``most`` bytes.
    """
    with reading(path, most) as file:
        return file.read(os.fstat(file.fileno()).st_size)  # no more, should it grow


def reading(path: Path, most: int | None = None) -> IO[bytes]:
    """A file opened to be read, of at most ``most`` bytes; errors are those of :func:`read`."""
    return os.fdopen(_opened(path, os.O_RDONLY, most), "rb")


def appending(path: Path) -> IO[bytes]:
    """A file, made where it is not there, opened to be written at its end; errors are those of
    :func:`read`.
    """
    return os.fdopen(_opened(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab")


def overwrite(path: Path, content: bytes) -> None:
    """Write a file in place, where nothing rests on its being whole; errors are those of
    :func:`read`.
    """
    with os.fdopen(_opened(path, os.O_WRONLY | os.O_CREAT), "wb") as file:
        file.truncate(0)
        file.write(content)


def made(folder: Path) -> Path:
    """A folder of a run, made where it is not there.

    Raises:
        OSError: it can't be made.
        UserError: a link or a file has its name.
    """
    folder.mkdir(exist_ok=True)
    check_folder(folder)
    return folder


def check_folder(folder: Path) -> None:
    """Raise a UserError where a folder is a link or no folder, an OSError where it is not there."""
    _refuse(folder, os.lstat(folder), folder=True)


def listed(folder: Path, *endings: str) -> list[Path]:
    """The files of a run's folder whose names have one of these endings, in the order in which
    they were made; none where there is no such folder.

    Raises:
        UserError: one is no plain file, or the folder is a link.
    """
    found = []
    try:
        check_folder(folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                if Path(entry.name).suffix in endings:
                    about = entry.stat(follow_symlinks=False)
                    _refuse(Path(entry.path), about)
                    found.append((about.st_mtime_ns, entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{folder} can't be read: {error.strerror or error}") from error
    return [folder / name for _, name in sorted(found)]


def write(path: Path, content: bytes) -> None:
    """Write a whole file or none: temporary name, sync, rename, sync of the folder.

    Raises:
        OSError: the disk is full, or the folder can't be written; nothing half-written stays.
        UserError: the folder is a link.
    """
    check_folder(path.parent)
    with temporary(path) as part:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def temporary(path: Path, form: str = ".{name}.{mark}.part") -> Iterator[Path]:
    """A new file beside ``path`` to be written, and then renamed; what is not renamed is gone when
    the block ends.

    Its name can't be foreseen, and nothing had it before: whoever could guess it would say by a
    link what is overwritten.

    Args:
        path: what the file is to be called in the end.
        form: of the temporary name.

    Raises:
        OSError: it can't be made.
    """
    part = path.with_name(form.format(name=path.name, mark=secrets.token_hex(8)))
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFULLY, 0o666))
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def sweep_up(folder: Path) -> None:
    """Remove what a kill left half-written, directly in this folder."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def check_lock(path: Path) -> None:
    """Raise a UserError where a lock file is no plain file, or has other names: to take a lock
    empties its file.
    """
    try:
        about = os.lstat(path)
    except FileNotFoundError:
        return
    _refuse(path, about)
    _refuse_other_names(path, about)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a file.

    Where the system can share locks, those who look are in nobody's way but that of a run that
    begins in the same instant, and it waits for so long.

    Raises:
        OSError: there is no such file, or it can't be read.
        UserError: it is no plain file.
    """
    check_lock(path)
    if sys.platform == "win32":
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False
    import fcntl

    file = _opened(path, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)  # which lets go of the lock, too
    return False


def _opened(path: Path, flags: int, most: int | None = None) -> int:
    """A file's descriptor; looked at before, so that no device is touched, and after, for it may
    have been exchanged between.
    """
    check_folder(path.parent)
    try:
        _refuse(path, os.lstat(path))
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    number = os.open(path, flags | _CAREFULLY, 0o666)
    try:
        about = os.fstat(number)
        _refuse(path, about)
        if most is not None:
            _limit(path, about.st_size, most)
        if flags & os.O_CREAT:
            _refuse_other_names(path, about)
    except BaseException:
        os.close(number)
        raise
    return number


def _refuse(path: Path, about: os.stat_result, *, folder: bool = False) -> None:
    expected = stat.S_ISDIR if folder else stat.S_ISREG
    if expected(about.st_mode):
        return
    kinds = {
        "a link": stat.S_ISLNK,
        "a folder": stat.S_ISDIR,
        "a pipe": stat.S_ISFIFO,
        "a socket": stat.S_ISSOCK,
        "a plain file": stat.S_ISREG,
    }
    kind = next((name for name, is_kind in kinds.items() if is_kind(about.st_mode)), "a device")
    wanted = "a folder" if folder else "a plain file"
    raise UserError(
        f"{path} is {kind}; expected {wanted}, for nothing in a run's folder may lead elsewhere"
    )


def _refuse_other_names(path: Path, about: os.stat_result) -> None:
    if about.st_nlink > 1:
        raise UserError(
            f"{path} is also the file of another name (a hard link), which would be written with"
            " it; expected a file of its own"
        )


def _limit(path: Path, size: int, most: int) -> None:
    if size > most:
        raise UserError(f"{path} is too large: {size:,} bytes; expected at most {most:,}")
