"""Digits for what students train: MNIST, or the small digits of UCI enlarged to its size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from etude.exercises.checks import Value, array_of, require, shape_of
from etude.exercises.work import Work, evidence

SIDE = 28


@dataclass(frozen=True)
class Digits:
    """Pictures, uint8 (N, 28, 28), and their classes, (N,), in two parts."""

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


@cache
def stored(scale: str) -> Digits:
    """The digits as they are published.

    Raises:
        UserError: MNIST is not on this machine, and can't be had.
    """
    from etude import data

    found = data.mnist() if scale == "full" else data.uci_digits()
    parts: list[np.ndarray] = []
    for part in (found.train, found.test):
        images = part.inputs[:, 0].numpy()
        if scale != "full":
            large = images.repeat(3, 1).repeat(3, 2).astype(np.float64) * 255 / 16
            images = np.pad(large, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
        parts += [images, part.labels.numpy()]
    return Digits(*parts)


@evidence
def drawn(work: Work) -> Digits:
    """The digits for one student: in an order of their own, and each pixel a little off, so that no
    picture is one that the student has seen.
    """
    found = stored(work.scale)
    rng = work.rng("digits")
    parts: list[np.ndarray] = []
    for images, labels in (
        (found.images, found.labels),
        (found.test_images, found.test_labels),
    ):
        order = rng.permutation(len(images))
        off = rng.integers(-2, 3, images.shape, np.int8)
        moved = np.clip(images[order].astype(np.int16) + off, 0, 255).astype(np.uint8)
        parts += [moved, labels[order]]
    return Digits(*parts)


def accuracy(found: Value, labels: np.ndarray) -> float:
    """How many predictions are right, of classes (N,) or of scores (N, 10).

    Raises:
        Failure: they are neither.
    """
    shape = shape_of(found, "what predict returns")
    scores = shape == (len(labels), 10)
    array = array_of(found, shape if scores else labels.shape, "what predict returns")
    if scores:
        require(bool(np.isfinite(array).all()), "predict returns scores that are no numbers")
        array = array.argmax(1)
    return float((array == labels).mean())
