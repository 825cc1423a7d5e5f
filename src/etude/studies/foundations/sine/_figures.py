"""Functions of one variable, and the data that they were fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from etude.figures import INK, PALETTE, QUIET, canvas, stroke


def fitted_curve(
    x: Tensor,
    y: Tensor,
    grid: Tensor,
    fit: Tensor,
    truth: Tensor | None = None,
    truth_name: str = "truth",
) -> Figure:
    """Data, the function that was fitted to them and, where it is known, the true function.

    Args:
        x: inputs of the data, (rows,).
        y: targets of the data, (rows,).
        grid: inputs at which the curves are drawn, (cells,).
        fit: the fitted values on the grid, (cells,).
        truth: the values without noise on the grid, (cells,).
        truth_name: the name of the true function in the legend.
    """
    figure, (axes,) = canvas(6.4, 4.0)
    if truth is not None:
        axes.plot(
            grid.cpu(),
            truth.cpu(),
            color=INK,
            linewidth=1.2,
            linestyle=(0, (5, 3)),
            label=truth_name,
        )
    axes.plot(
        grid.cpu(), fit.detach().cpu(), color=PALETTE[1], linewidth=2.2, label=r"fit $\hat y$"
    )
    axes.scatter(
        x.cpu(),
        y.cpu(),
        s=22,
        color=PALETTE[0],
        edgecolor="white",
        linewidth=0.5,
        label="data",
        zorder=3,
    )
    axes.axhline(0, color="#e6e8eb", linewidth=0.8, zorder=0)
    axes.set(xlabel="$x$", ylabel="$y$")
    axes.legend()
    return figure


def families(
    grid: Tensor,
    panels: Mapping[str, Tensor],
    *,
    before: Tensor | None = None,
    data: Tensor | None = None,
    labels: Sequence[str] = (),
) -> Figure:
    """Families of functions, one panel below the other; function j has one colour in all panels.

    Args:
        grid: inputs at which the functions are drawn, (cells,).
        panels: title → values of the functions, (cells, functions).
        before: values of the first panel's functions before training, (cells, functions), which are
            drawn thin and pale.
        data: inputs of the training data, (rows,), which are marked along the axis.
        labels: labels of the vertical axes, one for each panel.
    """
    figure, axes = canvas(6.4, 2.7 * len(panels) + 0.4, rows=len(panels))
    for number, (cell, (title, functions)) in enumerate(zip(axes, panels.items(), strict=True)):
        for j, curve in enumerate(functions.detach().cpu().T):
            style = stroke(j)
            cell.plot(grid.cpu(), curve, linewidth=1.6, **style)
            if before is not None and number == 0:
                start = before.detach().cpu()[:, j]
                cell.plot(grid.cpu(), start, linewidth=0.8, alpha=0.5, **style)
        if data is not None:
            low, high = cell.get_ylim()
            floor = low - 0.04 * (high - low)
            cell.plot(
                data.cpu(),
                data.cpu() * 0 + floor,
                "|",
                color=QUIET,
                markersize=7,
                markeredgewidth=0.9,
            )
        cell.set(title=title, xlabel="$x$" if number + 1 == len(panels) else "")
        if number < len(labels):
            cell.set_ylabel(labels[number])
    return figure
