"""``docs/benchmarks.md``, from what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.beside.work import LOWER, Work

HEAD = """# Beside its peers

Etude and what a user would pick instead, at the same work on the same machine: medians, and the
range in brackets. A ratio above 1 says that Etude is faster. Peers are used as their own
documentation shows. Each time is that of a fresh process, and the contenders take turns. Where
Etude loses, it stands here, too. The sign > stands before the time of a peer that did not get
there: it was stopped, or its recipe ended. With AMX a processor multiplies bf16 matrices, which
Etude chooses where it pays, some five times as fast as fp32 ones, which are the peers' default; few
laptops have it.

`make bench` installs the peers into an environment of their own and measures all of it anew.

![How many times as fast as its peers Etude is, work by work](benchmarks.webp)

"""


def write(path: Path, works: Mapping[str, Work], results: Mapping[str, Mapping[str, Any]]) -> None:
    """For each machine, the last of the results first, all works in the order in which they are
    stated; origins.
    """
    parts, notes = [HEAD], {}
    for machine, found in reversed(results.items()):
        parts.append(
            f"## {machine}\n\n| work | who | median (range) | Etude is faster by | reached |"
            " aim |\n"
        )
        parts.append("|---|---|---|---|---|---|\n")
        measured = [(work, found[name]) for name, work in works.items() if name in found]
        for work, result in measured:
            parts += [f"| {' | '.join(cells)} |\n" for cells in _rows(work, result["contenders"])]
            notes[work.title] = work.note
        origins: dict[str, list[str]] = {}
        for _, result in measured:
            versions = ", ".join(
                f"{name} {version}" for name, version in result["versions"].items()
            )
            origins.setdefault(f"{result['date']}; {versions}", []).append(f"`{result['command']}`")
        for origin, commands in origins.items():
            parts.append(f"\nMeasured {origin}:\n\n- {f'{chr(10)}- '.join(commands)}\n")
        parts.append("\n")
    parts.append("## How to read them\n\n")
    parts += [f"- **{title}**: {note}\n" for title, note in notes.items() if note]
    path.write_text("".join(parts).rstrip() + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Standing:
    """How a contender did.

    Args:
        name: whose.
        median: of its values, in the work's unit.
        ratio: how many times as fast Etude is; None for Etude itself.
        there: how many of its repetitions got where the work leads.
        least: that most did not, so that the median says only what it takes at least.
    """

    name: str
    median: float
    ratio: float | None
    there: int
    least: bool

    @property
    def times(self) -> str:
        """The ratio in words; nothing for Etude."""
        if self.ratio is None:
            return ""
        return f"{'> ' if self.least else ''}{self.ratio:{'.2g' if self.ratio < 10 else '.0f'}} ×"


def standings(work: Work, contenders: Mapping[str, Any]) -> list[Standing]:
    """Of all who did a work, in their order."""
    own = statistics.median(next(iter(contenders.values()))["values"])
    found = []
    for name, taken in contenders.items():
        median = statistics.median(taken["values"])
        ratio = median / own if work.unit in LOWER else own / median
        there = len(taken["values"])
        if work.goal is not None:
            what, least = work.goal
            there = sum(value >= least for value in taken["reached"].get(what, ()))
        short = work.unit in LOWER and 2 * there < len(taken["values"])
        found.append(Standing(name, median, None if "etude" in name else ratio, there, short))
    return found


def _rows(work: Work, contenders: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for k, each in enumerate(standings(work, contenders)):
        values, reached = contenders[each.name]["values"], contenders[each.name]["reached"]
        told = [
            f"{key} {statistics.fmean(found):.4g}{_range(found)}" for key, found in reached.items()
        ]
        if each.there < len(values):
            told.append(f"{each.there} of {len(values)} got there")
        spread = f" ({_short(min(values))} … {_short(max(values))})" if len(values) > 1 else ""
        rows.append(
            [
                work.title if k == 0 else "",
                f"**{each.name}**" if k == 0 else each.name,
                f"{'> ' if each.least else ''}{_short(each.median)} {work.unit}{spread}",
                each.times,
                ", ".join(told),
                work.aim if k == 0 else "",
            ]
        )
    return rows


def _range(found: Sequence[float]) -> str:
    low, high = f"{min(found):.4g}", f"{max(found):.4g}"
    return f" ({low} … {high})" if low != high else ""


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"
