"""The one style of Etude's pictures: quiet axes, and few colours, which readers with any of the
usual colour deficiencies tell apart. Where a figure has many lines, dashes tell them apart, too.

The first six colours are those of Okabe & Ito (2008), Color Universal Design; the others are dark
ones that stay apart from them in the simulation by Machado, Oliveira & Fernandes (2009).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
from cycler import cycler

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#22252b"
QUIET = "#8a8f98"
PALETTE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#691e00",
    "#000087",
    "#3c0f2d",
    "#0000ff",
)
DASHES: tuple[Any, ...] = (  # one for each colour; neighbours differ
    "-",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (9, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (2.5, 2.5)),
    (0, (8, 1.5, 3, 1.5)),
    (0, (1, 2.5)),
    (0, (12, 2, 1, 2)),
)
SEQUENTIAL = "cividis"
DIVERGING = "RdBu_r"

STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "regular",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.grid": False,
    "grid.color": "#e6e8eb",
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "image.interpolation": "nearest",
    "svg.fonttype": "path",
    "svg.hashsalt": "etude",
}


def stroke(number: int) -> dict[str, Any]:
    """Colour and dashes of a figure's line of this number, as keywords for ``plot``."""
    return {
        "color": PALETTE[number % len(PALETTE)],
        "linestyle": DASHES[number % len(DASHES)],
    }


def finite(values: Iterable[float | None]) -> list[float]:
    """The values by which limits can be set: neither missing nor NaN nor infinite."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]


def canvas(
    width: float = 6.4, height: float = 4.0, rows: int = 1, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure in the house style, size in inches, and its axes row by row."""
    mpl.rcParams.update(STYLE)
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    return figure, list(axes.flat)
