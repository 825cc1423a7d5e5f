"""Measure a study's claims over seeds, with 95 % intervals, and write them up: one HTML file, and
LaTeX.
"""

from __future__ import annotations

import argparse

from etude.catalogue import Catalogue
from etude.cli.options import add_runs, count
from etude.cli.output import echo, echo_json
from etude.cli.tables import Column, no_break, print_table
from etude.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude reproduce``."""
    parser.add_argument(
        "study", help="a name from 'etude list', or the path of your own study's file"
    )
    parser.add_argument(
        "--seeds", type=count, default=5, metavar="N", help="run seeds 0 … N-1; 5 by default"
    )
    parser.add_argument(
        "--scale", default="quick", help="whose claims: quick (the default), full …"
    )
    parser.add_argument(
        "--reuse",
        action="store_true",
        help="count finished, unchanged runs instead of running again",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", help="of the report; else <runs>/STUDY/reproductions/SCALE"
    )
    parser.add_argument(
        "--jobs", type=count, default=1, metavar="N", help="how many runs at once; 1 by default"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_runs(parser)


def main(options: argparse.Namespace) -> int:
    """Run, judge, write; say where the report lies."""
    entry = Catalogue()[options.study]
    entry.defaults(options.scale)
    if not any(claim.scale == options.scale for claim in entry.claims):
        raise UserError(
            f"study {entry.name} claims nothing at scale {options.scale}; there is nothing to"
            " reproduce"
        )

    from etude.results.reproduce import reproduce

    done = reproduce(
        entry,
        options.scale,
        seeds=options.seeds,
        reuse=options.reuse,
        root=options.runs,
        out=options.out,
        jobs=options.jobs,
        say=say,
    )
    if options.json:
        echo_json(done.as_json())
    else:
        print_table(
            [
                Column("claim", wrap=True),
                Column("bound"),
                Column("measured", wrap=True),
                Column("", wrap=True),
            ],
            [
                [
                    judged.claim.name,
                    judged.claim.bound,
                    no_break(judged.verdict.measured),
                    judged.mark,
                ]
                for judged in done.checked.claims
            ],
        )
        echo(done.html)
        echo(done.tex)
    return int(done.checked.failed)


def say(line: str) -> None:
    """Progress goes to standard error, so that standard output stays for results."""
    echo(line, error=True)
