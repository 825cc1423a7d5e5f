"""How well a difference quotient knows a derivative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from etude.figures.style import PALETTE, QUIET, canvas


def error_by_step(errors: Mapping[str, Mapping[float, float]]) -> Figure:
    """Relative error of central differences against the step: truncation on the right, rounding on
    the left.

    Args:
        errors: name → {h: error}.
    """
    figure, (axes,) = canvas(6.0, 3.9)
    floor = 1e-17
    for number, (name, found) in enumerate(errors.items()):
        h = sorted(found)
        axes.plot(
            h,
            [max(found[x], floor) for x in h],
            color=PALETTE[number],
            marker="o",
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
        middle, text = ends[len(ends) // 2], "$h^2$: truncation" if slope > 0 else "$1/h$: rounding"
        place, side = (-6, "right") if slope > 0 else (6, "left")
        axes.annotate(
            text,
            (middle, scale * middle**slope),
            xytext=(place, 4),
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


def nested(x: Sequence[float], orders: Sequence[Sequence[float]], name: str) -> Figure:
    """A function and its derivatives, one line for each order.

    Args:
        x: where.
        orders: for the order 0, 1, 2, …, the values.
        name: of the function.
    """
    figure, (axes,) = canvas(6.0, 3.6)
    for order, values in enumerate(orders):
        marks = "′" * order if order < 4 else f"⁽{order}⁾"
        axes.plot(x, values, color=PALETTE[order], label=f"{name}{marks}")
    axes.axhline(0, color=QUIET, linewidth=0.6, zorder=0)
    axes.set(xlabel="$x$", xlim=(min(x), max(x)))
    axes.legend(loc="upper left")
    return figure


def costs(panels: Mapping[str, Mapping[str, Mapping[int, float]]], measure: str) -> Figure:
    """What each way to a derivative costs as a size grows, both axes logarithmic.

    Args:
        panels: title, which says what grows → way → {size: cost}.
        measure: what a cost is.
    """
    figure, axes = canvas(4.1 * len(panels), 3.4, columns=len(panels))
    for panel, (title, ways) in zip(axes, panels.items(), strict=True):
        for number, (way, found) in enumerate(ways.items()):
            panel.plot(
                list(found),
                list(found.values()),
                color=PALETTE[number],
                marker="o",
                markersize=4,
                label=way,
                linewidth=1.5,
            )
        sizes = sorted({size for found in ways.values() for size in found})
        panel.set(xscale="log", yscale="log", xlabel=title)
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.minorticks_off()
        panel.grid(visible=True, axis="y")
    axes[0].set_ylabel(measure)
    axes[0].legend(fontsize=9)
    return figure
