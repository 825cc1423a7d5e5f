"""Where pictures lie in a plane of codes, and what codes and pictures cost."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude import figures
from etude.figures import INK, PALETTE
from etude.studies.generative._figures import mosaic, tile


def latent_map(
    codes: Tensor, labels: Tensor, decode: Callable[[Tensor], Tensor], n: int = 21
) -> Figure:
    """Test images in a plane of codes, and the pictures that are decoded all over the plane.

    Args:
        codes: mean codes, (images, 2).
        labels: classes of the images, (images,).
        decode: pictures of codes, from 0 to 1: (…, 2) → (…, side²).
        n: decoded pictures along each axis, in steps of equal probability.
    """
    axis = torch.special.ndtri(torch.linspace(0.01, 0.99, n, device=codes.device))
    grid = torch.stack(torch.meshgrid(axis, axis.flip(0), indexing="xy"), -1)
    manifold = decode(grid)  # (n, n, side²), the topmost row first
    figure, (left, right) = figures.canvas(10.0, 5.0, columns=2)
    for k in range(10):
        own = codes[labels == k].cpu().numpy()
        dots: dict[str, Any] = {"s": 9, "linewidth": 0, "alpha": 0.55, "rasterized": True}
        left.scatter(own[:, 0], own[:, 1], color=PALETTE[k], **dots)
        left.annotate(
            str(k),
            np.median(own, axis=0),
            ha="center",
            va="center",
            fontsize=12,
            color="white",
            weight="bold",
            bbox={"boxstyle": "circle,pad=0.2", "facecolor": PALETTE[k], "edgecolor": "white"},
        )
    reach = max(3.0, float(codes.abs().max()) + 0.2)
    left.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    left.set(xlabel="$z_1$", ylabel="$z_2$", title="mean codes of test images, by class")

    right.imshow(tile(manifold).numpy(), cmap="gray_r", vmin=0, vmax=1)
    side = math.isqrt(manifold.shape[-1]) + 1
    ticks = range(0, n, max(1, (n - 1) // 4))
    names = [f"{float(axis[i]):.1f}".replace("-", "−") for i in ticks]
    right.set_xticks([side * i + side / 2 - 1 for i in ticks], names)
    right.set_yticks([side * (n - 1 - i) + side / 2 - 1 for i in ticks], names)
    right.set(xlabel="$z_1$", ylabel="$z_2$", title="decoded there; steps of equal probability")
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    return figure


def interpolations(codes: Tensor, pictures: Tensor, decode: Callable[[Tensor], Tensor]) -> Figure:
    """Between pairs of digits: decoded codes on the straight line, and mixed pictures.

    Args:
        codes: one for each digit, (10, latent).
        pictures: of the same digits, (10, side²), from 0 to 1.
        decode: pictures of codes, (…, latent) → (…, side²).
    """
    pairs = [(0, 1), (3, 8), (4, 9), (7, 2), (5, 6)]
    start, end = torch.tensor(pairs, device=codes.device).T
    t = torch.linspace(0, 1, 9, device=codes.device)[:, None]
    panels = {
        "between two codes": decode(torch.lerp(codes[start, None], codes[end, None], t)),
        "between two pictures": torch.lerp(pictures[start, None], pictures[end, None], t),
    }
    return mosaic(panels, [f"{a} to {b}" for a, b in pairs])


def rate_distortion(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Distortion over rate, both in nats; along the straight lines their sum is the same.

    Args:
        measured: value of β → metric → values over seeds, with the metrics ``validation/rate`` and
            ``validation/distortion``; the means are joined in the order given.
    """
    metrics = "validation/rate", "validation/distortion"
    points = {name: [found[metric] for metric in metrics] for name, found in measured.items()}
    figure, (axes,) = figures.canvas(6.4, 4.6)
    means = {name: (statistics.fmean(r), statistics.fmean(d)) for name, (r, d) in points.items()}
    rates, distortions = zip(*means.values(), strict=True)
    width = max(rates) - min(rates)
    height = max(distortions) - min(distortions)
    axes.set_xlim(-0.05 * width, max(rates) + 0.15 * width)
    axes.set_ylim(min(distortions) - 0.15 * height, max(distortions) + 0.12 * height)

    best = min(map(sum, means.values()))
    label = f"R + D = {best:.1f}, the least"
    axes.axline((0, best), slope=-1, color=INK, linewidth=1.1, linestyle=(0, (4, 3)), label=label)
    for farther in range(10, 20 * (1 + round(width + height) // 10), 10):
        axes.axline((0, best + farther), slope=-1, color="#e6e8eb", linewidth=1.0, zorder=0)
    axes.plot(rates, distortions, color=PALETTE[0], linewidth=1.4, zorder=2)
    for name, (each_rate, each_distortion) in points.items():
        colour = PALETTE[0] if sum(means[name]) > best else PALETTE[1]
        axes.scatter(each_rate, each_distortion, s=14, color=colour, alpha=0.35, linewidth=0)
        axes.scatter(*means[name], s=44, color=colour, edgecolor="white", linewidth=0.8, zorder=4)
        axes.annotate(name, means[name], (8, 4), textcoords="offset points", color=INK, fontsize=9)
    axes.set_xlabel("rate R in nats: the code")
    axes.set_ylabel("distortion D in nats: the picture, given its code")
    axes.legend(loc="upper right")
    return figure
