"""A study's network: modules and operations with shapes, parameters, FLOPs and receptive fields;
also as a picture.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from etude.catalogue import Catalogue
from etude.cli.output import echo, echo_json
from etude.cli.run import parse
from etude.cli.tables import Column, print_table
from etude.errors import UserError
from etude.study import Natural

USAGE = """usage: etude graph STUDY [--scale SCALE] [--any-field VALUE] … [--open N] [--full] [--svg
[FILE]] [--json]

Shows the network of a study: its modules and the operations between them, with the shape of what
comes out, parameters, FLOPs and receptive field. What is repeated stands there once. --svg draws
it, into STUDY-graph.svg where no file is named. Nothing is trained. 'etude graph STUDY --help'
shows the study's fields and all options."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How the network is shown; the study's own fields come beside them."""

    scale: Annotated[str, "a named setting of the study"] = "quick"
    open: Annotated[Natural, "levels of modules that are opened"] = 99
    full: Annotated[
        bool, "open modules without modules in them, too, and show every repetition"
    ] = False
    svg: Annotated[str, "file for the picture"] = ""
    json: Annotated[bool, "as JSON"] = False


def raw(words: list[str]) -> int:
    """``etude graph``'s words, as they came."""
    if not words or words[0] in ("-h", "--help"):
        echo(USAGE, lines=True)
        return 0
    if words[0].startswith("-"):
        raise UserError(f"etude graph: expected a study before {words[0]}; 'etude list' shows them")
    entry = Catalogue()[words[0]]
    options, changes = parse(entry, named(words[1:], f"{entry.name}-graph.svg"), Options, "graph")
    path = Path(options.svg)
    if options.svg and path.suffix != ".svg":
        raise UserError(f"{path} has the ending '{path.suffix}'; expected .svg")

    from etude.results.files import whole
    from etude.results.graph import graph

    found = graph(entry.load().at(options.scale, **changes), options.open, options.full)
    if options.svg:
        with whole(path) as part:
            part.write_text(found.svg(fused=not options.full), encoding="utf-8")
    if options.json:
        echo_json(found.as_json(), indent=None)
        return 0
    show(found.as_json())
    if options.svg:
        echo(path)
    return 0


def named(words: list[str], file: str) -> list[str]:
    """``--svg`` without a file gets this one."""
    pairs = pairwise([*words, "-"])
    return [
        f"--svg={file}" if word == "--svg" and after.startswith("-") else word
        for word, after in pairs
    ]


def show(found: dict[str, Any]) -> None:
    """The table and the sums."""
    rows = []
    for row in found["rows"]:
        sees = row["receptive_field"]
        rows.append(
            [
                "  " * row["level"] + ": ".join(filter(None, (row["name"], row["operation"]))),
                " × ".join(map(str, row["output"])) or "1",
                f"{row['parameters']:,}" if row["parameters"] else "",
                short(row["flops"]) if row["flops"] else "",
                "all" if set(sees) == {"all"} else " × ".join(map(str, sees)),
            ]
        )
    columns = [
        Column("module", wrap=True),
        Column("output", drop=1),
        Column("parameters", right=True),
        Column("FLOPs", right=True, drop=2),
    ]
    if any(row[-1] for row in rows):
        columns.append(Column("receptive field", right=True, drop=3))
    print_table(columns, [row[: len(columns)] for row in rows])
    trained = (
        "" if found["trained"] == found["parameters"] else f", {found['trained']:,} of them trained"
    )
    idle = f", {found['idle']:,} not used here" if found["idle"] else ""
    echo(
        f"{found['parameters']:,} parameters{trained}{idle} · {short(found['flops'])} FLOPs"
        " forward, for one example"
    )
    echo(
        "FLOPs are counted in convolutions and matrix products, two for a multiplication with its"
        " addition."
    )


def short(number: int) -> str:
    """``1.81 G``."""
    size, unit = next(
        ((10**e, u) for e, u in ((12, " T"), (9, " G"), (6, " M"), (3, " k")) if number >= 10**e),
        (1, ""),
    )
    return f"{number / size:.3g}{unit}" if unit else str(number)
