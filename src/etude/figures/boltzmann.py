"""Machines that draw: their chains in motion, and how surely their partition function is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from torch import Tensor

from etude.figures.animations import Film
from etude.figures.latent import tiled
from etude.figures.style import INK, PALETTE, QUIET, canvas


def moving_pictures(frames: Tensor, steps: Sequence[int]) -> Film:
    """Pictures side by side that all change from frame to frame.

    Args:
        frames: (frames, rows, columns, side²), from 0 to 1.
        steps: what stands above each frame: so many steps.
    """
    rows, columns = frames.shape[1:3]
    figure, (axes,) = canvas(0.5 * columns + 0.2, 0.5 * rows + 0.45)
    image = axes.imshow(tiled(frames[0]).numpy(), cmap="gray_r", vmin=0, vmax=1)
    axes.set(xticks=(), yticks=())
    axes.spines[:].set_visible(False)

    def draw(frame: int) -> list[Artist]:
        image.set_data(tiled(frames[frame]).numpy())
        return [image, axes.set_title(f"after {steps[frame]:,} Gibbs steps")]

    return Film(figure, draw, len(frames))


def annealing(log_w: Tensor, log_z: float, errors: Mapping[int, Tensor]) -> Figure:
    """Left the spread of importance weights, right how the estimate nears the truth with more
    temperatures.

    Args:
        log_w: log weights of the large machine, (chains,).
        log_z: the logarithm of their mean.
        errors: temperatures → estimate less truth of a machine whose truth is known, one for each
    repetition.
    """
    figure, (left, right) = canvas(9.6, 3.5, columns=2)
    left.hist(log_w.cpu().numpy(), bins=30, color=PALETTE[0], alpha=0.75)
    left.axvline(log_z, color=PALETTE[1], label=r"log of their mean, $\log Z$")
    left.set(title="log weights of the chains", xlabel="nats", ylabel="chains")
    left.legend(fontsize=9)
    right.axhline(0, color=INK, linewidth=1.1, linestyle=(0, (4, 3)), label="exact")
    right.axhspan(-0.1, 0.1, color=QUIET, alpha=0.15, linewidth=0)
    for temperatures, error in errors.items():
        right.scatter(
            [temperatures] * len(error),
            error.cpu().numpy(),
            s=16,
            color=PALETTE[0],
            alpha=0.6,
            linewidth=0,
        )
    means = [float(error.mean()) for error in errors.values()]
    right.plot(list(errors), means, color=PALETTE[0], linewidth=1.3, label="annealed, mean")
    right.set(
        xscale="log", xlabel="temperatures", title=r"error of $\log Z$ in nats, small machine"
    )
    right.legend(fontsize=9)
    return figure


def rising(lines: Mapping[str, Tensor], alone: float) -> Figure:
    """Log-likelihood over training.

    Args:
        lines: by method, (n, 2): epoch and nats.
        alone: of independent pixels.
    """
    figure, (axes,) = canvas(6.4, 3.8)
    for (name, line), colour in zip(lines.items(), PALETTE, strict=False):
        axes.plot(
            line[:, 0].numpy(), line[:, 1].numpy(), "o-", markersize=3.5, color=colour, label=name
        )
    axes.axhline(
        alone, color=QUIET, linewidth=1.2, linestyle=(0, (4, 3)), label="independent pixels"
    )
    axes.set(
        xlabel="epoch",
        ylabel="nats a validation image",
        title=r"$\log p(v)$, by annealed importance sampling",
    )
    axes.grid(visible=True, axis="y")
    axes.legend(fontsize=9)
    return figure
