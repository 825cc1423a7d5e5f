"""Texts shaded letter by letter, and how surprise falls with what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from etude.figures.style import INK, PALETTE, QUIET, canvas

PITCH = "DejaVu Sans Mono"  # its letters are all as wide
SHADES = "YlOrBr"
MOST = 8.0  # bits from which on a shade is the darkest


def shaded(panels: Mapping[str, tuple[str, Sequence[float]]], columns: int = 92) -> Figure:
    """Texts in one pitch; behind each letter a shade says how many bits it cost.

    Args:
        panels: title → text, and the bits of each of its letters (NaN: not counted, white).
        columns: letters in a line; longer lines are broken.
    """
    grids = {title: _laid_out(text, bits, columns) for title, (text, bits) in panels.items()}
    heights = [len(grid) for _, grid in grids.values()]
    size = 7.5  # points; a letter is 0.602 of it wide, and lines stand 1.25 apart
    wide, high = 0.602 * size / 72, 1.25 * size / 72
    figure, axes = canvas(
        columns * wide + 0.9, (sum(heights) + 2.2 * len(grids) + 0.8) * high, len(grids)
    )
    figure.set_layout_engine("none")
    bottom = float(figure.get_figheight())
    for panel, (title, (lines, grid)) in zip(axes, grids.items(), strict=True):
        bottom -= (len(grid) + 2.2) * high
        inches = np.array([0.1, bottom, columns * wide, len(grid) * high])
        panel.set_position(tuple(inches / np.tile(figure.get_size_inches(), 2)))
        image = panel.imshow(
            np.minimum(grid, MOST),
            cmap=SHADES,
            vmin=0,
            vmax=MOST / 0.75,
            aspect="auto",
            extent=(0, columns, len(grid), 0),
        )
        for row, line in enumerate(lines):
            for column, letter in enumerate(line):
                if not letter.isspace():
                    panel.text(
                        column + 0.5,
                        row + 0.72,
                        letter,
                        family=PITCH,
                        fontsize=size,
                        ha="center",
                        va="baseline",
                        color=INK,
                    )
        panel.set_title(title, fontsize=9, pad=3)
        panel.set_axis_off()
    bar = figure.add_axes(
        (1 - 0.62 / figure.get_figwidth(), 0.3, 0.12 / figure.get_figwidth(), 0.4)
    )
    figure.colorbar(image, cax=bar, boundaries=np.linspace(0, MOST, 65), ticks=[0, 2, 4, 6, MOST])
    bar.set_yticklabels(["0", "2", "4", "6", f"{MOST:g}+"])
    bar.set_title("bits", fontsize=8, loc="center", pad=4)
    bar.tick_params(labelsize=7, length=2)
    return figure


def _laid_out(text: str, bits: Sequence[float], columns: int) -> tuple[list[str], np.ndarray]:
    """Lines of at most so many letters, and the bits of each place; a line's end costs its bits
    behind the line.
    """
    lines: list[str] = [""]
    costs: list[list[float]] = [[]]
    known = get_font(findfont(PITCH)).get_char_index
    for letter, cost in zip(text, bits, strict=True):
        if len(lines[-1]) == columns:
            lines.append("")
            costs.append([])
        lines[-1] += " " if letter == "\n" else letter if known(ord(letter)) else "▯"
        costs[-1].append(cost)
        if letter == "\n":
            lines.append("")
            costs.append([])
    grid = np.full((len(lines), columns), np.nan)
    for row, found in enumerate(costs):
        grid[row, : len(found)] = found
    return lines, grid


def by_place(bits: Mapping[str, Sequence[float]], measure: str) -> Figure:
    """The mean surprise at each place of the context; both axes show how soon more context is of no
    more use.

    Args:
        bits: name → the mean at places 1, 2 ….
        measure: what it is.
    """
    figure, (axes,) = canvas(6.2, 3.4)
    for (name, line), colour in zip(bits.items(), PALETTE, strict=False):
        places = np.arange(1, len(line) + 1)
        axes.plot(places, line, color=colour, linewidth=1.1, alpha=0.4)
        edges = np.unique(np.round(np.geomspace(1, len(line) + 1, 24)).astype(int))
        centres = [np.sqrt(a * (b - 1)) for a, b in pairwise(edges)]
        means = [float(np.mean(line[a - 1 : b - 1])) for a, b in pairwise(edges)]
        axes.plot(centres, means, "o-", color=colour, markersize=4, label=name)
    axes.set_xscale("log")
    ticks = [k for k in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024) if k <= len(places)]
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.tick_params(which="minor", length=0, labelbottom=False, color=QUIET)
    axes.set(xlabel="tokens read before", ylabel=measure)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, axis="y")
    if len(bits) > 1:
        axes.legend(fontsize=9)
    return figure
