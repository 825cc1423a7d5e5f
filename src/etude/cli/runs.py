"""The runs that are here: state, time, main result, and whether their claims hold."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from etude.cli.options import add_runs
from etude.cli.output import echo, echo_json
from etude.cli.tables import Column, print_table
from etude.data.store import cache_folder
from etude.errors import UserError, nearest
from etude.results.listing import Listing, duration
from etude.runs.folder import runs_root
from etude.runs.record import option_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude runs``."""
    parser.add_argument("study", nargs="?", help="show the runs of one study")
    parser.add_argument("--study", dest="of", metavar="STUDY", help="the same")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_runs(parser)


def main(options: argparse.Namespace) -> int:
    """Print the runs, oldest first."""
    root = runs_root(options.runs)
    rows = Listing(root, cache_folder()).rows()
    study = options.study or options.of
    if study:
        studies = {Path(row["path"]).parent.name for row in rows}
        if study not in studies:
            raise UserError(f"no run of study '{study}' in {root}{nearest(study, studies)}")
        rows = [row for row in rows if Path(row["path"]).parent.name == study]
    if options.json:
        echo_json(rows)
        return 0
    if not rows:
        echo(f"no runs in {root}; 'etude run spirals' makes one")
        return 0
    columns = [
        Column("run", accent=True),
        Column("scale", drop=3),
        Column("seed", right=True, drop=2),
        Column("state"),
        Column("steps", right=True, drop=5),
        Column("time", right=True, drop=4),
        Column("result", wrap=True, drop=1),
        Column("claims"),
    ]
    print_table(columns, [cells(row) for row in rows])
    return 0


def cells(row: dict[str, Any]) -> list[str]:
    """One row of the table."""
    if row["state"] == "damaged":
        return [row["run"], "", "", "damaged", "", "", row["error"], ""]
    value = row["metrics"].get(row["main"])
    result = f"{row['main']} {value:.4g}" if isinstance(value, int | float) else ""
    changed = " ".join(f"{option_of(name)} {value}" for name, value in row["changed"].items())
    steps, seconds = row["steps"], row["seconds"]
    return [
        row["run"],
        str(row["scale"]),
        str(row["seed"]),
        row["state"],
        f"{steps:,}" if isinstance(steps, int) else "–",
        duration(seconds),
        f"{result}  {changed}".strip(),
        row["claims"] or "",
    ]
