"""Accuracy against size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from etude.figures.style import INK, PALETTE, QUIET, canvas

Points = Sequence[tuple[float, float]]


def accuracy_by_size(
    families: Mapping[str, Points],
    special: Mapping[str, Points] | None = None,
    goal: float | None = None,
) -> Figure:
    """Accuracy on held-out data against the number of trained parameters, which runs on a
    logarithmic axis.

    Args:
        families: ``{name: [(parameters, accuracy), …]}``, each a line.
        special: single points, large; several under one name are joined by an arrow from the first
            to the last.
        goal: an accuracy to mark.
    """
    figure, (axes,) = canvas(6.8, 4.2)
    if goal is not None:
        axes.axhline(goal, color=QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            f"{goal:.2f}",
            (1, goal),
            xycoords=("axes fraction", "data"),
            xytext=(-2, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            color=QUIET,
            fontsize=9,
        )
    markers = "osD^v"
    for number, (name, points) in enumerate(families.items()):
        if not points:
            continue
        sizes, values = zip(*sorted(points), strict=True)
        axes.plot(
            sizes,
            values,
            marker=markers[number % 5],
            markersize=5,
            color=PALETTE[number],
            label=name,
        )
    for number, (name, points) in enumerate((special or {}).items()):
        colour = PALETTE[(len(families) + number) % len(PALETTE)]
        *before, (size, value) = points
        for start in before:
            axes.plot(
                *start,
                marker="*",
                markersize=13,
                markerfacecolor="white",
                markeredgecolor=colour,
                zorder=4,
            )
            axes.annotate(
                "",
                (size, value),
                start,
                arrowprops={"arrowstyle": "->", "color": colour, "shrinkA": 6, "shrinkB": 7},
            )
        axes.plot(
            size,
            value,
            "*",
            markersize=17,
            color=colour,
            markeredgecolor=INK,
            markeredgewidth=0.5,
            label=name,
        )
    axes.set(
        xscale="log", ylim=(0, 1.03), xlabel="trained parameters", ylabel="accuracy on the test set"
    )
    axes.grid(visible=True, axis="y")
    axes.legend(loc="lower right")
    return figure
