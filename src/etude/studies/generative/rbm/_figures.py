"""Importance weights and log-likelihoods of Boltzmann machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from etude import figures
from etude.figures import INK, PALETTE, QUIET


def annealing(log_w: Tensor, log_z: float, errors: Mapping[int, Tensor]) -> Figure:
    """The spread of the importance weights, and the error of log Z over the temperatures.

    Args:
        log_w: log weights of the large machine, (chains,).
        log_z: the logarithm of their mean weight.
        errors: temperatures → errors of log Z for a small machine, one for each repetition.
    """
    figure, (left, right) = figures.canvas(9.6, 3.5, columns=2)
    left.hist(log_w.cpu().numpy(), bins=30, color=PALETTE[0], alpha=0.75)
    left.axvline(log_z, color=PALETTE[1], label=r"log of their mean, $\log Z$")
    left.set(title="log weights of the chains", xlabel="nats", ylabel="chains")
    left.legend(fontsize=9)

    right.axhline(0, color=INK, linewidth=1.1, linestyle=(0, (4, 3)), label="exact")
    right.axhspan(-0.1, 0.1, color=QUIET, alpha=0.15, linewidth=0)
    for temperatures, error in errors.items():
        x = [temperatures] * len(error)
        right.scatter(x, error.cpu().numpy(), s=16, color=PALETTE[0], alpha=0.6, linewidth=0)
    means = [float(error.mean()) for error in errors.values()]
    right.plot(list(errors), means, color=PALETTE[0], linewidth=1.3, label="annealed, mean")
    right.set(xscale="log", xlabel="temperatures")
    right.set(title=r"error of $\log Z$ in nats, small machine")
    right.legend(fontsize=9)
    return figure


def rising(lines: Mapping[str, Tensor], independent: float) -> Figure:
    """The log-likelihood of validation images over training.

    Args:
        lines: method → epochs and nats, (n, 2).
        independent: the log-likelihood in a model of independent pixels.
    """
    figure, (axes,) = figures.canvas(6.4, 3.8)
    for (name, line), colour in zip(lines.items(), PALETTE, strict=False):
        axes.plot(*line.T.numpy(), "o-", markersize=3.5, color=colour, label=name)
    style: dict[str, Any] = {"color": QUIET, "linewidth": 1.2, "linestyle": (0, (4, 3))}
    axes.axhline(independent, **style, label="independent pixels")
    axes.set(xlabel="epoch", ylabel="nats per validation image")
    axes.set(title=r"$\log p(v)$, by annealed importance sampling")
    axes.grid(visible=True, axis="y")
    axes.legend(fontsize=9)
    return figure
