"""What ranks highest, and how measurements spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from etude.figures.style import INK, PALETTE, QUIET, canvas, finite


def ranked(panels: Mapping[str, Mapping[str, float]], measure: str) -> Figure:
    """For each panel its items as bars, the first on top, all panels to one scale.

    Args:
        panels: ``{title: {item: value}}``, none empty.
        measure: what a bar's length is.
    """
    columns = min(len(panels), 3 if len(panels) != 4 else 2)
    rows = -(-len(panels) // columns)
    tallest = max(map(len, panels.values()))
    figure, axes = canvas(3.4 * columns, (0.8 + 0.21 * tallest) * rows, rows, columns)
    lengths = finite(value for items in panels.values() for value in items.values())
    longest = max(lengths, default=0.0) or 1.0
    for place, (panel, (title, items)) in enumerate(zip(axes, panels.items(), strict=False)):
        panel.barh(
            range(len(items)),
            list(items.values()),
            height=0.7,
            color=PALETTE[place % len(PALETTE)],
            alpha=0.85,
        )
        panel.set_yticks(range(len(items)), list(items))
        panel.set(title=title, xlim=(0, 1.04 * longest), ylim=(tallest - 0.4, -0.6))
        panel.spines["left"].set_visible(False)
        panel.tick_params(axis="y", length=0)
    for panel in axes[len(panels) :]:
        panel.remove()
    figure.supxlabel(measure, fontsize=10)
    return figure


def strongest(
    terms: Sequence[str], scores: Tensor, classes: Sequence[str], most: int = 12
) -> dict[str, dict[str, float]]:
    """For each class the terms that speak most for it, as :func:`ranked` takes them; of those that
    begin alike, one.

    Args:
        terms: words, or several words with spaces between them.
        scores: of each term for each class, (terms, classes); what is told is how far they lie
            above the term's mean.
        classes: their names.
        most: terms for each class.
    """
    above = (scores - scores.mean(1, keepdim=True)).cpu()
    best: dict[str, dict[str, float]] = {name: {} for name in classes}
    for k, chosen in enumerate(best.values()):
        shown: set[str] = set()
        for i in above[:, k].argsort(descending=True).tolist():
            beginnings = {word[:4] for word in terms[i].split()}
            if len(chosen) < most and not beginnings & shown:
                chosen[terms[i]] = float(above[i, k])
                shown |= beginnings
    return best


def spread(values: Sequence[float], measure: str, each: str) -> Figure:
    """A point for each measurement, their mean as a line, one standard deviation to each side as a
    band; both of the finite ones.

    Args:
        values: two or more.
        measure: what they are.
        each: what one of them belongs to: ``fold``, ``seed``.
    """
    known = finite(values)
    mean = statistics.fmean(known) if known else math.nan
    sd = statistics.stdev(known) if len(known) > 1 else math.nan
    figure, (axes,) = canvas(5.2, 3.2)
    if len(known) > 1:
        axes.axhspan(mean - sd, mean + sd, color=PALETTE[0], alpha=0.12, linewidth=0)
        axes.axhline(mean, color=QUIET, linewidth=1.2)
    axes.plot(range(1, len(values) + 1), values, "o", color=PALETTE[0], markersize=6)
    axes.set(
        xlabel=each, ylabel=measure, xlim=(0.5, len(values) + 0.5), title=f"{mean:.4f} ± {sd:.4f}"
    )
    axes.title.set_color(INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
