"""CamVid: street scenes seen from a car, every pixel with one of eleven classes, at 240×180
pixels.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from etude.data.annotated import Parts
from etude.data.archives import contents, picture
from etude.data.labelled import Labelled
from etude.data.store import obtain
from etude.errors import UserError

CAMVID = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
UNLABELLED = 11  # in the files
IGNORED = 255  # here: a pixel that counts neither in training nor in a measurement
SIZE = (240, 180)
FILES = re.compile(r"[^/]+/((train|val|test)(annot)?/[^/]+\.(png|jpg)|(train|val|test)\.txt)")


def camvid() -> Parts[Labelled[Tensor]]:
    """Frames uint8 (n, 3, 180, 240) and the class of each pixel, uint8 (n, 180, 240), 255 where
    none is told.

    The lists name 367 frames to train with, 101 to validate and 233 to test. Larger ones, of
    480×360 pixels, are halved as they are read: colours are averaged over 2×2 pixels, and of the
    labels every second one is kept.

    Raises
    ------
    UserError
        if a list, a frame or its labels are missing, damaged or of another size
    """
    found = obtain("camvid")
    files, place = contents(found, FILES)
    parts = {}
    for part in ("train", "val", "test"):
        pairs = _listed(files, part, place)
        frames, labels = zip(*(_pair(files, pair, place) for pair in pairs), strict=True)
        parts[part] = Labelled(torch.stack(frames), torch.stack(labels))
    source = f"{found.set.source}; {found.edition.name}"
    return Parts(parts["train"], parts["val"], parts["test"], CAMVID, source)


def _listed(files: dict[str, bytes], part: str, place: str) -> list[tuple[str, str]]:
    """The names of frames and of their labels, as ``<part>.txt`` has them; of a path its last two
    parts count.
    """
    name = next((name for name in files if name.endswith(f"/{part}.txt")), None)
    if name is None:
        raise UserError(f"{place} should hold a list {part}.txt, and does not")
    root = name.rpartition("/")[0]
    pairs = []
    for number, line in enumerate(files[name].decode("utf-8", "replace").splitlines(), 1):
        words = ["/".join(word.split("/")[-2:]) for word in line.split()]
        if len(words) == 2:
            pairs.append((f"{root}/{words[0]}", f"{root}/{words[1]}"))
        elif words:
            raise UserError(
                f"{place}:{name} line {number} should name a frame and its labels, and has"
                f" {len(words)} words"
            )
    if not pairs:
        raise UserError(f"{place}:{name} names no frames")
    return pairs


def _pair(files: dict[str, bytes], names: tuple[str, str], place: str) -> tuple[Tensor, Tensor]:
    for name in names:
        if name not in files:
            raise UserError(f"{place} should hold {name}, which its list names, and does not")
    frame = picture(files[names[0]], f"{place}:{names[0]}")
    labels = picture(files[names[1]], f"{place}:{names[1]}", colour=False)
    if frame.shape[1:] != labels.shape:
        raise UserError(
            f"{place}:{names[1]} is {tuple(labels.shape)}, and its frame {tuple(frame.shape[1:])}"
        )
    if labels.shape == (2 * SIZE[1], 2 * SIZE[0]):
        frame, labels = avg_pool2d(frame.float(), 2).round().byte(), labels[::2, ::2]
    if labels.shape != (SIZE[1], SIZE[0]):
        raise UserError(
            f"{place}:{names[0]} should have 240×180 or 480×360 pixels, and is"
            f" {tuple(labels.shape)}"
        )
    if int(labels.max()) > UNLABELLED:
        raise UserError(
            f"{place}:{names[1]} should hold numbers from 0 to 11, and holds {int(labels.max())}"
        )
    return frame, labels.masked_fill(labels == UNLABELLED, IGNORED)
