"""A study: its lesson, its fields with their meanings and defaults, its scales and claims."""

from __future__ import annotations

import argparse
import re
import textwrap
from typing import Any

from etude.catalogue import Catalogue
from etude.cli.output import echo
from etude.cli.tables import Column, no_break, print_table, terminal_width
from etude.entry import Entry
from etude.errors import printable
from etude.runs.record import option_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude show``."""
    parser.add_argument(
        "study", help="a name from 'etude list', or the path of your own study's file"
    )
    parser.add_argument(
        "--source", action="store_true", help="print where its source lies, and nothing else"
    )


def main(options: argparse.Namespace) -> int:
    """Print the lesson, then the tables."""
    entry = Catalogue()[options.study]
    if options.source:
        echo(entry.path)
        return 0
    print_lesson(entry.lesson)
    echo()
    print_fields(entry)
    rows = [
        [
            c.scale,
            c.name,
            no_break(c.bound),
            f"{'each of' if c.each else 'mean of'} {no_break(f'{c.seeds} seeds')}",
            measured(entry, c),
            c.source,
        ]
        for c in entry.claims
    ]
    print_table(
        [
            Column("scale"),
            Column("claim", wrap=True),
            Column("bound"),
            Column("over", wrap=True, drop=1),
            Column("measured", wrap=True),
            Column("source", wrap=True, drop=2),
        ],
        rows,
    )
    if entry.no_onnx:
        said = f"its network can't be exported to ONNX: {entry.no_onnx}"
        echo(textwrap.fill(said, terminal_width(), break_on_hyphens=False), lines=True)
    echo(f"source: {entry.path}")
    return 0


def measured(entry: Entry, claim: Any) -> str:
    """The measured value of a claim and whether it holds, or a dash."""
    for found in entry.measured.get(claim.scale, {}).get("claims", []):
        if found["metric"] == claim.metric:
            return no_break(f"{found['measured']} {found['mark']}")
    return "not yet measured"


def print_fields(entry: Entry) -> None:
    """One row a field: its option, its value at each scale, its meaning."""
    scales = list(entry.scales)
    values = {scale: entry.defaults(scale) for scale in scales}
    rows = []
    for field in entry.fields:
        row = [option_of(field.name)]
        quick = values["quick"][field.name]
        row += [
            value(values[s][field.name]) if s == "quick" or values[s][field.name] != quick else ""
            for s in scales
        ]
        rows.append([*row, field.help])
    print_table(
        [
            Column("field", accent=True),
            *[Column(s, right=True, wrap=True) for s in scales],
            Column("meaning", wrap=True),
        ],
        rows,
    )


def value(thing: Any) -> str:
    """A field's value as one types it."""
    return " ".join(map(str, thing)) if isinstance(thing, tuple) else str(thing)


def print_lesson(lesson: str) -> None:
    """The lesson as Markdown, its equations in Unicode."""
    from rich.console import Console
    from rich.markdown import Markdown

    from etude.cli.formulas import formula
    from etude.runs.lesson import FOLD, UNFOLD

    lesson = re.sub(r"\[([^\]]+)\]\((?:\.\./)+[\w/]+/README\.md\)", r"\1", lesson)  # a study's name
    lesson = FOLD.sub(r"*\g<words>*", lesson).replace(UNFOLD, "")
    lesson = printable(lesson, keep="\n\t")

    def equation(match: re.Match[str]) -> str:
        text = formula(match["display"] or match["inline"])
        text = re.sub(r"([\\`*_\[\]<>])", r"\\\1", text)
        return f"\n\n> {text}\n\n" if match["display"] else text

    text = re.sub(
        r"\$\$(?P<display>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", equation, lesson, flags=re.DOTALL
    )
    Console(width=min(100, terminal_width()), highlight=False).print(Markdown(text))
