"""What the verbs print, so that a terminal shows it and never obeys it.

Much of it comes from files: names of runs, titles, logs, what was wrong. Such a text may hold
escape sequences, which move the cursor, change the window's title or hide what follows. So all
that a verb prints goes through :func:`echo`, :func:`echo_json` or ``print_table``; a test holds
every file here to it.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

from etude.errors import printable


def echo(text: object = "", *, error: bool = False, lines: bool = False, end: str = "\n") -> None:
    """Print one line.

    Args:
        text: what to print; signs that are obeyed rather than shown are written as escapes.
        error: whether it goes to standard error, so that standard output stays for results; what
            can't be written there is passed over.
        lines: whether line ends and tabs in it are meant; else they, too, are written as escapes.
        end: what follows it.
    """
    shown = printable(text, keep="\n\t" if lines else "")
    if not error:
        print(shown, end=end, flush=True)
    elif sys.stderr is not None:  # else it would go among the results
        with suppress(OSError, ValueError):  # nobody reads it any more: no reason to end the work
            print(shown, end=end, file=sys.stderr, flush=True)


def echo_json(value: Any, indent: int | None = 2) -> None:
    """Print a value as JSON, in which such signs stand as JSON's own escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    print(printable(text, keep="\n", escape=lambda sign: json.dumps(sign)[1:-1]), flush=True)
