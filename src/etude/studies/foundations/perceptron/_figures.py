"""Pictures of units with a hard limit: their outputs over the plane, the paths of their weights,
and their mistakes against the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from etude.figures import INK, PALETTE, QUIET, canvas

from ._rows import BITS

LOW, HIGH = -0.6, 1.6  # the plane around the corners


@dataclass(frozen=True)
class TruthTable:
    """One panel of :func:`truth_tables`.

    Args:
        title: the text above the panel.
        targets: the right outputs at the corners (0, 0), (0, 1), (1, 0), (1, 1): (4,), 0 or 1.
        output: a function from points, (rows, 2), to values from 0 to 1, (rows,), which are shown
            as shades; without it the plane stays white.
        lines: weights (w_1, w_2, b) of lines, (lines, 3); an arrow points to where the unit's
            output is 1.
        tried: weights of further lines, (lines, 3), which are drawn thin and without arrows.
        meeting: a point (2,) in the convex hulls of both classes, which is joined to the corners.
    """

    title: str
    targets: Tensor
    output: Callable[[Tensor], Tensor] | None = None
    lines: Tensor | None = None
    tried: Tensor | None = None
    meeting: Tensor | None = None


def truth_tables(panels: Sequence[TruthTable], columns: int = 3) -> Figure:
    """Functions of two bits over the plane, blue where they are 0 and orange where they are 1."""
    rows = -(-len(panels) // columns)
    figure, axes = canvas(2.9 * columns, 3.1 * rows, rows, columns)
    axis = torch.linspace(LOW, HIGH, 200)
    side = axis.numpy()
    grid = torch.cartesian_prod(axis, axis).flip(1)  # (200², 2): x fastest
    colours = LinearSegmentedColormap.from_list("outputs", [PALETTE[0], "white", PALETTE[1]])
    for cell, panel in zip(axes, panels, strict=False):
        if panel.output is not None:
            with torch.inference_mode():
                value = panel.output(grid).view(200, 200).numpy()
            cell.pcolormesh(
                side,
                side,
                value,
                cmap=colours,
                vmin=0,
                vmax=1,
                alpha=0.35,
                rasterized=True,
                linewidth=0,
            )
        for w in torch.unique(panel.tried, dim=0) if panel.tried is not None else ():
            _line(cell, w, thin=True)
        for w in panel.lines if panel.lines is not None else ():
            _line(cell, w)
        for (x1, x2), target in zip(BITS.tolist(), panel.targets.tolist(), strict=True):
            cell.plot(
                x1, x2, "o", color=PALETTE[target], markersize=9, markeredgecolor="white", zorder=4
            )
            cell.text(
                1.3 * x1 - 0.15, 1.3 * x2 - 0.15, str(target), ha="center", va="center", zorder=4
            )
            if panel.meeting is not None:
                m1, m2 = panel.meeting.tolist()
                cell.plot([x1, m1], [x2, m2], color=PALETTE[target], zorder=2)
        if panel.meeting is not None:
            cell.plot(*panel.meeting.tolist(), "*", color=INK, markersize=12, zorder=4)
        cell.set(
            aspect="equal",
            xlim=(LOW, HIGH),
            ylim=(LOW, HIGH),
            title=panel.title,
            xticks=(0, 1),
            yticks=(0, 1),
        )
    for cell in axes[len(panels) :]:
        cell.remove()
    return figure


def _line(cell: Axes, w: Tensor, *, thin: bool = False) -> None:
    """Draw the line w₁x₁ + w₂x₂ + b = 0; unless it is thin, with an arrow in its middle."""
    normal, b = w[:2], w[2]
    if not normal.any():
        return  # the unit has the same output everywhere
    middle = torch.full((2,), (LOW + HIGH) / 2)
    foot = middle - (normal @ middle + b) / normal.square().sum() * normal
    unit = normal / normal.norm()
    along = 4 * torch.stack([-unit[1], unit[0]])
    x1, y1 = (foot - along).tolist()
    x2, y2 = (foot + along).tolist()
    cell.plot(
        [x1, x2], [y1, y2], color=QUIET if thin else INK, linewidth=0.7 if thin else 1.4, zorder=1
    )
    if not thin:
        x, y = foot.tolist()
        across, up = (0.22 * unit).tolist()
        cell.annotate(
            "",
            (x + across, y + up),
            (x, y),
            arrowprops={"arrowstyle": "-|>", "color": INK, "shrinkA": 0},
        )


def weight_paths(paths: Mapping[str, tuple[Tensor, int]], most: int = 32) -> Figure:
    """Two weights and a bias after each mistake, one panel for each unit.

    The three lines are drawn a little apart, so that equal values stay visible.

    Args:
        paths: title → the weights, (mistakes + 1, 3), and the number of mistakes in the cycle with
            which they end (0: there is none).
        most: the largest number of mistakes that is shown.
    """
    figure, axes = canvas(7.2, 2.3 * len(paths), rows=len(paths))
    longest = min(most, max(len(path) for path, _ in paths.values()) - 1)
    for cell, (title, (path, period)) in zip(axes, paths.items(), strict=True):
        for j, name in enumerate((r"$w_1$", r"$w_2$", r"$b$")):
            values = path[:, j] + 0.1 * (1 - j)
            cell.step(
                range(len(path)),
                values.numpy(),
                where="post",
                color=PALETTE[j],
                linewidth=1.6,
                label=name,
            )
            if not period and len(path) <= longest:
                cell.hlines(
                    values[-1].item(), len(path) - 1, longest, color=PALETTE[j], linewidth=1.6
                )
        if period:
            back = (path[:-period] == path[period:]).all(1)
            first = int((~back).nonzero()[-1]) + 1 if not back.all() else 0
            turns = range(first, longest + 1, period)
            for number, (start, end) in enumerate(pairwise(turns)):
                cell.axvspan(
                    start, end, color=QUIET, alpha=0.16 * (number % 2 == 0), linewidth=0, zorder=0
                )
        else:
            cell.axvline(len(path) - 1, color=QUIET, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        cell.set(title=title, xlim=(0, longest), xlabel="mistakes" if cell is axes[-1] else "")
        cell.yaxis.set_major_locator(MaxNLocator(integer=True))
        cell.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def mistake_bound(
    bounds: Sequence[float], mistakes: Mapping[str, Sequence[float]], path: Tensor
) -> Figure:
    """Mistakes against the bound (R/γ)², and the two bounds on the weights' length that prove it.

    Args:
        bounds: (R/γ)² of several data sets.
        mistakes: name → the numbers of mistakes on the first of these sets, in order.
        path: the weights after each mistake on the last set, (mistakes + 1, inputs), where R = 1
            and the first weights are 0.
    """
    figure, (left, right) = canvas(9.6, 3.9, columns=2)
    span = [min(bounds), max(bounds)]
    left.plot(span, span, color=INK, linewidth=1.2, label=r"the bound $(R / \gamma)^2$")
    for j, (name, values) in enumerate(mistakes.items()):
        left.plot(
            bounds[: len(values)], values, "os"[j % 2], color=PALETTE[j], markersize=6, label=name
        )
    left.set(
        xscale="log",
        yscale="log",
        xlabel=r"$(R / \gamma)^2$",
        ylabel="mistakes",
        title="mistakes and their bound",
    )
    left.legend(loc="upper left")
    k = torch.logspace(0, torch.tensor(2 * bounds[-1]).log10().item(), 50)
    right.plot(k, k.sqrt(), color=PALETTE[1], linestyle="--", label=r"at most $R \sqrt{k}$")
    right.plot(
        k, k / bounds[-1] ** 0.5, color=PALETTE[2], linestyle="--", label=r"at least $\gamma k$"
    )
    right.plot(
        range(1, len(path)),
        path[1:].norm(dim=1),
        color=PALETTE[0],
        linewidth=2.4,
        label=r"$\|w_k\|$",
    )
    right.axvline(bounds[-1], color=QUIET, linewidth=0.9, linestyle=":")
    right.set(xscale="log", yscale="log", xlabel="mistakes $k$", ylabel="length of the weights")
    right.set(
        title=rf"why they must end: $\gamma$ = 1/{bounds[-1] ** 0.5:.0f}",
        xlim=(1, None),
        ylim=(0.5, None),
    )
    right.legend(loc="upper left")
    return figure
