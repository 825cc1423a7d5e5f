"""Agents: how their returns grew, what they would do where, and one episode to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures.animations import Film
from etude.figures.style import DIVERGING, INK, PALETTE, QUIET, SEQUENTIAL, canvas

Series = tuple[Sequence[float], Sequence[float]]
View = tuple[int, int, float, float]


def over_steps(logged: Mapping[str, Mapping[str, Series]], metric: str) -> dict[str, Series]:
    """``{stage: (steps of the environment, values)}`` of a metric that was logged along with
    ``steps``.

    Args:
        logged: ``{metric: {stage: (step, values)}}``, as ``RunFolder.curves`` gives.
        metric: one of them; rows in which it had no value are passed over.
    """
    found: dict[str, Series] = {}
    for stage, (rows, values) in logged.get(metric, {}).items():
        steps = dict(zip(*logged["steps"][stage], strict=True))
        found[stage] = ([steps[row] for row in rows], values)
    return found


def learning(
    curves: Mapping[str, Sequence[Series]], goal: float | None = None, ylabel: str = "return"
) -> Figure:
    """Returns over steps of the environment; a method has one colour and a line for each of its
    runs.

    Args:
        curves: ``{method: [(steps, returns), …]}``.
        goal: what is to be reached.
        ylabel: of the axis of returns.
    """
    figure, (axes,) = canvas(6.8, 4.0)
    for number, (name, runs) in enumerate(curves.items()):
        for k, (steps, values) in enumerate(runs):
            colour = PALETTE[number % len(PALETTE)]
            axes.plot(
                steps,
                values,
                color=colour,
                linewidth=1.6,
                alpha=0.85,
                label=name if k == 0 else None,
            )
    if goal is not None:
        axes.axhline(goal, color=QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            f"goal {goal:g}",
            (0, goal),
            (4, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="left",
            va="bottom",
            fontsize=8,
            color=QUIET,
        )
    axes.set(xlabel="steps of the environment", ylabel=ylabel)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:,.0f}k" if x else "0")
    axes.grid(visible=True, axis="y")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    return figure


def diagnostics(panels: Mapping[str, Series], columns: int = 2) -> Figure:
    """Small panels, one for each logged number, over steps of the environment."""
    rows = -(-len(panels) // columns)
    figure, axes = canvas(3.9 * columns, 2.1 * rows + 0.2, rows, columns)
    for number, (cell, (title, (steps, values))) in enumerate(
        zip(axes, panels.items(), strict=False)
    ):
        cell.plot(steps, values, color=PALETTE[number % len(PALETTE)], linewidth=1.4)
        cell.set_title(title)
        cell.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:,.0f}k" if x else "0")
        cell.grid(visible=True, axis="y")
    for cell in axes[len(panels) :]:
        cell.remove()
    for cell in axes[: len(panels)][-columns:]:
        cell.set_xlabel("steps of the environment")
    return figure


def maps(
    functions: Callable[[Tensor], Mapping[str, Tensor]],
    states: Tensor,
    view: View,
    labels: tuple[str, str],
) -> Figure:
    """Functions of a state, as two of its numbers change and the others are what they were on
    average on a path.

    Those within 0 … 1 are shown as probabilities, others each on a scale of its own.

    Args:
        functions: states (…, width) → title → (…).
        states: (steps, width), the path, which is marked.
        view: the number of a state that is x, the one that is y, and how far from 0 each is shown.
        labels: of the two.
    """
    i, j, *reach = view
    xs, ys = (torch.linspace(-far, far, 161).to(states) for far in reach)
    grid = states.mean(0).repeat(len(ys), len(xs), 1)  # (y, x, width)
    grid[..., i], grid[..., j] = xs, ys[:, None]
    panels = functions(grid)
    figure, axes = canvas(4.3 * len(panels), 3.5, columns=len(panels))
    x, y = xs.cpu().numpy(), ys.cpu().numpy()
    for cell, (title, values) in zip(axes, panels.items(), strict=True):
        z = values.detach().cpu().numpy()
        probable = z.min() >= 0 and z.max() <= 1
        shade = cell.pcolormesh(
            x,
            y,
            z,
            cmap=DIVERGING if probable else SEQUENTIAL,
            vmin=0 if probable else None,
            vmax=1 if probable else None,
            rasterized=True,
            linewidth=0,
        )
        if probable and z.min() < 0.5 < z.max():
            cell.contour(x, y, z, levels=[0.5], colors=[INK], linewidths=1.2)
        cell.plot(
            *states[:, [i, j]].cpu().numpy().T,
            ".",
            color=INK,
            markersize=2.5,
            alpha=0.5,
            markeredgewidth=0,
        )
        cell.set(title=title, xlabel=labels[0], xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        figure.colorbar(shade, ax=cell, shrink=0.9)
    axes[0].set_ylabel(labels[1])
    return figure


def filmed(frames: Mapping[int, np.ndarray], traces: Mapping[str, Tensor], title: str = "") -> Film:
    """An episode, and below it numbers that go along with it, drawn as it goes on.

    Args:
        frames: pictures (height, width, 3), values from 0 to 255, by the step that each shows.
        traces: name → (steps,), a number for each step; the last may have none.
        title: above the picture.
    """
    figure, (top, below) = canvas(4.6, 4.6, rows=2)
    grid = top.get_gridspec()
    assert grid is not None
    grid.set_height_ratios([2.1, 1])
    top.axis("off")
    if title:
        top.set_title(title)
    chosen = sorted(frames)
    picture = top.imshow(frames[chosen[0]][::2, ::2], interpolation="bilinear")
    values = {name: trace.detach().cpu().numpy() for name, trace in traces.items()}
    lines = {
        name: below.plot([], [], color=PALETTE[k], linewidth=1.4, label=name)[0]
        for k, name in enumerate(values)
    }
    every = np.concatenate([v[np.isfinite(v)] for v in values.values()])
    low, high = (every.min(), every.max()) if every.size else (0.0, 1.0)
    middle, half = (low + high) / 2, max(0.56 * (high - low), 0.05 * abs(low + high) / 2, 1e-3)
    below.set(xlim=(0, max(chosen[-1], 1)), ylim=(middle - half, middle + half), xlabel="step")
    below.grid(visible=True, axis="y")
    below.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(values), fontsize=8)

    def draw(number: int) -> list[Artist]:
        step = chosen[number]
        picture.set_data(frames[step][::2, ::2])
        for name, line in lines.items():
            shown = values[name][: step + 1]
            line.set_data(np.arange(len(shown)), shown)
        return [picture, *lines.values()]

    return Film(figure, draw, len(chosen))


def noises(bars: Mapping[str, tuple[float, float]]) -> Figure:
    """Of several estimates of one gradient: how much they scatter, and how far their mean lies from
    the right one.

    Args:
        bars: name → (variance, squared bias), both relative to the squared length of the right one.
    """
    figure, axes = canvas(7.4, 0.34 * len(bars) + 1.2, columns=2)
    names = list(bars)
    for cell, column, title in zip(axes, (0, 1), ("variance", "squared bias"), strict=True):
        values = [bars[name][column] for name in names]
        cell.barh(names, values, color=PALETTE[column], height=0.65)
        for k, value in enumerate(values):
            cell.annotate(
                f"{value:.2g}",
                (value, k),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        cell.set(title=title, xlim=(0, 1.18 * max([*values, 1e-9])))
        cell.invert_yaxis()
        cell.tick_params(axis="y", length=0)
    axes[1].set_yticklabels([])
    return figure


def against(panels: Mapping[str, tuple[Tensor, Tensor]], xlabel: str, ylabel: str) -> Figure:
    """Said against true, a panel each, on one pair of scales; on the diagonal the two agree.

    Args:
        panels: title → (true, said), each (rows,).
        xlabel: what is true.
        ylabel: what was said.
    """
    figure, axes = canvas(3.5 * len(panels) + 0.4, 3.6, columns=len(panels))
    everything = torch.cat([torch.cat(pair) for pair in panels.values()])
    low, high = float(everything.min()), float(everything.max())
    room = 0.04 * (high - low) + 1e-3
    for cell, (title, (true, said)) in zip(axes, panels.items(), strict=True):
        cell.plot([low, high], [low, high], color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
        cell.scatter(
            true.cpu(), said.cpu(), s=5, color=PALETTE[0], alpha=0.25, linewidth=0, rasterized=True
        )
        cell.set(
            title=title,
            xlabel=xlabel,
            xlim=(low - room, high + room),
            ylim=(low - room, high + room),
        )
    axes[0].set_ylabel(ylabel)
    return figure
