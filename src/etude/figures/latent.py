"""Codes of pictures: what they stand for, where they lie, and what they cost."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures.style import INK, PALETTE, canvas

CELL = 0.5  # inches, of a small picture


def mosaic(panels: Mapping[str, Tensor], labels: Sequence[str] = ()) -> Figure:
    """Blocks of small pictures, side by side.

    Args:
        panels: title → (rows, columns, side²), from 0 to 1; all of one shape.
        labels: of the rows, or none.
    """
    rows, columns, pixels = next(iter(panels.values())).shape
    side = math.isqrt(pixels)
    margin = 0.09 * max(map(len, labels), default=0)
    figure, axes = canvas(
        CELL * columns * len(panels) + 0.3 + margin, CELL * rows + 0.45, 1, len(panels)
    )
    for cell, (title, block) in zip(axes, panels.items(), strict=True):
        cell.imshow(tiled(block).numpy(), cmap="gray_r", vmin=0, vmax=1)
        cell.set(title=title, xticks=(), yticks=())
        cell.spines[:].set_visible(False)
    if labels:
        axes[0].set_yticks([(side + 1) * row + (side - 1) / 2 for row in range(rows)], labels)
        axes[0].tick_params(axis="y", length=0)
    return figure


def tiled(pictures: Tensor) -> Tensor:
    """One large picture of many, (rows, columns, side²) → (height, width), with lines of NaN
    between them.
    """
    rows, columns, pixels = pictures.shape
    side = math.isqrt(pixels)
    framed = torch.full((rows, columns, side + 1, side + 1), torch.nan)
    framed[..., :side, :side] = pictures.cpu().view(rows, columns, side, side)
    return framed.transpose(1, 2).reshape(rows * (side + 1), columns * (side + 1))[:-1, :-1]


def latent_map(codes: Tensor, labels: Tensor, manifold: Tensor, places: Tensor) -> Figure:
    """Where pictures lie in a plane of codes, and what the places of the plane stand for.

    Args:
        codes: (rows, 2).
        labels: (rows,), digits.
        manifold: (n, n, side²), the pictures of n × n places, from 0 to 1; the first row is the
            topmost.
        places: (n,), where they are on either axis, from low to high.
    """
    figure, (left, right) = canvas(10.0, 5.0, columns=2)
    for k in range(10):
        own = codes[labels == k].cpu().numpy()
        left.scatter(
            own[:, 0], own[:, 1], s=9, color=PALETTE[k], linewidth=0, alpha=0.55, rasterized=True
        )
        left.annotate(
            str(k),
            np.median(own, axis=0),
            ha="center",
            va="center",
            fontsize=12,
            color="white",
            weight="bold",
            bbox={"boxstyle": "circle,pad=0.2", "facecolor": PALETTE[k], "edgecolor": "white"},
        )
    reach = max(3.0, float(codes.abs().max()) + 0.2)
    left.set(
        xlim=(-reach, reach),
        ylim=(-reach, reach),
        aspect="equal",
        xlabel="$z_1$",
        ylabel="$z_2$",
        title="mean codes of test images, by class",
    )
    right.imshow(tiled(manifold).numpy(), cmap="gray_r", vmin=0, vmax=1)
    side, n = math.isqrt(manifold.shape[-1]) + 1, len(places)
    shown = range(0, n, max(1, (n - 1) // 4))
    names = [f"{float(places[i]):.1f}".replace("-", "−") for i in shown]
    right.set_xticks([side * i + side / 2 - 1 for i in shown], names)
    right.set_yticks([side * (n - 1 - i) + side / 2 - 1 for i in shown], names)
    right.set(
        xlabel="$z_1$", ylabel="$z_2$", title="what is decoded there; steps of equal probability"
    )
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    return figure


def rate_distortion(points: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Nats for the code against nats for the picture given its code; on the straight lines their
    sum is the same.

    Args:
        points: price → (rates, distortions), one of each a seed; the means are joined in the order
    given.
    """
    figure, (axes,) = canvas(6.4, 4.6)
    means = {name: (statistics.fmean(r), statistics.fmean(d)) for name, (r, d) in points.items()}
    x, y = zip(*means.values(), strict=True)
    best = min(map(sum, means.values()))
    width, height = max(x) - min(x), max(y) - min(y)
    axes.set(
        xlim=(-0.05 * width, max(x) + 0.15 * width),
        ylim=(min(y) - 0.15 * height, max(y) + 0.12 * height),
    )
    for farther in range(0, 20 * (1 + round(width + height) // 10), 10):
        style: dict[str, Any] = {"color": "#e6e8eb", "linewidth": 1.0}
        if not farther:
            style = {
                "color": INK,
                "linewidth": 1.1,
                "linestyle": (0, (4, 3)),
                "label": f"R + D = {best:.1f}, the least",
            }
        axes.axline((0, best + farther), slope=-1, zorder=0, **style)
    axes.plot(x, y, color=PALETTE[0], linewidth=1.4, zorder=2)
    for name, (rates, distortions) in points.items():
        colour = PALETTE[0] if sum(means[name]) > best else PALETTE[1]
        axes.scatter(rates, distortions, s=14, color=colour, alpha=0.35, linewidth=0, zorder=3)
        axes.scatter(*means[name], s=44, color=colour, edgecolor="white", linewidth=0.8, zorder=4)
        axes.annotate(name, means[name], (8, 4), textcoords="offset points", color=INK, fontsize=9)
    axes.set(
        xlabel="rate R in nats: the code",
        ylabel="distortion D in nats: the picture, given its code",
    )
    axes.legend(loc="upper right")
    return figure
