"""Pictures of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from etude.figures.style import DIVERGING, INK, canvas


def image_grid(
    images: Tensor, captions: Sequence[str] = (), columns: int = 8, title: str = ""
) -> Figure:
    """Small images in rows, each with a caption.

    Args:
        images: (n, 1 or 3, height, width), from 0 to 1.
        captions: one each, or none.
        columns: images in a row.
        title: above them all.
    """
    shown = images.float().clamp(0, 1).cpu()
    return _grid(shown, captions, columns, 1.0, title, cmap="gray_r", vmin=0, vmax=1)


def filter_grid(
    weights: Tensor,
    title: str = "",
    columns: int = 8,
    captions: Sequence[str] = (),
    *,
    one_scale: bool = False,
) -> Figure:
    """A convolution's filters: white is zero, red positive, blue negative.

    Args:
        weights: (filters, channels, height, width); three channels are shown in colour, others by
            their mean.
        title: above them.
        columns: filters in a row.
        captions: one each, or none.
        one_scale: whether one colour is one number in all of them; else each has its own scale.
    """
    weights = weights.detach().float().cpu()
    largest = weights.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    if one_scale:
        largest = largest.amax(0, keepdim=True)
    if weights.shape[1] == 3:
        return image_grid(weights / largest / 2 + 0.5, captions, columns, title)
    return _grid(
        (weights / largest).mean(1, keepdim=True),
        captions,
        columns,
        0.7,
        title,
        cmap=DIVERGING,
        vmin=-1,
        vmax=1,
    )


def _grid(
    images: Tensor, captions: Sequence[str], columns: int, side: float, title: str, **shades: Any
) -> Figure:
    """All in one pair of axes, in inches from the upper left: a pair for each would take ten times
    as long to draw.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    scale = side / max(images.shape[2:])
    high, wide = scale * images.shape[2], scale * images.shape[3]
    gap, below = 0.1, 0.22 * bool(captions)  # a caption stands above its image
    top = 0.35 * bool(title)
    width = max((wide + gap) * columns, 0.085 * len(title))  # room for the title over few images
    height = top + (high + gap + below) * rows
    figure, (axes,) = canvas(width, height)
    figure.set_layout_engine("none")
    axes.set_position((0, 0, 1, 1))
    axes.axis("off")
    for k, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
        row, column = divmod(k, columns)
        x, y = gap / 2 + column * (wide + gap), top + gap / 2 + below + row * (high + gap + below)
        pixels = image[..., 0] if image.shape[2] == 1 else image
        axes.imshow(pixels, extent=(x, x + wide, y + high, y), aspect="auto", **shades)
        if k < len(captions):
            axes.text(x + wide / 2, y - 0.04, captions[k], fontsize=8, ha="center", va="bottom")
    axes.set(xlim=(0, width), ylim=(height, 0))
    if title:
        axes.text(0.05, 0.09, title, fontsize=11, va="top", color=INK)
    return figure
