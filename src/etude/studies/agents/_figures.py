"""Pictures of agents: their returns while they learn, and functions of the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude import figures
from etude.studies.agents._environments import ANGLES

Series = tuple[Sequence[float], Sequence[float]]


def over_steps(logged: Mapping[str, Mapping[str, Series]], metric: str) -> dict[str, Series]:
    """A metric over the steps of the environment: ``{stage: (steps, values)}``.

    Args:
        logged: ``{metric: {stage: (step, values)}}``, as ``RunFolder.curves`` gives; ``steps`` is
            one of the metrics.
        metric: another one, logged along with ``steps``.
    """
    series: dict[str, Series] = {}
    for stage, (rows, values) in logged.get(metric, {}).items():
        steps = dict(zip(*logged["steps"][stage], strict=True))
        series[stage] = ([steps[row] for row in rows], values)
    return series


def learning_curves(
    curves: Mapping[str, Series], goal: float | None = None, ylabel: str = "return"
) -> Figure:
    """Returns over steps of the environment, a line for each method, and the goal if known."""
    figure, (axes,) = figures.canvas(6.8, 4.0)
    for number, (name, (steps, values)) in enumerate(curves.items()):
        axes.plot(steps, values, linewidth=1.6, alpha=0.85, label=name, **figures.stroke(number))
    if goal is not None:
        axes.axhline(goal, color=figures.QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        at_left = axes.get_yaxis_transform()
        axes.text(0.005, goal, f"goal {goal:g}", transform=at_left, va="bottom", fontsize=8)
    axes.set(xlabel="steps of the environment", ylabel=ylabel)
    axes.xaxis.set_major_formatter(thousands)
    axes.grid(visible=True, axis="y")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    return figure


def thousands(x: float, _: float) -> str:
    """A number of steps as a label of an axis, such as ``40k``."""
    return f"{x / 1000:,.0f}k" if x else "0"


def angle_maps(
    functions: Callable[[Tensor], Mapping[str, Tensor]], states: Tensor, environment: str
) -> Figure:
    """Functions of the state over an angle and its velocity; the other numbers are their means.

    Functions with values from 0 to 1 are shown as probabilities, others on a scale of their own.

    Args:
        functions: gives ``{title: values}``, (…) each, for states (…, numbers).
        states: an episode, (steps, numbers), which is marked by dots.
        environment: a key of ``ANGLES``.
    """
    i, j, *reach = ANGLES[environment]
    xs, ys = (torch.linspace(-far, far, 161).to(states) for far in reach)
    grid = states.mean(0).repeat(len(ys), len(xs), 1)  # (y, x, numbers)
    grid[..., i] = xs
    grid[..., j] = ys[:, None]
    panels = functions(grid)

    figure, axes = figures.canvas(4.3 * len(panels), 3.5, columns=len(panels))
    x, y = xs.cpu().numpy(), ys.cpu().numpy()
    dots: dict[str, Any] = {"markersize": 2.5, "alpha": 0.5, "markeredgewidth": 0}
    angle, velocity = states[:, [i, j]].cpu().numpy().T
    for cell, (title, values) in zip(axes, panels.items(), strict=True):
        z = values.detach().cpu().numpy()
        probable = z.min() >= 0 and z.max() <= 1
        scale: dict[str, Any] = {"cmap": figures.SEQUENTIAL}
        if probable:
            scale = {"cmap": figures.DIVERGING, "vmin": 0, "vmax": 1}
        shade = cell.pcolormesh(x, y, z, rasterized=True, linewidth=0, **scale)
        if probable and z.min() < 0.5 < z.max():
            cell.contour(x, y, z, levels=[0.5], colors=[figures.INK], linewidths=1.2)
        cell.plot(angle, velocity, ".", color=figures.INK, **dots)
        cell.set(title=title, xlabel="angle in rad", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        figure.colorbar(shade, ax=cell, shrink=0.9)
    axes[0].set_ylabel("angular velocity in rad/s")
    return figure
