"""A picture of how noisy the statistics of mini-batches are."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter
from torch import Tensor

from etude.figures import PALETTE, QUIET, canvas


def noise_of_statistics(
    errors: Mapping[str, Mapping[int, Tensor]], pixels: Mapping[str, int]
) -> Figure:
    r"""How far the mean of a mini-batch lies from the running mean, in running standard deviations.

    Left is the distribution in the last layer; right is the root mean square in every layer. The
    dashed lines are $1 / \sqrt m$, the value for $m$ independent values.

    Args:
        errors: layer → images in a mini-batch → (mean of the mini-batch - running mean) / running
            standard deviation, (mini-batches, channels).
        pixels: layer → pixels of a channel, so that m is this number times the images.
    """
    figure, (left, right) = canvas(8.6, 3.8, columns=2)
    last = list(errors)[-1]
    for (size, found), colour in zip(errors[last].items(), PALETTE, strict=False):
        left.hist(
            found.flatten().numpy(),
            bins=60,
            range=(-2.5, 2.5),
            density=True,
            histtype="step",
            linewidth=1.6,
            color=colour,
            label=f"of {size}",
        )
    left.set(title=last, xlabel=r"$d = (\mu_B - \mu) / \sigma$", ylabel="density", xlim=(-2.5, 2.5))
    left.legend(title="mini-batches", alignment="left", fontsize=9)
    sizes = list(errors[last])
    for (layer, by_size), colour in zip(errors.items(), PALETTE, strict=False):
        measured = [float(d.square().mean().sqrt()) for d in by_size.values()]
        right.plot(sizes, measured, "o-", color=colour, label=layer)
        expected = [(size * pixels[layer]) ** -0.5 for size in sizes]
        right.plot(sizes, expected, color=colour, linewidth=1.1, linestyle=(0, (4, 3)))
    right.plot([], [], color=QUIET, linewidth=1.1, linestyle=(0, (4, 3)), label=r"$1 / \sqrt{m}$")
    right.set(
        xscale="log",
        yscale="log",
        xlabel="images in a mini-batch",
        ylabel="root mean square of $d$",
    )
    right.xaxis.set_major_locator(FixedLocator(sizes))
    right.xaxis.set_major_formatter(ScalarFormatter())
    right.yaxis.set_major_locator(FixedLocator([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]))
    right.yaxis.set_major_formatter(ScalarFormatter())
    for axis in (right.xaxis, right.yaxis):
        axis.set_minor_formatter(NullFormatter())
    right.tick_params(axis="x", which="minor", length=0)
    right.invert_xaxis()
    right.legend(fontsize=9)
    return figure
