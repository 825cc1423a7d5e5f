"""Pictures of learning rates over the steps, and of the accuracy that was reached with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from etude.figures import QUIET, canvas, finite, stroke

Series = tuple[Sequence[float], Sequence[float]]


def rates_and_batches(
    rates: Mapping[str, Sequence[float]], batches: Mapping[str, Sequence[int]], names: Sequence[str]
) -> Figure:
    """Learning rates, and beside them batch sizes, with one value for each step.

    Args:
        rates: schedule → learning rates.
        batches: schedule → images behind one update, for the schedules where their number changes.
        names: the names of all schedules, in an order that gives each one colour in every figure.
    """
    figure, (left, right) = canvas(9.0, 3.6, 1, 2)
    for axes, lines in ((left, rates), (right, batches)):
        for name, values in lines.items():
            axes.plot(range(len(values)), values, label=name, **style(name, names))
        axes.set(xlabel="step")
        axes.grid(visible=True, axis="y")
        axes.legend(fontsize=8)
    left.set(title="learning rate")
    right.set(title="images behind one update", yscale="log")
    right.set_yticks(sorted({size for sizes in batches.values() for size in sizes}))
    right.yaxis.set_major_formatter("{x:.0f}")
    right.yaxis.set_minor_locator(NullLocator())
    return figure


def progress(lines: Mapping[str, Series], goal: float, measure: str) -> Figure:
    """A measure of each schedule over the steps, with a dot where it first reaches the goal.

    Args:
        lines: schedule → steps, and values of the measure at these steps.
        goal: a value of the measure, from 0 to 1, which is drawn as a dashed line.
        measure: the name of the measure.
    """
    figure, (axes,) = canvas(8.2, 4.4)
    axes.axhline(goal, color=QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    for name, (steps, values) in lines.items():
        own = style(name, list(lines))
        axes.plot(steps, values, linewidth=1.4, label=name, **own)
        reached = next(((s, v) for s, v in zip(steps, values, strict=True) if v >= goal), None)
        if reached:
            axes.plot(
                *reached, "o", color=own["color"], markersize=7, markeredgecolor="white", zorder=4
            )
    last = finite(values[-1] for _, values in lines.values())
    low = min(*last, goal) - 0.04
    high = max(finite(value for _, values in lines.values() for value in values), default=goal)
    axes.set(
        xlabel="step",
        ylabel=measure,
        ylim=(low, high + 0.005),
    )
    axes.grid(visible=True, axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=9)
    return figure


def style(name: str, names: Sequence[str]) -> dict[str, Any]:
    """The colour and the dashes that belong to a name, by its place in the list."""
    return stroke(names.index(name))
