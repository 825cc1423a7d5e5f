"""Questions on a study: asked one by one, judged, explained.

On a terminal each is asked and answered in turn. Elsewhere they are printed, and --answers judges a
file with one answer a line. The same seed asks the same questions. The exit code is 0 if all
answers are right, else 1.
"""

from __future__ import annotations

import argparse

from etude.catalogue import Catalogue, in_order
from etude.cli.asking import add_asking, chosen_seed, conduct
from etude.cli.output import echo_json
from etude.cli.tables import Column, print_table
from etude.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude quiz``."""
    parser.add_argument(
        "study",
        nargs="?",
        help="a name from 'etude list', or the path of your own; without it, those with questions",
    )
    add_asking(parser)


def main(options: argparse.Namespace) -> int:
    """Ask the questions of a study; list those that have some.

    Raises:
        UserError: there is no such study, or it has no questions.
    """
    if options.study is None:
        list_all(options)
        return 0
    entry = Catalogue()[options.study]
    if not entry.has_questions:
        raise UserError(
            f"{entry.name} has no questions yet; 'etude quiz' lists the studies that do"
        )
    generators = entry.questions()
    if not generators:
        raise UserError(
            f"{entry.path.with_name('_questions.py')} holds no function with @question; expected"
            " some"
        )
    seed = chosen_seed(options)
    from etude.questions.asking import draw

    posed = draw([generators], options.count or len(generators), str(seed).encode())
    again = f"etude quiz {options.study} --seed {seed}"
    again += f" --count {options.count}" if options.count else ""
    return conduct(posed, options, seed, again)


def list_all(options: argparse.Namespace) -> None:
    """The studies that have questions."""
    there = [entry for entry in in_order(Catalogue().all()) if entry.has_questions]
    if options.json:
        echo_json([{"study": entry.name, "title": entry.title} for entry in there])
        return
    columns = [Column("study", accent=True), Column("what it is about", wrap=True)]
    print_table(columns, [[entry.name, entry.title] for entry in there])
