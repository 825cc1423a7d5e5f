"""What lies in an archive or a folder, read into memory by name: nothing is unpacked to disk, no
link is followed.

An archive is refused that unpacks to unreasonably much, that names a place outside it, or that has
a link in the place of a file that is wanted.
"""

from __future__ import annotations

import io
import lzma
import math
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.data.store import Found
from etude.errors import UserError

LARGEST = 1 << 26  # bytes of one file; photographs are far smaller
MOST_BYTES = 1 << 30  # of all that is read together
MOST_PIXELS = 1 << 24  # of one picture
# TypeError is tarfile's own, AttributeError that of Python 3.11.2's: its stream forgets which
# errors gzip has
UNREADABLE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, TypeError, AttributeError)
NOTES = 1 << 16  # bytes of what tar writes about a member beside its header: a long name, say


def contents(found: Found, wanted: re.Pattern[str]) -> tuple[dict[str, bytes], str]:
    """The regular files whose name matches `wanted`, by that name, and where they lie, for
    messages.

    An edition of one archive (tar, of any compression) is read from that; any other from the folder
    of the data set, and names are then relative to that folder.

    Raises
    ------
    UserError
        if the archive is damaged, or a file is unreasonably large
    """
    names, paths = list(found.paths), list(found.paths.values())
    folder = len(paths) > 1
    root = Path(str(paths[0])[: -len(names[0])]) if folder else paths[0]
    files: dict[str, bytes] = {}
    total = 0
    try:
        if folder:
            for path in sorted(root.rglob("*")):
                name = path.relative_to(root).as_posix()
                if wanted.fullmatch(name) and path.is_file() and not path.is_symlink():
                    total += _within(path.stat().st_size, total, f"{path}")
                    files[name] = path.read_bytes()
            return files, str(root)
        with tarfile.open(root, "r|*", tarinfo=Member) as archive:
            for name, content in members(
                archive, root, lambda name: wanted.fullmatch(name) is not None, LARGEST
            ):
                files[name] = content
    except UNREADABLE as error:
        raise UserError(f"{root} is damaged or cut short ({error})") from error
    except OSError as error:
        raise UserError(f"{root} cannot be read: {error.strerror or error}") from error
    return files, str(root)


class Member(tarfile.TarInfo):
    """A member of a tar archive, which may not say more about itself than a little."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        notes = self.type in (
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )
        if notes and self.size > NOTES:
            raise tarfile.ReadError(f"{self.size:,} bytes about one of its files")
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]


def members(
    archive: tarfile.TarFile, path: Path, wanted: Callable[[str], bool], largest: int
) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a tar archive, by name, as they pass by.

    Raises:
        UserError: a wanted file is larger than `largest` or is a link; all together are more than
            1 GiB, wanted or not; or a name leads out of the archive.
    """
    total = 0
    for member in archive:
        name = member.name.removeprefix("./")
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise UserError(f"{path} is refused: it names a place outside itself, {name[:200]!r}")
        total += member.size
        if total > MOST_BYTES:
            raise UserError(f"{path} is refused: it unpacks to more than {MOST_BYTES:,} bytes")
        if not wanted(name):
            continue
        if member.issym() or member.islnk():
            raise UserError(
                f"{path}:{name[:200]} is a link to {member.linkname[:200]!r}; expected a file"
            )
        if member.size > largest:
            raise UserError(
                f"{path}:{name[:200]} has {member.size:,} bytes; at most {largest:,} were expected"
            )
        if member.isreg():
            stream = archive.extractfile(member)
            assert stream is not None  # a regular file has content
            yield name, stream.read()


def arrays(path: Path, names: Sequence[str]) -> list[np.ndarray[Any, Any]]:
    """Arrays of numbers out of NumPy's ``.npz``, in the order of `names`; more than 1 GiB of them
    is refused.

    Raises
    ------
    UserError
        if one is missing or damaged, is too large, or holds other things than numbers
    """
    found, total = [], 0
    try:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                info = archive.getinfo(f"{name}.npy")
                total += _within(info.file_size, total, f"{path}:{name}.npy")
                if info.compress_type not in (
                    zipfile.ZIP_STORED,
                    zipfile.ZIP_DEFLATED,
                ):  # others ask for gigabytes
                    raise ValueError(f"{name}.npy is packed in a way that NumPy does not use")
                if info.compress_size > path.stat().st_size:  # room is made for as much as it says
                    raise ValueError(
                        f"{name}.npy has {info.compress_size:,} bytes, more than the file"
                    )
                found.append(_array(archive.read(info)))
    except UserError:
        raise
    except Exception as error:  # a damaged zip can fail in many ways
        raise UserError(
            f"{path} is damaged: it cannot be read as {', '.join(names)} ({error})"
        ) from error
    return found


def _array(content: bytes) -> np.ndarray[Any, Any]:
    """One array in NumPy's format, if it is of numbers and as long as its header says."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(file)
    if dtype.kind not in "biuf" or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"{dtype} {shape} in {len(content):,} bytes")
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(
        shape, order="F" if fortran else "C"
    )


def _within(size: int, before: int, name: str) -> int:
    if size > LARGEST or before + size > MOST_BYTES:
        raise UserError(
            f"{name} has {size:,} bytes; at most {LARGEST:,}, and {MOST_BYTES:,} in all, were"
            " expected"
        )
    return size


def picture(content: bytes, name: str, *, colour: bool = True) -> Tensor:
    """A PNG or JPEG as uint8 (3, height, width), or the numbers in a one-channel PNG as uint8
    (height, width).

    Args:
        content: of the file.
        name: for messages.
        colour: three channels; else the numbers as they are stored.

    Raises:
        UserError: it is no such picture.
    """
    from PIL import Image

    try:
        with Image.open(
            io.BytesIO(content), formats=["PNG", "JPEG"] if colour else ["PNG"]
        ) as image:
            if not colour and image.mode not in ("L", "P"):
                raise UserError(
                    f"{name} should hold one number a pixel, and is a picture in {image.mode}"
                )
            if image.width * image.height > MOST_PIXELS:
                raise UserError(
                    f"{name} has {image.width:,}×{image.height:,} pixels; at most {MOST_PIXELS:,}"
                    " were expected"
                )
            array = np.asarray(image.convert("RGB") if colour else image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{name} is no picture that can be read ({error})") from error
    pixels = torch.from_numpy(array.copy())
    return pixels.movedim(2, 0).contiguous() if colour else pixels
