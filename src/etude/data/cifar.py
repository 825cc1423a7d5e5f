"""CIFAR-10 and CIFAR-100: the official archive, its folder, its batches (also .xz), and a subset in
PNG.
"""

from __future__ import annotations

import io
import lzma
import re
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.data.archives import UNREADABLE, Member, members
from etude.data.labelled import Dataset, Labelled
from etude.data.store import Found, obtain
from etude.data.unpickling import read_pickle
from etude.errors import UserError

CIFAR_10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
CIFAR_100 = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
    cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
    lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
    oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
    possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
    spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
    train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split()
)
LARGEST = 1 << 28  # bytes of one file inside an archive; the largest official one has 155 MB
XZ_MEMORY = 1 << 29  # bytes that unpacking an .xz may take


def cifar10() -> Dataset[Tensor]:
    """CIFAR-10: small colour photographs, uint8 (50000, 3, 32, 32) and (10000, 3, 32, 32), in the
    official order.
    """
    found = obtain("cifar-10")
    parts = [f"data_batch_{i}" for i in range(1, 6)]
    batches = _contents(
        found, [*parts, "test_batch"], lambda content, path: _batch(content, path, "labels", 10)
    )
    train = [batches[part] for part in parts]
    together = Labelled(
        torch.cat([each.inputs for each in train]), torch.cat([each.labels for each in train])
    )
    return Dataset(
        together, batches["test_batch"], CIFAR_10, f"{found.set.source}; {found.edition.name}"
    )


def cifar100() -> Dataset[Tensor]:
    """CIFAR-100, 100 fine classes: uint8 (50000, 3, 32, 32) and (10000, 3, 32, 32), or a subset, as
    `source` says.
    """
    found = obtain("cifar-100")
    if not found.edition.complete:
        return _png_subset(found)
    read = _contents(
        found, ["train", "test", "meta"], lambda content, path: _cifar_100(content, path)
    )
    classes = read["meta"]
    return Dataset(
        read["train"], read["test"], classes, f"{found.set.source}; {found.edition.name}"
    )


def _cifar_100(content: bytes, path: str) -> Any:
    if not path.endswith("meta"):
        return _batch(content, path, "fine_labels", 100)
    names = read_pickle(content, path).get("fine_label_names")
    if not isinstance(names, list) or len(names) != 100:
        raise UserError(f"{path} should name 100 classes under 'fine_label_names', and does not")
    return tuple(name.decode("latin-1") if isinstance(name, bytes) else str(name) for name in names)


def _batch(content: bytes, path: str, labels: str, classes: int) -> Labelled[Tensor]:
    """One pickled batch: ``data`` bytes (n, 3072), the planes red, green, blue; `labels` a list of
    n numbers.
    """
    batch = read_pickle(content, path)
    x, y = batch.get("data"), batch.get(labels)
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.ndim != 2 or x.shape[1] != 3072:
        what = f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        raise UserError(f"{path} should hold bytes (n, 3072) under 'data', and holds {what}")
    if (
        not isinstance(y, list)
        or len(y) != len(x)
        or not all(type(k) is int and 0 <= k < classes for k in y)
    ):
        raise UserError(
            f"{path} should hold {len(x):,} labels from 0 to {classes - 1} under '{labels}', and"
            " does not"
        )
    return Labelled(torch.from_numpy(x.reshape(-1, 3, 32, 32).copy()), torch.tensor(y))


def _contents(found: Found, parts: list[str], read: Any) -> dict[str, Any]:
    """``{part: read(content, name for messages)}``, from the archive as a stream, or from files,
    side by side.
    """
    if len(found.paths) == 1:
        (path,) = found.paths.values()
        values = {}
        folder = "cifar-10-batches-py" if found.set.name == "cifar-10" else "cifar-100-python"
        for name, content in _members(path, {f"{folder}/{part}" for part in parts}):
            values[PurePosixPath(name).name] = read(content, f"{path}:{name}")
        if missing := [part for part in parts if part not in values]:
            raise UserError(f"{path} should hold {folder}/{missing[0]}, and does not")
        return values
    paths = {PurePosixPath(name).name: path for name, path in found.paths.items()}
    with ThreadPoolExecutor() as pool:  # unpacking releases the interpreter
        return dict(
            zip(
                parts,
                pool.map(lambda part: read(_file(paths[part]), str(paths[part])), parts),
                strict=True,
            )
        )


def _file(path: Path) -> bytes:
    """A file whole; unpacked if its name ends in .xz."""
    with _reading(path):
        content = path.read_bytes()
        if path.suffix != ".xz":
            return content
        unpack = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
        content = unpack.decompress(content, LARGEST)
        if not unpack.eof:
            raise EOFError(f"it is cut short, or has more than {LARGEST >> 20} MiB")
        return content


def _members(path: Path, wanted: set[str] | re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
    """The wanted regular files of a .tar.gz, read as they pass by: nothing is written to disk, no
    link is followed.
    """
    ours = (
        wanted.__contains__
        if isinstance(wanted, set)
        else lambda name: wanted.fullmatch(name) is not None
    )
    with _reading(path), tarfile.open(path, "r|gz", tarinfo=Member) as archive:
        yield from members(archive, path, ours, LARGEST)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise UserError(f"{path} is damaged or cut short ({error})") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def _png_subset(found: Found) -> Dataset[Tensor]:
    """``<folder>/{train,test}/<class>/<name>.png``, classes in alphabetical order, which is the
    official one.
    """
    (path,) = found.paths.values()
    images: dict[str, list[tuple[str, str, np.ndarray[Any, Any]]]] = {"train": [], "test": []}
    for name, content in _members(path, re.compile(r"[^/]+/(train|test)/[a-z_]+/[^/]+\.png")):
        _, part, label, file = name.split("/")
        images[part].append((label, file, _png(content, f"{path}:{name}")))
    classes = tuple(sorted({label for part in images.values() for label, _, _ in part}))
    if len(classes) != 100 or not all(images.values()):
        raise UserError(
            f"{path} should hold train/ and test/ images of 100 classes, and holds {len(classes)}"
            " classes"
        )
    number = {label: k for k, label in enumerate(classes)}
    train, test = (
        Labelled(
            torch.from_numpy(np.stack([x for _, _, x in part])).permute(0, 3, 1, 2).contiguous(),
            torch.tensor([number[label] for label, _, _ in part]),
        )
        for part in (sorted(images[part], key=lambda each: each[:2]) for part in ("train", "test"))
    )
    size = f"subset of {len(train):,} training and {len(test):,} test images (PNG)"
    return Dataset(train, test, classes, f"{found.set.source}; {size}")


def _png(content: bytes, name: str) -> np.ndarray[Any, Any]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.size != (32, 32) or image.mode != "RGB":
                raise UserError(
                    f"{name} should be RGB of 32×32 pixels, and is {image.mode} of"
                    f" {image.width}×{image.height}"
                )
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{name} is no PNG that can be read ({error})") from error
