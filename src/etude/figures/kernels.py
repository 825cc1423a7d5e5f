"""Networks beside the kernel that they approach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures.style import INK, PALETTE, QUIET, canvas


def approached(
    grid: Tensor, limit: Tensor, answers: Mapping[int, Tensor], on: tuple[Tensor, Tensor]
) -> Figure:
    """Networks of several widths and the function that they should tend to, one panel each.

    Args:
        grid: (cells,), angles.
        limit: (cells,), what the kernel predicts.
        answers: width → (cells,).
        on: the points that were fitted, ``(x, y)``.
    """
    figure, panels = canvas(2.5 * len(answers), 2.7, columns=len(answers))
    for axes, (width, answer) in zip(panels, answers.items(), strict=True):
        axes.plot(grid, answer, color=PALETTE[1], linewidth=2, label="network")
        axes.plot(grid, limit, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="kernel")
        axes.scatter(*on, s=16, color=PALETTE[0], edgecolor="white", linewidth=0.4, zorder=3)
        axes.set(
            title=f"{width:,} units",
            xlabel="angle",
            ylim=(float(limit.min()) - 0.6, float(limit.max()) + 0.6),
        )
        axes.set_xticks([0, np.pi, 2 * np.pi], ["0", "π", "2π"])
        if axes is not panels[0]:
            axes.set_yticklabels([])
    panels[0].legend(fontsize=8, loc="lower left")
    return figure


def shrinking(
    widths: Sequence[int], measured: Mapping[str, Sequence[Sequence[float]]], title: str
) -> Figure:
    """What becomes smaller as the width grows, both logarithmic, with the slope -1/2 for
    comparison.

    Args:
        widths: of the networks.
        measured: name → for each width one value a seed.
        title: above.
    """
    figure, (axes,) = canvas(5.6, 3.8)
    for number, (name, values) in enumerate(measured.items()):
        colour = PALETTE[number]
        axes.plot(
            widths, [float(np.exp(np.log(v).mean())) for v in values], color=colour, label=name
        )
        for width, several in zip(widths, values, strict=True):
            axes.plot([width] * len(several), several, "o", color=colour, markersize=3.5, alpha=0.5)
    first = max(float(np.max(values[0])) for values in measured.values())
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
    axes.legend(fontsize=9)
    return figure
