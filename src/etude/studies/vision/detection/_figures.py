"""Boxes over pictures: detections and the truth, matched anchors, suppression; and precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor

from etude.data import Boxed
from etude.figures import INK, PALETTE, QUIET, canvas
from etude.layers.anchors import BACKGROUND, IGNORED
from etude.layers.boxes import Detections

from ._average_precision import RECALLS, AveragePrecision

DASHED = (0, (2.5, 2))


def detections_and_truth(
    truth: Boxed, found: Detections, classes: Sequence[str], least: float = 0.5
) -> Figure:
    """Pictures with their detections in the colours of the classes, and true boxes in dashed white.

    Args:
        truth: n pictures and their true boxes.
        found: Detections in these pictures.
        classes: Names of the classes.
        least: Detections with lower scores are not shown.
    """
    columns = 4
    n, _, height, width = truth.images.shape
    rows = -(-n // columns)
    figure, axes = canvas(2.3 * columns, (2.3 * height / width) * rows + 0.5, rows, columns)
    for axis in axes:
        axis.axis("off")
    for i in range(n):
        _draw_picture(axes[i], truth.images[i], contrast=0.85)
        for box in truth.boxes[i, : int(truth.counts[i])].tolist():
            _draw_box(axes[i], box, "white", linestyle=DASHED, linewidth=1.0)
        _draw_detections(axes[i], found.of(i, least), linewidth=1.5)
    _legend(figure, classes, truth=True)
    return figure


def before_and_after(
    image: Tensor, before: Detections, after: Detections, classes: Sequence[str], least: float = 0.3
) -> Figure:
    """The detections in one picture before and after non-maximum suppression.

    Args:
        image: uint8 (3, height, width).
        before: Detections in a batch of this one picture.
        after: Those of them that are left.
        classes: Names of the classes.
        least: Detections with lower scores are not shown.
    """
    _, height, width = image.shape
    figure, axes = canvas(8.0, 4.0 * height / width + 0.6, 1, 2)
    for axis, name, found in zip(axes, ("before", "after"), (before, after), strict=True):
        shown = found.of(0, least)
        _draw_picture(axis, image, contrast=0.85)
        _draw_detections(axis, shown, tags=name == "after", linewidth=1.5, alpha=0.8)
        axis.set_title(f"{name}: {len(shown.labels)} with a score of at least {least:g}")
    _legend(figure, classes)
    return figure


def anchors_by_level(
    truth: Boxed, anchors: Tensor, matched: Tensor, levels: Sequence[int], strides: Sequence[int]
) -> Figure:
    """For each level, the grid of its cells, and the anchors that are matched to an object.

    Args:
        truth: One picture and its true boxes.
        anchors: The anchors of all levels, (anchors, 4).
        matched: Whether each of them is matched to an object, (anchors,).
        levels: The number of anchors of each level.
        strides: The stride of each level.
    """
    image = truth.images[0]
    _, height, width = image.shape
    figure, axes = canvas(3.1 * len(strides), 3.1 * height / width + 0.5, 1, len(strides))
    by_level = torch.split(anchors, list(levels)), torch.split(matched, list(levels))
    for axis, stride, level, chosen in zip(axes, strides, *by_level, strict=True):
        _draw_picture(axis, image, contrast=0.6)
        x = stride * (torch.arange(-(-width // stride)) + 0.5)
        y = stride * (torch.arange(-(-height // stride)) + 0.5)
        grid = torch.cartesian_prod(x, y)
        axis.plot(grid[:, 0].numpy(), grid[:, 1].numpy(), ".", color=QUIET, markersize=1.6)
        for box in level[chosen].tolist():
            _draw_box(axis, box, PALETTE[1], linewidth=0.9, alpha=0.75)
        for box in truth.boxes[0].tolist():
            _draw_box(axis, box, INK, linewidth=1.6)
        title = f"stride {stride}: {int(chosen.sum())} of {len(level):,} anchors"
        axis.set_title(title, fontsize=10)
    return figure


def anchor_counts(matched: Tensor, levels: Sequence[int]) -> Tensor:
    """How many anchors of a picture are matched to an object, ignored, and background.

    Args:
        matched: (pictures, anchors), as :func:`etude.layers.anchors.match` returns.
        levels: The number of anchors of each level.

    Returns:
        Means over the pictures, (levels + 1, 3); the last row is the sum over the levels.
    """
    rows = []
    for level in torch.split(matched, list(levels), 1):
        kinds = [level >= 0, level == IGNORED, level == BACKGROUND]
        rows.append(torch.stack([kind.sum() for kind in kinds]) / len(matched))
    return torch.stack([*rows, torch.stack(rows).sum(0)])


def anchor_table(counts: Tensor, strides: Sequence[int]) -> tuple[list[str], list[list[Any]]]:
    """Names of the columns, and the rows, of a table of :func:`anchor_counts`."""
    names = [*(f"stride {stride}" for stride in strides), "all"]
    rows = [[name, *row] for name, row in zip(names, counts.tolist(), strict=True)]
    return ["level", "matched", "ignored", "background"], rows


def precision_and_recall(measured: AveragePrecision, classes: Sequence[str]) -> Figure:
    """The precision at each recall or beyond, at the first IoU threshold, a line for each class."""
    figure, (axes,) = canvas(5.4, 4.0)
    for k, name in enumerate(classes):
        value = float(measured.table[0, k])
        if math.isnan(value):  # no objects of this class
            continue
        precision = measured.precision[0, :, k].numpy()
        label = f"{name}  {value:.3f}"
        axes.plot(RECALLS.numpy(), precision, color=_colour(k), drawstyle="steps-pre", label=label)
    iou = measured.thresholds[0]
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03))
    axes.set(xlabel="recall", ylabel="precision at this recall or beyond")
    axes.set(title=f"average precision {measured.at(iou):.3f} at IoU ≥ {iou:g}")
    axes.grid(visible=True)
    axes.legend(loc="lower left")
    return figure


def _colour(label: int) -> str:
    return PALETTE[label % len(PALETTE)]


def _draw_picture(axes: Axes, image: Tensor, contrast: float) -> None:
    """A picture, uint8 (3, height, width); a contrast of 1 is its own, 0 is white."""
    _, height, width = image.shape
    faded = 1 - contrast * (1 - image.float() / 255)
    axes.imshow(faded.movedim(0, -1).numpy(), extent=(0, width, height, 0))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")


def _draw_box(axes: Axes, box: Sequence[float], colour: str, **style: Any) -> None:
    left, top, right, bottom = box
    size = (right - left, bottom - top)
    axes.add_patch(Rectangle((left, top), *size, fill=False, edgecolor=colour, **style))


def _draw_detections(axes: Axes, found: Detections, tags: bool = True, **style: Any) -> None:
    """Boxes in the colours of their classes, the highest score on top, tagged with the score."""
    rows = zip(*(column.tolist() for column in found), strict=True)
    for box, score, label in reversed(list(rows)):
        _draw_box(axes, box, _colour(label), **style)
        if tags:
            left, top = max(box[0], 0), max(box[1], 0)
            halo = [withStroke(linewidth=2, foreground="white")]
            text = axes.text(left, top, f"{score:.2f}".lstrip("0"), fontsize=7, clip_on=True)
            text.set(color=_colour(label), path_effects=halo, va="bottom" if top > 5 else "top")


def _legend(figure: Figure, classes: Sequence[str], truth: bool = False) -> None:
    """The colour of each class, and the line of the truth, below the pictures."""
    handles = [Line2D([], [], color=_colour(k), linewidth=2.2) for k in range(len(classes))]
    names = list(classes)
    if truth:
        line = Line2D([], [], color="white", linestyle=DASHED, linewidth=1.4)
        line.set_path_effects([withStroke(linewidth=2.4, foreground=QUIET)])
        handles.append(line)
        names.append("truth")
    style: dict[str, Any] = {"ncols": len(names), "fontsize": 9, "handlelength": 1.8}
    figure.legend(handles, names, loc="outside lower center", **style)
