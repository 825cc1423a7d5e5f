"""CSV as people's programs write it, and as no spreadsheet executes it.

A cell that begins with ``=``, ``+``, ``-`` or ``@`` is a formula to a spreadsheet, and a student
chooses her own name. So such a cell is written with an apostrophe before it, also where it begins
behind a separator within a text, for a program may part a line at another one; reading takes the
apostrophe away again, and so gives back what was written.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from etude.errors import UserError
from etude.files import Unreadable, content_of

LARGEST = 20_000_000  # bytes of a file that is read
MOST_COLUMNS = 500
MOST_ROWS = 20_000
MOST_CELLS = 1_000_000
LONGEST_HEADING = 500  # signs
LONGEST = 20_000  # signs of a cell
SEPARATORS = ",;\t"
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20\u2212"  # also as wide as a Chinese sign, and a minus
_BEGINS = '(^|[,;\\t\\r\\n\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029|"])'
_BLANK = "([ \\u00a0\\u3000\\ufeff\\0]*)"
_FORMULA = re.compile(f"{_BEGINS}{_BLANK}('*)([{_SIGNS}])")
_MASKED = re.compile(f"{_BEGINS}{_BLANK}'('*)([{_SIGNS}])")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def masked(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula. A number stays as it is."""
    if _NUMBER.fullmatch(cell):
        return cell
    return _FORMULA.sub(r"\1\2'\3\4", cell)


def unmasked(cell: str) -> str:
    """What a cell was before :func:`masked`."""
    return _MASKED.sub(r"\1\2\3\4", cell)


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        path: of its file.
        columns: its headings, as they stand there.
        rows: the cells of each row by column, with the number of its line.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]


def read_table(path: Path) -> Table:
    """A CSV file: in UTF-8, with or without a mark, UTF-16, or Windows's code page 1252; its cells
    parted by commas, semicolons or tabs.

    Raises:
        UserError: it can't be read or is no table; with the line.
    """
    text = _text(path)
    first = re.split("[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    if not first:
        raise UserError(f"{path} is empty; expected a line of headings and a line a student")
    separator = max(SEPARATORS, key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns: tuple[str, ...] = ()
    rows: list[tuple[int, dict[str, str]]] = []
    most = 0
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{path}, line {lines.line_num}"
            longest = LONGEST if columns else LONGEST_HEADING
            if max(map(len, cells)) > longest:
                raise UserError(f"{where}: a cell has more than {longest:,} signs; expected fewer")
            if not columns:
                columns = _headings(path, [unmasked(cell).strip() for cell in cells])
                most = min(MOST_ROWS, MOST_CELLS // len(columns))
                continue
            if len(rows) == most:
                raise UserError(f"{where}: expected at most {most:,} rows of {len(columns)} cells")
            if len(cells) > len(columns) and any(cells[len(columns) :]):
                raise UserError(
                    f"{where}: {len(cells)} cells; expected {len(columns)}, as there are headings"
                )
            cells = [unmasked(cell).strip() for cell in cells[: len(columns)]]
            cells += [""] * (len(columns) - len(cells))
            rows.append((lines.line_num, dict(zip(columns, cells, strict=False))))
    except csv.Error as error:
        raise UserError(f"{path}, line {lines.line_num}: {error}") from None
    return Table(path, columns, tuple(rows))


def _headings(path: Path, columns: list[str]) -> tuple[str, ...]:
    if len(columns) > MOST_COLUMNS:
        raise UserError(f"{path} has {len(columns):,} columns; expected at most {MOST_COLUMNS}")
    doubled = [name for name, count in Counter(columns).items() if name and count > 1]
    if doubled:
        raise UserError(f"{path} has two columns '{min(doubled)}'; expected one")
    return tuple(columns)


def _text(path: Path) -> str:
    try:
        content = content_of(path, LARGEST)
    except Unreadable as why:
        raise UserError(f"{path} {why}; expected a table of a course") from None
    try:
        text = content.decode(_encoding(content))
    except UnicodeError as error:
        raise UserError(f"{path} is in no known encoding ({error}); expected UTF-8") from None
    if "\0" in text:
        raise UserError(f"{path} is no text; expected a CSV file")
    return text


def _encoding(content: bytes) -> str:
    for mark, name in _BOMS:
        if content.startswith(mark):
            return name
    begin = content[:200]
    if begin and begin[1::2].count(0) > len(begin) // 4:
        return "utf-16-le"
    if begin and begin[0::2].count(0) > len(begin) // 4:
        return "utf-16-be"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def written(columns: Sequence[str], rows: Iterable[Sequence[str]], *, mark: bool = False) -> bytes:
    """A table as CSV, in UTF-8.

    Args:
        columns: its headings.
        rows: the cells of each row.
        mark: whether it begins with the mark by which Excel knows UTF-8.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    for cells in (columns, *rows):
        writer.writerow([masked(cell) for cell in cells])
    return text.getvalue().encode("utf-8-sig" if mark else "utf-8", "replace")
