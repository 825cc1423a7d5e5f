"""A picture of variants at several settings: smaller batches, more noise, deeper layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from etude.figures import INK, Interval, canvas, stroke

Lines = Mapping[str, Sequence[Interval]]


def by_setting(
    panels: Mapping[str, tuple[Sequence[str], Lines]], measure: str, *, logarithmic: bool = False
) -> Figure:
    """One line for each variant, with its interval at every setting.

    A variant has the same colour in every panel; the legend is that of the first panel.

    Args:
        panels: label of the settings → their names, and variant → one interval for each setting.
        measure: the name of the measure, which is from 0 to 1.
        logarithmic: whether its axis is logarithmic, as for errors.
    """
    widths = [max(3.8, 0.8 + 0.75 * len(settings)) for settings, _ in panels.values()]
    figure, axes = canvas(sum(widths) + 1.2, 3.9, columns=len(panels))
    styles: dict[str, dict[str, Any]] = {}
    for panel, (label, (settings, lines)) in zip(axes, panels.items(), strict=True):
        for number, (name, found) in enumerate(lines.items()):
            colour = styles.setdefault(name, stroke(len(styles)))["color"]
            aside = 0.04 * (number - (len(lines) - 1) / 2)  # intervals stand side by side
            places = [place + aside for place in range(len(settings))]
            means = [line.mean for line in found]
            halves = [line.half for line in found]
            panel.errorbar(
                places, means, halves, fmt="none", ecolor=colour, elinewidth=1.1, alpha=0.7
            )
            panel.plot(places, means, marker="o", markersize=4, label=name, **styles[name])
        panel.set_xticks(range(len(settings)), settings)
        panel.tick_params(axis="x", labelcolor=INK)
        panel.set_xlabel(label)
        if logarithmic:
            panel.set_yscale("log")
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter(ScalarFormatter())
            panel.yaxis.set_minor_formatter(NullFormatter())
        else:
            panel.set_ylim(0, 1.02)
        panel.grid(visible=True, axis="y")
    axes[0].set_ylabel(measure)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper", fontsize=9)
    return figure
