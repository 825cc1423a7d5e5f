"""Pictures of a game: its classes, its scores, and points on a ring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude import figures
from etude.figures import PALETTE, QUIET


def class_shares(sets: Mapping[str, Tensor], classes: int = 10) -> Figure:
    """The fraction of each class among several sets of pictures, as bars.

    Args:
        sets: name → labels, (pictures,).
        classes: how many there are.
    """
    shares = {name: x.bincount(minlength=classes).cpu() / len(x) for name, x in sets.items()}
    figure, (axes,) = figures.canvas(6.8, 3.2)
    width = 0.8 / len(shares)
    for i, (label, share) in enumerate(shares.items()):
        shift = (i - (len(shares) - 1) / 2) * width
        places = [k + shift for k in range(classes)]
        axes.bar(places, share.tolist(), width * 0.92, color=PALETTE[i], label=label)
    axes.axhline(1 / classes, color=QUIET, linewidth=0.8, zorder=0)
    axes.set_xticks(range(classes))
    axes.tick_params(axis="x", length=0)
    highest = max(float(share.max()) for share in shares.values())
    axes.set(ylabel="fraction of pictures", ylim=(0, 1.3 * highest))
    axes.legend(ncols=len(shares), loc="upper right")
    return figure


def score_histogram(sets: Mapping[str, Tensor], unit: str) -> Figure:
    """A histogram of the critic's scores for each of several sets of pictures.

    Args:
        sets: name → scores, (pictures,).
        unit: what a score is.
    """
    figure, (axes,) = figures.canvas(6.4, 3.4)
    everything = torch.cat([*sets.values()])
    limits = (float(everything.min()), float(everything.max()))
    for i, (name, values) in enumerate(sets.items()):
        label = f"{name}: mean {float(values.mean()):.2f}"
        style: dict[str, Any] = {"density": True, "alpha": 0.5, "color": PALETTE[i], "label": label}
        axes.hist(values.tolist(), bins=30, range=limits, **style)
    axes.set(title="scores by the critic", xlabel=unit, yticks=())
    axes.spines["left"].set_visible(False)
    axes.legend()
    return figure


def point_clouds(
    films: Mapping[str, Tensor], steps: Sequence[int], centres: Tensor, columns: int = 6
) -> Figure:
    """Generated points in the plane at several steps, a row for each loss.

    Args:
        films: loss → generated points, (steps, points, 2).
        steps: when they were generated.
        centres: of the clusters that the data have, (modes, 2).
        columns: how many of the steps are shown.
    """
    columns = min(columns, len(steps))
    size = (1.7 * columns + 0.4, 1.85 * len(films))
    figure, axes = figures.canvas(*size, len(films), columns)
    limits = (-1.6 * float(centres.abs().max()), 1.6 * float(centres.abs().max()))
    for row, (name, points) in enumerate(films.items()):
        for column in range(columns):
            index = (column + 1) * len(steps) // columns - 1
            cell = axes[row * columns + column]
            x, y = centres.T
            cell.scatter(x, y, s=70, facecolor="none", edgecolor=QUIET, linewidth=0.9)
            x, y = points[index].T
            cell.scatter(x, y, s=5, color=PALETTE[row], alpha=0.6, linewidth=0)
            cell.set(xlim=limits, ylim=limits, aspect="equal", xticks=(), yticks=())
            cell.spines[:].set_visible(False)
            cell.set_title(f"step {steps[index]:,}", loc="center", fontsize=9)
        axes[row * columns].set_ylabel(name)
    return figure
