"""Texts shaded by surprise, and how surprise falls with more context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from etude.figures import INK, PALETTE, QUIET, canvas

FONT = "DejaVu Sans Mono"  # all of its characters have one width
SHADES = "YlOrBr"
MOST = 8.0  # bits from which on the shade is the darkest


def shaded_texts(panels: Mapping[str, tuple[str, Sequence[float]]], columns: int = 92) -> Figure:
    """Texts in a monospaced font; the shade behind each character says how many bits it cost.

    Args:
        panels: by title, a text and the bits of each of its characters (NaN: not counted, white).
        columns: characters in a line; longer lines are broken.
    """
    grids = {title: _lines(text, bits, columns) for title, (text, bits) in panels.items()}
    heights = [len(grid) for _, grid in grids.values()]
    size = 7.5  # points; a character is 0.602 of it wide, and lines stand 1.25 of it apart
    wide = 0.602 * size / 72
    high = 1.25 * size / 72
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
            for column, character in enumerate(line):
                if not character.isspace():
                    panel.text(
                        column + 0.5,
                        row + 0.72,
                        character,
                        family=FONT,
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


def _lines(text: str, bits: Sequence[float], columns: int) -> tuple[list[str], np.ndarray]:
    """Lines of at most so many characters, and the bits of each, (lines, columns); those of a line
    end stand behind its line.
    """
    lines: list[str] = [""]
    costs: list[list[float]] = [[]]
    glyph = get_font(findfont(FONT)).get_char_index
    for character, cost in zip(text, bits, strict=True):
        if len(lines[-1]) == columns:
            lines.append("")
            costs.append([])
        if character == "\n":
            lines[-1] += " "
        else:
            lines[-1] += character if glyph(ord(character)) else "▯"
        costs[-1].append(cost)
        if character == "\n":
            lines.append("")
            costs.append([])
    grid = np.full((len(lines), columns), np.nan)
    for row, found in enumerate(costs):
        grid[row, : len(found)] = found
    return lines, grid


def bits_by_position(bits: Mapping[str, Sequence[float]], measure: str) -> Figure:
    """The mean surprise at each position of the context: where it stops falling, more context is of
    no more use.

    Args:
        bits: the mean at positions 1, 2 …, by the name of its line.
        measure: the name of the measure.
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
    ticks = [k for k in (1, 2, 4, 8, 16, 32, 64, 128, 256) if k <= max(map(len, bits.values()))]
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.tick_params(which="minor", length=0, labelbottom=False, color=QUIET)
    axes.set(xlabel="bytes read before", ylabel=measure)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, axis="y")
    if len(bits) > 1:
        axes.legend(fontsize=9)
    return figure
