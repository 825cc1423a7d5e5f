"""Pictures of linear classifiers: coefficients, decision regions, the Hessian's eigenvalues."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures import INK, PALETTE, canvas


def signed_bars(panels: Mapping[str, Tensor], items: Sequence[str], measure: str) -> Figure:
    """Signed numbers as bars to the left and right of zero; the panels share items and scale.

    Args:
        panels: ``{title: values}``, values (items,).
        items: names of the items, from top to bottom.
        measure: what the length of a bar is.
    """
    figure, axes = canvas(2.2 + 2.5 * len(panels), 1.2 + 0.27 * len(items), columns=len(panels))
    most = 1.08 * max(float(values.abs().max()) for values in panels.values())
    for number, (panel, (title, values)) in enumerate(zip(axes, panels.items(), strict=True)):
        colours = [PALETTE[0] if value < 0 else PALETTE[1] for value in values]
        panel.barh(range(len(items)), values.tolist(), height=0.7, color=colours, alpha=0.85)
        panel.axvline(0, color=INK, linewidth=0.8)
        panel.set_yticks(range(len(items)), items if number == 0 else [""] * len(items))
        panel.set(title=title, xlim=(-most, most), ylim=(len(items) - 0.4, -0.6))
        panel.spines["left"].set_visible(False)
        panel.tick_params(axis="y", length=0)
        panel.grid(visible=True, axis="x")
        panel.set_axisbelow(True)
    figure.supxlabel(measure, fontsize=10)
    return figure


def spectra(panels: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Eigenvalues of symmetric matrices, the largest first; those that are zero but for rounding
    are drawn hollow, at the bottom.

    Args:
        panels: ``{title: {name of the matrix: eigenvalues}}``, eigenvalues (n,).
    """
    figure, axes = canvas(4.7 * len(panels), 3.8, columns=len(panels))
    for axis, (title, matrices) in zip(axes, panels.items(), strict=True):
        largest = max(float(values.max()) for values in matrices.values())
        real = [v for values in matrices.values() for v in values.tolist() if v > 1e-12 * largest]
        foot = min(real) / 10
        for number, (name, values) in enumerate(matrices.items()):
            falling = values.sort(descending=True).values.numpy()
            rank = np.arange(1, len(falling) + 1)
            zero = abs(falling) <= 1e-12 * largest
            look: dict[str, Any] = {"color": PALETTE[number], "marker": "o", "markersize": 3.5}
            axis.plot(rank, np.where(zero, np.nan, falling), linewidth=1, label=name, **look)
            axis.plot(
                rank[zero], np.full(zero.sum(), foot), linestyle="", markerfacecolor="white", **look
            )
            if number == 0 and zero.any():
                axis.annotate(
                    "0", (rank[zero][0], foot), (-6, -3), textcoords="offset points", ha="right"
                )
        axis.set(title=title, xlabel="rank", ylabel="eigenvalue", yscale="log")
        axis.grid(visible=True, axis="y")
        axis.legend(fontsize=9)
    return figure


def decision_regions(
    probabilities: Callable[[Tensor], Tensor],
    points: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    axes_names: Sequence[str],
) -> Figure:
    """The plane coloured by the most probable class, paler where the model is less certain, with
    lines where two classes are equally probable.

    Args:
        probabilities: maps points (batch, 2) to probabilities of the classes (batch, classes).
        points: the training examples, (examples, 2).
        labels: their class numbers, (examples,).
        classes: names of the classes.
        axes_names: names of the two coordinates.
    """
    low, high = points.min(0).values, points.max(0).values
    edge = 0.1 * (high - low)
    xs, ys = (torch.linspace(float((low - edge)[i]), float((high + edge)[i]), 300) for i in (0, 1))
    grid = torch.cartesian_prod(ys, xs).flip(1)  # (300², 2): x fastest
    p = probabilities(grid).view(300, 300, -1)
    colours = torch.tensor([to_rgb(PALETTE[k]) for k in range(len(classes))]).to(p)
    image = 0.5 + 0.5 * (p @ colours)  # mixed by probability, half as strong as the points
    figure, (axes,) = canvas(6.0, 4.6)
    extent = (float(xs[0]), float(xs[-1]), float(ys[0]), float(ys[-1]))
    axes.imshow(
        image.numpy(), origin="lower", extent=extent, aspect="auto", interpolation="bilinear"
    )
    for k, name in enumerate(classes):
        others = torch.cat([p[:, :, :k], p[:, :, k + 1 :]], 2).max(2).values
        axes.contour(xs, ys, p[:, :, k] - others, levels=[0], colors=[INK], linewidths=1.2)
        x, y = points[labels == k].T
        axes.scatter(
            x, y, s=22, color=PALETTE[k], edgecolor="white", linewidth=0.5, label=name, zorder=3
        )
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
    axes.legend(loc="upper left", handletextpad=0.2, frameon=True, framealpha=0.8, edgecolor="none")
    return figure
