"""Gradients through time: how they vanish or explode, and a cliff in the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures import INK, PALETTE, SEQUENTIAL, canvas

FLOOR = 1e-12  # smaller gradients are not shown


def gradients_through_time(
    panels: Mapping[str, Mapping[str, Tensor]], colours: Sequence[str], bounds: Mapping[str, Tensor]
) -> Figure:
    """The size of a gradient against the steps that it went back, on a logarithmic axis; its bounds
    are dashed.

    Args:
        panels: ``{title: {line: sizes}}`` with sizes (steps,), from 0 steps back on.
        colours: the names of all lines in the order of the palette, so that a line has the same
            colour in every panel.
        bounds: bounds of shape (steps,), by the name of their line.
    """
    figure, all_axes = canvas(10.2, 3.9, columns=len(panels))
    high = 10 * max(
        1.0, *(float(sizes.max()) for lines in panels.values() for sizes in lines.values())
    )
    for axes, (title, lines) in zip(all_axes, panels.items(), strict=True):
        for name, sizes in lines.items():
            colour = PALETTE[list(colours).index(name) % len(PALETTE)]
            axes.plot(
                range(len(sizes)), sizes.clamp(min=FLOOR / 1e3).numpy(), color=colour, label=name
            )
            if name in bounds:
                axes.plot(
                    range(len(sizes)),
                    bounds[name].numpy(),
                    color=colour,
                    linewidth=1.1,
                    linestyle=(0, (4, 3)),
                )
        axes.set(title=title, xlabel="steps back $k$", yscale="log", ylim=(FLOOR, high))
        axes.grid(visible=True, axis="y")
        axes.legend(fontsize=8, loc="lower left")
    for axes in all_axes[1:]:
        axes.tick_params(labelleft=False)
    all_axes[0].set_ylabel(r"size of $\partial s_T / \partial s_{T-k}$")
    return figure


def cliff(
    u: Tensor, b: Tensor, losses: Tensor, paths: Mapping[str, Tensor], falls: Mapping[str, Tensor]
) -> Figure:
    """Two descents from one point: on the surface of the loss, and their loss over the steps.

    Args:
        u: values of the first parameter, ascending, (n,).
        b: values of the second parameter, ascending, (m,).
        losses: the loss at each pair, (n, m).
        paths: ``{name: points}`` with the points (u, b) of a descent, (steps, 2); they may leave
            the picture.
        falls: ``{name: losses}`` with the losses of a descent, (steps,).
    """
    figure, (plane, line) = canvas(9.4, 3.9, columns=2)
    shown = losses.clamp(min=1e-4).T.numpy()
    norm = LogNorm(1e-4, float(losses.max()))
    shade = plane.pcolormesh(
        u.numpy(), b.numpy(), shown, norm=norm, cmap=SEQUENTIAL, rasterized=True
    )
    figure.colorbar(shade, ax=plane, label="loss", shrink=0.85)
    for places, colour in zip(paths.values(), (INK, PALETTE[1]), strict=True):
        plane.plot(*places.T.numpy(), "-", color=colour, linewidth=1.2, marker="o", markersize=2.4)
    plane.plot(
        *next(iter(paths.values()))[0].tolist(),
        "o",
        color="white",
        markeredgecolor=INK,
        markersize=7,
        zorder=5,
    )
    plane.set(
        xlim=(float(u[0]), float(u[-1])),
        ylim=(float(b[0]), float(b[-1])),
        xlabel="$u$",
        ylabel="$b$",
    )
    for (name, values), colour in zip(falls.items(), (INK, PALETTE[1]), strict=True):
        line.plot(values.clamp(min=1e-12).numpy(), color=colour, label=name)
    line.set(xlabel="step", yscale="log", ylim=(1e-6, 10), title="loss")
    line.grid(visible=True, axis="y")
    line.legend(loc="center right", fontsize=9)
    return figure
