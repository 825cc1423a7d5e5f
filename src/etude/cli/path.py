"""The way to a study: what to do before it, in an order, and what it leads to."""

from __future__ import annotations

import argparse

from etude.catalogue import Catalogue
from etude.cli.list import seconds
from etude.cli.output import echo, echo_json
from etude.cli.tables import Column, print_table
from etude.courses.library import planned
from etude.courses.paths import after, before
from etude.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude path``."""
    parser.add_argument(
        "study", help="a name from 'etude list', or the path of your own study's file"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(options: argparse.Namespace) -> int:
    """Print the way, the study last."""
    catalogue = Catalogue()
    if options.study in planned():
        raise UserError(
            f"{options.study} ({planned()[options.study]}) is planned, and not built yet"
        )
    entry = catalogue[options.study]
    entries = [each for each in catalogue.all() if each.name != entry.name] + [entry]
    way, next_ones = before(entry.name, entries), after(entry.name, entries)
    if options.json:
        found = {"study": entry.name, "before": [e.name for e in way[:-1]]}
        echo_json({**found, "after": [e.name for e in next_ones]})
        return 0
    rows = [
        [str(number), each.name, each.title, ", ".join(each.needs), seconds(each, "quick")]
        for number, each in enumerate(way, 1)
    ]
    columns = [
        Column("", right=True),
        Column("study", accent=True),
        Column("what it is", wrap=True),
        Column("needs", wrap=True, drop=1),
        Column("quick", right=True, drop=2),
    ]
    print_table(columns, rows)
    if next_ones:
        echo(f"then: {', '.join(each.name for each in next_ones)}")
    return 0
