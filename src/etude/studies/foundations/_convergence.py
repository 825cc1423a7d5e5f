"""A figure of how optimisation methods near a known optimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from etude import figures

Series = tuple[Sequence[float], Sequence[float]]
DASHED = (0, (4, 3))
DRAWN = 150  # points of a long line that are drawn, evenly along the logarithmic axis


def convergence(
    panels: Mapping[str, tuple[Mapping[str, Series], float]], optimum: str, steps: str, measure: str
) -> Figure:
    """Methods that climb towards an optimum: the measure on the left, its distance to the optimum
    on the right.

    Args:
        panels: ``{title: ({method: (steps, values)}, value at the optimum)}``; each is a row.
        optimum: what the optimum is, for the legend.
        steps: what the horizontal axis counts, above 0; it is logarithmic.
        measure: what climbs.
    """
    figure, axes = figures.canvas(9.4, 3.3 * len(panels), rows=len(panels), columns=2)
    for row, (title, (lines, level)) in enumerate(panels.items()):
        value, missing = axes[2 * row : 2 * row + 2]
        value.axhline(level, color=figures.INK, linewidth=1, linestyle=DASHED, label=optimum)

        for number, (method, series) in enumerate(lines.items()):
            x, y = map(np.array, series)
            evenly = np.geomspace(x[0], x[-1], DRAWN) * (1 - 1e-9)
            drawn = np.unique(np.searchsorted(x, evenly))
            x, y = x[drawn], y[drawn]

            line: dict[str, Any] = {
                **figures.stroke(number),
                "linewidth": 1.4,
                "marker": "o" if len(x) < 25 else "",
                "markersize": 4,
            }
            value.plot(x, y, label=method, **line)
            missing.plot(x, np.where(y < level, level - y, np.nan), **line)

        value.set(title=title, ylabel=measure, xlabel=steps, xscale="log")
        missing.set(
            title="what is missing (suboptimality)",
            xlabel=steps,
            ylabel=f"optimum − {measure}",
            xscale="log",
            yscale="log",
        )
        value.legend(loc="lower right", fontsize=9)
        missing.grid(visible=True, axis="y")
    return figure
