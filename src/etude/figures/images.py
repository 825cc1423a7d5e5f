"""Pictures of pictures."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from etude.figures.style import DIVERGING, INK, canvas


def image_grid(images: Tensor, captions: Sequence[str] = (), columns: int = 8, title: str = "") -> Figure:
    """Small images in rows, each with a caption.

    Args:
        images: (n, 1 or 3, height, width), from 0 to 1.
        captions: one each, or none.
        columns: images in a row.
        title: above them all.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    width = max(1.1 * columns, 0.085 * len(title))  # room for the title over few images
    figure, axes = canvas(width, (1.1 + 0.22 * bool(captions)) * rows + 0.35 * bool(title), rows, columns)
    for cell in axes:
        cell.axis("off")
    for cell, image in zip(axes, images.float().clamp(0, 1).cpu(), strict=False):
        if len(image) == 1:
            cell.imshow(image[0].numpy(), cmap="gray_r", vmin=0, vmax=1)
        else:
            cell.imshow(image.permute(1, 2, 0).numpy())
    for cell, caption in zip(axes, captions, strict=False):
        cell.set_title(caption, fontsize=8, loc="center", pad=2)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    return figure


def filter_grid(weights: Tensor, title: str = "", columns: int = 8) -> Figure:
    """A convolution's filters; each on its own scale: white is zero, red positive, blue negative.

    Args:
        weights: (filters, channels, height, width); three channels are shown in colour, others by their mean.
        title: above them.
        columns: filters in a row.
    """
    weights = weights.detach().float().cpu()
    largest = weights.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    if weights.shape[1] == 3:
        return image_grid(weights / largest / 2 + 0.5, columns=columns, title=title)
    rows = -(-len(weights) // columns)
    figure, axes = canvas(0.8 * columns, 0.8 * rows + 0.35 * bool(title), rows, columns)
    for cell in axes:
        cell.axis("off")
    for cell, kernel in zip(axes, (weights / largest).mean(1), strict=False):
        cell.imshow(kernel.numpy(), cmap=DIVERGING, vmin=-1, vmax=1)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    return figure
