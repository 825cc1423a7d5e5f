"""Measurements side by side, with what is known of their means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from etude.figures.style import INK, PALETTE, QUIET, canvas, finite


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

    The axis spans the values. An interval of few values can be far wider than they are; where it
    leaves the frame, its end is an arrowhead. A variant some of whose values are not finite has
    diverged: so its row says, beside the values that are.

    Args:
        measured: by variant, in the order from top to bottom.
        measure: what was measured.
        better: ``higher`` or ``lower``.
    """
    figure, (axes,) = canvas(6.2, 0.9 + 0.36 * len(measured))
    means = finite(line.mean for line in measured.values())
    best = (max if better == "higher" else min)(means, default=math.nan)
    shown = finite(value for line in measured.values() for value in line.values) or [0.0]
    low, high = min(shown), max(shown)
    room = 0.1 * (high - low) or 0.01 * abs(high) or 0.01
    left, right = low - room, high + room
    tip = 0.012 * (right - left)  # arrowheads lie within the frame
    for row, (mean, half, values) in enumerate(measured.values()):
        colour, marker = (PALETTE[1], "D") if mean == best else (PALETTE[0], "o")
        own = finite(values)
        dots: dict[str, Any] = {
            "s": 18,
            "color": colour,
            "alpha": 0.5,
            "edgecolor": "white",
            "linewidth": 0.5,
        }
        axes.scatter(own, [row] * len(own), zorder=3.5, **dots)
        if len(own) < len(values):
            lost = len(values) - len(own)
            text = "diverged" if not own else f"{lost} of {len(values)} diverged"
            style: dict[str, Any] = {"va": "center", "ha": "right", "fontsize": 9, "color": QUIET}
            axes.text(0.99, row, text, transform=axes.get_yaxis_transform(), **style)
        if not math.isfinite(mean):
            continue
        axes.scatter([mean], [row], s=42, color=colour, edgecolor="white", zorder=4, marker=marker)
        if not math.isfinite(half):
            continue
        ends = [max(mean - half, left), min(mean + half, right)]
        axes.plot(ends, [row, row], color=colour, linewidth=2.2, zorder=3)
        for end, beyond, head in (
            (left + tip, mean - half < left, "<"),
            (right - tip, mean + half > right, ">"),
        ):
            if beyond:
                axes.plot([end], [row], head, color=colour, markersize=8, zorder=3)
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
