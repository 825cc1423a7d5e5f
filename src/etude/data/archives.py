"""What lies in an archive or a folder, read into memory by name: nothing is unpacked to disk, no link is followed."""

from __future__ import annotations

import io
import lzma
import re
import tarfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from etude.data.store import Found
from etude.errors import UserError

LARGEST = 1 << 26  # bytes of one file; photographs are far smaller
MOST_BYTES = 1 << 30  # of all that is read together


def contents(found: Found, wanted: re.Pattern[str]) -> tuple[dict[str, bytes], str]:
    """The regular files whose name matches `wanted`, by that name, and where they lie, for messages.

    An edition of one archive (tar, of any compression) is read from that; any other from the folder of the data set,
    and names are then relative to that folder.

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
        with tarfile.open(root, "r|*") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isreg() and wanted.fullmatch(name):
                    total += _within(member.size, total, f"{root}:{name}")
                    stream = archive.extractfile(member)
                    assert stream is not None  # a regular file has content
                    files[name] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UserError(f"{root} is damaged or cut short ({error})") from error
    except OSError as error:
        raise UserError(f"{root} cannot be read: {error.strerror or error}") from error
    return files, str(root)


def _within(size: int, before: int, name: str) -> int:
    if size > LARGEST or before + size > MOST_BYTES:
        raise UserError(f"{name} has {size:,} bytes; at most {LARGEST:,}, and {MOST_BYTES:,} in all, were expected")
    return size


def picture(content: bytes, name: str, *, colour: bool = True) -> Tensor:
    """A PNG or JPEG as uint8 (3, height, width), or the numbers in a one-channel PNG as uint8 (height, width).

    Args:
        content: of the file.
        name: for messages.
        colour: three channels; else the numbers as they are stored.

    Raises:
        UserError: it is no such picture.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG", "JPEG"] if colour else ["PNG"]) as image:
            if not colour and image.mode not in ("L", "P"):
                raise UserError(f"{name} should hold one number a pixel, and is a picture in {image.mode}")
            array = np.asarray(image.convert("RGB") if colour else image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{name} is no picture that can be read ({error})") from error
    pixels = torch.from_numpy(array.copy())
    return pixels.movedim(2, 0).contiguous() if colour else pixels
