"""Tables on a terminal: as wide as it is, no word broken, no number wrapped.

What is wider than the terminal gives way in this order: text wraps at words, and within a word only
behind a slash, as paths do; columns that matter least are left out; the columns that are left
continue in a second table below; only then is a text cut, with ``…`` at its end.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from etude.errors import printable

GAP = "  "  # between columns
LEAST = 8  # characters that a text keeps when it has to be cut


@dataclass(frozen=True)
class Column:
    """A heading, and how the cells below it stand and give way.

    Attributes:
        heading: what stands above the cells.
        right: whether the cells are set at the column's right side, as numbers are.
        accent: whether the cells are printed in bold.
        wrap: whether a cell may take several lines. Words are parted at spaces; a no-break space
            keeps a number with its unit.
        drop: 0 for a column that is always shown; of the others the one with the highest number is
            left out first where the terminal is narrow.
    """

    heading: str
    right: bool = False
    accent: bool = False
    wrap: bool = False
    drop: int = 0


Row = Sequence[str] | str  # a single text is a heading within the table


def print_table(columns: Sequence[Column], rows: Sequence[Row], lines: int = 0) -> None:
    """Print rows under their headings; as wide as the terminal, 120 where there is none.

    Args:
        columns: one for each cell of a row.
        rows: the cells of each row, or a text that stands as a heading over the rows below it.
        lines: how many lines a row may take at most; 0 for any number.
    """
    for line in table_lines(columns, rows, terminal_width(), lines, has_colour()):
        print(line)


def terminal_width() -> int:
    """Columns of the terminal; where output goes elsewhere ``$COLUMNS``, else 120."""
    if sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdecimal() and int(asked) > 0 else 120


def has_colour() -> bool:
    """Whether bold letters are wanted."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def no_break(text: str) -> str:
    """``text`` that stays on one line: its spaces become no-break spaces."""
    return text.replace(" ", "\xa0")


def table_lines(
    columns: Sequence[Column],
    rows: Sequence[Row],
    width: int,
    lines: int = 0,
    colour: bool = False,
) -> Iterator[str]:
    """The lines of a table that is at most ``width`` characters wide.

    What stands in the cells may come from files: signs that a terminal would obey are written as
    escapes.
    """
    rows = [
        printable(row) if isinstance(row, str) else [printable(cell) for cell in row]
        for row in rows
    ]
    shown = list(range(len(columns)))
    while True:
        chosen = [columns[i] for i in shown]
        cells = [row if isinstance(row, str) else [row[i] for i in shown] for row in rows]
        widths = _widths(chosen, [row for row in cells if not isinstance(row, str)], width, lines)
        if widths is not None:
            yield from _drawn(chosen, cells, widths, width, lines, colour)
            return
        droppable = [i for i in shown if columns[i].drop]
        if droppable:
            shown.remove(max(droppable, key=lambda i: columns[i].drop))
            continue
        break
    parts = _parts(chosen, cells, width)
    if len(parts) == 1:  # nothing is left but to cut
        widths = _cut_widths(chosen, [row for row in cells if not isinstance(row, str)], width)
        yield from _drawn(chosen, cells, widths, width, lines, colour)
        return
    for part in parts:
        yield from table_lines(
            [chosen[i] for i in part],
            [row if isinstance(row, str) else [row[i] for i in part] for row in cells],
            width,
            lines,
            colour,
        )


# -- how wide each column is -----------------------------------------------------------------------


def _widths(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, lines: int
) -> list[int] | None:
    """The width of each column; None where they do not fit."""
    wanted = _natural(columns, rows)
    room = width - len(GAP) * (len(columns) - 1)
    if sum(wanted) <= room:
        return wanted
    for part in (_words, _pieces):
        found = [
            max(_least(row[i], part, lines) for row in [[c.heading for c in columns], *rows])
            if column.wrap
            else wanted[i]
            for i, column in enumerate(columns)
        ]
        spare = room - sum(found)
        if spare >= 0:
            return _shared(columns, wanted, found, spare)
    return None


def _natural(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    headings = [column.heading for column in columns]
    return [max(length(row[i]) for row in [headings, *rows]) for i in range(len(columns))]


def _least(cell: str, part: Callable[[str], list[str]], lines: int) -> int:
    """The smallest width at which a cell is wrapped without loss, to at most so many lines."""
    least = max(map(length, part(cell)), default=0) + _indent(cell)
    if lines:
        least = max(least, -(-length(cell) // lines))
        while len(_wrapped(cell, least)) > lines:
            least += 1
    return least


def _shared(
    columns: Sequence[Column], wanted: Sequence[int], found: list[int], spare: int
) -> list[int]:
    """Give what is left over, one by one, to the column that is wrapped most."""
    for _ in range(spare):
        short = [i for i, c in enumerate(columns) if c.wrap and found[i] < wanted[i]]
        if not short:
            break
        found[max(short, key=lambda i: wanted[i] / found[i])] += 1
    return found


def _parts(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[list[int]]:
    """The columns of each of several tables that fit; all begin with the first column."""
    cells = [row for row in rows if not isinstance(row, str)]
    parts: list[list[int]] = [[0]]
    for i in range(1, len(columns)):
        part = [*parts[-1], i]
        inside = [[row[j] for j in part] for row in cells]
        if len(part) == 2 or _widths([columns[j] for j in part], inside, width, 0) is not None:
            parts[-1] = part
        else:
            parts.append([0, i])
    return parts


def _cut_widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Widths of columns that do not fit: the widest give up most."""
    widths = _natural(columns, rows)
    room = max(width - len(GAP) * (len(columns) - 1), LEAST * len(columns))
    while sum(widths) > room:
        widths[widths.index(max(widths))] -= 1
    return widths


# -- text ------------------------------------------------------------------------------------------


@lru_cache(65_536)
def length(text: str) -> int:
    """How many places of the terminal a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 1 + (east_asian_width(c) in "WF") for c in text)


def _words(text: str) -> list[str]:
    return [word for word in text.split(" ") if word]


def _pieces(text: str) -> list[str]:
    """What a text falls into at spaces and behind slashes."""
    return [piece for word in _words(text) for piece in re.findall(r"[^/]*/+|[^/]+", word)]


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a text; a word wider than ``width`` is parted behind slashes, else cut."""
    if length(text) <= width:
        return [text]
    margin = " " * _indent(text)
    lines: list[str] = []
    for word in _words(text):
        whole = length(margin + word) <= width
        for number, piece in enumerate([word] if whole else _pieces(word)):
            space = " " if number == 0 else ""
            if lines and length(lines[-1] + space + piece) <= width:
                lines[-1] += space + piece
            else:
                lines.append(_cut(margin + piece, width))
    return lines or [""]


def _limited(parts: list[str], width: int, lines: int) -> list[str]:
    """At most so many lines, the last of which ends with ``…`` where some were left out."""
    if not lines or len(parts) <= lines:
        return parts
    return [*parts[: lines - 1], _cut(" ".join(parts[lines - 1 :]), width)]


def _cut(text: str, width: int) -> str:
    """``text``, or as much of it as fits before a ``…``."""
    if length(text) <= width:
        return text
    while text and length(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


# -- lines -----------------------------------------------------------------------------------------


def _drawn(
    columns: Sequence[Column],
    rows: Sequence[Row],
    widths: Sequence[int],
    width: int,
    lines: int,
    colour: bool,
) -> Iterator[str]:
    """The headings, a rule, and each row."""

    def bold(text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if colour and text.strip() else text

    def joined(cells: Sequence[str], strong: Sequence[bool]) -> Iterator[str]:
        parts = [
            _limited(_wrapped(cell, w), w, lines) if column.wrap else [_cut(cell, w)]
            for cell, w, column in zip(cells, widths, columns, strict=True)
        ]
        for n in range(max(map(len, parts))):
            line = []
            for part, w, column, is_strong in zip(parts, widths, columns, strong, strict=True):
                text = part[n].replace("\xa0", " ") if n < len(part) else ""
                space = " " * (w - length(text))
                text = bold(text) if is_strong else text
                line.append(space + text if column.right else text + space)
            yield GAP.join(line).rstrip()

    accents = [column.accent for column in columns]
    whole = sum(widths) + len(GAP) * (len(columns) - 1)
    yield from joined([column.heading for column in columns], [True] * len(columns))
    yield "─" * whole
    for place, row in enumerate(rows):
        if isinstance(row, str):
            if place:
                yield ""
            yield bold(_cut(row, width))
        else:
            yield from joined(row, accents)
    yield ""
