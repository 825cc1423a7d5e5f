"""Pictures of the smallest networks: accuracy against size, and what matches what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate

from etude.figures import INK, PALETTE, QUIET, canvas, image_grid
from etude.networks.strokes import StrokeNetwork

Points = Sequence[tuple[float, float]]


def accuracy_by_size(
    families: Mapping[str, Points],
    special: Mapping[str, Points] | None = None,
    goal: float | None = None,
) -> Figure:
    """Accuracy on held-out data against the number of trained parameters, which runs on a
    logarithmic axis.

    Args:
        families: ``{name: [(parameters, accuracy), …]}``; each is a line.
        special: single points, drawn large; several under one name are joined by arrows that end at
            the last.
        goal: an accuracy that is marked by a line.
    """
    figure, (axes,) = canvas(6.8, 4.2)
    if goal is not None:
        axes.axhline(goal, color=QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            f"{goal:.2f}",
            (1, goal),
            xycoords=("axes fraction", "data"),
            xytext=(-2, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            color=QUIET,
            fontsize=9,
        )
    markers = "osD^v"
    for number, (name, points) in enumerate(families.items()):
        if not points:
            continue
        sizes, values = zip(*sorted(points), strict=True)
        axes.plot(
            sizes,
            values,
            marker=markers[number % 5],
            markersize=5,
            color=PALETTE[number],
            label=name,
        )
    for number, (name, points) in enumerate((special or {}).items()):
        colour = PALETTE[(len(families) + number) % len(PALETTE)]
        *before, (size, value) = points
        for start in before:
            axes.plot(
                *start,
                marker="*",
                markersize=13,
                markerfacecolor="white",
                markeredgecolor=colour,
                zorder=4,
            )
            axes.annotate(
                "",
                (size, value),
                start,
                arrowprops={"arrowstyle": "->", "color": colour, "shrinkA": 6, "shrinkB": 7},
            )
        axes.plot(
            size,
            value,
            "*",
            markersize=17,
            color=colour,
            markeredgecolor=INK,
            markeredgewidth=0.5,
            label=name,
        )
    axes.set(
        xscale="log", ylim=(0, 1.03), xlabel="trained parameters", ylabel="accuracy on the test set"
    )
    axes.grid(visible=True, axis="y")
    axes.legend(loc="lower right")
    return figure


def matches(net: StrokeNetwork, images: Tensor, labels: Tensor) -> Figure:
    """Images, the same through the network's window, and the drawing that each is most like.

    Args:
        net: the network.
        images: (n, 1, height, width), from 0 to 1.
        labels: their classes, (n,).
    """
    with torch.inference_mode():
        confidence, predicted = net(images).softmax(1).max(1)
        nearest = net.known()[net.likeness(images).argmax(1)]
        rows = [interpolate(part, 56) for part in (images, net.normalised(images), nearest)]
    titles = [f"is {label}" for label in labels]
    titles += [""] * len(images)
    titles += [f"{digit} ({p:.2f})" for digit, p in zip(predicted, confidence, strict=True)]
    return image_grid(torch.cat(rows), titles, columns=len(images))
