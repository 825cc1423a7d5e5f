"""What was logged, over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from etude.figures.style import PALETTE, canvas

Series = tuple[Sequence[float], Sequence[float]]


def curves(logged: Mapping[str, Mapping[str, Series]]) -> Figure:
    """One panel for each kind of metric (the last part of its name), one line for each metric and stage.

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
        lines = [(metric, stage, series) for metric in metrics for stage, series in logged[metric].items()]
        for index, (metric, stage, (steps, values)) in enumerate(lines):
            name = " ".join(part for part in (metric if len(metrics) > 1 else "", stage) if part)
            marker = "o" if len(steps) < 25 else ""
            axes.plot(
                steps, values, label=name, marker=marker, markersize=3, color=PALETTE[index % len(PALETTE)],
                linewidth=1.4, alpha=0.9,
            )  # fmt: skip
        axes.set(title=kind, xlabel="step")
        positive = [v for _, _, (_, values) in lines for v in values if v is not None]
        if "loss" in kind and positive and min(positive) > 0 and max(positive) > 20 * min(positive):
            axes.set_yscale("log")
        axes.grid(visible=True, axis="y")
        if 1 < len(lines) <= 12:
            axes.legend(fontsize=8)
    for axes in panels[len(kinds) :]:
        axes.remove()
    return figure
