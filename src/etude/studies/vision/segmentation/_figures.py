"""Pictures whose every pixel has a class: beside the truth, during training, and class by class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from etude.figures import INK, PALETTE, QUIET, SEQUENTIAL, canvas

UNKNOWN = "#1a1a1a"  # colour of a pixel without a class
GROUND = "#e3e5e8"  # colour of the ground
MISTAKE = "#c2242f"
FURTHER = ("#d98ba3", "#a5c96f")  # colours of more classes than the palette has


def class_colours(classes: int, ground: bool) -> list[tuple[float, float, float]]:
    """An RGB colour for each class, from 0 to 1.

    Args:
        classes: Number of classes.
        ground: Whether class 0 is the ground, which is light gray.
    """
    colours = [PALETTE[k % len(PALETTE)] for k in range(classes)]
    for k in range(len(PALETTE), classes):
        colours[k] = FURTHER[k % len(FURTHER)]
    if ground:
        colours = [GROUND, *colours[:-1]]
    return [to_rgb(colour) for colour in colours]


def colour_map(truth: Tensor, classes: int, ground: bool, images: Tensor | None = None) -> Tensor:
    """Maps of classes in colour, over the pictures that they belong to if these are given.

    Args:
        truth: Classes, (…, height, width); pixels without a known class are nearly black.
        classes: Number of classes.
        ground: Whether class 0 is the ground, which does not cover the picture.
        images: (…, 3, height, width), from 0 to 1.

    Returns:
        (…, height, width, 3), from 0 to 1.
    """
    table = torch.tensor([*class_colours(classes, ground), to_rgb(UNKNOWN)])
    colour = table[truth.long().clamp(0, classes)]
    if images is None:
        return colour
    gray = images.float().mean(-3)[..., None].expand_as(colour)
    mixed = 0.35 * gray + 0.65 * colour
    return torch.where((truth == 0)[..., None], gray, mixed) if ground else mixed


def overlays(
    images: Tensor,
    truth: Tensor,
    predicted: Tensor,
    classes: Sequence[str],
    *,
    ground: bool = False,
) -> Figure:
    """Four rows: pictures, true classes, predicted classes, and mistakes in red.

    Args:
        images: (n, 3, height, width), from 0 to 1.
        truth: True classes, (n, height, width).
        predicted: Predicted classes, (n, height, width).
        classes: Names of the classes.
        ground: Whether class 0 is the ground.
    """
    n, height, width = truth.shape
    k = len(classes)
    wrong = ((predicted != truth) & (truth < k)).float()[..., None]
    faint = 0.75 + 0.25 * images.float().mean(1)[..., None].expand(-1, -1, -1, 3)
    rows = {
        "image": images.float().movedim(1, -1),
        "truth": colour_map(truth, k, ground, images),
        "prediction": colour_map(predicted, k, ground, images),
        "mistakes": faint.lerp(torch.tensor(to_rgb(MISTAKE)), wrong),
    }
    cell = 1.55
    figure, axes = canvas(cell * n + 0.3, cell * height / width * 4 + 0.55, 4, n)
    for r, (name, pictures) in enumerate(rows.items()):
        for i, picture in enumerate(pictures):
            axis = axes[r * n + i]
            axis.imshow(picture.clamp(0, 1).cpu().numpy())
            axis.set(xticks=(), yticks=())
            axis.spines[:].set_visible(False)
        axes[r * n].set_ylabel(name)
    _legend(figure, classes, ground)
    return figure


def development(
    image: Tensor,
    truth: Tensor,
    maps: Tensor,
    steps: Sequence[int],
    classes: Sequence[str],
    *,
    ground: bool = False,
) -> Figure:
    """One picture, its predictions in the course of training, and the truth.

    Args:
        image: (3, height, width), from 0 to 1.
        truth: True classes, (height, width).
        maps: Predicted classes, (predictions, height, width).
        steps: The number of steps after which each prediction was made.
        classes: Names of the classes.
        ground: Whether class 0 is the ground.
    """
    chosen = torch.linspace(0, len(maps) - 1, min(len(maps), 8)).round().long().tolist()
    panels = [("image", image.movedim(0, -1))]
    for i in chosen:
        panels.append((f"step {steps[i]:,}", colour_map(maps[i], len(classes), ground)))
    panels.append(("truth", colour_map(truth, len(classes), ground)))

    columns = 5
    rows = -(-len(panels) // columns)
    height, width = truth.shape
    figure, axes = canvas(1.7 * columns, (1.7 * height / width + 0.25) * rows + 0.4, rows, columns)
    for axis in axes:
        axis.axis("off")
    for axis, (name, picture) in zip(axes, panels, strict=False):
        axis.imshow(picture.clamp(0, 1).cpu().numpy())
        axis.set_title(name, fontsize=9, loc="center", pad=3)
    _legend(figure, classes, ground)
    return figure


def class_bars(
    values: Tensor, classes: Sequence[str], measure: str, *, ground: bool = False
) -> Figure:
    """A bar for each class, and a line at their mean.

    Args:
        values: From 0 to 1, (classes,); NaN for a class that does not occur.
        classes: Names of the classes.
        measure: Name of the values.
        ground: Whether class 0 is the ground.
    """
    mean = float(values.nanmean())
    heights = values.nan_to_num(0).tolist()
    colours = class_colours(len(classes), ground)
    figure, (axes,) = canvas(5.6, 0.9 + 0.34 * len(classes))
    axes.barh(
        range(len(classes)), heights, color=colours, edgecolor=QUIET, linewidth=0.5, height=0.72
    )
    axes.axvline(mean, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    for k, value in enumerate(heights):
        on_dark = sum(colours[k]) < 1.9 and value > 0.1
        colour = "white" if on_dark else INK
        axes.text(0.012, k, f"{value:.3f}", va="center", fontsize=9, color=colour)
    axes.set_yticks(range(len(classes)), list(classes))
    axes.set(xlim=(0, 1), ylim=(len(classes) - 0.4, -0.6), xlabel=measure, title=f"mean {mean:.3f}")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


def confusion_percentages(confusion: Tensor, classes: Sequence[str]) -> Figure:
    """A confusion matrix of pixels, in per cent of each row.

    Args:
        confusion: Counts, (classes, classes); rows are the true classes.
        classes: Names of the classes.
    """
    n = len(classes)
    percent = 100 * confusion.double() / confusion.sum(1, keepdim=True).clamp_min(1)
    figure, (axes,) = canvas(2.4 + 0.5 * n, 1.9 + 0.46 * n)
    # The square root makes small values visible.
    axes.imshow(percent.sqrt().numpy(), cmap=SEQUENTIAL, vmin=0, vmax=10)
    for i in range(n):
        for j in range(n):
            value = float(percent[i, j])
            if value < 0.05:
                continue
            colour = "white" if value < 40 else INK
            axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(n), list(classes), rotation=45, ha="right")
    axes.set_yticks(range(n), list(classes))
    axes.set(xlabel="predicted", ylabel="true", title="% of the pixels of a class")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def _legend(figure: Figure, classes: Sequence[str], ground: bool) -> None:
    """The colour of each class, below the pictures."""
    colours = class_colours(len(classes), ground)
    figure.legend(
        [Patch(facecolor=colour, edgecolor=QUIET, linewidth=0.5) for colour in colours],
        list(classes),
        loc="outside lower center",
        ncols=min(len(classes), 6),
        fontsize=8,
        handlelength=1.1,
        handleheight=1.1,
    )
