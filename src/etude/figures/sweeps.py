"""What a search over fields has found: how it went, which fields matter, which values go
together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from etude.figures.style import INK, PALETTE, QUIET, SEQUENTIAL, canvas, finite


class Line(NamedTuple):
    """One upright axis of a parallel plot: each trial's value; its choices from bottom to top,
    where it has such.
    """

    values: Sequence[float | str]
    choices: Sequence[str] = ()
    log: bool = False


def history(trials: Sequence[tuple[int, float, bool]], metric: str, *, lower: bool) -> Figure:
    """Each trial's value, and the best so far as a step line.

    Args:
        trials: (number, value, whether it ran to its end: else its last value before it was ended).
        metric: what was measured.
        lower: whether less of it is better.
    """
    figure, (axes,) = canvas(6.4, 3.6)
    whole = [(number, value) for number, value, ended in sorted(trials) if ended]
    cut = [(number, value) for number, value, ended in sorted(trials) if not ended]
    if whole:
        best, marks = math.inf if lower else -math.inf, []
        for _, value in whole:
            best = min(best, value) if lower else max(best, value)
            marks.append(best)
        numbers = [number for number, _ in whole]
        last = max(number for number, _, _ in trials)
        axes.step(
            [*numbers, last],
            [*marks, marks[-1]],
            where="post",
            color=PALETTE[1],
            label="best so far",
        )
        axes.scatter(
            [n for n, _ in whole],
            [v for _, v in whole],
            s=22,
            color=PALETTE[0],
            alpha=0.8,
            linewidth=0,
            zorder=3,
            label="trial",
        )
    if cut:
        axes.scatter(
            [n for n, _ in cut],
            [v for _, v in cut],
            s=22,
            color=QUIET,
            marker="x",
            linewidth=1.2,
            zorder=2,
            label="ended early",
        )
    axes.set(xlabel="trial", ylabel=f"{metric} ({'lower' if lower else 'higher'} is better)")
    values = finite(value for _, value, _ in trials)
    if lower and values and min(values) > 0 and max(values) > 20 * min(values):
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper right", ncols=3, fontsize=8)
    return figure


def importance(shares: Mapping[str, float], metric: str) -> Figure:
    """One bar a field: the part of the metric's variance that it explains.

    Args:
        shares: by field, from 0 to 1.
        metric: what was measured.
    """
    ordered = sorted(shares.items(), key=lambda pair: pair[1])
    figure, (axes,) = canvas(6.0, 0.9 + 0.42 * len(ordered))
    bars = axes.barh(
        [name for name, _ in ordered],
        [share for _, share in ordered],
        color=PALETTE[0],
        height=0.62,
    )
    axes.bar_label(bars, [f"{share:.0%}" for _, share in ordered], padding=4, fontsize=9, color=INK)
    axes.set(
        xlim=(0, max(max(finite(shares.values()), default=0) * 1.12, 0.1)),
        xlabel=f"part of the variance of {metric} (fANOVA)",
    )
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    return figure


def parallel(
    axes_of: Mapping[str, Line], values: Sequence[float], metric: str, *, lower: bool
) -> Figure:
    """One curve a trial through all its fields to its value; the better, the darker and the further
    in front. A trial whose value is not finite is left out.

    Args:
        axes_of: by field, in the order from left to right.
        values: each trial's value of the metric.
        metric: what was measured; the last axis, better above.
        lower: whether less of it is better.
    """
    known = [i for i, value in enumerate(values) if math.isfinite(value)]
    ordered = sorted(known, key=lambda i: values[i], reverse=lower)  # the best is drawn last
    places = {name: _places(line) for name, line in axes_of.items()}
    shown = finite(values) or [0.0]
    low, high = min(shown), max(shown)
    room = (high - low) or abs(high) or 1.0
    top = [(high - v) / room if lower else (v - low) / room for v in values]
    columns = [*(spots for spots, _ in places.values()), top if high > low else [0.5] * len(values)]
    figure, (axes,) = canvas(max(4.5, 1.9 * len(columns)), 4.0)
    tones, scale = colormaps[SEQUENTIAL].reversed(), Normalize(0, 1)
    for rank, i in enumerate(ordered):
        share = (rank + 1) / len(ordered)
        x, y = _smooth([spots[i] for spots in columns])
        colour = PALETTE[1] if rank == len(ordered) - 1 else tones(scale(0.15 + 0.75 * share))
        axes.plot(x, y, color=colour, alpha=0.25 + 0.65 * share, linewidth=0.9 + 1.3 * share**3)
    for at, (name, (_, ticks)) in enumerate(places.items()):
        _upright(axes, at, name, ticks)
    steps = [low + room * k / 4 for k in range(5)] if high > low else [low]
    spots = (
        [(high - v) / room if lower else (v - low) / room for v in steps] if high > low else [0.5]
    )
    _upright(
        axes, len(columns) - 1, metric, list(zip(spots, [f"{v:.4g}" for v in steps], strict=True))
    )
    axes.set(xlim=(-0.45, len(columns) - 0.45), ylim=(-0.06, 1.14))
    axes.set_axis_off()
    return figure


def _upright(axes: Axes, at: float, name: str, ticks: Sequence[tuple[float, str]]) -> None:
    axes.plot([at, at], [0, 1], color=QUIET, linewidth=1, zorder=3)
    axes.text(at, 1.07, name, ha="center", va="bottom", fontsize=10, color=INK)
    for place, label in ticks:
        axes.text(
            at + 0.05,
            place,
            label,
            ha="left",
            va="center",
            fontsize=8,
            color=INK,
            zorder=5,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
        )


def _places(line: Line) -> tuple[list[float], list[tuple[float, str]]]:
    """Where each value stands on an axis from 0 to 1, and its labels."""
    if line.choices:
        step = 1 / max(len(line.choices) - 1, 1)
        at = {choice: i * step for i, choice in enumerate(line.choices)}
        return [at[str(value)] for value in line.values], [
            (place, choice) for choice, place in at.items()
        ]
    numbers = [float(value) for value in line.values]
    scaled = [math.log10(number) for number in numbers] if line.log else numbers
    low, high = min(scaled), max(scaled)
    if high == low:
        return [0.5] * len(scaled), [(0.5, f"{numbers[0]:.3g}")]
    marks = [low + (high - low) * k / 4 for k in range(5)]
    labels = [f"{10**mark if line.log else mark:.3g}" for mark in marks]
    return [(v - low) / (high - low) for v in scaled], [
        (k / 4, label) for k, label in enumerate(labels)
    ]


def _smooth(heights: Sequence[float]) -> tuple[list[float], list[float]]:
    """A curve through points at 0, 1, 2, …, level at each of them: crossings can be followed by
    eye.
    """
    x, y = [0.0], [heights[0]]
    for at in range(len(heights) - 1):
        for k in range(1, 21):
            t = k / 20
            x.append(at + t)
            y.append(heights[at] + (heights[at + 1] - heights[at]) * t * t * (3 - 2 * t))
    return x, y
