"""How positions are encoded, how far a length carries, and how gradients begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter
from torch import Tensor

from etude.figures import DIVERGING, PALETTE, QUIET, canvas, stroke


def position_encodings(table: Tensor, distances: Tensor, cosines: Tensor, bias: Tensor) -> Figure:
    """Three encodings of positions: waves that are added, rotations that multiply, a slope that is
    subtracted.

    Args:
        table: the sinusoids that are added to the embeddings, (time, width).
        distances: t - s, (n,).
        cosines: what each rotary pair of a vector adds to its score with itself, (pairs, n).
        bias: the bias of each head at each distance, (heads, n).
    """
    figure, (added, turned, lowered) = canvas(12.2, 3.7, columns=3)
    image = added.imshow(
        table.numpy(), cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto", interpolation="nearest"
    )
    added.set(title="sinusoidal: added to the embedding", xlabel="feature", ylabel="position $t$")
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
        lowered.plot(apart, line.numpy(), label=f"head {head + 1}", **stroke(head))
    lowered.set(title="ALiBi: added to the scores", xlabel="distance $t - s$")
    lowered.legend(fontsize=8, loc="lower center")
    for panel in (turned, lowered):
        panel.grid(visible=True, axis="y")
        panel.set_axisbelow(True)
    return figure


def by_length(
    lengths: Sequence[int], reached: Sequence[float], trained: tuple[int, int], measure: str
) -> Figure:
    """A measure at each length; the lengths of training are shaded.

    Args:
        lengths: lengths of sequences, ascending.
        reached: the measure at each length, from 0 to 1.
        trained: the shortest and the longest of training.
        measure: the name of the measure.
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
    r"""The norm of the last block's gradient before the first step, against the number of blocks;
    $1 / \sqrt L$ is dashed.

    Args:
        depths: L, ascending.
        sizes: for ``pre`` and ``post``, the gradient's norm at each depth.
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
    axes.set(xlabel="blocks $L$", ylabel="norm of the last block's gradient")
    axes.legend(fontsize=9)
    return figure
