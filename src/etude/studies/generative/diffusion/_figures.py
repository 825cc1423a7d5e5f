"""Pictures of the reverse process, of mixtures, and of the effect of guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude import figures
from etude.figures import INK, PALETTE, QUIET
from etude.studies.generative._figures import mosaic
from etude.studies.generative._interpolation import slerp

from ._process import Diffusion


def reverse_steps(times: Sequence[float], x: Tensor, guess: Tensor, shown: int = 9) -> Figure:
    """Some states on the path from noise to digits, a row for each class.

    Args:
        times: of each state.
        x: x_t, (states, classes, side²), from 0 to 1.
        guess: the guesses of x_0, of the same shape.
        shown: the number of states.
    """
    index = torch.linspace(0, len(times) - 1, shown).long()
    panels = {"$x_t$": x[index].transpose(0, 1), "guess of $x_0$": guess[index].transpose(0, 1)}
    columns = [f"{times[i]:.2f}" for i in index]
    return mosaic(panels, [str(k) for k in range(10)], columns, "t")


def interpolations(noise: Tensor, generate: Callable[[Tensor], Tensor]) -> Figure:
    """Digits out of what lies between two noises, five times.

    Args:
        noise: N(0, 1), (100, 1, side, side); the ends of five paths are taken from it.
        generate: makes digits of noise, (n, 1, side, side) → the same shape.
    """
    a, b = noise.flatten(1).view(2, 5, 10, 1, -1)[:, :, 0]  # (5, 1, side²) each
    fraction = torch.linspace(0, 1, 9, device=noise.device)[:, None]
    paths = {
        "between two noises, on the sphere": slerp(a, b, fraction),  # (5, 9, side²)
        "on the straight line": torch.lerp(a, b, fraction),
    }
    panels = {}
    for title, path in paths.items():
        digits = generate(path.view(-1, *noise.shape[1:]))
        panels[title] = digits.view(5, 9, -1)
    return mosaic(panels)


def mixtures() -> Figure:
    """Over time, the factors of picture and noise, and the logarithm of their ratio."""
    figure, (left, right) = figures.canvas(8.6, 3.4, columns=2)
    for colour, (name, (time, picture, noise)) in zip(PALETTE, factors().items(), strict=False):
        left.plot(time, picture, color=colour, label=name)
        left.plot(time, noise, color=colour, linestyle=(0, (3, 2)), linewidth=1.3)
        right.plot(time, 2 * (picture / noise).log10(), color=colour, label=name)
    left.set(xlabel="time t", title="factor of the picture (solid), of the noise (dashed)")
    right.set(xlabel="time t", title=r"$\log_{10}$ of signal over noise, in variance", ylim=(-5, 5))
    right.axhline(0, color=QUIET, linewidth=0.8, zorder=0)
    for axes in (left, right):
        axes.grid(visible=True, axis="y")
    right.legend()
    return figure


def factors(points: int = 1_000) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """For each kind of mixture the times, and the factors of picture and noise: (points - 1,)."""
    time = torch.linspace(0, 1, points + 1)[1:-1]
    found = {"flow": (time, 1 - time, time)}
    schedules: list[Literal["cosine", "linear"]] = ["cosine", "linear"]
    for name in schedules:
        bar = Diffusion(points, name).alpha_bar[:-1]
        found[name] = (time, bar.sqrt(), (1 - bar).sqrt())
    return found


def guidance_effect(
    weights: Sequence[float],
    accuracy: Sequence[float],
    distance: Sequence[float],
    floor: float,
    chosen: float,
) -> Figure:
    """The accuracy and the Fréchet distance of generated digits, over the weight of guidance.

    Args:
        weights: of guidance, none of them 0.
        accuracy: at each weight, the fraction that the judge takes for the class asked for.
        distance: at each weight, the Fréchet distance to validation digits.
        floor: the distance of training digits to them.
        chosen: the weight that the study uses.
    """
    figure, (left, right) = figures.canvas(8.2, 3.3, columns=2)
    left.plot(weights, accuracy, "o-", color=PALETTE[0])
    lowest = min(0.9, *accuracy) - 0.04
    left.set(title="judged to be of the class asked for", ylim=(lowest, 1.02))
    right.plot(weights, distance, "o-", color=PALETTE[1])
    right.axhline(floor, color=INK, linestyle=(0, (4, 3)), linewidth=1.1, label="training digits")
    right.set(title="Fréchet distance to validation digits", ylim=(0, None))
    right.legend()
    for axes in (left, right):
        axes.axvline(chosen, color=QUIET, linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.set_xticks(weights, [f"{w:g}" for w in weights])
        axes.minorticks_off()
        axes.set_xlabel("guidance w")
        axes.grid(visible=True, axis="y")
    return figure
