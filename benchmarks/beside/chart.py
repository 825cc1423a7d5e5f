"""``docs/benchmarks.webp``: of each work, how many times as fast as the fastest of its peers Etude
is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.beside.table import Standing, standings
from benchmarks.beside.work import Work
from matplotlib.figure import Figure

from etude.figures.style import INK, PALETTE, QUIET, canvas

SLOWER, FASTER = PALETTE[1], PALETTE[0]


def draw(
    path: Path, works: Mapping[str, Work], found: Mapping[str, Mapping[str, Any]], machine: str
) -> None:
    """A bar for each work that was measured on this machine; the page's table has the numbers."""
    peers = {}
    for name, work in works.items():
        if name in found and (
            others := [each for each in standings(work, found[name]["contenders"]) if each.ratio]
        ):
            peers[work.title] = others
    _bars(peers, machine).savefig(path, dpi=120, pil_kwargs={"quality": 80, "method": 6})


def _bars(peers: Mapping[str, list[Standing]], machine: str) -> Figure:
    figure, (axes,) = canvas(11, 0.8 + 0.27 * len(peers))
    for row, others in enumerate(peers.values()):
        fastest, slowest = (
            choose(others, key=lambda each: each.ratio or 0.0) for choose in (min, max)
        )
        ratio, most = fastest.ratio or 1.0, slowest.ratio or 1.0
        axes.barh(
            row, ratio - 1, left=1, height=0.66, color=FASTER if ratio >= 1 else SLOWER, alpha=0.85
        )
        axes.plot([max(ratio, 1), max(most, 1)], [row, row], color=FASTER, linewidth=1.2, alpha=0.6)
        ends = [fastest] if slowest is fastest else [fastest, slowest]
        words = " … ".join(f"{each.times} {each.name}" for each in ends)
        axes.text(max(most, 1) * 1.06, row, words, va="center", fontsize=8, color=INK)
    axes.axvline(1, color=QUIET, linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 100], ["1 ×", "2 ×", "5 ×", "10 ×", "100 ×"])
    axes.minorticks_off()
    axes.set_yticks(range(len(peers)), list(peers), fontsize=8)
    axes.set(xlim=(0.3, 3_000), ylim=(len(peers) - 0.4, -0.6))
    axes.set_title(
        f"Etude is faster: than its fastest peer (bar), than its slowest (line). {machine}",
        fontsize=10,
    )
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure
