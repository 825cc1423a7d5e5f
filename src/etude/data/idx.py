"""The IDX format of MNIST, and the two sets that come in it."""

from __future__ import annotations

import math
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from etude.data.labelled import Dataset, Labelled
from etude.data.store import Found, obtain
from etude.errors import UserError

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LARGEST = 1 << 32  # bytes; four times the largest IDX set in use
HEADER = 4 + 4 * 255  # bytes, at most
DEFLATE = 1032  # deflate makes no more of a byte than this many

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def read_idx(path: str | Path) -> Tensor:
    """The tensor in an IDX file, plain or gzipped, of the file's own type and shape.

    The header (two zero bytes, type, number of dimensions, and each as a big-endian 32-bit number)
    is checked against the bytes that are there before anything of its size is allocated.

    Raises
    ------
    UserError
        if the file cannot be read or is no whole IDX file: what was expected, and what was found

    References
    ----------
    The IDX file format, at the end of http://yann.lecun.com/exdb/mnist/
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    gzipped = raw[:2] == b"\x1f\x8b"
    head, _ = _inflate(raw, HEADER, path) if gzipped else (raw[:HEADER], True)
    dtype, shape = _header(head, path)
    start, size = 4 + 4 * len(shape), math.prod(shape) * dtype.itemsize
    if size > min(DEFLATE * len(raw) if gzipped else len(raw), LARGEST):
        raise UserError(
            f"{path} says it holds {size:,} bytes {shape}, and it cannot: it is of {len(raw):,}"
            " bytes"
        )
    content, whole = _inflate(raw, start + size + 1, path) if gzipped else (raw, True)
    held = len(content) - start
    if held < size or (held == size and not whole):
        raise UserError(
            f"{path} is cut short: it should hold {size:,} bytes {shape}, and holds"
            f" {max(held, 0):,}"
        )
    if held > size:
        raise UserError(
            f"{path} should hold {size:,} bytes {shape} behind its header, and holds more"
        )
    values = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return torch.from_numpy(values.astype(dtype.newbyteorder("="), copy=True))


def _inflate(raw: bytes, most: int, path: Path) -> tuple[bytes, bool]:
    """The first bytes, at most so many, of a gzip stream, and whether it ends there, with nothing
    behind it.
    """
    unpack = zlib.decompressobj(wbits=31)
    try:
        content = unpack.decompress(raw, most)
    except zlib.error as error:
        raise UserError(f"{path} is damaged: its gzip cannot be unpacked ({error})") from error
    if unpack.unused_data and len(content) < most:
        raise UserError(f"{path} has {len(unpack.unused_data):,} bytes behind the end of its gzip")
    return content, unpack.eof


def _header(head: bytes, path: Path) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    if len(head) < 4 or head[:2] != b"\0\0":
        raise UserError(
            f"{path} is no IDX file: it should begin with 00 00, and begins with"
            f" {head[:4].hex(' ') or 'nothing'}"
        )
    if head[2] not in TYPES:
        known = ", ".join(f"{code:02x}" for code in TYPES)
        raise UserError(f"{path} is no IDX file: its type is {head[2]:02x}, and there is {known}")
    ndim = head[3]
    if ndim == 0:
        raise UserError(f"{path} is no IDX file: it has no dimensions")
    if len(head) < 4 + 4 * ndim:
        raise UserError(
            f"{path} is cut short: its header of {ndim} dimensions takes {4 + 4 * ndim} bytes,"
            f" there are {len(head)}"
        )
    if ndim > 8:
        raise UserError(f"{path} has {ndim} dimensions; no data set has more than 8")
    shape = np.frombuffer(head, ">u4", ndim, offset=4).tolist()
    return np.dtype(TYPES[head[2]]), tuple(shape)


def mnist() -> Dataset[Tensor]:
    """MNIST: handwritten digits, uint8 (60000, 1, 28, 28) and (10000, 1, 28, 28), light on dark."""
    return _images(obtain("mnist"), tuple("0123456789"))


def fashion_mnist() -> Dataset[Tensor]:
    """Fashion-MNIST: ten kinds of clothing in MNIST's form, uint8 (60000, 1, 28, 28) and (10000, 1,
    28, 28).
    """
    return _images(obtain("fashion-mnist"), FASHION)


def _images(found: Found, classes: tuple[str, ...]) -> Dataset[Tensor]:
    paths = [found.paths[file.name] for file in found.edition.files]
    if len(paths) == 2:
        train, test = (_table(path, len(classes)) for path in paths)
    else:
        a, b, c, d = paths
        train, test = _labelled(a, b, len(classes)), _labelled(c, d, len(classes))
    return Dataset(train, test, classes, f"{found.set.source}; {found.edition.name}")


def _table(path: Path, classes: int) -> Labelled[Tensor]:
    """A table of pixels as Kaggle has them: a label and 784 numbers a row, below a header or none.

    A byte order mark, blank lines and line ends of any kind do not matter.
    """
    try:
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first = lines.lstrip().partition(b"\n")[0]
        has_header = not first.lstrip(b'"')[:1].isdigit()
        if not first:
            raise ValueError("it is empty")
        values = np.loadtxt(
            BytesIO(lines),
            np.int64,
            delimiter=",",
            comments=None,
            quotechar='"',
            ndmin=2,
            skiprows=lines[: lines.find(first)].count(b"\n") + has_header,
        )
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(
            f"{path} should hold rows of a label and 784 whole numbers: {error}"
        ) from error
    if values.shape[1] != 785 or len(values) == 0:
        raise UserError(
            f"{path} should hold rows of a label and 784 numbers, and holds {len(values):,} rows of"
            f" {values.shape[1]}"
        )
    labels, pixels = values[:, 0], values[:, 1:]
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(f"{path} should hold labels from 0 to {classes - 1} in its first column")
    if pixels.min() < 0 or pixels.max() > 255:
        raise UserError(
            f"{path} should hold pixels from 0 to 255, and holds {pixels.min()} to {pixels.max()}"
        )
    images = torch.from_numpy(pixels.astype(np.uint8).reshape(-1, 1, 28, 28))
    return Labelled(images, torch.from_numpy(labels.copy()))


def _labelled(images: Path, labels: Path, classes: int) -> Labelled[Tensor]:
    x, y = read_idx(images), read_idx(labels)
    if x.dtype != torch.uint8 or x.shape[1:] != (28, 28):
        raise UserError(
            f"{images} should hold bytes (n, 28, 28), and holds {x.dtype} {tuple(x.shape)}"
        )
    if y.dtype != torch.uint8 or y.shape != x.shape[:1]:
        found = f"{y.dtype} {tuple(y.shape)}"
        raise UserError(
            f"{labels} should hold a label for each of the {len(x):,} images, and holds {found}"
        )
    if len(y) == 0 or int(y.max()) >= classes:
        raise UserError(f"{labels} should hold labels from 0 to {classes - 1}")
    return Labelled(x.unsqueeze(1), y.long())
