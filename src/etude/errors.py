"""What Etude raises for things that a user can cause and mend."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

LONGEST = 2_000  # signs of a sentence


class UserError(Exception):
    """One sentence: what is wrong, where, and what would be right.

    The command line prints it alone, without a traceback, and ends with exit code 2. What it quotes
    of a file may hold anything: line ends and signs that cannot be shown are written as escapes,
    and a very long text is cut.
    """

    def __init__(self, sentence: object = "") -> None:
        text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(sentence))
        super().__init__(
            text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
        )


MEMORY = (
    "batch",
    "width",
    "hidden",
    "channels",
    "layers",
    "context",
    "replay",
    "length",
)  # fields that ask for much


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that there is not enough memory, on the processor or on a GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, RuntimeError) and any(each in str(error) for each in words)


def memory_trouble(error: BaseException, fields: Iterable[str] = ()) -> UserError:
    """The sentence for it: how much was asked for, where the error tells, and which fields would
    need less.
    """
    asked = re.search(r"allocate ([\d.,]+ ?(?:[KMGT]i?B|bytes))", str(error), re.IGNORECASE)
    known = set(fields)
    options = " or ".join(f"--{name}" for name in [each for each in MEMORY if each in known][:2])
    advice = (
        f"a smaller {options} would need less"
        if options
        else "a smaller input or setting would need less"
    )
    return UserError(
        f"out of memory{f' ({asked[1]} asked for at once)' if asked else ''}; {advice}"
    )


def nearest(name: str, choices: Iterable[str]) -> str:
    """``"; did you mean 'digits'?"``, or the choices where none is near."""
    choices = sorted(choices)
    match = difflib.get_close_matches(name, choices, n=1)
    if match:
        return f"; did you mean '{match[0]}'?"
    return f"; there is {', '.join(choices)}" if choices else ""
