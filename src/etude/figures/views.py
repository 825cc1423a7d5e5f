"""A scene from many sides: rendered beside the truth, in motion, and along one ray."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures.animations import Film
from etude.figures.style import INK, PALETTE, QUIET, canvas

NEARNESS = "magma"
RED = (0.70, 0.09, 0.13)


class Weighed(Protocol):
    """How much each sample along rays counts for."""

    @property
    def weights(self) -> Tensor:
        """(rays, samples)."""


class Looks(Protocol):
    """A rendering by a coarse field and by a fine one, and the distances of their samples, (rays,
    samples).
    """

    @property
    def coarse(self) -> Weighed:
        """By the coarse field."""

    @property
    def fine(self) -> Weighed:
        """By the fine one."""

    @property
    def coarse_t(self) -> Tensor:
        """(rays, samples)."""

    @property
    def fine_t(self) -> Tensor:
        """(rays, samples)."""


class Rendered(Protocol):
    """What a network makes of views."""

    @property
    def fine(self) -> Tensor:
        """(n, side, side, 3), from 0 to 1."""

    @property
    def depth(self) -> Tensor:
        """(n, side, side), inf where there is nothing."""


class Taken(Protocol):
    """Photographs of a scene."""

    @property
    def images(self) -> Tensor:
        """(n, side, side, 3), from 0 to 1."""

    @property
    def depth(self) -> Tensor | None:
        """(n, side, side), where it is known."""


def near_and_far(depth: Tensor, like: Tensor | None = None) -> np.ndarray:
    """Distances as colours, near ones light, and white where there is nothing: (…,) → (…, 3), from
    0 to 1.

    Args:
        depth: distances; inf: nothing is there.
        like: distances whose range is taken; by default those of ``depth``.
    """
    depth, like = depth.cpu(), (depth if like is None else like).cpu()
    there = like[like.isfinite()]
    near, far = (
        torch.quantile(there, torch.tensor([0.01, 0.99]))
        if len(there)
        else torch.tensor([0.0, 1.0])
    )
    part = ((far - depth) / (far - near).clamp_min(1e-6)).clamp(0, 1)
    colours = colormaps[NEARNESS](0.08 + 0.87 * part.numpy())[..., :3]
    return np.where(depth.isfinite().numpy()[..., None], colours, 1.0)


def beside_the_truth(taken: Taken, rendered: Rendered, nearest: Tensor, most: int = 6) -> Figure:
    """Views side by side, below each other what is known of them.

    Args:
        taken: the truth.
        rendered: what stands against it.
        nearest: of each view, a picture that was taken from near it, (n, side, side, 3).
        most: views that are shown.
    """
    error = (rendered.fine - taken.images).abs().mean(-1, keepdim=True)[:most]
    red = torch.lerp(torch.ones(3), torch.tensor(RED), (error / 0.3).clamp_max(1))
    rows: dict[str, Tensor | np.ndarray] = {
        "truth": taken.images,
        "rendered": rendered.fine,
        "mistakes": red,
        "nearest photograph": nearest,
        "depth": near_and_far(rendered.depth[:most], taken.depth),
    }
    if taken.depth is not None:
        rows["true depth"] = near_and_far(taken.depth[:most], taken.depth)
    n = len(error)
    figure, axes = canvas(1.35 * n + 0.4, 1.35 * len(rows) + 0.1, len(rows), n)
    for r, (name, pictures) in enumerate(rows.items()):
        for cell, picture in zip(axes[r * n : (r + 1) * n], pictures, strict=False):
            cell.imshow(np.asarray(picture).clip(0, 1))
            _bare(cell)
        axes[r * n].set_ylabel(name, fontsize=9)
    return figure


def turning(colour: Tensor, depth: np.ndarray) -> Film:
    """What a camera sees that goes round, and how far away it is.

    Args:
        colour: (frames, side, side, 3), from 0 to 1.
        depth: (frames, side, side, 3), as colours.
    """
    figure, axes = canvas(5.6, 3.0, columns=2)
    shown = []
    for cell, name, pictures in zip(axes, ("view", "depth"), (colour.numpy(), depth), strict=True):
        shown.append((cell.imshow(pictures[0], interpolation="bicubic"), pictures))
        cell.set_title(name)
        _bare(cell)

    def draw(frame: int) -> list[Artist]:
        for image, pictures in shown:
            image.set_data(pictures[frame].clip(0, 1))
        return [image for image, _ in shown]

    return Film(figure, draw, len(colour))


def along_a_ray(
    looks: Looks, view: Tensor, pixel: tuple[int, int], truth: float | None = None
) -> Figure:
    """Where light comes from along one ray: the coarse field's weights, and the samples and weights
    of the fine one.

    Args:
        looks: of this one ray.
        view: the picture that the ray belongs to, (side, side, 3), from 0 to 1.
        pixel: its row and column in it.
        truth: the distance of what is seen there, if it is known.
    """
    figure, (axes, picture) = canvas(9.0, 3.4, columns=2)
    grid = axes.get_gridspec()
    assert grid is not None
    grid.set_width_ratios([2.6, 1])
    t, weights = looks.coarse_t[0].cpu().numpy(), looks.coarse.weights[0].cpu().numpy()
    axes.bar(
        t,
        weights,
        0.94 * (t[-1] - t[0]) / max(1, len(t) - 1),
        color=PALETTE[0],
        alpha=0.35,
        label="coarse weights",
    )
    t, weights = looks.fine_t[0].cpu().numpy(), looks.fine.weights[0].cpu().numpy()
    axes.vlines(t, 0, weights, color=PALETTE[1], linewidth=1.4)
    axes.plot(t, weights, "o", color=PALETTE[1], markersize=4, label="fine weights")
    low = -0.07 * float(max(looks.coarse.weights[0].max(), looks.fine.weights[0].max()))
    axes.plot(
        t, np.full_like(t, low), "|", color=INK, markersize=8, label="samples of the fine field"
    )
    if truth is not None:
        axes.axvline(truth, color=QUIET, linewidth=1.1, linestyle=(0, (4, 3)), label="the surface")
    axes.set(xlabel="distance from the camera", title="weights along one ray", ylim=(2 * low, None))
    axes.legend(fontsize=9, loc="upper left")
    picture.imshow(view.numpy().clip(0, 1))
    picture.plot(
        pixel[1],
        pixel[0],
        "o",
        markersize=11,
        markerfacecolor="none",
        markeredgecolor=INK,
        markeredgewidth=2,
    )
    picture.set_title("the ray's pixel")
    _bare(picture)
    return figure


def _bare(axes: Axes) -> None:
    axes.set(xticks=(), yticks=())
    axes.spines[:].set_visible(False)
