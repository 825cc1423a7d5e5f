"""Decision boundaries of classifiers of points in a plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude import training
from etude.figures import INK, PALETTE, canvas


def decision_boundary(
    net: nn.Module, points: Tensor, labels: Tensor, title: str = "", resolution: int = 300
) -> Figure:
    """The probability of class 1 over the plane, the boundary p = 0.5, and the points.

    Args:
        net: gives the logit of class 1 for each point, (batch, 2) → (batch, 1).
        points: the points that are shown, (points, 2).
        labels: their classes, (points,), 0 or 1.
        title: the title above the picture.
        resolution: cells of the shade along each side.
    """
    figure, (axes,) = canvas(5.6, 4.6)
    shade = _draw_decisions(axes, net, points, labels, resolution, dot=14)
    axes.set(xlabel="$x_1$", ylabel="$x_2$", title=title)
    axes.legend(loc="upper left", handletextpad=0.2)
    figure.colorbar(shade, ax=axes, label="$p$(class 1)", shrink=0.8)
    return figure


def decision_boundaries(
    nets: Mapping[str, nn.Module], points: Tensor, labels: Tensor, columns: int = 4
) -> Figure:
    """The decision boundaries of several networks on the same points, small and side by side.

    Args:
        nets: ``{title: network}``; each gives the logit of class 1, (batch, 2) → (batch, 1).
        points: the points that are shown, (points, 2).
        labels: their classes, (points,), 0 or 1.
        columns: panels in a row.
    """
    rows = -(-len(nets) // columns)
    figure, panels = canvas(2.2 * columns, 2.4 * rows, rows, columns)
    for axes, (title, net) in zip(panels, nets.items(), strict=False):
        _draw_decisions(axes, net, points, labels, resolution=150, dot=5)
        axes.set(title=title, xticks=(), yticks=())
        axes.spines[:].set_visible(False)
    for axes in panels[len(nets) :]:
        axes.remove()
    return figure


def _draw_decisions(
    axes: Axes, net: nn.Module, points: Tensor, labels: Tensor, resolution: int, dot: float
) -> QuadMesh:
    """Draw shade, boundary and points of one network; returns the shade."""
    low = points.min(0).values - 0.15
    high = points.max(0).values + 0.15
    xs = torch.linspace(float(low[0]), float(high[0]), resolution)
    ys = torch.linspace(float(low[1]), float(high[1]), resolution)
    grid = torch.cartesian_prod(ys, xs).flip(1)  # (resolution², 2); x changes fastest
    device = next(net.parameters()).device
    with training.evaluating(net):
        probability = net(grid.to(device)).squeeze(1).sigmoid()
    p = probability.cpu().view(resolution, resolution).numpy()

    colours = LinearSegmentedColormap.from_list("classes", [PALETTE[0], "white", PALETTE[1]])
    scale: dict[str, Any] = {"cmap": colours, "vmin": 0, "vmax": 1, "alpha": 0.55}
    x, y = xs.numpy(), ys.numpy()
    shade = axes.pcolormesh(x, y, p, rasterized=True, linewidth=0, **scale)
    if p.min() < 0.5 < p.max():
        axes.contour(x, y, p, levels=[0.5], colors=[INK], linewidths=1.4)

    edge: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.4 * (dot / 14) ** 0.5}
    for label, colour in ((0, PALETTE[0]), (1, PALETTE[1])):
        x1, x2 = points[labels == label].cpu().numpy().T
        axes.scatter(x1, x2, s=dot, color=colour, label=f"class {label}", zorder=3, **edge)
    axes.set(aspect="equal")
    return shade
