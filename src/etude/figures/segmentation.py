"""Pictures whose every pixel has a class: beside the truth, as they develop, and class by class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from etude.figures.style import INK, PALETTE, QUIET, SEQUENTIAL, canvas

BEYOND = "#1a1a1a"  # a pixel without a class


def class_colours(classes: int, ground: bool) -> list[tuple[float, float, float]]:
    """A colour for each class, from 0 to 1; light gray for the ground, where class 0 is that."""
    chosen = [to_rgb(PALETTE[k % len(PALETTE)]) for k in range(classes)]
    extra = [to_rgb("#d98ba3"), to_rgb("#a5c96f")]
    for k in range(len(PALETTE), classes):
        chosen[k] = extra[k % len(extra)]
    return [to_rgb("#e3e5e8"), *chosen[: classes - 1]] if ground else chosen


def painted(truth: Tensor, classes: int, ground: bool, images: Tensor | None = None) -> Tensor:
    """Class maps in colour, over the pictures they belong to where those are given.

    Args:
        truth: (…, height, width), class numbers; others are nearly black.
        classes: how many there are.
        ground: whether class 0 is the ground; over a picture it is then not painted.
        images: (…, 3, height, width), from 0 to 1.

    Returns:
        (…, height, width, 3), from 0 to 1.
    """
    table = torch.tensor([*class_colours(classes, ground), to_rgb(BEYOND)])
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
    """Pictures in the top row, below them the truth, below that what was predicted; the mistakes in
    the last.

    Args:
        images: (n, 3, height, width), from 0 to 1.
        truth: (n, height, width), class numbers.
        predicted: (n, height, width).
        classes: their names.
        ground: whether class 0 is the ground.
    """
    n, height, width = truth.shape
    k = len(classes)
    wrong = torch.where((predicted != truth) & (truth < k), 1.0, 0.0)[..., None]
    faint = 0.75 + 0.25 * images.float().mean(1)[..., None].expand(-1, -1, -1, 3)
    rows = {
        "image": images.float().movedim(1, -1),
        "truth": painted(truth, k, ground, images),
        "prediction": painted(predicted, k, ground, images),
        "mistakes": faint.lerp(torch.tensor(to_rgb("#c2242f")), wrong),
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
    """One picture, its truth, and what was predicted for it along the way.

    Args:
        image: (3, height, width), from 0 to 1.
        truth: (height, width).
        maps: (kept, height, width), the predictions.
        steps: after how many steps each was kept.
        classes: their names.
        ground: whether class 0 is the ground.
    """
    chosen = torch.linspace(0, len(maps) - 1, min(len(maps), 8)).round().long().tolist()
    panels = [("image", image.movedim(0, -1)), ("truth", painted(truth, len(classes), ground))]
    panels[1:1] = [(f"step {steps[i]:,}", painted(maps[i], len(classes), ground)) for i in chosen]
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
    """A bar for each class, and their mean as a line.

    Args:
        values: (classes,), from 0 to 1; NaN where a class does not occur.
        classes: their names.
        measure: what is shown.
        ground: whether class 0 is the ground.
    """
    figure, (axes,) = canvas(5.6, 0.9 + 0.34 * len(classes))
    mean = float(values.nanmean())
    shown = values.nan_to_num(0).tolist()
    colours = class_colours(len(classes), ground)
    axes.barh(
        range(len(classes)), shown, color=colours, edgecolor=QUIET, linewidth=0.5, height=0.72
    )
    axes.axvline(mean, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    for k, value in enumerate(shown):
        dark = sum(colours[k]) < 1.9 and value > 0.1
        axes.text(0.012, k, f"{value:.3f}", va="center", fontsize=9, color="white" if dark else INK)
    axes.set_yticks(range(len(classes)), list(classes))
    axes.set(xlim=(0, 1), ylim=(len(classes) - 0.4, -0.6), xlabel=measure, title=f"mean {mean:.3f}")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


def shares(counts: Tensor, classes: Sequence[str]) -> Figure:
    """A confusion matrix in per cent of each row: of the pixels of a class, how many were taken for
    which.

    Args:
        counts: (classes, classes); rows are the truth.
        classes: their names.
    """
    n = len(classes)
    percent = 100 * counts.double() / counts.sum(1, keepdim=True).clamp_min(1)
    figure, (axes,) = canvas(2.4 + 0.5 * n, 1.9 + 0.46 * n)
    axes.imshow(
        percent.sqrt().numpy(), cmap=SEQUENTIAL, vmin=0, vmax=10
    )  # the root shows what is small
    for i in range(n):
        for j in range(n):
            if (value := float(percent[i, j])) >= 0.05:
                axes.text(
                    j,
                    i,
                    f"{value:.1f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if value < 40 else INK,
                )
    axes.set_xticks(range(n), list(classes), rotation=45, ha="right")
    axes.set_yticks(range(n), list(classes))
    axes.set(xlabel="taken for", ylabel="is", title="% of the pixels of a class")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def _legend(figure: Figure, classes: Sequence[str], ground: bool) -> None:
    colours = class_colours(len(classes), ground)
    handles = [Patch(facecolor=c, edgecolor=QUIET, linewidth=0.5) for c in colours]
    figure.legend(
        handles,
        list(classes),
        loc="outside lower center",
        ncols=min(len(classes), 6),
        fontsize=8,
        handlelength=1.1,
        handleheight=1.1,
    )
