"""Pictures of the gap between training and test accuracy, and of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures import INK, PALETTE, QUIET, canvas

Series = tuple[Sequence[float], Sequence[float]]


def gaps(reached: Mapping[str, Sequence[float]]) -> Figure:
    """Accuracy on training data (pale) and on test data, one row for each method.

    A dashed line marks the test accuracy of the first method, which is none.

    Args:
        reached: method → training accuracy and test accuracy.
    """
    figure, (axes,) = canvas(6.6, 0.9 + 0.36 * len(reached))
    for row, (train, test) in enumerate(reached.values()):
        axes.plot([test, train], [row, row], color=QUIET, linewidth=1.2, zorder=1)
        axes.scatter(
            [train], [row], s=44, color="white", edgecolor=PALETTE[1], linewidth=1.6, zorder=2
        )
        axes.scatter([test], [row], s=48, color=PALETTE[0], zorder=3)
    train, test = next(iter(reached.values()))
    axes.axvline(test, color=QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set(ylim=(len(reached) - 0.4, -0.9), xlabel="accuracy")
    for name, x, colour in (("test", test, PALETTE[0]), ("training", train, PALETTE[1])):
        axes.annotate(name, (x, 0), (8, 6), textcoords="offset points", color=colour, fontsize=9)
    axes.set_yticks(range(len(reached)), list(reached))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    return figure


def overfitting(train: Sequence[Series], validation: Sequence[Series]) -> Figure:
    """Accuracy on training and on validation data over the steps, as curves.

    The curves of single runs are pale; a dot marks the best step of the mean on validation data.

    Args:
        train: steps and training accuracies of each run.
        validation: steps and validation accuracies of each run.
    """
    figure, (axes,) = canvas(6.4, 3.6)
    for name, colour, lines in (
        ("training", PALETTE[1], train),
        ("validation", PALETTE[0], validation),
    ):
        for steps, values in lines:
            axes.plot(steps, values, color=colour, linewidth=0.8, alpha=0.25)
        steps = lines[0][0]
        mean = [fmean(values) for values in zip(*(values for _, values in lines), strict=True)]
        axes.plot(steps, mean, color=colour, label=name)
    top = max(mean)
    axes.plot(
        steps[mean.index(top)],
        top,
        "o",
        color=PALETTE[0],
        markersize=8,
        markeredgecolor="white",
        zorder=4,
    )
    axes.set(xlabel="step", ylabel="accuracy")
    axes.grid(visible=True, axis="y")
    axes.legend(loc="lower right")
    return figure


def histograms(weights: Mapping[str, Tensor]) -> Figure:
    """Histograms of weights on one scale, one panel for each matrix.

    The title of a panel says how many of its weights are exactly 0.

    Args:
        weights: name → weights, of any shape.
    """
    figure, panels = canvas(8.6, 2.9, 1, len(weights))
    widest = max(float(w.abs().max()) for w in weights.values())
    bins = torch.linspace(-widest, widest, 62).tolist()
    for axes, (name, w), colour in zip(panels, weights.items(), PALETTE, strict=False):
        axes.hist(w.flatten().tolist(), bins=bins, color=colour)
        zero = float((w == 0).float().mean())
        axes.set(
            title=f"{name}: {zero:.0%} are 0", xlabel="weight", yscale="log", ylim=(0.7, w.numel())
        )
        axes.label_outer()
    panels[0].set_ylabel("how many")
    return figure


def spectra(weights: Mapping[str, Tensor]) -> Figure:
    """The singular values of each matrix, from the largest to the smallest.

    Args:
        weights: name → a matrix, (outputs, inputs).
    """
    figure, (axes,) = canvas(6.4, 3.6)
    for name, w in weights.items():
        axes.plot(range(1, min(w.shape) + 1), torch.linalg.svdvals(w).tolist(), label=name)
    axes.set(xlabel="singular value, by rank", ylabel="its size", ylim=(0, None), xlim=(0, None))
    axes.grid(visible=True, axis="y")
    axes.legend()
    return figure
