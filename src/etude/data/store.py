"""Where the files of a data set are: ``$ETUDE_DATA/<set>/``, or the folder there in which
torchvision and others lay them, else the user's cache, else the network.

The cache is ``$ETUDE_CACHE/<set>/``, or the platform's own place for caches. No torch here: ``etude
data`` lists by it.
"""

from __future__ import annotations

import hashlib
import lzma
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from etude.data.sets import SETS, DataSet, Edition, File
from etude.errors import UserError, nearest


@dataclass(frozen=True)
class Found:
    """An edition of a data set that is there, and the path of each of its files by name."""

    set: DataSet
    edition: Edition
    paths: dict[str, Path]


@dataclass(frozen=True)
class Status:
    """One file: where it is (None: nowhere), its size in bytes, and whether its checksum is right
    (None: not known).
    """

    set: str
    edition: str
    file: str
    path: Path | None
    bytes: int | None
    intact: bool | None = None


def data_set(name: str) -> DataSet:
    """The entry of `name` in the registry; `UserError` with the nearest name if there is none."""
    if name not in SETS:
        raise UserError(f"no data set '{name}'{nearest(name, SETS)}")
    return SETS[name]


def data_folder() -> Path | None:
    """The user's folder of data sets, ``$ETUDE_DATA``; None where that is not set."""
    folder = os.environ.get("ETUDE_DATA")
    return Path(folder).expanduser() if folder else None


def cache_folder() -> Path:
    """Where downloads go: ``$ETUDE_CACHE``, or the platform's place for caches."""
    folder = os.environ.get("ETUDE_CACHE")
    if folder:
        return Path(folder).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("etude", appauthor=False)


def find(name: str) -> Found | None:
    """The best edition on this machine, without the network; None if there is none.

    A complete one goes before a subset, the user's folder before the cache, the official form
    before others.
    """
    entry = data_set(name)
    for complete in (True, False):
        for roots in (_mine(), _roots()):
            if found := _find(entry, roots, complete):
                return found
    return None


def obtain(name: str) -> Found:
    """`find`, and where nothing is found the official edition from the network."""
    return find(name) or fetch(name)


def fetch(name: str) -> Found:
    """Download what is missing of the official edition, and once more what is wrong in the cache.

    Nothing is downloaded where the user's folder has a complete edition, in whatever form.

    Raises
    ------
    UserError
        if a file cannot be had: which one, why, and where it may be put by hand
    """
    entry = data_set(name)
    if found := _find(entry, _mine(), complete=True):
        return found
    paths = {
        file.name: _path(entry, file, _mine()) or _download(entry, file) for file in entry.files
    }
    return Found(entry, entry.editions[0], paths)


def locate(name: str, file: str) -> Path:
    """The path of one file of any edition of a data set; downloaded if it is nowhere and has an
    address.
    """
    entry = data_set(name)
    files = {each.name: each for edition in entry.editions for each in edition.files}
    if file not in files:
        raise UserError(f"the data set '{name}' has no file '{file}'{nearest(file, files)}")
    return _path(entry, files[file], _roots()) or _download(entry, files[file])


def present(name: str) -> list[Status]:
    """What is there of a data set: the files of the edition that would be read, or else of the
    official one.
    """
    entry, found = data_set(name), find(name)
    edition = found.edition if found else entry.editions[0]
    states = []
    for file in edition.files:
        path = found.paths[file.name] if found else _path(entry, file, _roots())
        states.append(
            Status(name, edition.name, file.name, path, path.stat().st_size if path else None)
        )
    return states


def verify(name: str) -> list[Status]:
    """`present`, with each file read and its checksum compared."""
    entry = data_set(name)
    files = {each.name: each for edition in entry.editions for each in edition.files}
    return [
        Status(
            each.set,
            each.edition,
            each.file,
            each.path,
            each.bytes,
            _intact(each.path, files[each.file]),
        )
        for each in present(name)
    ]


def _mine() -> list[Path]:
    mine = data_folder()
    return [mine] if mine else []


def _roots() -> list[Path]:
    return [*_mine(), cache_folder()]


def _path(entry: DataSet, file: File, roots: list[Path]) -> Path | None:
    candidates = (
        root / folder / name
        for root in roots
        for folder in (entry.name, *entry.folders)
        for name in (file.name, *file.also)
    )
    return next((path for path in candidates if path.is_file()), None)


def _find(entry: DataSet, roots: list[Path], complete: bool) -> Found | None:
    for edition in entry.editions:
        paths = {file.name: path for file in edition.files if (path := _path(entry, file, roots))}
        if edition.complete is complete and len(paths) == len(edition.files):
            return Found(entry, edition, paths)
    return None


def _download(entry: DataSet, file: File) -> Path:
    if not file.urls:
        raise UserError(
            f"the data set '{entry.name}' is not there, and cannot be downloaded as one file: put"
            f" {file.name}, or the folder that {entry.homepage} holds, into"
            f" $ETUDE_DATA/{entry.name}"
        )
    from filelock import FileLock

    from etude.data.download import Unreachable, download

    path = cache_folder() / entry.name / file.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(
            path.parent / ".lock"
        ):  # of several processes that need the file, one gets it
            download(file.urls, path, file.checksum, file.bytes)
    except Unreachable as error:
        mine = data_folder()
        place = f"$ETUDE_DATA/{entry.name}/{file.name}" + (
            f" ({mine / entry.name / file.name})" if mine else ""
        )
        raise UserError(
            f"the data set '{entry.name}' lacks {file.name}, and it could not be downloaded"
            f" ({error}): put it{_or_unpacked(file)} at {place}, or run 'etude data fetch"
            f" {entry.name}' where there is a network"
        ) from error
    except OSError as error:
        raise UserError(
            f"the cache {path.parent} cannot be written: {error.strerror or error}"
        ) from error
    return path


def _or_unpacked(file: File) -> str:
    """Under which other names a file is read, in words."""
    others = ", ".join(dict.fromkeys(Path(name).name for name in file.also))
    return f" (or {others})" if others else ""


def _intact(path: Path | None, file: File) -> bool | None:
    if path is None:
        return False
    if not file.checksum:
        return None
    algorithm, _, expected = file.checksum.partition(":")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    try:
        for block in _content(
            path, unpack=path.name.endswith(".xz") and not file.name.endswith(".xz")
        ):
            digest.update(block)
    except (OSError, EOFError, lzma.LZMAError):
        return False
    return digest.hexdigest() == expected


def _content(path: Path, unpack: bool) -> Iterator[bytes]:
    with lzma.open(path) if unpack else path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block
