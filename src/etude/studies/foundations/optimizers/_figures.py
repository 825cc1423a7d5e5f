"""Pictures of optimisers: their paths on a surface, their losses, and their speed on quadratics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from etude.figures import DASHES, INK, PALETTE, QUIET, Film, canvas

from ._surfaces import Place, Surface

View = tuple[float, float, float, float]  # left, right, bottom, top
COLOURS = (*PALETTE, "#9cc63c")  # one for each of eleven optimisers
FRAMES = 60  # the most frames of an animation
FLOOR = 1e-13  # a lower loss is drawn here


def paths_and_losses(
    surface: Surface, paths: Mapping[str, Mapping[str, Sequence[Place]]]
) -> Figure:
    """A column for each group of optimisers: their paths over contours and, below, their losses.

    Args:
        surface: the surface on which they walked; its minima are marked by stars.
        paths: ``{group: {optimiser: places}}``, the start and the place after each step.
    """
    figure, axes = canvas(3.5 * len(paths), 6.2, rows=2, columns=len(paths))
    colours = _colours([name for group in paths.values() for name in group])
    for column, (group, walkers) in enumerate(paths.items()):
        above, below = axes[column], axes[len(paths) + column]
        _draw_surface(above, surface)
        for number, (name, path) in enumerate(walkers.items()):
            places = np.array(path)
            line = {"color": colours[name], "linestyle": DASHES[number], "alpha": 0.9}
            drawn = _clipped(places, surface.view)
            x, y = drawn[_distinct(drawn, surface.view)].T
            above.plot(x, y, linewidth=1.5, label=name, zorder=3, **line)
            above.plot(*drawn[-1:].T, "o", color=colours[name], markersize=4, zorder=4)
            steps = np.unique(np.geomspace(1, len(path), 250).astype(int)) - 1
            values = surface.loss(torch.from_numpy(places[steps])).clamp(FLOOR, 1e12)
            below.plot(steps + 1, values, linewidth=1.4, **line)
        start = next(iter(walkers.values()))[0]
        above.plot(*start, "o", color="white", markeredgecolor=INK, markersize=6, zorder=5)
        above.set_title(group)
        above.legend(
            fontsize=8,
            loc="best",
            handlelength=2.6,
            labelspacing=0.25,
            frameon=True,
            framealpha=0.85,
            edgecolor="none",
        )
        below.set(xscale="log", yscale="log", xlabel="step", ylabel="loss" if column == 0 else "")
        below.grid(visible=True, axis="y")
    rows = axes[len(paths) :]
    low = min(a.get_ylim()[0] for a in rows)
    high = max(a.get_ylim()[1] for a in rows)
    longest = max(a.get_xlim()[1] for a in rows)
    for cell in rows:
        cell.set(xlim=(0.9, longest), ylim=(low, high))
    return figure


def animate(surface: Surface, paths: Mapping[str, Sequence[Place]]) -> Film:
    """All optimisers in motion, first step by step, then faster: frames lie evenly in log(step).

    Args:
        surface: the surface on which they walked; its minima are marked by stars.
        paths: ``{optimiser: places}``; one whose path has ended stays where it is.
    """
    figure, (axes,) = canvas(6.8, 4.1)
    _draw_surface(axes, surface)
    axes.plot(
        *next(iter(paths.values()))[0],
        "o",
        color="white",
        markeredgecolor=INK,
        markersize=7,
        zorder=5,
    )
    colours = _colours(list(paths))
    places = {name: _clipped(np.array(path), surface.view) for name, path in paths.items()}
    kept = {name: _distinct(path, surface.view) for name, path in places.items()}
    trails = {
        n: axes.plot([], [], color=colours[n], linewidth=1.4, alpha=0.75, zorder=3)[0]
        for n in paths
    }
    heads = {
        n: axes.plot(
            [],
            [],
            "o",
            color=colours[n],
            markeredgecolor="white",
            markersize=7.5,
            zorder=6,
            label=n,
        )[0]
        for n in paths
    }
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2)
    longest = max(map(len, paths.values()))
    steps = np.unique(np.geomspace(1, longest, FRAMES).astype(int)) - 1

    def draw(frame: int) -> list[Artist]:
        step = int(steps[frame])
        for name, path in places.items():
            here = min(step, len(path) - 1)
            trails[name].set_data(*path[[*kept[name][kept[name] < here], here]].T)
            heads[name].set_data(*path[here][:, None])
        return [
            *axes.lines,
            axes.set_title(f"step {step:,}"),
        ]  # the start and the minima, too: trails run below them

    return Film(figure, draw, len(steps))


def stills(
    surface: Surface, paths: Mapping[str, Sequence[Place]]
) -> tuple[list[np.ndarray], list[str]]:
    """The frames of :func:`animate` as images (height, width, 3) from 0 to 1, and their titles;
    drawn in a second.

    Matplotlib draws the surface once; paths and places are lines and discs of pixels on it.
    """
    figure, (axes,) = canvas(6.2, 4.1)
    _draw_surface(axes, surface)
    colours = _colours(list(paths))
    for name in paths:
        axes.plot([], [], "o", color=colours[name], label=name)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2)
    drawer = FigureCanvasAgg(figure)
    drawer.draw()  # type: ignore[no-untyped-call]
    drawn = drawer.buffer_rgba()  # type: ignore[no-untyped-call]
    ground = Image.fromarray(np.asarray(drawn)).convert("RGB")
    places = {name: _clipped(np.array(path), surface.view) for name, path in paths.items()}
    box = axes.get_window_extent()
    pixels: dict[str, np.ndarray] = {}
    inside: dict[str, np.ndarray] = {}
    for name, path in places.items():
        at = axes.transData.transform(path)
        inside[name] = np.all((at >= box.min) & (at <= box.max), axis=1)
        pixels[name] = at * [1, -1] + [0, ground.height]  # rows are counted from the top
    plt.close(figure)
    longest = max(map(len, paths.values()))
    steps = np.unique(np.geomspace(1, longest, FRAMES).astype(int)) - 1
    images = []
    for step in steps:
        image = ground.copy()
        pen = ImageDraw.Draw(image)
        for name, path in pixels.items():
            way = path[: step + 1][inside[name][: step + 1]]
            if not len(way):
                continue
            if len(way) > 1:
                pen.line(way.flatten().tolist(), fill=colours[name], width=2)
            (x, y), r = way[-1], 5
            pen.ellipse((x - r, y - r, x + r, y + r), fill=colours[name], outline="white")
        images.append(np.asarray(image) / 255)
    return images, [f"step {step:,}" for step in steps]


def steps_per_digit(
    condition: Sequence[float],
    measured: Mapping[str, Sequence[float]],
    theory: Mapping[str, Sequence[float]],
) -> Figure:
    """Steps for each further decimal digit against the condition number: measured as dots, in
    theory as lines.

    Args:
        condition: κ of each quadratic.
        measured: ``{method: steps}``.
        theory: the same.
    """
    figure, (axes,) = canvas(6.0, 3.8)
    for number, (name, steps) in enumerate(measured.items()):
        axes.plot(condition, theory[name], color=PALETTE[number], linewidth=1.3)
        axes.plot(condition, steps, "o", color=PALETTE[number], markersize=6)
        axes.annotate(
            name,
            (condition[-1], steps[-1]),
            (8, 0),
            textcoords="offset points",
            va="center",
            color=PALETTE[number],
            annotation_clip=False,
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=r"condition number $\kappa$",
        ylabel="steps for a decimal digit",
    )
    axes.grid(visible=True)
    return figure


def _colours(names: Sequence[str]) -> dict[str, str]:
    return {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}


def _draw_surface(axes: Axes, surface: Surface) -> None:
    """Contours that lie evenly in the logarithm of the loss, and the minima."""
    left, right, bottom, top = surface.view
    xs = torch.linspace(left, right, 150)
    ys = torch.linspace(bottom, top, 130)
    grid = torch.cartesian_prod(ys, xs).flip(1)  # x changes fastest
    values = surface.loss(grid).view(130, 150).numpy()
    levels = np.geomspace(max(values.min(), 1e-3 * np.median(values)), values.max(), 20)
    axes.contour(
        xs, ys, values, levels=levels, colors=[QUIET], linewidths=0.6, alpha=0.65, zorder=1
    )
    axes.plot(
        *zip(*surface.minima, strict=True),
        linestyle="",
        marker="*",
        color=INK,
        markersize=11,
        zorder=5,
    )
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="$x$", ylabel="$y$")


def _clipped(places: np.ndarray, view: View) -> np.ndarray:
    """The places, (n, 2), with NaN for those that lie beyond three times the view."""
    left, right, bottom, top = view
    centre = [(left + right) / 2, (bottom + top) / 2]
    reach = [1.5 * (right - left), 1.5 * (top - bottom)]
    far = np.abs(places - centre) > reach
    return np.where((far | ~np.isfinite(places)).any(1, keepdims=True), np.nan, places)


def _distinct(places: np.ndarray, view: View) -> np.ndarray:
    """The rows of places that a picture shows apart from the last one kept, and the last row."""
    least = 0.003 * np.array([view[1] - view[0], view[3] - view[2]])
    kept = [0]
    x, y = places[0]
    for k, place in enumerate(places.tolist()):
        if not (abs(place[0] - x) < least[0] and abs(place[1] - y) < least[1]):
            kept.append(k)
            x, y = place
    return np.array([*kept, len(places) - 1])
