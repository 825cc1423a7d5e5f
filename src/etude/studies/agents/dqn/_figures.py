"""Pictures of action values beside the returns that were observed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude import figures

MOST = 2_000  # dots of a panel


def estimates_and_returns(panels: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Estimates of Q against the observed discounted returns; on the diagonal the two are equal.

    Args:
        panels: ``{title: (returns, estimates)}``, (steps,) each; all panels have the same scales.
    """
    thinned = {
        title: torch.stack(pair)[:, :: len(pair[0]) // MOST + 1].cpu()
        for title, pair in panels.items()
    }
    everything = torch.cat([pair.flatten() for pair in thinned.values()])
    low, high = float(everything.min()), float(everything.max())
    margin = 0.04 * (high - low) + 1e-3
    limits = (low - margin, high + margin)

    figure, axes = figures.canvas(3.5 * len(panels) + 0.4, 3.6, columns=len(panels))
    dots: dict[str, Any] = {"color": figures.PALETTE[0], "alpha": 0.25, "linewidth": 0}
    for cell, (title, (returns, estimates)) in zip(axes, thinned.items(), strict=True):
        cell.plot([low, high], [low, high], "--", color=figures.QUIET, linewidth=1)
        cell.scatter(returns, estimates, s=5, rasterized=True, **dots)
        cell.set(title=title, xlabel="observed discounted return", xlim=limits, ylim=limits)
    axes[0].set_ylabel("$Q$")
    return figure
