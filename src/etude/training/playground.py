"""Watching: a boundary as it forms, optimisers on their way, noise that becomes a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.colors import to_rgb
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from etude.demos import Frames, Image
from etude.figures.style import PALETTE
from etude.figures.walks import stills
from etude.training.diffusion import Process, lit, walked
from etude.training.surfaces import Make, Place, Surface, Walk

SIDE = 121  # pixels of a frame


def grow(
    points: Sequence[tuple[float, float, int]],
    net: nn.Module,
    *,
    rate: float = 0.02,
    steps: int = 240,
    frames: int = 48,
) -> Frames:
    """Train ``net`` on two classes of points from -1 to 1, all at every step, by Adam; a frame
    every few steps.

    Args:
        points: (x, y, class 0 or 1) of each.
        net: (n, 2) → (n, 1), the logit of class 1. Changed in place.
        rate: the learning rate.
        steps: of gradient descent.
        frames: pictures of the plane, evenly in time.
    """
    x = torch.tensor([point[:2] for point in points])
    label = torch.tensor([float(point[2]) for point in points])
    optimizer = torch.optim.Adam(net.parameters(), rate, fused=True)
    marks = _marks(x, label)
    axis = torch.linspace(-1, 1, SIDE)
    plane = torch.stack(torch.meshgrid(axis, axis.flip(0), indexing="xy"), -1).view(
        -1, 2
    )  # top row first
    images, captions = [], []
    for step in range(steps + 1):
        scores = net(x).squeeze(1)
        loss = binary_cross_entropy_with_logits(scores, label)
        if step % (steps // frames) == 0:
            with torch.no_grad():
                images.append(_picture(net(plane).sigmoid().view(SIDE, SIDE), marks))
            right = float(((scores > 0) == (label > 0.5)).double().mean())
            captions.append(f"step {step}: loss {loss.item():.3f}, {right:.0%} right")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Frames("What it has learned so far", images, captions, width=420, smooth=True)


def race(surface: Surface, start: Place, rules: Mapping[str, Make], steps: int = 300) -> Frames:
    """Optimisers that begin at one place, and where each is as time goes on.

    Args:
        surface: what they walk on.
        start: in the square from -1 to 1 that the surface's view is stretched over.
        rules: by name, each makes an optimiser from a list of parameters.
        steps: of each.
    """
    left, right, bottom, top = surface.view
    x, y = (start[0] + 1) / 2, (start[1] + 1) / 2
    place = torch.tensor(
        [left + x * (right - left), bottom + y * (top - bottom)], dtype=torch.double
    )
    walk = Walk(surface, place, rules)
    for _ in range(steps):
        walk.step()
    images, captions = stills(surface.loss, surface.view, surface.minima, walk.paths)
    return Frames("Their ways", images, captions, width=620, smooth=True)


def unmix(
    process: Process,
    net: nn.Module,
    noise: Tensor,
    label: int,
    steps: int,
    weight: float,
    nothing: int,
) -> Frames:
    """The way from one noise to a picture: what is there beside what the network thinks it will be,
    step by step.

    Args:
        process: says how to walk.
        net: takes x, time and labels.
        noise: (1, side, side).
        label: the class asked for.
        steps: of the walk.
        weight: of guidance.
        nothing: the label that stands for no class.
    """
    time, at, guess = walked(
        process, net, noise[None], torch.tensor([label]), steps, weight, nothing
    )
    gap = torch.zeros(len(time), noise.shape[1], max(1, noise.shape[2] // 8))
    ink = torch.cat([lit(at)[:, 0, 0], gap, lit(guess)[:, 0, 0]], dim=2)
    images = [(1 - picture).numpy() for picture in ink]  # black on white
    return Frames(
        "What is there, and what it guesses", images, [f"t = {t:.2f}" for t in time], width=440
    )


def _marks(x: Tensor, label: Tensor) -> Image:
    """The points on the plane: (SIDE, SIDE, 3), in the colour of their class with a white rim;
    elsewhere NaN.
    """
    marks = np.full((SIDE, SIDE, 3), np.nan)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    places = ((x.numpy() * [1, -1] + 1) / 2 * (SIDE - 1)).round()
    for (column, row), is_one in zip(places, label.numpy() > 0.5, strict=True):
        near = (rows - row) ** 2 + (columns - column) ** 2
        marks[near <= 7] = 1.0
        marks[near <= 4] = to_rgb(PALETTE[int(is_one)])
    return marks


def _picture(probability: Tensor, marks: Image) -> Image:
    """The plane shaded by the probability of class 1, and the points on it."""
    none, one = (np.array(to_rgb(colour)) for colour in PALETTE[:2])
    p = probability.numpy()[:, :, None]
    sure = np.abs(2 * p - 1)
    shaded: Image = np.where(
        np.isnan(marks),
        0.35 + 0.65 * (1 - sure) + sure * 0.65 * np.where(p > 0.5, one, none),
        marks,
    )
    return shaded.clip(0, 1)
