"""Linear models: how descent nears its goal, what a penalty does to coefficients, and what they say
of each column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from etude.figures.style import INK, PALETTE, QUIET, canvas

Series = tuple[Sequence[float], Sequence[float]]
DASHED = (0, (4, 3))


def approach(
    panels: Mapping[str, tuple[Mapping[str, Series], float]], goal: str, steps: str, measure: str
) -> Figure:
    """Methods that climb towards one level: the measure itself and, to its right, how much is
    missing.

    Of a line with more points than can be told apart, some 150 are drawn that lie evenly along the
    axis.

    Args:
        panels: ``{title: ({method: (steps, values)}, level)}``; each a row.
        goal: what the level is.
        steps: what the horizontal axis counts, above 0; it is logarithmic.
        measure: what climbs.
    """
    figure, axes = canvas(9.4, 3.3 * len(panels), rows=len(panels), columns=2)
    for row, (title, (lines, level)) in enumerate(panels.items()):
        value, missing = axes[2 * row : 2 * row + 2]
        value.axhline(level, color=INK, linewidth=1, linestyle=DASHED, label=goal)
        for number, (method, series) in enumerate(lines.items()):
            x, y = map(np.array, series)
            shown = np.unique(np.searchsorted(x, np.geomspace(x[0], x[-1], 150) * (1 - 1e-9)))
            x, y = x[shown], y[shown]
            colour, marker = PALETTE[number], "o" if len(x) < 25 else ""
            value.plot(x, y, color=colour, linewidth=1.4, marker=marker, markersize=4, label=method)
            missing.plot(
                x,
                np.where(y < level, level - y, np.nan),
                color=colour,
                linewidth=1.4,
                marker=marker,
                markersize=4,
            )
        value.set(title=title, ylabel=measure, xlabel=steps, xscale="log")
        missing.set(title="what is missing", xlabel=steps, xscale="log", yscale="log")
        value.legend(loc="lower right", fontsize=9)
        missing.grid(visible=True, axis="y")
    return figure


@dataclass(frozen=True)
class Path:
    """Coefficients along a penalty, and what cross-validation found of them.

    Attributes:
        penalties: (m,).
        coefficients: (m, columns).
        freedom: (m,), effective degrees of freedom.
        errors: (folds, m), mean squared error on the rows that each fold holds out.
    """

    penalties: Tensor
    coefficients: Tensor
    freedom: Tensor
    errors: Tensor

    @property
    def chosen(self) -> int:
        """Which of the m has the least mean error."""
        return int(self.errors.mean(0).argmin())


def penalty_paths(paths: Mapping[str, Path], names: Sequence[str]) -> Figure:
    """A column for each method: coefficients, degrees of freedom and validation error; the penalty
    falls to the right.

    Args:
        paths: ``{method: path}``.
        names: of the coefficients.
    """
    figure, axes = canvas(9.6, 8.4, rows=3, columns=len(paths))
    for column, (method, path) in enumerate(paths.items()):
        above, middle, below = axes[column :: len(paths)]
        x = path.penalties.numpy()
        for j in range(len(names)):
            above.plot(x, path.coefficients[:, j], color=PALETTE[j % len(PALETTE)], linewidth=1.6)
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
        mean, error = (
            path.errors.mean(0).numpy(),
            (path.errors.std(0) / len(path.errors) ** 0.5).numpy(),
        )
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
    places = np.array([values[j] for j in order])
    for _ in range(200):  # neighbours push each other apart by halves
        for i in range(len(places) - 1):
            lack = gap - (places[i + 1] - places[i])
            if lack > 0:
                places[i] -= lack / 2
                places[i + 1] += lack / 2
    for j, place in zip(order, places, strict=True):
        axes.annotate(
            names[j],
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=PALETTE[j % len(PALETTE)],
            annotation_clip=False,
        )


def growing_fits(
    data: tuple[Tensor, Tensor],
    grid: Tensor,
    truth: Tensor,
    fits: Mapping[str, Mapping[str, Tensor]],
    errors: Mapping[str, Tensor],
    noise: float,
) -> Figure:
    """Fits of one data set by models of growing freedom, and their errors against it.

    Args:
        data: ``(x, y)``, each (rows,).
        grid: (cells,), where the curves are drawn.
        truth: (cells,), the values without noise.
        fits: ``{title: {name: (cells,)}}``, up to three panels; a legend where a panel has several
            curves.
        errors: ``{name: (m,)}``, root mean square errors with 1 … m bases: the last panel.
        noise: the standard deviation of the noise, below which no error on fresh data can fall.
    """
    figure, axes = canvas(9.4, 6.4, rows=2, columns=2)
    x, y = data
    span = 0.35 * float(y.max() - y.min())
    *cells, last = axes
    for cell, (title, curves) in zip(cells, fits.items(), strict=False):
        cell.plot(grid, truth, color=INK, linewidth=1.1, linestyle=(0, (5, 3)))
        for number, (name, curve) in enumerate(curves.items()):
            cell.plot(grid, curve, color=PALETTE[1 + number], linewidth=2, label=name)
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
        last.plot(sizes, values, marker="o", markersize=4, color=PALETTE[number], label=name)
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
        condition: κ(X) of each problem; dotted lines show what rounding ε is worth when it grows by
    κ and by κ².
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


def signed_bars(panels: Mapping[str, Tensor], items: Sequence[str], measure: str) -> Figure:
    """Numbers with their sign, as bars to the left and right of zero; the panels share items and
    scale.

    Args:
        panels: ``{title: (items,)}``.
        items: their names, from top to bottom.
        measure: what a bar's length is.
    """
    figure, axes = canvas(2.2 + 2.5 * len(panels), 1.2 + 0.27 * len(items), columns=len(panels))
    most = 1.08 * max(float(values.abs().max()) for values in panels.values())
    for number, (panel, (title, values)) in enumerate(zip(axes, panels.items(), strict=True)):
        colours = [PALETTE[0] if value < 0 else PALETTE[1] for value in values]
        panel.barh(range(len(items)), values.tolist(), height=0.7, color=colours, alpha=0.85)
        panel.axvline(0, color=INK, linewidth=0.8)
        panel.set_yticks(range(len(items)), items if number == 0 else [""] * len(items))
        panel.set(title=title, xlim=(-most, most), ylim=(len(items) - 0.4, -0.6))
        panel.spines["left"].set_visible(False)
        panel.tick_params(axis="y", length=0)
        panel.grid(visible=True, axis="x")
        panel.set_axisbelow(True)
    figure.supxlabel(measure, fontsize=10)
    return figure


def spectra(panels: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Eigenvalues of symmetric matrices, the largest first; what is zero but for rounding is drawn
    hollow, at the foot.

    Args:
        panels: ``{title: {matrix: (n,)}}``.
    """
    figure, axes = canvas(4.7 * len(panels), 3.8, columns=len(panels))
    for axis, (title, matrices) in zip(axes, panels.items(), strict=True):
        largest = max(float(values.max()) for values in matrices.values())
        real = [v for values in matrices.values() for v in values.tolist() if v > 1e-12 * largest]
        foot = min(real) / 10
        for number, (name, values) in enumerate(matrices.items()):
            falling = values.sort(descending=True).values.numpy()
            rank, zero = np.arange(1, len(falling) + 1), abs(falling) <= 1e-12 * largest
            look: dict[str, Any] = {"color": PALETTE[number], "marker": "o", "markersize": 3.5}
            axis.plot(rank, np.where(zero, np.nan, falling), linewidth=1, label=name, **look)
            axis.plot(
                rank[zero], np.full(zero.sum(), foot), linestyle="", markerfacecolor="white", **look
            )
            if number == 0 and zero.any():
                axis.annotate(
                    "0", (rank[zero][0], foot), (-6, -3), textcoords="offset points", ha="right"
                )
        axis.set(title=title, xlabel="rank", ylabel="eigenvalue", yscale="log")
        axis.grid(visible=True, axis="y")
        axis.legend(fontsize=9)
    return figure


def decision_regions(
    probabilities: Callable[[Tensor], Tensor],
    points: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    axes_names: Sequence[str],
) -> Figure:
    """Which of several classes is the most probable where: the paler, the less sure; lines where
    two are even.

    Args:
        probabilities: of the classes at each point: (batch, 2) → (batch, classes).
        points: (rows, 2).
        labels: (rows,), class numbers.
        classes: their names.
        axes_names: of the two coordinates.
    """
    low, high = points.min(0).values, points.max(0).values
    edge = 0.1 * (high - low)
    xs, ys = (torch.linspace(float((low - edge)[i]), float((high + edge)[i]), 300) for i in (0, 1))
    grid = torch.cartesian_prod(ys, xs).flip(1)  # (300², 2): x fastest
    p = probabilities(grid).view(300, 300, -1)
    colours = torch.tensor([to_rgb(PALETTE[k]) for k in range(len(classes))]).to(p)
    image = 0.5 + 0.5 * (p @ colours)  # mixed by probability, half as strong as the points
    figure, (axes,) = canvas(6.0, 4.6)
    extent = (float(xs[0]), float(xs[-1]), float(ys[0]), float(ys[-1]))
    axes.imshow(
        image.numpy(), origin="lower", extent=extent, aspect="auto", interpolation="bilinear"
    )
    for k, name in enumerate(classes):
        others = torch.cat([p[:, :, :k], p[:, :, k + 1 :]], 2).max(2).values
        axes.contour(xs, ys, p[:, :, k] - others, levels=[0], colors=[INK], linewidths=1.2)
        x, y = points[labels == k].T
        axes.scatter(
            x, y, s=22, color=PALETTE[k], edgecolor="white", linewidth=0.5, label=name, zorder=3
        )
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
    axes.legend(loc="upper left", handletextpad=0.2, frameon=True, framealpha=0.8, edgecolor="none")
    return figure
