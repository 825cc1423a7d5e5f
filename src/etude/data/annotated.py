"""Pictures annotated with boxes, and data sets that come in three parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from etude.errors import UserError

Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class Boxed:
    """Pictures and the boxes in them, padded to the largest number of boxes in a picture.

    Indexing with rows gives those pictures, padded no further than they need.

    Args:
        images: uint8 (n, 3, height, width).
        boxes: Left, top, right and bottom edge of each box in pixels, float32 (n, most, 4). Boxes
            come first; the padding is zero.
        labels: Class of each box, int64 (n, most); the padding is -1.
    """

    images: Tensor
    boxes: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.boxes.shape != (*self.labels.shape, 4) or len(self.images) != len(self.labels):
            shapes = ", ".join(str(tuple(t.shape)) for t in (self.images, self.boxes, self.labels))
            raise UserError(f"pictures, boxes and labels do not fit together: they are {shapes}")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor | slice) -> Boxed:
        labels = self.labels[rows]
        most = int((labels >= 0).sum(1).max()) if len(labels) else 0
        return Boxed(self.images[rows], self.boxes[rows][:, :most], labels[:, :most])

    @property
    def counts(self) -> Tensor:
        """The number of boxes in each picture, (n,)."""
        return (self.labels >= 0).sum(1)

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """``(images, boxes, labels)``, the columns for ``Batches``."""
        return self.images, self.boxes, self.labels


@dataclass(frozen=True, eq=False)
class Parts(Generic[Part]):
    """A data set in the parts of its authors, names of its classes, and its source in words."""

    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...]
    source: str


def centre(images: Tensor) -> Tensor:
    """uint8 pictures as numbers with a mean near 0 and a variance near 1, for a network."""
    return (images.float() - 118) / 64


def pad_rows(rows: list[Tensor], value: float) -> Tensor:
    """Rows of different lengths, (length, …) each, padded with ``value``: (n, longest, …)."""
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
