"""Activations and their derivatives, and what becomes of a signal and of its gradient from layer to
layer.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures import PALETTE, QUIET, canvas, stroke


def curves_with_slopes(
    z: Tensor,
    functions: Mapping[str, tuple[Tensor, Tensor]],
    surrogate: Collection[str] = (),
    columns: int = 4,
) -> Figure:
    """Functions and their derivatives, a small panel for each, all to one scale.

    Args:
        z: where the functions were evaluated, (points,).
        functions: ``{name: (values, derivatives)}``, both (points,).
        surrogate: names of the functions whose derivative is replaced by another one's in training;
            it is drawn dashed.
        columns: panels in a row.
    """
    rows = -(-len(functions) // columns)
    figure, panels = canvas(2.3 * columns, 2.1 * rows + 0.3, rows, columns)
    for axes, (name, (values, slopes)) in zip(panels, functions.items(), strict=False):
        axes.axhline(0, color=QUIET, linewidth=0.7, zorder=0)
        axes.axvline(0, color=QUIET, linewidth=0.7, zorder=0)
        dashes = (0, (3, 2)) if name in surrogate else "-"
        (slope,) = axes.plot(z, slopes, color=PALETTE[1], linewidth=1.6, linestyle=dashes)
        (value,) = axes.plot(z, values, color=PALETTE[0], linewidth=2.0)
        axes.set(
            title=name,
            xlim=(float(z[0]), float(z[-1])),
            ylim=(-1.6, 3.2),
            xticks=(-3, 0, 3),
            yticks=(-1, 0, 1, 2),
        )
        axes.tick_params(labelsize=8)
    for axes in panels[len(functions) :]:
        axes.remove()
    slope.set_linestyle("-")
    figure.legend(
        [value, slope], [r"$\phi(z)$", r"$\phi'(z)$"], loc="outside lower center", ncols=2
    )
    return figure


def through_layers(
    sizes: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
) -> Figure:
    """The size of the signal (above) and of the gradient (below) in every layer as a power of ten;
    a column for each activation.

    Args:
        sizes: ``{activation: {initialisation: (signal, gradient)}}``, one positive number for each
            layer.
    """
    figure, panels = canvas(3.1 * len(sizes), 5.4, 2, len(sizes))
    names = list(dict.fromkeys(name for by_name in sizes.values() for name in by_name))
    lines = {}
    for column, (activation, by_name) in enumerate(sizes.items()):
        for row, (axes, what) in enumerate(
            zip(panels[column :: len(sizes)], ("signal", "gradient"), strict=True)
        ):
            for name, measured in by_name.items():
                layers = range(1, len(measured[row]) + 1)
                powers = [math.log10(size) for size in measured[row]]
                style = stroke(names.index(name))  # a line may lie on another
                (lines[name],) = axes.plot(layers, powers, linewidth=1.8, **style)
            axes.set(title=f"{activation}: {what}", xlabel="layer" if row else "")
            if column == 0:
                axes.set_ylabel(r"$\log_{10}$ of its size")
            axes.grid(visible=True, axis="y")
            axes.set_axisbelow(True)
    figure.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=len(lines))
    return figure


def spread_by_layer(values: Mapping[str, Sequence[Tensor]], reach: float) -> Figure:
    """Histograms of the values in every layer: a panel for each name, a column for each layer.

    Args:
        values: ``{name: values of each layer}``, of any shape.
        reach: the histograms go from -reach to reach.
    """
    shades = LinearSegmentedColormap.from_list("shares", ["white", PALETTE[0], PALETTE[-1]])
    figure, panels = canvas(2.6 * len(values), 2.7, columns=len(values))
    for axes, (name, layers) in zip(panels, values.items(), strict=True):
        counts = [torch.histc(numbers.flatten().float(), 41, -reach, reach) for numbers in layers]
        # the fullest bin of each layer is the darkest
        shares = torch.stack([count / count.max() for count in counts], 1)
        extent = (0.5, len(layers) + 0.5, -reach, reach)
        axes.imshow(
            shares.numpy(),
            origin="lower",
            extent=extent,
            aspect="auto",
            cmap=shades,
            vmin=0,
            vmax=1,
        )
        axes.set(title=name, xlabel="layer", yticks=(-reach, 0, reach) if axes is panels[0] else ())
    return figure
