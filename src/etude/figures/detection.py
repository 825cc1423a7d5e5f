"""Boxes over pictures: what was found and what is there, which anchors learn what, what suppression
leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor

from etude.demos import Answer, Image, Pictures, Said
from etude.figures.style import INK, PALETTE, QUIET, canvas

TRUTH = "white"


def found_and_true(
    images: Tensor,
    found: Sequence[Tensor],
    true: Sequence[Tensor],
    classes: Sequence[str],
    least: float = 0.5,
    columns: int = 4,
) -> Figure:
    """Detections with their scores in the colour of their class, over the truth, dashed in white.

    Args:
        images: (n, 3, height, width), from 0 to 1.
        found: boxes (n, most, 4), scores (n, most) and labels (n, most), below 0 where there is
            none.
        true: boxes and labels.
        classes: their names.
        least: detections with lower scores are not shown.
        columns: pictures in a row.
    """
    n, _, height, width = images.shape
    rows = -(-n // columns)
    figure, axes = canvas(2.3 * columns, (2.3 * height / width) * rows + 0.5, rows, columns)
    for axis in axes:
        axis.axis("off")
    for i in range(n):
        _picture(axes[i], images[i], fade=0.85)
        for box, label in zip(true[0][i].tolist(), true[1][i].tolist(), strict=True):
            if label >= 0:
                _box(axes[i], box, TRUTH, linestyle=(0, (2.5, 2)), linewidth=1.0)
        for box, score, label in reversed(
            [*zip(*(column[i].tolist() for column in found), strict=True)]
        ):
            if label >= 0 and score >= least:
                _box(axes[i], box, PALETTE[label % len(PALETTE)], linewidth=1.5)
                _tag(axes[i], box, f"{score:.2f}".lstrip("0"), PALETTE[label % len(PALETTE)])
    _legend(figure, classes, {"truth": (TRUTH, (0, (2.5, 2)))})
    return figure


def precision_recall(
    recalls: Tensor, precision: Tensor, values: Tensor, classes: Sequence[str], iou: float
) -> Figure:
    """Precision at each recall or beyond, a line for each class.

    Args:
        recalls: (points,).
        precision: (points, classes); NaN for a class without objects.
        values: (classes,), the average precision.
        classes: their names.
        iou: at which a detection is right.
    """
    figure, (axes,) = canvas(5.4, 4.0)
    for k, name in enumerate(classes):
        if not values[k].isnan():
            axes.plot(
                recalls.numpy(),
                precision[:, k].numpy(),
                color=PALETTE[k % len(PALETTE)],
                drawstyle="steps-pre",
                label=f"{name}  {float(values[k]):.3f}",
            )
    axes.set(
        xlim=(0, 1.01),
        ylim=(0, 1.03),
        xlabel="recall",
        ylabel="precision at this recall or beyond",
        title=f"average precision {float(values.nanmean()):.3f} at IoU ≥ {iou:g}",
    )
    axes.grid(visible=True)
    axes.legend(loc="lower left")
    return figure


def anchors_by_level(
    image: Tensor,
    anchors: Tensor,
    chosen: Tensor,
    boxes: Tensor,
    strides: Sequence[int],
    levels: Sequence[int],
) -> Figure:
    """Which anchors stand for the objects of one picture, level by level, and the grid of their
    middles.

    Args:
        image: (3, height, width), from 0 to 1.
        anchors: level by level, (anchors, 4).
        chosen: those that stand for an object, (anchors,), bool.
        boxes: of the objects, (n, 4).
        strides: of each level.
        levels: how many anchors each has.
    """
    _, height, width = image.shape
    figure, axes = canvas(3.1 * len(strides), 3.1 * height / width + 0.5, 1, len(strides))
    for axis, stride, level, here in zip(
        axes,
        strides,
        torch.split(anchors, list(levels)),
        torch.split(chosen, list(levels)),
        strict=True,
    ):
        axis.axis("off")
        _picture(axis, image, fade=0.6)
        x, y = ([stride * (i + 0.5) for i in range(-(-side // stride))] for side in (width, height))
        axis.plot(
            [a for _ in y for a in x], [b for b in y for _ in x], ".", color=QUIET, markersize=1.6
        )
        for box in level[here].tolist():
            _box(axis, box, PALETTE[1], linewidth=0.9, alpha=0.75)
        for box in boxes.tolist():
            _box(axis, box, INK, linewidth=1.6)
        axis.set_title(f"stride {stride}: {int(here.sum())} of {len(level):,} anchors", fontsize=10)
    return figure


def before_and_after(
    image: Tensor,
    before: Sequence[Tensor],
    after: Sequence[Tensor],
    classes: Sequence[str],
    least: float = 0.3,
) -> Figure:
    """The detections in one picture before and after non-maximum suppression.

    Args:
        image: (3, height, width), from 0 to 1.
        before: boxes (1, n, 4), scores (1, n) and labels (1, n), below 0 where there is none.
        after: the same of what is left.
        classes: their names.
        least: detections with lower scores are not shown.
    """
    _, height, width = image.shape
    figure, axes = canvas(8.0, 4.0 * height / width + 0.6, 1, 2)
    for axis, name, found in zip(axes, ("before", "after"), (before, after), strict=True):
        axis.axis("off")
        _picture(axis, image, fade=0.85)
        shown = 0
        for box, score, label in reversed(
            [*zip(*(column[0].tolist() for column in found), strict=True)]
        ):  # surest on top
            if label >= 0 and score >= least:
                shown += 1
                colour = PALETTE[label % len(PALETTE)]
                _box(
                    axis,
                    box,
                    colour,
                    linewidth=1.1 if name == "before" else 1.8,
                    alpha=0.35 + 0.6 * score,
                )
                if name == "after":
                    _tag(axis, box, f"{score:.2f}".lstrip("0"), colour)
        axis.set_title(
            f"{name}: {shown} {'box' if shown == 1 else 'boxes'} with a score of at least {least:g}"
        )
    _legend(figure, classes, {})
    return figure


def framed(
    image: Tensor, boxes: Tensor | None = None, labels: Tensor | None = None, enlarged: int = 5
) -> Image:
    """A picture, enlarged, with frames of two pixels in the colours of their classes; (height,
    width, 3), from 0 to 1.

    Args:
        image: (3, height, width), from 0 to 1.
        boxes: (n, 4), in its pixels; the first lies on top.
        labels: (n,), at least 0.
        enlarged: so many times.
    """
    picture = (
        image.float()
        .repeat_interleave(enlarged, 1)
        .repeat_interleave(enlarged, 2)
        .movedim(0, -1)
        .clone()
    )
    height, width = picture.shape[:2]
    if boxes is not None and labels is not None:
        edges = (boxes.float().cpu() * enlarged).round().int().clamp_min(0)
        for (left, top, right, bottom), label in reversed(
            [*zip(edges.tolist(), labels.tolist(), strict=True)]
        ):
            colour = torch.tensor(to_rgb(PALETTE[label % len(PALETTE)]))
            right, bottom = min(right, width), min(bottom, height)
            for rows, columns in (
                (slice(top, top + 2), slice(left, right)),
                (slice(max(bottom - 2, 0), bottom), slice(left, right)),
                (slice(top, bottom), slice(left, left + 2)),
                (slice(top, bottom), slice(max(right - 2, 0), right)),
            ):
                picture[rows, columns] = colour
    return picture.cpu().numpy()


def sightings(
    image: Tensor,
    true: Tensor,
    raw: Sequence[Tensor],
    kept: Sequence[Tensor],
    classes: Sequence[str],
    least: float,
) -> Iterator[Answer]:
    """For a demo: one picture, its detections before and after non-maximum suppression, and how
    sure they are.

    Args:
        image: (3, height, width), from 0 to 1.
        true: boxes of what is there, (n, 4); zeros where there is nothing.
        raw: boxes (1, most, 4), scores (1, most) and labels (1, most), below 0 where there is none.
        kept: the same of what is left.
        classes: their names.
        least: detections with lower scores are not shown.
    """
    shown = {_counted("the scene", int(true.any(-1).sum()), "shape", "shapes"): framed(image)}
    said = []
    for name, found in (("before suppression", raw), ("after it", kept)):
        boxes, scores, labels = (column[0] for column in found)
        sure = (scores >= least) & (labels >= 0)
        shown[_counted(name, int(sure.sum()), "box", "boxes")] = framed(
            image, boxes[sure], labels[sure]
        )
        said = [
            f"{classes[k]} {score:.2f}"
            for k, score in zip(labels[sure].tolist(), scores[sure], strict=True)
        ]
    yield Pictures("What it finds", shown, width=230)
    yield Said("How sure it is", ", ".join(said) or "It finds nothing that it is so sure of.")


def _counted(name: str, n: int, one: str, more: str) -> str:
    return f"{name}: {n} {one if n == 1 else more}"


def _picture(axes: Axes, image: Tensor, fade: float) -> None:
    axes.imshow(
        (1 - fade * (1 - image.float().clamp(0, 1))).movedim(0, -1).cpu().numpy(),
        extent=_extent(image),
    )
    axes.set(xlim=(0, image.shape[2]), ylim=(image.shape[1], 0))


def _extent(image: Tensor) -> tuple[float, float, float, float]:
    return 0, image.shape[2], image.shape[1], 0


def _box(axes: Axes, box: Sequence[float], colour: str, **style: Any) -> None:
    left, top, right, bottom = box
    rectangle = Rectangle(
        (left, top), right - left, bottom - top, fill=False, edgecolor=colour, **style
    )
    axes.add_patch(rectangle)


def _tag(axes: Axes, box: Sequence[float], text: str, colour: str) -> None:
    left, top = max(box[0], 0), max(box[1], 0)
    axes.text(
        left,
        top,
        text,
        fontsize=7,
        color=colour,
        ha="left",
        va="bottom" if top > 5 else "top",
        clip_on=True,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )


def _legend(figure: Figure, classes: Sequence[str], more: Mapping[str, tuple[str, object]]) -> None:
    handles = [
        Line2D([], [], color=PALETTE[k % len(PALETTE)], linewidth=2.2) for k in range(len(classes))
    ]
    for colour, style in more.values():
        line = Line2D([], [], color=colour, linestyle=style, linewidth=1.4)  # type: ignore[arg-type]
        line.set_path_effects([withStroke(linewidth=2.4, foreground=QUIET)])
        handles.append(line)
    figure.legend(
        handles,
        [*classes, *more],
        loc="outside lower center",
        ncols=len(handles),
        fontsize=9,
        handlelength=1.8,
    )
