"""AG News: headlines and first lines of news articles on four topics, as CSV."""

from __future__ import annotations

import csv
import html
import re
from pathlib import Path

import torch

from etude.data.labelled import Dataset, Labelled
from etude.data.store import obtain
from etude.errors import UserError

CLASSES = ("World", "Sports", "Business", "Sci/Tech")
HEADERS = (
    {"class index", "title", "description"},
    {"label", "title", "description"},
    {"class", "title", "description"},
    {"text", "label"},
)
LEAD = 60  # letters; two articles that begin with the same 60 are editions of one
HTML_NUMBER = re.compile(r"&? ?#(\d{2,4});")
HTML_NAME = re.compile(r"&?\b(quot|amp|lt|gt|nbsp|hellip|rsquo|mdash);")
TAG = re.compile(r"</?[A-Za-z][^<>]*>")

Rows = list[tuple[str, int]]


def ag_news() -> Dataset[tuple[str, ...]]:
    """AG News; `source` says whether it is the full training set (120,000 rows) or a subset, and
    how many were dropped.

    From the training rows are dropped those that are there twice, and those whose article is in the
    test set, also in another edition (the same first 60 letters and digits). The test set is the
    official one, 7,600 rows, untouched.
    """
    found = obtain("ag-news")
    *training, test = ([*read_csv(found.paths[file.name])] for file in found.edition.files)
    rows = [row for part in training for row in part]
    kept = without_overlap(rows, test)
    dropped = f"{len(rows) - len(kept):,} dropped that are there twice or in the test set"
    source = f"{found.set.source}; {found.edition.name}, {dropped}"
    return Dataset(_labelled(kept), _labelled(test), CLASSES, source)


def read_csv(path: Path) -> Rows:
    """The ``(text, label)`` rows of a file, label 0 … 3, texts cleaned by `clean`.

    A row is in the official layout (class 1 … 4, title, description), or is ``text,label`` (label 0
    … 3). A byte order mark, a first row of names as Kaggle has it, and blank lines are passed over.

    Raises
    ------
    UserError
        if a row has another layout: the file, the line, what was expected and found
    """
    rows: Rows = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            for row in lines:
                is_header = not rows and {name.strip().lower() for name in row} in HEADERS
                if row and not is_header:
                    rows.append(_row(row, f"{path}, line {lines.line_num}"))
    except csv.Error as error:
        raise UserError(f"{path}, line {lines.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} should be UTF-8, and is not at byte {error.start:,}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    if not rows:
        raise UserError(f"{path} should hold rows of news, and is empty")
    return rows


def _row(row: list[str], where: str) -> tuple[str, int]:
    if len(row) == 3 and row[0] in ("1", "2", "3", "4"):
        return clean(f"{row[1]} {row[2]}"), int(row[0]) - 1
    if len(row) == 2 and row[1] in ("0", "1", "2", "3"):
        return clean(row[0]), int(row[1])
    found = ", ".join(repr(each[:20]) for each in row[:4])
    raise UserError(
        f"{where}: should be a class 1 to 4, title, description (or text, label 0 to 3), and is"
        f" {found or 'empty'}"
    )


def clean(text: str) -> str:
    """The text as it was written: a backslash stands for a line's end, `` #39;`` and ``quot;`` for
    signs in HTML.

    Tags, which hold links and share-price tickers, go; runs of white space become one space.
    """
    text = text.replace("\\$", "$").replace("\\", " ")
    if ";" in text:
        text = HTML_NUMBER.sub(r"&#\1;", text)
        text = html.unescape(html.unescape(HTML_NAME.sub(r"&\1;", text)))
    if "<" in text:
        text = TAG.sub(" ", text)
    return " ".join(text.split())


def without_overlap(rows: Rows, test: Rows) -> Rows:
    """`rows` without those that occurred before, and without those of articles in `test`."""
    leads = {_letters(text)[:LEAD] for text, _ in test}
    seen: set[str] = set()
    kept: Rows = []
    for text, label in rows:
        letters = _letters(text)
        if letters not in seen and letters[:LEAD] not in leads:
            kept.append((text, label))
        seen.add(letters)
    return kept


def _letters(text: str) -> str:
    """Lower-case letters and digits only: the editions differ in white space, quotes and
    line ends.
    """
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _labelled(rows: Rows) -> Labelled[tuple[str, ...]]:
    return Labelled(tuple(text for text, _ in rows), torch.tensor([label for _, label in rows]))
