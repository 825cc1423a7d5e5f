"""Small grey pictures side by side, as a print and as a film."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from torch import Tensor

from etude import figures

CELL = 0.5  # inches, the side of a small picture


def mosaic(
    panels: Mapping[str, Tensor],
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    xlabel: str = "",
) -> Figure:
    """Blocks of small pictures, side by side.

    Args:
        panels: title → pictures, (rows, columns, side²), from 0 to 1; all of one shape.
        rows: the name of each row, or none.
        columns: the name of each column, written below every block, or none.
        xlabel: what the columns' names mean.
    """
    height, width, pixels = next(iter(panels.values())).shape
    side = math.isqrt(pixels)
    margin = 0.09 * max(map(len, rows), default=0)
    below = (0.25 if columns else 0) + (0.25 if xlabel else 0)
    size = (CELL * width * len(panels) + 0.3 + margin, CELL * height + 0.45 + below)
    figure, axes = figures.canvas(*size, 1, len(panels))
    for cell, (title, block) in zip(axes, panels.items(), strict=True):
        cell.imshow(tile(block).numpy(), cmap="gray_r", vmin=0, vmax=1)
        cell.set(title=title, xticks=(), yticks=(), xlabel=xlabel)
        cell.spines[:].set_visible(False)
        if columns:
            cell.set_xticks(centres(side, width), columns, fontsize=9)
            cell.tick_params(axis="x", length=0)
    if rows:
        axes[0].set_yticks(centres(side, height), rows)
        axes[0].tick_params(axis="y", length=0)
    return figure


def centres(side: int, n: int) -> list[float]:
    """Where the middle of each of ``n`` pictures in a row is, in pixels of :func:`tile`."""
    return [(side + 1) * i + (side - 1) / 2 for i in range(n)]


def tile(pictures: Tensor) -> Tensor:
    """One large picture of many, (rows, columns, side²) → (height, width), divided by NaNs."""
    rows, columns, pixels = pictures.shape
    side = math.isqrt(pixels)
    framed = torch.full((rows, columns, side + 1, side + 1), torch.nan)
    framed[..., :side, :side] = pictures.cpu().view(rows, columns, side, side)
    return framed.transpose(1, 2).reshape(rows * (side + 1), columns * (side + 1))[:-1, :-1]


def mosaic_film(frames: Tensor, captions: Sequence[str], hold: int = 0) -> figures.Film:
    """A block of small pictures that changes from frame to frame.

    Args:
        frames: the pictures, (frames, rows, columns, side²), from 0 to 1.
        captions: the title of each frame.
        hold: for how many frames the last one is repeated.
    """
    _, rows, columns, _ = frames.shape
    figure, (axes,) = figures.canvas(CELL * columns + 0.3, CELL * rows + 0.45)
    image = axes.imshow(tile(frames[0]).numpy(), cmap="gray_r", vmin=0, vmax=1)
    axes.set(xticks=(), yticks=(), title=captions[0])
    axes.spines[:].set_visible(False)

    def draw(frame: int) -> list[Artist]:
        shown = min(frame, len(frames) - 1)
        image.set_data(tile(frames[shown]).numpy())
        return [image, axes.set_title(captions[shown])]

    return figures.Film(figure, draw, len(frames) + hold)
