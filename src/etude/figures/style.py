"""The one style of Etude's pictures: quiet axes, few colours that print and that colour-blind
readers tell apart.
"""

from __future__ import annotations

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
    "#2f6db3",
    "#d9622b",
    "#3a9a6b",
    "#8e5bb0",
    "#c0a02c",
    "#4bb3c4",
    "#b8476b",
    "#6b7280",
    "#9c6b3c",
    "#1f3f66",
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


def canvas(
    width: float = 6.4, height: float = 4.0, rows: int = 1, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure in the house style, size in inches, and its axes row by row."""
    mpl.rcParams.update(STYLE)
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    return figure, list(axes.flat)
