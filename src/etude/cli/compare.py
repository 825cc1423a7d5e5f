"""Runs side by side: the fields that differ, metrics, time, and the curves in one figure."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from etude.cli.options import add_runs
from etude.cli.output import echo
from etude.cli.tables import Column, no_break, print_table
from etude.results.listing import duration
from etude.runs.folder import RunFolder, runs_root


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude compare``."""
    parser.add_argument(
        "run",
        nargs="+",
        help="a folder, the beginning of the names of some runs, or a study for its last run; a"
        " study alone: its last two",
    )
    parser.add_argument(
        "--figure",
        metavar="FILE",
        help="where the curves are drawn: .svg, .png or .pdf; "
        "compare.svg in the folder of all runs by default",
    )
    add_runs(parser)


def main(options: argparse.Namespace) -> int:
    """Print the tables, draw the figure and say where it lies."""
    from etude.results.compare import compare, draw

    folders = chosen(options.run, options.runs)
    found = compare(folders)
    numbers = [str(number) for number in range(1, len(folders) + 1)]
    for number, name in zip(numbers, found.runs, strict=True):
        echo(f"{number}  {name}")
    differing = [[key, *map(text, row)] for key, row in found.differing.items()]
    table("field", numbers, differing or [["all fields are equal", *[""] * len(folders)]])
    rows = [[key, *map(text, row)] for key, row in found.metrics.items()]
    rows.append(["time", *[no_break(duration(seconds)) for seconds in found.seconds]])
    if any(state != "finished" for state in found.states):
        rows.append(["state", *found.states])
    table("result", numbers, rows)

    labels = [label(number, found.differing, place) for place, number in enumerate(numbers)]
    path = Path(options.figure) if options.figure else runs_root(options.runs) / "compare.svg"
    echo(
        f"curves: {path}"
        if draw(folders, labels, path)
        else "curves: none of these runs logged any"
    )
    return 0


def chosen(names: list[str], root: str | None) -> list[RunFolder]:
    """The runs that are meant.

    Raises:
        UserError: a name means none, or one of them can't be read.
    """
    found: list[RunFolder] = []
    for name in names:
        matches = RunFolder.matching(name, root)
        if matches[0].path.parent == runs_root(root) / name:  # a study's
            matches = matches[-2:] if len(names) == 1 else matches[-1:]
        for folder in matches:
            folder.check()
        found += matches
    return found


def table(heading: str, numbers: list[str], rows: list[list[str]]) -> None:
    """A column for each run."""
    print_table(
        [
            Column(heading, accent=True, wrap=True),
            *[Column(number, right=True, wrap=True) for number in numbers],
        ],
        rows,
    )


def text(value: Any) -> str:
    """A field or a metric in few characters."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def label(number: str, differing: dict[str, list[Any]], place: int) -> str:
    """``2: hidden 64, seed 1``, from the first fields that differ."""
    words: Iterable[str] = (
        f"{key.replace('_', ' ')} {text(row[place])}" for key, row in list(differing.items())[:3]
    )
    return f"{number}: {', '.join(words)}" if differing else number
