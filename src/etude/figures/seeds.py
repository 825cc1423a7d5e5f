"""What was logged over several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from etude.figures.style import PALETTE, canvas, finite, stroke


class Band(NamedTuple):
    """A metric over the steps: its mean over seeds, the ends of its interval, and each seed's own
    values.
    """

    steps: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    each: Sequence[Sequence[float]]


def bands(
    logged: Mapping[str, Mapping[str, Band]], *, what: str = "95 % interval of the mean"
) -> Figure:
    """One panel a metric; for each stage the mean as a line, its interval as a band, the seeds as
    thin lines.

    Args:
        logged: ``{metric: {stage: band}}``.
        what: the band is.
    """
    columns = min(len(logged), 2)
    rows = -(-len(logged) // columns)
    figure, panels = canvas(4.2 * columns + 0.6, 2.9 * rows, rows, columns)
    for axes, (metric, stages) in zip(panels, logged.items(), strict=False):
        shown: list[float] = []
        for index, (stage, band) in enumerate(stages.items()):
            colour = PALETTE[index % len(PALETTE)]
            for values in band.each:
                axes.plot(band.steps, values, color=colour, linewidth=0.5, alpha=0.35)
                shown += finite(values)
            axes.plot(band.steps, band.mean, **stroke(index), linewidth=1.6, label=stage or "mean")
            axes.fill_between(band.steps, band.low, band.high, color=colour, alpha=0.2, linewidth=0)
        axes.set(title=metric, xlabel="step")
        shown = shown or [0.0]
        if "loss" in metric and min(shown) > 0 and max(shown) > 20 * min(shown):
            axes.set_yscale("log")
        room = 0.08 * (max(shown) - min(shown)) or 0.01
        if axes.get_yscale() == "linear":
            # an interval from few seeds can be far wider, so bands may leave the frame
            axes.set_ylim(min(shown) - room, max(shown) + room)
        axes.grid(visible=True, axis="y")
        if 1 < len(stages) <= 12:
            axes.legend(fontsize=8)
    for axes in panels[len(logged) :]:
        axes.remove()
    panels[0].annotate(
        f"thin: each seed; shaded: {what}, which may leave the frame",
        (0, -0.3),
        xycoords="axes fraction",
        fontsize=8,
        va="top",
        color="#5f6670",
    )
    return figure
