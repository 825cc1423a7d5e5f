"""BCCD: photographs of blood through a microscope, with a box around every cell (Pascal VOC's
layout).
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from etude.data.annotated import Boxed, Parts, pad_rows
from etude.data.archives import contents, picture
from etude.data.store import obtain
from etude.errors import UserError

BLOOD_CELLS = ("RBC", "WBC", "Platelets")
FILES = re.compile(
    r"BCCD/(Annotations/[^/]+\.xml|JPEGImages/[^/]+\.jpg|ImageSets/Main/(train|val|test)\.txt)"
)


def bccd(height: int = 240, width: int = 320) -> Parts[Boxed]:
    """Photographs of 640×480 pixels, scaled, with boxes around red cells, white cells and
    platelets.

    205 to train with, 87 to validate, 72 to test. Boxes are in pixels of the scaled picture.

    Raises
    ------
    UserError
        if a list, a photograph or its boxes are missing or damaged
    """
    found = obtain("bccd")
    files, place = contents(found, FILES)
    parts = {}
    for part in ("train", "val", "test"):
        name = f"BCCD/ImageSets/Main/{part}.txt"
        if not (names := files.get(name, b"").decode("utf-8", "replace").split()):
            raise UserError(
                f"{place} should hold a list {name} that names photographs, and does not"
            )
        rows = [_one(files, each, place, (height, width)) for each in names]
        images, boxes, labels = (list(column) for column in zip(*rows, strict=True))
        parts[part] = Boxed(torch.stack(images), pad_rows(boxes, 0), pad_rows(labels, -1))
    source = f"{found.set.source}; {found.edition.name}"
    return Parts(parts["train"], parts["val"], parts["test"], BLOOD_CELLS, source)


def _one(
    files: dict[str, bytes], name: str, place: str, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """One photograph, scaled, its boxes (n, 4) and labels (n,)."""
    photo, notes = f"BCCD/JPEGImages/{name}.jpg", f"BCCD/Annotations/{name}.xml"
    for each in (photo, notes):
        if each not in files:
            raise UserError(f"{place} should hold {each}, and does not")
    pixels = picture(files[photo], f"{place}:{photo}")
    old_height, old_width = pixels.shape[1:]
    boxes, labels = boxes_of_voc(files[notes], f"{place}:{notes}", BLOOD_CELLS)
    limits = torch.tensor([old_width, old_height] * 2)
    boxes = boxes.clamp_min(0).minimum(limits)
    seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    boxes = boxes[seen] * torch.tensor([size[1] / old_width, size[0] / old_height] * 2)
    pixels = (
        interpolate(pixels[None].float(), size, mode="bilinear", antialias=True)[0]
        .round()
        .clamp(0, 255)
        .byte()
    )
    return pixels, boxes, labels[seen]


def boxes_of_voc(content: bytes, name: str, classes: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Boxes (n, 4) and labels (n,) of one file in Pascal VOC's XML; its pixels count from 1 and
    include their last.

    A file with a document type or entities is refused unread, as a few lines of them can grow to
    fill the memory.

    Raises
    ------
    UserError
        if it is no such file, or names another class
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} should be text in UTF-8, and is not ({error.reason})") from error
    if "<!" in text.replace("<!--", ""):
        raise UserError(
            f"{name} declares a document type, entities or raw data, which annotations have no"
            " need of"
        )
    boxes, labels = [], []
    try:
        for item in ElementTree.fromstring(text).iter(
            "object"
        ):  # safe: no declarations, as seen above
            label = (item.findtext("name") or "").strip()
            if label not in classes:
                raise UserError(
                    f"{name} names the class '{label}'; expected one of {', '.join(classes)}"
                )
            left, top, right, bottom = (
                float(item.findtext(f"bndbox/{e}", "")) for e in ("xmin", "ymin", "xmax", "ymax")
            )
            boxes.append([left - 1, top - 1, right, bottom])
            labels.append(classes.index(label))
    except (ElementTree.ParseError, ValueError) as error:
        raise UserError(f"{name} is no annotation in Pascal VOC's XML ({error})") from error
    found = torch.tensor(boxes).view(-1, 4)
    if not found.isfinite().all():
        raise UserError(
            f"{name} has a box whose corners are no numbers that fp32 holds: {found.tolist()}"
        )
    return found, torch.tensor(labels, dtype=torch.int64)
