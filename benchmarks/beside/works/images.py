"""How fast batches of augmented pictures come."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

from benchmarks.beside.work import Contender, Measured, Work, median_seconds

BATCH, ROWS = 256, 10_000
TURN, SHIFT, ZOOM = 10.0, 0.05, 0.1  # degrees, part of the size, part of the size


def _drawn(seed: int, channels: int, side: int) -> tuple[Any, Any]:
    """uint8 (rows, channels, side, side), and labels."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(
        256, (ROWS, channels, side, side), dtype=torch.uint8, generator=generator
    )
    return images, torch.randint(10, (ROWS,), generator=generator)


def _etude(change: str) -> Contender:
    def run(seed: int) -> Measured:
        import etude
        from etude.training.augmentation import random_affine, random_crop, random_flip
        from etude.training.batches import Batches

        def crop(x: Any, generator: Any) -> Any:
            return random_flip(random_crop(x, generator, 4), generator).float().div_(255)

        def affine(x: Any, generator: Any) -> Any:
            return random_affine(x.float().div_(255), generator, TURN, SHIFT * x.shape[-1], ZOOM)

        columns = _drawn(seed, *((3, 32) if change == "crop" else (1, 28)))
        with (
            tempfile.TemporaryDirectory() as folder,
            etude.Run("bench", seed=seed, root=folder, quiet=True),
        ):
            batches = iter(
                Batches(columns, BATCH, augment=crop if change == "crop" else affine, seed=seed)
            )
            return Measured(BATCH / median_seconds(lambda: next(batches)))

    return run


def _loader(change: str, workers: int) -> Contender:
    """PIL images from a data set, as torchvision's are; so many worker processes."""

    def run(seed: int) -> Measured:
        import time

        import torch
        from benchmarks.beside.pictures import (
            Pictures,
            random_affine,
            random_crop,
            random_flip,
            to_tensor,
        )
        from torch.utils.data import DataLoader

        torch.manual_seed(seed)
        images, labels = _drawn(seed, *((3, 32) if change == "crop" else (1, 28)))
        array = images.permute(0, 2, 3, 1).squeeze(3).numpy()
        changes = (
            [random_crop(4), random_flip]
            if change == "crop"
            else [random_affine(TURN, SHIFT, ZOOM)]
        )
        rows: Any = Pictures(array, labels.numpy(), *changes, to_tensor)
        loader = DataLoader(
            rows, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        for _ in loader:  # starts the workers
            pass
        began = time.perf_counter()
        for _ in loader:
            pass
        return Measured(ROWS / (time.perf_counter() - began))

    return run


def _works() -> Iterator[Work]:
    for change, title in {
        "crop": "32×32 in colour, crop and flip",
        "affine": "28×28 in grey, affine",
    }.items():
        yield Work(
            f"batches-{change}",
            f"batches of augmented pictures: {title}",
            "pictures/s",
            "≥ 20 ×",
            {
                "etude": _etude(change),
                "DataLoader": _loader(change, 0),
                "DataLoader, 2 workers": _loader(change, 2),
            },
            note=(
                "Batches of 256 of floating-point numbers from bytes in memory. Etude changes a"
                " whole batch in a few tensor operations; the others change one PIL image after"
                " another, as torchvision's transforms do."
                + (
                    ""
                    if change == "crop"
                    else " Etude interpolates, the transforms take the nearest pixel by default."
                )
            ),
        )


WORKS = [*_works()]
