"""How likely and how good the translations of a wider beam are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from etude.figures import PALETTE, canvas


def by_beam_width(
    widths: Sequence[int], found: Mapping[str, Sequence[tuple[float, float]]], measure: str
) -> Figure:
    """The log-probability of what beam search finds, and its quality, against the beam's width.

    Args:
        widths: widths of the beam, ascending; 1 is greedy.
        found: by network, for each width the mean log-probability of the translations and their
            measure.
        measure: the name of the measure.
    """
    figure, panels = canvas(8.2, 3.4, columns=2)
    for i, (axes, label) in enumerate(
        zip(panels, ("mean ln p of the translations", measure), strict=True)
    ):
        for (name, reached), colour in zip(found.items(), PALETTE, strict=False):
            axes.plot(
                widths, [each[i] for each in reached], "o-", color=colour, markersize=5, label=name
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(widths, [str(width) for width in widths])
        axes.tick_params(which="minor", length=0)
        axes.margins(y=0.15)
        axes.set(xlabel="width of the beam", ylabel=label)
        axes.grid(visible=True, axis="y")
    panels[0].legend(fontsize=9)
    return figure
