"""A kernel machine in the plane: its boundary, its margins and its support vectors."""

from __future__ import annotations

import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude.figures import INK, PALETTE, canvas


def margins(
    machine: nn.Module, points: Tensor, labels: Tensor, alpha: Tensor, bound: float
) -> Figure:
    """The score f over the plane, the lines f = 0 (solid) and f = ±1 (dashed), and all points.

    Points with α = 0 are pale, those with α = C full, and those between, which lie on a dashed
    line, are ringed.

    Args:
        machine: the function f from points, (batch, 2), to scores, (batch,).
        points: the training points, (rows, 2).
        labels: their classes, (rows,), 0 or 1.
        alpha: their multipliers, (rows,), from 0 to ``bound``.
        bound: C, the largest value of a multiplier.
    """
    low = points.min(0).values - 0.3
    high = points.max(0).values + 0.3
    xs, ys = (
        torch.linspace(float(low[i]), float(high[i]), 240, dtype=points.dtype) for i in (0, 1)
    )
    grid = torch.cartesian_prod(ys, xs).flip(1)  # (240², 2): x fastest
    with torch.inference_mode():
        f = (
            torch.cat([machine(part.to(points.device)) for part in torch.split(grid, 2_000)])
            .cpu()
            .view(240, 240)
            .numpy()
        )
    figure, (axes,) = canvas(7.0, 4.0)
    colours = LinearSegmentedColormap.from_list("classes", [PALETTE[0], "white", PALETTE[1]])
    x, y = xs.numpy(), ys.numpy()
    shade = axes.pcolormesh(
        x, y, f, cmap=colours, vmin=-2, vmax=2, alpha=0.35, rasterized=True, linewidth=0
    )
    axes.contour(
        x,
        y,
        f,
        levels=[-1, 0, 1],
        colors=[INK],
        linewidths=[1, 1.6, 1],
        linestyles=["--", "-", "--"],
    )
    held = (alpha > 1e-9 * bound).cpu()
    full = (alpha > (1 - 1e-9) * bound).cpu()
    xy, classes = points.cpu(), labels.cpu()
    for k in (0, 1):
        of_class = classes == k
        for shown, style in (
            (~held, {"s": 12, "alpha": 0.3, "linewidth": 0}),
            (full, {"s": 20, "edgecolor": "white", "linewidth": 0.5}),
            (held & ~full, {"s": 42, "edgecolor": INK, "linewidth": 1.5}),
        ):
            axes.scatter(*xy[of_class & shown].numpy().T, color=PALETTE[k], zorder=3, **style)
    names = {
        r"$\alpha = 0$": (4, 0.3, "none"),
        r"$\alpha = C$": (5, 1, "none"),
        r"$0 < \alpha < C$": (7, 1, INK),
    }
    for name, (size, opacity, edge) in names.items():
        axes.plot(
            [],
            [],
            "o",
            color=PALETTE[1],
            markersize=size,
            alpha=opacity,
            markeredgecolor=edge,
            label=name,
        )
    title = f"{int(held.sum()):,} of {len(points):,} points are support vectors"
    axes.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$", title=title)
    axes.legend(loc="upper right", handletextpad=0.2)
    figure.colorbar(shade, ax=axes, label="$f(x)$", shrink=0.8)
    return figure
