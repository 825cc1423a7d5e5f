"""What Etude raises for things that a user can cause and mend."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

LONGEST = 2_000  # signs of a sentence
HARMLESS = "\xa0\u3000\xad\u200c\u200d"  # spaces and joints of words, which are shown or not


def printable(
    text: object, *, keep: str = "", escape: Callable[[str], str] = lambda sign: ascii(sign)[1:-1]
) -> str:
    """A text as it may stand on a terminal, whoever wrote it.

    Signs that are obeyed rather than shown are written as escapes: control characters, among them
    those that begin an escape sequence, and marks that turn the direction of what follows.

    Args:
        text: the text.
        keep: signs of this kind that are meant.
        escape: how one is written; as in Python by default.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign in keep or sign in HARMLESS else escape(sign)
        for sign in text
    )


class UserError(Exception):
    """One sentence: what is wrong, where, and what would be right.

    The command line prints it alone, without a traceback, and ends with exit code 2. What it quotes
    of a file may hold anything: line ends and signs that cannot be shown are written as escapes,
    and a very long text is cut.
    """

    def __init__(self, sentence: object = "") -> None:
        text = printable(sentence)
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


PLURAL = {"is": "are", "has": "have", "holds": "hold", "differs": "differ"}
BEHIND = re.compile(  # what stands behind a subject's noun
    r",| (?:of|for|where|with|without|by|after|before|at|beside|from|to|in|that|along|when)\b"
)


def verb(subject: str, singular: str) -> str:
    """The verb of a sentence: ``"are"`` for ``"the weights of the layer"`` and ``"is"``.

    Args:
        subject: in English; its first noun says whether it is one or several.
        singular: the verb, one of :data:`PLURAL`.
    """
    noun = BEHIND.split(subject)[0]
    several = " and " in noun or re.search(r"(?<![su])(?<!bia)(?<!axi)(?<!basi)s$", noun)
    return PLURAL[singular] if several else singular


def nearest(name: str, choices: Iterable[str]) -> str:
    """``"; did you mean 'digits'?"``, or the choices where none is near."""
    choices = sorted(choices)
    lower = {choice.lower(): choice for choice in choices}
    match = difflib.get_close_matches(name, choices, n=1) or difflib.get_close_matches(
        name.lower(), lower, n=1
    )
    if match:
        return f"; did you mean '{lower.get(match[0], match[0])}'?"
    return f"; there is {', '.join(choices)}" if choices else ""
