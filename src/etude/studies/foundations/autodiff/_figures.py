"""Pictures of derivatives: a function's derivatives of several orders, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from etude.figures import QUIET, canvas, stroke


def derivatives(x: Sequence[float], orders: Sequence[Sequence[float]], name: str) -> Figure:
    """A function and its derivatives, one line for each order.

    Args:
        x: where the function is evaluated.
        orders: values of the derivatives of order 0, 1, 2, …
        name: name of the function.
    """
    figure, (axes,) = canvas(6.0, 3.6)
    for order, values in enumerate(orders):
        marks = "′" * order if order < 4 else f"⁽{order}⁾"
        axes.plot(x, values, label=f"{name}{marks}", **stroke(order))
    axes.axhline(0, color=QUIET, linewidth=0.6, zorder=0)
    axes.set(xlabel="$x$", xlim=(min(x), max(x)))
    axes.legend(loc="upper left")
    return figure


def costs(panels: Mapping[str, Mapping[str, Mapping[int, float]]], measure: str) -> Figure:
    """The cost of each method as a size grows, both axes logarithmic.

    Args:
        panels: ``{title: {method: {size: cost}}}``; the title says what grows.
        measure: what the cost is measured in.
    """
    figure, axes = canvas(4.1 * len(panels), 3.4, columns=len(panels))
    for panel, (title, methods) in zip(axes, panels.items(), strict=True):
        for number, (method, found) in enumerate(methods.items()):
            panel.plot(
                list(found),
                list(found.values()),
                **stroke(number),
                marker="osD"[number % 3],
                markersize=4,
                label=method,
                linewidth=1.5,
            )
        sizes = sorted({size for found in methods.values() for size in found})
        panel.set(xscale="log", yscale="log", xlabel=title)
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.minorticks_off()
        panel.grid(visible=True, axis="y")
    axes[0].set_ylabel(measure)
    axes[0].legend(fontsize=9)
    return figure
