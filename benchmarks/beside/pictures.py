"""Pictures as the peers get them: already decoded, and one by one with the transforms of
torchvision's documentation.

torchvision itself need not be there: its random crop, flip and affine map of a PIL image are a few
lines each.
"""

from __future__ import annotations

import gzip
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def folder(name: str) -> Path:
    """Where a data set lies."""
    if not (place := os.environ.get("ETUDE_DATA")):
        raise ModuleNotFoundError(name="ETUDE_DATA")
    return Path(place) / name


def mnist() -> tuple[Any, Any, Any, Any]:
    """Arrays: uint8 (60000, 28, 28), int64 (60000,), and those of the test."""
    import numpy as np

    def array(name: str, header: int) -> Any:
        return np.frombuffer(
            gzip.decompress((folder("mnist") / name).read_bytes()), np.uint8, offset=header
        )

    parts = []
    for part in ("train", "t10k"):
        parts.append(array(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28))
        parts.append(array(f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64))
    return parts[0], parts[1], parts[2], parts[3]


class Pictures:
    """A data set of PIL images, (height, width) or (height, width, 3), each changed when it is
    asked for.
    """

    def __init__(self, images: Any, labels: Any, *transforms: Callable[[Any], Any]) -> None:
        self.images, self.labels, self.transforms = images, labels, transforms

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        from PIL import Image

        picture: Any = Image.fromarray(self.images[row])
        for transform in self.transforms:
            picture = transform(picture)
        return picture, int(self.labels[row])


def to_tensor(picture: Any) -> Any:
    """Values from 0 to 1, (channels, height, width)."""
    import numpy as np
    import torch

    values = torch.from_numpy(np.array(picture, copy=True))
    values = values[None] if values.ndim == 2 else values.permute(2, 0, 1)
    return values.contiguous().float().div(255)


def normalize(mean: list[float], std: list[float]) -> Callable[[Any], Any]:
    """Channel by channel."""
    import torch

    middle, spread = torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None]
    return lambda values: values.sub(middle).div_(spread)


def random_crop(padding: int) -> Callable[[Any], Any]:
    """Padded with zeros, then cut to the old size."""
    import torch
    from PIL import ImageOps

    def crop(picture: Any) -> Any:
        width, height = picture.size
        padded = ImageOps.expand(picture, padding)
        top, left = (int(torch.randint(0, 2 * padding + 1, (1,))) for _ in range(2))
        return padded.crop((left, top, left + width, top + height))

    return crop


def random_flip(picture: Any) -> Any:
    """Left to right, one in two."""
    import torch
    from PIL import Image

    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if torch.rand(1) < 0.5 else picture


def random_affine(degrees: float, translate: float, zoom: float) -> Callable[[Any], Any]:
    """Turned, shifted by a part of the size, and scaled, about the centre; nearest neighbours, as
    is the default.
    """
    import torch
    from PIL import Image

    def draw(most: float) -> float:
        return float(torch.empty(1).uniform_(-most, most))

    def affine(picture: Any) -> Any:
        width, height = picture.size
        angle, scale = math.radians(draw(degrees)), 1 + draw(zoom)
        right, down = round(draw(translate * width)), round(draw(translate * height))
        cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
        x, y = width / 2, height / 2
        rows = (
            cos,
            sin,
            x - cos * (x + right) - sin * (y + down),
            -sin,
            cos,
            y + sin * (x + right) - cos * (y + down),
        )
        return picture.transform(
            picture.size, Image.Transform.AFFINE, rows, Image.Resampling.NEAREST, fillcolor=0
        )

    return affine
