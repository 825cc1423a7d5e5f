"""Pictures of which more is told than one class: boxes with labels, and data sets in the three
parts they come in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from etude.errors import UserError

Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class Boxed:
    """Pictures and the boxes in them; rows are padded to the largest number of boxes.

    An index of rows gives those pictures, with a padding no wider than they need.

    Args:
        images: uint8 (n, 3, height, width).
        boxes: float32 (n, most, 4): left, top, right and bottom edge in pixels; zeros where there
            is none.
        labels: int64 (n, most): the class of each box, and -1 where there is none; boxes come
            first.
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
        """How many boxes each picture has. Shape: (n,)."""
        return (self.labels >= 0).sum(1)

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """``(images, boxes, labels)``: what a study hands on to ``Batches``."""
        return self.images, self.boxes, self.labels


@dataclass(frozen=True, eq=False)
class Parts(Generic[Part]):
    """A data set as its makers part it, the names of the classes, and in `source` what it is and
    who made it.
    """

    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...]
    source: str


def centred(images: Tensor) -> Tensor:
    """uint8 pictures, about centred and of about unit variance, as a network takes them."""
    return (images.float() - 118) / 64


def padded(rows: list[Tensor], value: float) -> Tensor:
    """Rows of different lengths, (lengths, …) each, in one tensor (n, longest, …), filled up with
    `value`.
    """
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
