"""An independent test set: digits that are drawn by strokes, each a little otherwise."""

from __future__ import annotations

import numpy as np

SIDE = 28


def independent(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, uint8 (n, 28, 28), and their classes, (n,).

    Each is one of the ways in which people write a digit (:data:`etude.networks.strokes.DRAWINGS`),
    turned, slanted, stretched and wavering, with a pen of some width, in MNIST's frame: 20 pixels
    high or wide, its centre of mass in the middle.
    """
    from etude.networks.strokes import DRAWINGS, drawing

    known = {k: [drawing(text).numpy() for text in texts] for k, texts in DRAWINGS.items()}
    labels = rng.integers(10, size=n)
    images = np.zeros((n, SIDE, SIDE), np.uint8)
    for row, label in enumerate(labels):
        points = known[int(label)][int(rng.integers(len(known[int(label)])))] - 0.5  # (P, 2)
        along = np.linspace(0, 2 * np.pi, len(points))[:, None]
        waver = 0.03 * np.sin(along * rng.uniform(0.5, 2, (1, 2)) + rng.uniform(0, 6.3, (1, 2)))
        turn, slant = rng.normal(0, 0.12), rng.normal(0, 0.15)
        shape = np.array([[0.7 * rng.uniform(0.8, 1.2), 0.0], [slant, 1.0]])
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        points = (points + waver) @ shape @ rotation
        points = points / np.ptp(points, axis=0).max() * 18  # pixels
        points -= (points.max(0) + points.min(0)) / 2
        images[row] = inked(points, rng.uniform(0.9, 1.7))
    return images, labels


def inked(points: np.ndarray, pen: float) -> np.ndarray:
    """A line through points (P, 2), in pixels from the middle, as a picture."""
    place = np.arange(SIDE) - (SIDE - 1) / 2
    for _ in range(2):
        across, down = place - points[:, :1], place - points[:, 1:]  # (P, side) each
        distance = np.sqrt((across[:, None, :] ** 2 + down[:, :, None] ** 2).min(0))
        ink = 1 / (1 + np.exp(-3 * (pen - distance)))
        centre = np.array([(ink.sum(0) * place).sum(), (ink.sum(1) * place).sum()]) / ink.sum()
        points = points - centre
    return np.asarray((ink * 255).astype(np.uint8))
