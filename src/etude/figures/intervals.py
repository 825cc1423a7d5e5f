"""Measurements side by side, with what is known of their means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from etude.figures.style import INK, PALETTE, canvas


class Interval(NamedTuple):
    """A mean, half the width of its interval (NaN: unknown), and the values behind it."""

    mean: float
    half: float
    values: Sequence[float]

    def __str__(self) -> str:
        return f"{self.mean:.4g}" + ("" if math.isnan(self.half) else f" ± {self.half:.2g}")


def confidence_intervals(
    measured: Mapping[str, Interval], measure: str, *, better: str = "higher"
) -> Figure:
    """One row for each variant: its values as ticks, their mean, its interval as a bar; the
    best mean marked. A bar that goes on beyond the frame ends in an arrow there.

    Args:
        measured: by variant, in the order from top to bottom.
        measure: what was measured.
        better: ``higher`` or ``lower``.
    """
    figure, (axes,) = canvas(6.2, 0.9 + 0.36 * len(measured))
    low = min(min(line.values) for line in measured.values())
    high = max(max(line.values) for line in measured.values())
    room = 0.1 * (high - low) or 0.01 * abs(high) or 0.01
    left, right = low - room, high + room  # an interval of few values can be far wider than they
    best = (max if better == "higher" else min)(line.mean for line in measured.values())
    for row, (mean, half, values) in enumerate(measured.values()):
        colour = PALETTE[1] if mean == best else PALETTE[0]
        axes.plot([mean - half, mean + half], [row, row], color=colour, linewidth=2.2, zorder=3)
        own = [row] * len(values)
        axes.scatter(values, own, s=70, marker="|", color=colour, linewidth=1.2, zorder=2)
        for cut, edge, marker in (
            (mean - half < left, left, "<"),
            (mean + half > right, right, ">"),
        ):
            if cut:
                inside = edge + 0.012 * (right - left) * (1 if marker == "<" else -1)
                axes.plot([inside], [row], marker, color=colour, markersize=7)
        axes.scatter([mean], [row], s=42, color=colour, edgecolor="white", linewidth=0.8, zorder=4)
    axes.set(
        xlim=(left, right),
        ylim=(len(measured) - 0.4, -0.6),
        xlabel=f"{measure} ({better} is better)",
    )
    axes.set_yticks(range(len(measured)), list(measured))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    return figure
