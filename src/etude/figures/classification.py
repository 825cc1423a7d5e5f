"""What a classifier confuses, and whether its confidence can be believed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures.style import INK, PALETTE, QUIET, canvas


def confusion_matrix(predicted: Tensor, labels: Tensor, classes: Sequence[str]) -> Figure:
    """How often each class was taken for each other; the shade shows the mistakes, the right ones
    are only counted.

    Args:
        predicted: (rows,), class numbers.
        labels: (rows,), class numbers.
        classes: their names.
    """
    n = len(classes)
    counts = torch.bincount(labels.cpu() * n + predicted.cpu(), minlength=n * n).view(n, n)
    mistakes = counts.float() / counts.sum(1, keepdim=True).clamp_min(1)
    mistakes.fill_diagonal_(0)
    side = min(9.0, 2.2 + 0.42 * n)
    figure, (axes,) = canvas(side + 0.6, side)
    shade = mistakes.where(mistakes > 0, torch.nan)  # no mistake, no colour
    axes.imshow(shade.numpy(), cmap="Oranges", vmin=0, vmax=max(0.02, 1.6 * float(mistakes.max())))
    if n <= 20:
        for i in range(n):
            for j in range(n):
                if counts[i, j]:
                    colour = QUIET if i == j else INK
                    axes.text(
                        j,
                        i,
                        f"{int(counts[i, j]):,}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        color=colour,
                    )
    ticks = range(0, n, max(1, n // 25))
    turned = 45 if max(map(len, classes)) > 3 else 0
    axes.set_xticks(
        ticks, [classes[i] for i in ticks], rotation=turned, ha="right" if turned else "center"
    )
    axes.set_yticks(ticks, [classes[i] for i in ticks])
    axes.set(
        xlabel="taken for",
        ylabel="is",
        title=f"{int(counts.sum() - counts.trace()):,} of {int(counts.sum()):,} wrong",
    )
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    return figure


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 10) -> Figure:
    """Accuracy against confidence: a calibrated classifier lies on the diagonal.

    Below: how often it is how sure.

    Args:
        probabilities: (rows, classes), each row sums to one.
        labels: (rows,), class numbers.
        bins: of equal width between 0 and 1.

    Source: Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks, figure
    1.
    """
    known = probabilities.isfinite().all(1)  # a network that diverged gives NaN
    probabilities, labels = probabilities[known], labels[known]
    confidence, predicted = probabilities.cpu().max(1)
    right = (predicted == labels.cpu()).float()
    index = (confidence * bins).long().clamp_max(bins - 1)
    counts = torch.bincount(index, minlength=bins)
    total = counts.clamp_min(1)
    sure = torch.zeros(bins).index_add_(0, index, confidence) / total
    accuracy = torch.zeros(bins).index_add_(0, index, right) / total
    filled = counts > 0
    error = float((counts / counts.sum().clamp_min(1) * (sure - accuracy).abs()).sum())
    wrong = int((right == 0).sum())
    figure, (above, below) = canvas(4.8, 5.4, rows=2)
    above.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    low, high = wilson_interval(accuracy[filled], counts[filled])
    above.errorbar(
        sure[filled].numpy(),
        accuracy[filled].numpy(),
        yerr=torch.stack([accuracy[filled] - low, high - accuracy[filled]]).clamp_min(0).numpy(),
        fmt="o",
        color=PALETTE[0],
        capsize=3,
    )
    above.set(
        xlim=(0, 1.02),
        ylim=(-0.04, 1.05),
        ylabel="accuracy, with 95 % interval",
        title=f"expected calibration error {error:.4f}; {wrong:,} of {len(labels):,} wrong",
    )
    edges = torch.linspace(0, 1, bins + 1)
    below.bar(
        edges[:-1].numpy(),
        counts.numpy(),
        width=1 / bins,
        align="edge",
        color=PALETTE[0],
        alpha=0.8,
    )
    below.set(xlim=(0, 1.02), yscale="log", xlabel="confidence", ylabel="examples")
    return figure


def wilson_interval(fraction: Tensor, n: Tensor, z: float = 1.96) -> tuple[Tensor, Tensor]:
    """Bounds of a probability of which a fraction of n trials is seen, (…) each; both lie within 0
    and 1, and are apart even where all trials agree.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    centre = (fraction + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * (fraction * (1 - fraction) / n + z**2 / (4 * n**2)).sqrt() / (1 + z**2 / n)
    return centre - half, centre + half
