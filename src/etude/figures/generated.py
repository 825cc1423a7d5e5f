"""How pictures come out of noise, in print and in motion, and how what was made is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures.animations import Film
from etude.figures.latent import CELL, mosaic, tiled
from etude.figures.style import INK, PALETTE, QUIET, canvas


def sheets(
    panels: Mapping[str, Tensor], columns: Sequence[str], rows: Sequence[str] = (), below: str = ""
) -> Figure:
    """Blocks of small pictures side by side, every column named below.

    Args:
        panels: title → (rows, columns, side²), from 0 to 1; all of one shape.
        columns: their names.
        rows: their names, or none.
        below: what the columns' names say.
    """
    figure = mosaic(panels, rows)
    side = math.isqrt(next(iter(panels.values())).shape[-1])
    places = [(side + 1) * i + (side - 1) / 2 for i in range(len(columns))]
    for axes in figure.axes:
        axes.set_xticks(places, columns, fontsize=9)
        axes.tick_params(axis="x", length=0)
        axes.set_xlabel(below)
    return figure


def developing(frames: Tensor, captions: Sequence[str], hold: int = 15) -> Film:
    """A block of small pictures that changes from frame to frame.

    Args:
        frames: (frames, rows, columns, side²), from 0 to 1.
        captions: one each.
        hold: for how many frames the last one stays.
    """
    _, rows, columns, _ = frames.shape
    figure, (axes,) = canvas(CELL * columns + 0.3, CELL * rows + 0.45)
    image = axes.imshow(tiled(frames[0]).numpy(), cmap="gray_r", vmin=0, vmax=1)
    axes.set(xticks=(), yticks=(), title=captions[0])
    axes.spines[:].set_visible(False)

    def draw(frame: int) -> list[Artist]:
        at = min(frame, len(frames) - 1)
        image.set_data(tiled(frames[at]).numpy())
        return [image, axes.set_title(captions[at])]

    return Film(figure, draw, len(frames) + hold)


def mixtures(kinds: Mapping[str, tuple[Tensor, Tensor, Tensor]]) -> Figure:
    """What part of a mixture is picture and what noise, over time; and the logarithm of their
    ratio.

    Args:
        kinds: name → (time, picture's factor, noise's factor), (points,) each.
    """
    figure, (left, right) = canvas(8.6, 3.4, columns=2)
    for colour, (name, (time, picture, noise)) in zip(PALETTE, kinds.items(), strict=False):
        left.plot(time, picture, color=colour, label=name)
        left.plot(time, noise, color=colour, linestyle=(0, (3, 2)), linewidth=1.3)
        right.plot(time, 2 * (picture / noise).log10(), color=colour, label=name)
    left.set(xlabel="time t", title="factor of the picture (whole), of the noise (dashed)")
    right.set(xlabel="time t", title=r"$\log_{10}$ of signal over noise, in variance", ylim=(-5, 5))
    right.axhline(0, color=QUIET, linewidth=0.8, zorder=0)
    for axes in (left, right):
        axes.grid(visible=True, axis="y")
    right.legend()
    return figure


def trade(
    weights: Sequence[float],
    right: Sequence[float],
    far: Sequence[float],
    real: float,
    chosen: float,
) -> Figure:
    """What guidance buys and what it costs.

    Args:
        weights: of guidance, none of them 0.
        right: the part that the judge takes for the class asked for.
        far: the Fréchet distance to real pictures.
        real: the same of other real pictures.
        chosen: the weight that the study works with.
    """
    figure, (one, two) = canvas(8.2, 3.3, columns=2)
    one.plot(weights, right, "o-", color=PALETTE[0])
    one.set(title="judged to be of the class asked for", ylim=(min(0.9, *right) - 0.04, 1.02))
    two.plot(weights, far, "o-", color=PALETTE[1])
    two.axhline(real, color=INK, linestyle=(0, (4, 3)), linewidth=1.1)
    two.annotate(
        "training digits",
        (max(weights), real),
        (0, -4),
        textcoords="offset points",
        va="top",
        ha="right",
    )
    two.set(title="Fréchet distance to validation digits", ylim=(0, None))
    for axes in (one, two):
        axes.axvline(chosen, color=QUIET, linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.set_xticks(weights, [f"{w:g}" for w in weights])
        axes.minorticks_off()
        axes.set_xlabel("guidance w")
        axes.grid(visible=True, axis="y")
    return figure


def coverage_bars(shares: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """How often each class is among pictures, for several sets of them.

    Args:
        shares: set → (classes,), which sum to 1.
        names: of the classes.
    """
    figure, (axes,) = canvas(6.8, 3.2)
    width = 0.8 / len(shares)
    for i, (label, share) in enumerate(shares.items()):
        shift = (i - (len(shares) - 1) / 2) * width
        places = [k + shift for k in range(len(names))]
        axes.bar(places, share.tolist(), width * 0.92, color=PALETTE[i], label=label)
    axes.axhline(1 / len(names), color=QUIET, linewidth=0.8, zorder=0)
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(axis="x", length=0)
    axes.set(
        ylabel="share of pictures",
        ylim=(0, 1.3 * max(float(share.max()) for share in shares.values())),
    )
    axes.legend(ncols=len(shares), loc="upper right")
    return figure


def score_histogram(sets: Mapping[str, Tensor], title: str, measure: str) -> Figure:
    """How a critic's scores of several sets of pictures are spread, to one scale.

    Args:
        sets: name → (pictures,).
        title: of the picture.
        measure: what a score is.
    """
    figure, (axes,) = canvas(6.4, 3.4)
    low, high = (
        float(f(torch.stack([f(s) for s in sets.values()]))) for f in (torch.min, torch.max)
    )
    for i, (name, values) in enumerate(sets.items()):
        axes.hist(
            values.tolist(),
            bins=30,
            range=(low, high),
            density=True,
            alpha=0.5,
            color=PALETTE[i],
            label=f"{name}: mean {float(values.mean()):.2f}",
        )
    axes.set(title=title, xlabel=measure, yticks=())
    axes.spines["left"].set_visible(False)
    axes.legend()
    return figure


def clouds(
    films: Mapping[str, tuple[Sequence[int], Sequence[Tensor]]], centres: Tensor, columns: int = 6
) -> Figure:
    """Points in the plane at several steps, a row for each film.

    Args:
        films: name → (steps, (points, 2) at each).
        centres: where they should be, (modes, 2).
        columns: how many moments are shown.
    """
    columns = min(columns, *(len(steps) for steps, _ in films.values()))
    figure, axes = canvas(1.7 * columns + 0.4, 1.85 * len(films), len(films), columns)
    reach = 1.6 * float(centres.abs().max())
    for row, (name, (steps, pictures)) in enumerate(films.items()):
        for column in range(columns):
            at, cell = (column + 1) * len(steps) // columns - 1, axes[row * columns + column]
            cell.scatter(
                centres[:, 0], centres[:, 1], s=70, facecolor="none", edgecolor=QUIET, linewidth=0.9
            )
            cell.scatter(
                pictures[at][:, 0],
                pictures[at][:, 1],
                s=5,
                color=PALETTE[row],
                alpha=0.6,
                linewidth=0,
            )
            cell.set(
                xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=(), yticks=()
            )
            cell.spines[:].set_visible(False)
            cell.set_title(f"step {steps[at]:,}", loc="center", fontsize=9)
        axes[row * columns].set_ylabel(name)
    return figure
