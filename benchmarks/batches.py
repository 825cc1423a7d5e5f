"""How fast batches of augmented images come within a run: 28×28 uint8 pictures, 256 a batch, one
process.

``python benchmarks/batches.py [--repeat 5]``
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from torch import Generator, Tensor

import etude
from etude.training.augmentation import cutout, random_affine, random_crop, random_flip
from etude.training.batches import Batches

BATCHES = 200
CHANGES: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "to floating point": lambda x, g: x.float() / 255,
    "crop and flip": lambda x, g: random_flip(random_crop(x, g, 2), g).float() / 255,
    "crop and cutout": lambda x, g: cutout(random_crop(x, g, 2), g, 7).float() / 255,
    "turn, shift, zoom (affine)": lambda x, g: random_affine(x.float() / 255, g, 10, 1.5, 0.1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    images, labels = (
        torch.randint(256, (60_000, 1, 28, 28), dtype=torch.uint8),
        torch.randint(10, (60_000,)),
    )
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, median of {options.repeat}"
    )
    with tempfile.TemporaryDirectory() as folder, etude.Run("bench", root=folder, quiet=True):
        for name, change in CHANGES.items():
            batches = iter(Batches((images, labels), 256, augment=change))
            rates = []
            for _ in range(options.repeat + 1):
                began = time.perf_counter()
                for _ in range(BATCHES):
                    next(batches)
                rates.append(BATCHES * 256 / (time.perf_counter() - began))
            print(f"{name:<28} {statistics.median(rates[1:]):12,.0f} images/s")


if __name__ == "__main__":
    main()
