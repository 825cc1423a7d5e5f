"""Pictures of linear models: penalty paths, fits by ever more bases, digits lost to rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from etude.figures import DASHES, INK, PALETTE, QUIET, canvas, stroke

from ._least_squares import Path

DASHED = (0, (4, 3))


def penalty_paths(paths: Mapping[str, Path], names: Sequence[str]) -> Figure:
    """A column for each method: coefficients, degrees of freedom and validation error; the penalty
    falls to the right.

    Args:
        paths: ``{method: path}``.
        names: names of the coefficients.
    """
    figure, axes = canvas(9.6, 8.4, rows=3, columns=len(paths))
    for column, (method, path) in enumerate(paths.items()):
        above, middle, below = axes[column :: len(paths)]
        x = path.penalties.numpy()
        for j in range(len(names)):
            above.plot(x, path.coefficients[:, j], linewidth=1.6, **stroke(j))
        _label_ends(above, path.coefficients[-1].tolist(), names)
        above.axhline(0, color="#e6e8eb", linewidth=0.8, zorder=0)
        above.set(title=method, ylabel="coefficient" if column == 0 else "")
        middle.plot(
            x,
            path.freedom,
            color=INK,
            drawstyle="steps-post" if not path.freedom.is_floating_point() else None,
        )
        middle.set(ylabel="degrees of freedom" if column == 0 else "", ylim=(0, len(names) + 0.5))
        middle.grid(visible=True, axis="y")
        mean = path.errors.mean(0).numpy()
        error = (path.errors.std(0) / len(path.errors) ** 0.5).numpy()  # standard error of the mean
        below.fill_between(x, mean - error, mean + error, color=PALETTE[0], alpha=0.15, linewidth=0)
        below.plot(x, mean, color=PALETTE[0])
        below.plot(x[path.chosen], mean[path.chosen], "o", color=PALETTE[1], zorder=3)
        below.set(ylabel="validation error" if column == 0 else "", xlabel=r"penalty $\lambda$")
        for cell in (above, middle, below):
            cell.axvline(x[path.chosen], color=PALETTE[1], linewidth=1, linestyle=DASHED, zorder=0)
            cell.set(xscale="log", xlim=(x.max(), x.min()))
    return figure


def _label_ends(axes: Axes, values: Sequence[float], names: Sequence[str]) -> None:
    """Write each line's name at its right end, moved apart where they would lie on each other."""
    low, high = axes.get_ylim()
    gap = 0.062 * (high - low)
    order = sorted(range(len(names)), key=values.__getitem__)
    heights = np.array([values[j] for j in order])
    for _ in range(200):  # two that overlap each move half of the overlap
        for i in range(len(heights) - 1):
            overlap = gap - (heights[i + 1] - heights[i])
            if overlap > 0:
                heights[i] -= overlap / 2
                heights[i + 1] += overlap / 2
    for j, height in zip(order, heights, strict=True):
        axes.annotate(
            names[j],
            (1, height),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=PALETTE[j % len(PALETTE)],
            annotation_clip=False,
        )


def growing_fits(
    sample: tuple[Tensor, Tensor],
    grid: Tensor,
    truth: Tensor,
    fits: Mapping[str, Mapping[str, Tensor]],
    errors: Mapping[str, Tensor],
    noise: float,
) -> Figure:
    """Fits of one sample by models of ever more basis functions, and their errors.

    Args:
        sample: ``(x, y)``, each (points,).
        grid: (cells,), where the curves are drawn.
        truth: (cells,), the values without noise.
        fits: ``{title: {name: (cells,)}}``, up to three panels; a legend where a panel has several
            curves.
        errors: ``{name: (m,)}``, root mean square errors with 1 … m bases: the last panel.
        noise: the standard deviation of the noise, below which no error on fresh data can fall.
    """
    figure, axes = canvas(9.4, 6.4, rows=2, columns=2)
    x, y = sample
    span = 0.35 * float(y.max() - y.min())
    *cells, last = axes
    for cell, (title, curves) in zip(cells, fits.items(), strict=False):
        cell.plot(grid, truth, color=INK, linewidth=1.1, linestyle=(0, (5, 3)))
        for number, (name, curve) in enumerate(curves.items()):
            cell.plot(
                grid,
                curve,
                linewidth=2,
                label=name,
                color=PALETTE[1 + number],
                linestyle=DASHES[number],
            )
        cell.scatter(x, y, s=20, color=PALETTE[0], edgecolor="white", linewidth=0.5, zorder=3)
        cell.set(
            title=title,
            xlabel="$x$",
            ylabel="$y$",
            ylim=(float(y.min()) - span, float(y.max()) + span),
        )
        if len(curves) > 1:
            cell.legend(fontsize=9)
    for cell in cells[len(fits) :]:
        cell.remove()
    if noise > 0:
        last.axhline(noise, color=QUIET, linewidth=1, linestyle=DASHED, label="the noise")
    for number, (name, values) in enumerate(errors.items()):
        sizes = range(1, len(values) + 1)
        last.plot(
            sizes, values, marker="osD"[number % 3], markersize=4, label=name, **stroke(number)
        )
    last.set(title="error", xlabel="bases", ylabel="root mean square error", yscale="log")
    last.set_ylim(
        top=min(last.get_ylim()[1], 100 * float(y.std()))
    )  # beyond it lies nothing to compare
    last.xaxis.set_major_locator(MaxNLocator(integer=True))
    last.grid(visible=True, axis="y")
    last.legend(fontsize=9)
    return figure


def lost_digits(
    errors: Mapping[str, tuple[Sequence[float], Sequence[float]]], condition: Sequence[float]
) -> Figure:
    """Relative errors of solved coefficients, and of the values that they give, for ever worse
    conditioned problems.

    Args:
        errors: ``{way to solve: (errors of the coefficients, errors of the values)}``, one for each
            problem; NaN where it failed.
        condition: κ(X) of each problem; dotted lines show the rounding error ε times κ and κ².
    """
    figure, axes = canvas(9.4, 4.0, columns=2)
    kappa = np.array(condition)
    for axis, title in zip(
        axes, ("error of the coefficients", "error of the fitted values"), strict=True
    ):
        axis.set(
            title=title,
            xlabel=r"condition number $\kappa(X)$",
            xscale="log",
            yscale="log",
            ylim=(3e-17, 3e5),
        )
        axis.grid(visible=True, axis="y")
    for power, name in ((1, r"$\epsilon\,\kappa$"), (2, r"$\epsilon\,\kappa^2$")):
        line = np.finfo(np.float64).eps * kappa**power
        axes[0].plot(kappa, line, color=QUIET, linewidth=1, linestyle=(0, (1, 2)))
        axes[0].annotate(
            name, (kappa[6], line[6]), (-6, 3), textcoords="offset points", color=QUIET, ha="right"
        )
    for number, (way, pair) in enumerate(errors.items()):
        for axis, values in zip(axes, pair, strict=True):
            axis.plot(
                kappa,
                values,
                marker="osD"[number % 3],
                markersize=4,
                color=PALETTE[number],
                label=way,
            )
    axes[0].legend(fontsize=9, loc="upper left")
    return figure
