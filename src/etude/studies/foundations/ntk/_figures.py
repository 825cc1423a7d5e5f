"""Pictures of networks beside the kernel that they approach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures import INK, PALETTE, QUIET, canvas, finite, stroke


def functions(
    grid: Tensor, limit: Tensor, outputs: Mapping[int, Tensor], train: tuple[Tensor, Tensor]
) -> Figure:
    """The functions of networks of several widths, one panel each, and that of the kernel.

    Args:
        grid: angles, (cells,).
        limit: the predictions of the kernel, (cells,).
        outputs: width → outputs of the network, (cells,).
        train: angles and targets of the training points, each (points,).
    """
    figure, panels = canvas(2.5 * len(outputs), 2.7, columns=len(outputs))
    low, high = float(train[1].min()), float(train[1].max())
    if limit.isfinite().all():
        low, high = float(limit.min()), float(limit.max())
    for axes, (width, output) in zip(panels, outputs.items(), strict=True):
        axes.plot(grid, output, color=PALETTE[1], linewidth=2, label="network")
        axes.plot(grid, limit, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="kernel")
        axes.scatter(*train, s=16, color=PALETTE[0], edgecolor="white", linewidth=0.4, zorder=3)
        axes.set(
            title=f"{width:,} units",
            xlabel="angle",
            ylim=(low - 0.6, high + 0.6),
        )
        axes.set_xticks([0, np.pi, 2 * np.pi], ["0", "π", "2π"])
        if axes is not panels[0]:
            axes.set_yticklabels([])
    panels[0].legend(fontsize=8, loc="lower left")
    return figure


def width_dependence(
    widths: Sequence[int], measured: Mapping[str, Sequence[Sequence[float]]], title: str
) -> Figure:
    """Measures as the width grows, on logarithmic axes, beside the slope -1/2.

    Args:
        widths: the widths of the networks.
        measured: name of a measure → for each width the values of all seeds.
        title: the text above the figure.
    """
    figure, (axes,) = canvas(6.8, 3.8)
    for number, (name, values) in enumerate(measured.items()):
        colour = PALETTE[number]
        axes.plot(
            widths, [float(np.exp(np.log(v).mean())) for v in values], label=name, **stroke(number)
        )
        for width, several in zip(widths, values, strict=True):
            axes.plot([width] * len(several), several, "o", color=colour, markersize=3.5, alpha=0.5)
    first = max(finite(max(values[0]) for values in measured.values()), default=1.0)
    axes.plot(
        widths,
        [1.5 * first * (widths[0] / width) ** 0.5 for width in widths],
        color=QUIET,
        linewidth=1,
        linestyle=(0, (4, 3)),
        label="slope −1/2",
    )
    axes.set(xscale="log", yscale="log", xlabel="units in the hidden layer", title=title)
    axes.set_xticks(list(widths), [f"{width:,}" for width in widths])
    axes.minorticks_off()
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
