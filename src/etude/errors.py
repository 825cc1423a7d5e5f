"""What Etude raises for things that a user can cause and mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """One sentence: what is wrong, where, and what would be right.

    The command line prints it alone, without a traceback, and ends with exit code 2.
    """


def nearest(name: str, choices: Iterable[str]) -> str:
    """``"; did you mean 'digits'?"``, or the choices where none is near."""
    choices = sorted(choices)
    match = difflib.get_close_matches(name, choices, n=1)
    if match:
        return f"; did you mean '{match[0]}'?"
    return f"; there is {', '.join(choices)}" if choices else ""
