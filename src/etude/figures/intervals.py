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
    """One row for each variant: its values as pale dots, their mean, its interval as a bar; the
    best mean marked.

    Args:
        measured: by variant, in the order from top to bottom.
        measure: what was measured.
        better: ``higher`` or ``lower``.
    """
    figure, (axes,) = canvas(6.2, 0.9 + 0.36 * len(measured))
    best = (max if better == "higher" else min)(line.mean for line in measured.values())
    for row, (mean, half, values) in enumerate(measured.values()):
        colour = PALETTE[1] if mean == best else PALETTE[0]
        axes.plot([mean - half, mean + half], [row, row], color=colour, linewidth=2.2, zorder=3)
        axes.scatter(
            values, [row] * len(values), s=16, color=colour, alpha=0.3, linewidth=0, zorder=2
        )
        axes.scatter([mean], [row], s=42, color=colour, edgecolor="white", linewidth=0.8, zorder=4)
    low = min(min(line.values) for line in measured.values())
    high = max(max(line.values) for line in measured.values())
    room = 0.1 * (high - low) or 0.01 * abs(high) or 0.01
    axes.set(
        xlim=(
            low - room,
            high + room,
        ),  # an interval from few values can be far wider than they are: it may be cut
        ylim=(len(measured) - 0.4, -0.6),
        xlabel=f"{measure} ({better} is better)",
    )
    axes.set_yticks(range(len(measured)), list(measured))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    return figure
