"""Pictures of a radiance field: rendered views beside the truth, an orbit, and one ray."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from etude.data.views import Views
from etude.figures import INK, PALETTE, QUIET, Film, canvas
from etude.networks.nerf import RayRenderings, RenderedViews

RED = (0.70, 0.09, 0.13)


def depth_colours(depth: Tensor, reference: Tensor | None = None) -> np.ndarray:
    """Distances as colours from 0 to 1: near is light, far is dark, and nothing there is white.

    Args:
        depth: Distances of any shape (…,); inf where there is nothing.
        reference: Distances whose range is mapped to the colours; ``depth`` by default.

    Returns:
        (…, 3).
    """
    depth = depth.cpu()
    reference = depth if reference is None else reference.cpu()
    finite = reference[reference.isfinite()]
    near, far = torch.tensor([0.0, 1.0])
    if len(finite):
        near, far = torch.quantile(finite, torch.tensor([0.01, 0.99]))
    nearness = ((far - depth) / (far - near).clamp_min(1e-6)).clamp(0, 1)
    colours = colormaps["magma"](0.08 + 0.87 * nearness.numpy())[..., :3]
    return np.where(depth.isfinite().numpy()[..., None], colours, 1.0)


def views_and_truth(
    truth: Views, rendered: RenderedViews, nearest: Tensor, most: int = 6
) -> Figure:
    """Views in columns: the truth, what was rendered, the mistakes, and the depth.

    Args:
        truth: The true views.
        rendered: What the network renders for the same cameras.
        nearest: For each view the training picture from the nearest camera, (n, side, side, 3).
        most: The largest number of views that are shown.
    """
    error = (rendered.fine - truth.images).abs().mean(-1, keepdim=True)[:most]
    mistakes = torch.lerp(torch.ones(3), torch.tensor(RED), (error / 0.3).clamp_max(1))
    rows: dict[str, Tensor | np.ndarray] = {
        "truth": truth.images,
        "rendered": rendered.fine,
        "mistakes": mistakes,
        "nearest photograph": nearest,
        "depth": depth_colours(rendered.depth[:most], truth.depth),
    }
    if truth.depth is not None:
        rows["true depth"] = depth_colours(truth.depth[:most], truth.depth)

    n = len(error)
    figure, axes = canvas(1.35 * n + 0.4, 1.35 * len(rows) + 0.1, len(rows), n)
    for r, (name, pictures) in enumerate(rows.items()):
        for cell, picture in zip(axes[r * n : (r + 1) * n], pictures, strict=False):
            cell.imshow(np.asarray(picture).clip(0, 1))
            _hide_frame(cell)
        axes[r * n].set_ylabel(name, fontsize=9)
    return figure


def orbit(colour: Tensor, depth: np.ndarray) -> Film:
    """An animation of a camera that moves around the scene: the view, and the depth.

    Args:
        colour: (frames, side, side, 3), from 0 to 1.
        depth: The depth as colours, (frames, side, side, 3).
    """
    figure, axes = canvas(5.6, 3.0, columns=2)
    panels = []
    for cell, name, pictures in zip(axes, ("view", "depth"), (colour.numpy(), depth), strict=True):
        panels.append((cell.imshow(pictures[0], interpolation="bicubic"), pictures))
        cell.set_title(name)
        _hide_frame(cell)

    def draw(frame: int) -> list[Artist]:
        for image, pictures in panels:
            image.set_data(pictures[frame].clip(0, 1))
        return [image for image, _ in panels]

    return Film(figure, draw, len(colour))


def ray_weights(
    ray: RayRenderings, view: Tensor, pixel: tuple[int, int], surface: float | None = None
) -> Figure:
    """The weights of the samples along one ray, by the coarse field and by the fine one.

    Args:
        ray: Both renderings of one ray.
        view: The picture that the ray belongs to, (side, side, 3), from 0 to 1.
        pixel: The ray's row and column in it.
        surface: The true distance of the surface there, if it is known.
    """
    figure, (axes, picture) = canvas(9.0, 3.4, columns=2)
    grid = axes.get_gridspec()
    assert grid is not None
    grid.set_width_ratios([2.6, 1])

    t = ray.coarse_t[0].cpu().numpy()
    weights = ray.coarse.weights[0].cpu().numpy()
    bar = 0.94 * (t[-1] - t[0]) / max(1, len(t) - 1)
    axes.bar(t, weights, bar, color=PALETTE[0], alpha=0.35, label="coarse weights")
    highest = weights.max()

    t = ray.fine_t[0].cpu().numpy()
    weights = ray.fine.weights[0].cpu().numpy()
    axes.vlines(t, 0, weights, color=PALETTE[1], linewidth=1.4)
    axes.plot(t, weights, "o", color=PALETTE[1], markersize=4, label="fine weights")
    low = -0.07 * float(max(highest, weights.max()))
    samples = np.full_like(t, low)
    axes.plot(t, samples, "|", color=INK, markersize=8, label="samples of the fine field")

    if surface is not None:
        dashes = (0, (4, 3))
        axes.axvline(surface, color=QUIET, linewidth=1.1, linestyle=dashes, label="the surface")
    axes.set(xlabel="distance from the camera", title="weights along one ray", ylim=(2 * low, None))
    axes.legend(fontsize=9, loc="upper left")

    row, column = pixel
    picture.imshow(view.numpy().clip(0, 1))
    picture.scatter(column, row, s=120, facecolors="none", edgecolors=INK, linewidths=2)
    picture.set_title("the ray's pixel")
    _hide_frame(picture)
    return figure


def _hide_frame(axes: Axes) -> None:
    axes.set(xticks=(), yticks=())
    axes.spines[:].set_visible(False)
