"""Tables on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A heading and how its cells stand."""

    heading: str
    right: bool = False
    accent: bool = False
    grow: bool = False
    width: int | None = None


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their headings; as wide as the terminal, 120 where there is none."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", 120))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=any(column.grow for column in columns))
    for column in columns:
        table.add_column(
            column.heading,
            justify="right" if column.right else "left",
            style="bold" if column.accent else "",
            ratio=1 if column.grow else None,
            min_width=column.width,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    Console(width=width, highlight=False).print(table)
