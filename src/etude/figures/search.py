"""What a wider beam finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from etude.figures.style import PALETTE, canvas


def by_width(
    widths: Sequence[int], found: Mapping[str, Sequence[tuple[float, float]]], measure: str
) -> Figure:
    """How likely what a beam finds is, and how good, against its width.

    Args:
        widths: of the beam, rising; 1 is greedy.
        found: by network, for each width the mean over texts of ln p of what was written, and the
            measure of it.
        measure: what it is.
    """
    figure, panels = canvas(8.2, 3.4, columns=2)
    for i, (axes, label) in enumerate(
        zip(panels, ("mean ln p of what is written", measure), strict=True)
    ):
        for (name, reached), colour in zip(found.items(), PALETTE, strict=False):
            axes.plot(
                widths, [each[i] for each in reached], "o-", color=colour, markersize=5, label=name
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(widths, [str(width) for width in widths])
        axes.tick_params(which="minor", length=0)
        axes.margins(y=0.15)
        axes.set(xlabel="texts that the beam keeps", ylabel=label)
        axes.grid(visible=True, axis="y")
    panels[0].legend(fontsize=9)
    return figure
