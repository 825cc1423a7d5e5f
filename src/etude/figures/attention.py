"""Who looks where, how positions are told, and how gradients begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter
from torch import Tensor

from etude.figures.style import DIVERGING, PALETTE, QUIET, SEQUENTIAL, canvas


def attention_maps(
    maps: Mapping[str, Tensor], queries: Sequence[str], keys: Sequence[str]
) -> Figure:
    """One panel for each head, one row of panels for each layer; a row of a panel is how one query
    spreads its look.

    Args:
        maps: by layer, (heads, queries, keys), each row adding up to 1.
        queries: what each row is called, from top to bottom.
        keys: what each column is called.
    """
    heads = max(len(weights) for weights in maps.values())
    words = max(map(len, keys)) > 3
    side = max(1.7, (0.17 if heads > 1 else 0.26) * len(keys))
    figure, axes = canvas(
        side * heads + (1.9 if words else 0.9),
        side * len(queries) / len(keys) * len(maps) + (1.5 if words else 0.9),
        rows=len(maps),
        columns=heads,
    )
    panels = iter(axes)
    for row, (layer, weights) in enumerate(maps.items()):
        for head, picture in enumerate(weights.detach().float().cpu().numpy()):
            panel = next(panels)
            image = panel.imshow(picture, cmap=SEQUENTIAL, vmin=0, vmax=1)
            panel.set_xticks(range(len(keys)), list(keys), fontsize=7, rotation=90 if words else 0)
            panel.set_yticks(range(len(queries)), list(queries) if head == 0 else [], fontsize=7)
            panel.tick_params(length=0, pad=2)
            panel.spines[:].set_visible(False)
            panel.set_title(
                f"{layer}, head {head + 1}" if heads > 1 else layer, fontsize=9, loc="center", pad=4
            )
            if row == len(maps) - 1:
                panel.set_xlabel("read", fontsize=9)
            if head == 0:
                panel.set_ylabel("written", fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, pad=0.015, label="weight")
    return figure


def position_kinds(table: Tensor, distances: Tensor, cosines: Tensor, bias: Tensor) -> Figure:
    """Three ways to tell a position: waves that are added, turns that are multiplied, a slope that
    is subtracted.

    Args:
        table: what is added to the rows, (time, width).
        distances: t - s, (n,).
        cosines: what each rotary pair of a vector gives to its score with itself, (pairs, n).
        bias: of each head at each distance, (heads, n).
    """
    figure, (added, turned, lowered) = canvas(12.2, 3.7, columns=3)
    image = added.imshow(
        table.numpy(), cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto", interpolation="nearest"
    )
    added.set(
        title="sinusoidal: added to the rows", xlabel="place in the row", ylabel="position $t$"
    )
    figure.colorbar(image, ax=added, pad=0.02, ticks=[-1, 0, 1])
    apart = distances.numpy()
    shades = mpl.colormaps["Blues"](np.linspace(0.75, 0.3, len(cosines)))
    for number, (line, shade) in enumerate(zip(cosines, shades, strict=True)):
        turned.plot(
            apart,
            line.numpy(),
            color=shade,
            linewidth=1.0,
            label="of a pair" if number == 0 else None,
        )
    turned.plot(
        apart, cosines.mean(0).numpy(), color=PALETTE[1], linewidth=2.2, label="of all pairs, mean"
    )
    turned.set(title="rotary: score of a vector with itself", xlabel="distance $t - s$")
    turned.legend(fontsize=8, loc="lower center", ncols=2, bbox_to_anchor=(0.5, -0.02))
    turned.set_ylim(-1.5, 1.1)
    turned.set_yticks([-1, 0, 1])
    for head, line in enumerate(bias):
        lowered.plot(
            apart, line.numpy(), color=PALETTE[head % len(PALETTE)], label=f"head {head + 1}"
        )
    lowered.set(title="ALiBi: added to the scores", xlabel="distance $t - s$")
    lowered.legend(fontsize=8, loc="lower center")
    for panel in (turned, lowered):
        panel.grid(visible=True, axis="y")
        panel.set_axisbelow(True)
    return figure


def by_length(
    lengths: Sequence[int], reached: Sequence[float], trained: tuple[int, int], measure: str
) -> Figure:
    """What is reached at each length; those of training are shaded.

    Args:
        lengths: rising.
        reached: at each, from 0 to 1.
        trained: the shortest and the longest of training.
        measure: what it is.
    """
    figure, (axes,) = canvas(6.2, 3.4)
    axes.axvspan(trained[0] - 0.5, trained[1] + 0.5, color=PALETTE[0], alpha=0.1, linewidth=0)
    axes.text(
        trained[1] + 0.3,
        0.5,
        "trained on",
        ha="right",
        va="center",
        rotation=90,
        fontsize=9,
        color=PALETTE[0],
    )
    axes.plot(lengths, reached, "o-", color=PALETTE[1], markersize=4)
    axes.set(xlabel="length of the sequence", ylabel=measure, ylim=(-0.03, 1.05))
    axes.set_xticks([length for length in lengths if length % 2 == 0])
    axes.grid(visible=True, axis="y")
    return figure


def gradient_by_depth(depths: Sequence[int], sizes: Mapping[str, Sequence[float]]) -> Figure:
    r"""The last block's gradient before the first step, against how many blocks there are; $1 /
    \sqrt L$ is dashed.

    Args:
        depths: L, rising.
        sizes: where the norm stands → the gradient's length for each depth.
    """
    figure, (axes,) = canvas(5.6, 3.6)
    for (norm, found), colour in zip(sizes.items(), PALETTE, strict=False):
        axes.plot(depths, found, "o-", color=colour, markersize=5, label=f"{norm}-norm")
    falling = sizes["pre"][0]
    axes.plot(
        depths,
        [falling * (depths[0] / depth) ** 0.5 for depth in depths],
        color=QUIET,
        linewidth=1.1,
        linestyle=(0, (4, 3)),
        label=r"$1 / \sqrt{L}$",
    )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis, places in ((axes.xaxis, depths), (axes.yaxis, [2.0**k for k in range(-4, 6)])):
        axis.set_major_locator(FixedLocator(list(places)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)
    axes.set(xlabel="blocks $L$", ylabel="length of the last block's gradient")
    axes.legend(fontsize=9)
    return figure
