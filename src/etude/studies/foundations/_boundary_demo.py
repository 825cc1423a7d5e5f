"""The boundary of a small classifier as it forms: what the pages of spirals and circle show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.colors import to_rgb
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from etude import figures
from etude.demos import Frames, Image

SIDE = 121  # pixels of a frame
Point = tuple[float, float, int]  # x and y, from -1 to 1, and the class, 0 or 1


def clickable(x: Tensor, label: Tensor) -> list[Point]:
    """Points and their classes as the page's control takes them, scaled to the square from -1 to 1.

    Args:
        x: (points, 2).
        label: (points,), 0 or 1.
    """
    scaled = (x / x.abs().max()).tolist()
    return [(x1, x2, int(one)) for (x1, x2), one in zip(scaled, label, strict=True)]


def boundary_frames(
    points: Sequence[Point],
    net: nn.Module,
    *,
    learning_rate: float = 0.02,
    steps: int = 240,
    frames: int = 48,
) -> Frames:
    """Train a network on two classes of points by Adam, and show the plane every few steps.

    Args:
        points: the training points, all of which are used at every step.
        net: gives the logit of class 1 for each point, (n, 2) → (n, 1). It is changed in place.
        learning_rate: the learning rate of Adam.
        steps: steps of gradient descent.
        frames: pictures of the plane, at equal distances in time, besides the first.
    """
    x = torch.tensor([point[:2] for point in points])
    label = torch.tensor([float(point[2]) for point in points])
    optimizer = torch.optim.Adam(net.parameters(), learning_rate, fused=True)

    axis = torch.linspace(-1, 1, SIDE)
    grid = torch.meshgrid(axis, axis.flip(0), indexing="xy")  # the top row first
    plane = torch.stack(grid, -1).view(-1, 2)
    dots = _dots(x, label)

    images, captions = [], []
    for step in range(steps + 1):
        logits = net(x).squeeze(1)
        loss = binary_cross_entropy_with_logits(logits, label)
        if step % (steps // frames) == 0:
            with torch.no_grad():
                probability = net(plane).sigmoid().view(SIDE, SIDE)
            correct = ((logits > 0) == (label > 0.5)).double().mean().item()
            images.append(_picture(probability, dots))
            captions.append(f"step {step}: loss {loss.item():.3f}, {correct:.0%} right")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Frames("What it has learned so far", images, captions, width=420, smooth=True)


def _dots(x: Tensor, label: Tensor) -> Image:
    """The points as dots in the colours of their classes with a white rim; NaN elsewhere.

    Shape: (SIDE, SIDE, 3).
    """
    dots = np.full((SIDE, SIDE, 3), np.nan)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pixels = ((x.numpy() * [1, -1] + 1) / 2 * (SIDE - 1)).round()
    for (column, row), one in zip(pixels, label.numpy() > 0.5, strict=True):
        squared_distance = (rows - row) ** 2 + (columns - column) ** 2
        dots[squared_distance <= 7] = 1.0
        dots[squared_distance <= 4] = to_rgb(figures.PALETTE[int(one)])
    return dots


def _picture(probability: Tensor, dots: Image) -> Image:
    """The plane, shaded by the probability of class 1, and the points on it: (SIDE, SIDE, 3)."""
    colour_0, colour_1 = (np.array(to_rgb(colour)) for colour in figures.PALETTE[:2])
    p = probability.numpy()[:, :, None]
    confidence = np.abs(2 * p - 1)
    colour = np.where(p > 0.5, colour_1, colour_0)
    shade = 1 - 0.65 * confidence + 0.65 * confidence * colour
    picture: Image = np.where(np.isnan(dots), shade, dots)
    return picture.clip(0, 1)
