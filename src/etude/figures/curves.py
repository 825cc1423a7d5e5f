"""What was logged, over the steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from etude.figures.style import canvas, finite, stroke

Series = tuple[Sequence[float], Sequence[float]]


def learning_curves(logged: Mapping[str, Mapping[str, Series]]) -> Figure:
    """One panel for each kind of metric (the last part of its name), one line for each metric and
    stage.

    Repetitions of one variant, stages ``adam #1``, ``adam #2`` …, are thin lines of one colour
    under one name.

    Args:
        logged: ``{metric: {stage: (steps, values)}}``, as ``RunFolder.curves`` gives.
    """
    kinds: dict[str, list[str]] = {}
    for metric in logged:
        kinds.setdefault(metric.rsplit("/", 1)[-1], []).append(metric)
    columns = min(len(kinds), 2)
    rows = -(-len(kinds) // columns)
    figure, panels = canvas(4.2 * columns + 0.6, 2.9 * rows, rows, columns)
    for axes, (kind, metrics) in zip(panels, kinds.items(), strict=False):
        lines = [
            (metric, stage, series)
            for metric in metrics
            for stage, series in logged[metric].items()
        ]
        names: list[str] = []
        for metric, stage, (steps, values) in lines:
            variant = re.sub(r" #\d+", "", stage)
            name = " ".join(part for part in (metric if len(metrics) > 1 else "", variant) if part)
            again = name in names
            names += [] if again else [name]
            marker = "o" if len(steps) < 25 else ""
            axes.plot(
                steps,
                values,
                label=None if again else name,
                marker=marker,
                markersize=3,
                **stroke(names.index(name)),
                linewidth=1.4 if variant == stage else 0.8,
                alpha=0.9 if variant == stage else 0.6,
            )
        axes.set(title=kind if len(metrics) > 1 else metrics[0], xlabel="step")
        positive = finite(v for _, _, (_, values) in lines for v in values)
        if "loss" in kind and positive and min(positive) > 0 and max(positive) > 20 * min(positive):
            axes.set_yscale("log")
        axes.grid(visible=True, axis="y")
        if 1 < len(names) <= 12:
            axes.legend(fontsize=8)
    for axes in panels[len(kinds) :]:
        axes.remove()
    return figure


def compared(runs: Mapping[str, Mapping[str, Mapping[str, Series]]]) -> Figure:
    """One panel for each metric, one line for each run (and stage, in its run's colour).

    Args:
        runs: ``{label: {metric: {stage: (steps, values)}}}``.
    """
    metrics = list(dict.fromkeys(metric for logged in runs.values() for metric in logged))
    columns = min(len(metrics), 2)
    rows = -(-len(metrics) // columns)
    figure, panels = canvas(
        4.2 * columns + 0.6, 2.9 * rows + 0.3 * (1 + len(runs) // 2), rows, columns
    )
    lines = {}
    for axes, metric in zip(panels, metrics, strict=False):
        shown = []
        for index, (label, logged) in enumerate(runs.items()):
            for steps, values in logged.get(metric, {}).values():
                (lines[label],) = axes.plot(
                    steps,
                    values,
                    marker="o" if len(steps) < 25 else "",
                    markersize=3,
                    **stroke(index),
                    linewidth=1.4,
                    alpha=0.9,
                )
                shown += finite(values)
        axes.set(title=metric, xlabel="step")
        if "loss" in metric and shown and min(shown) > 0 and max(shown) > 20 * min(shown):
            axes.set_yscale("log")
        axes.grid(visible=True, axis="y")
    for axes in panels[len(metrics) :]:
        axes.remove()
    figure.legend(
        list(lines.values()), list(lines), loc="outside lower center", ncols=2, fontsize=8
    )
    return figure
