"""A picture of how well a difference quotient approximates a derivative."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from etude.figures import QUIET, canvas, stroke


def error_by_step(errors: Mapping[str, Mapping[float, float]]) -> Figure:
    """Relative error of central differences against the step: truncation on the right, rounding on
    the left.

    Args:
        errors: ``{name: {h: error}}``.
    """
    figure, (axes,) = canvas(6.0, 3.9)
    floor = 1e-17
    for number, (name, found) in enumerate(errors.items()):
        h = sorted(found)
        axes.plot(
            h,
            [max(found[x], floor) for x in h],
            **stroke(number),
            marker="osD^v"[number % 5],
            markersize=3,
            label=name,
            linewidth=1.4,
        )
    h = sorted({x for found in errors.values() for x in found})
    for slope, ends in ((2, h[-5:]), (-1, h[:5])):
        outer = ends[-1] if slope > 0 else ends[0]
        scale = 5 * max(found[outer] for found in errors.values()) / outer**slope
        axes.plot(
            ends, [scale * x**slope for x in ends], color=QUIET, linewidth=1, linestyle=(0, (4, 3))
        )
        middle = ends[len(ends) // 2]
        text = "$h^2$: truncation" if slope > 0 else "$1/h$: rounding"
        offset, side = (-6, "right") if slope > 0 else (6, "left")
        axes.annotate(
            text,
            (middle, scale * middle**slope),
            xytext=(offset, 4),
            textcoords="offset points",
            ha=side,
            fontsize=9,
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="step $h$",
        ylabel="relative error of the difference quotient",
    )
    axes.legend(fontsize=9, loc="lower left")
    return figure
