"""Asks questions on a terminal, prints them elsewhere, judges answers from a file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.cli.options import count
from etude.cli.output import echo, echo_json
from etude.errors import UserError

if TYPE_CHECKING:
    from etude.questions.asking import Posed
    from etude.questions.question import Judged, Shown

LARGEST = 1_000_000  # bytes of a file with answers


def add_asking(parser: argparse.ArgumentParser) -> None:
    """``--seed``, ``--count``, ``--answers`` and ``--json``."""
    parser.add_argument(
        "--seed", type=int, metavar="N", help="which questions; else others each time"
    )
    parser.add_argument("--count", type=count, metavar="N", help="how many; else one of each")
    parser.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="judge the answers in a file, one a line, to the questions of --seed",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def chosen_seed(options: argparse.Namespace, size: int = 3) -> int:
    """The seed of the questions.

    Args:
        options: those of :func:`add_asking`.
        size: bytes of one that is drawn.

    Raises:
        UserError: there are answers, and no seed that says to which questions.
    """
    if options.seed is not None:
        return int(options.seed)
    if options.answers is not None:
        raise UserError("--answers needs --seed N, which says to which questions they are")
    return int.from_bytes(os.urandom(size), "big")


def conduct(posed: Sequence[Posed], options: argparse.Namespace, seed: int, again: str) -> int:
    """Ask, print or judge.

    Args:
        posed: the questions.
        options: those of :func:`add_asking`.
        seed: of the questions.
        again: the command that asks the same questions.

    Returns:
        The exit code: 1 where answers were judged and not all of them are right.
    """
    if options.answers is not None:
        return judge_all(posed, answers_of(options.answers, len(posed)), options, seed)
    if options.json:
        shown = [{"id": e.generator.id, **plain(e.question.shown())} for e in posed]
        echo_json({"seed": seed, "questions": shown})
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        for number, each in enumerate(posed, 1):
            show(number, each.question.shown())
        echo(f"'{again} --answers FILE' judges a file with one answer a line", error=True)
        return 0
    return ask_all(posed, again)


def plain(shown: Shown) -> dict[str, Any]:
    """What is shown, as JSON holds it; without what a question of its kind does not have."""
    return {name: value for name, value in asdict(shown).items() if value}


def show(number: int, shown: Shown) -> None:
    """Print one question."""
    from etude.cli.show import print_lesson
    from etude.questions.reading import LETTERS

    parts = [f"**{number}.** {shown.prompt}"]
    if shown.lines:
        code = "\n".join(f"{at:>2}  {line}" for at, line in enumerate(shown.lines, 1))
        parts.append(f"```python\n{code}\n```")
    if shown.items:
        parts.append("  \n".join(f"**{at}** {item}" for at, item in enumerate(shown.items, 1)))
    if shown.options:
        pairs = zip(LETTERS, shown.options, strict=False)
        parts.append("  \n".join(f"**{letter})** {option}" for letter, option in pairs))
    parts.append(f"*Answer with {shown.how}.*")
    print_lesson("\n\n".join(parts))
    echo()


# -- on a terminal ---------------------------------------------------------------------------------


def ask_all(posed: Sequence[Posed], again: str) -> int:
    """Ask one question after another; Ctrl-C and the end of the input end it, with what was
    answered so far.
    """
    right: list[bool] = []
    missed: list[str] = []
    stopped = False
    for number, each in enumerate(posed, 1):
        show(number, each.question.shown())
        try:
            judged = ask(each)
        except (KeyboardInterrupt, EOFError) as end:
            echo()
            stopped = isinstance(end, KeyboardInterrupt)
            break
        right.append(judged is not None and judged.right)
        explain(each, judged)
        if judged is None or not judged.right:
            why = judged.misconception if judged and judged.misconception else "see"
            see = judged.see if judged else each.question.see
            missed.append(f"· {number}: {why}: {each.generator.where(see)}")
    echo(
        f"{sum(right)} of {len(right)} right"
        + ("" if len(right) == len(posed) else f"; {len(posed) - len(right)} not asked")
    )
    for line in missed:
        echo(line)
    echo(f"The same questions again: {again}")
    return 130 if stopped else 0 if sum(right) == len(posed) else 1


def ask(posed: Posed) -> Judged | None:
    """One question's answer, judged; asked again until it can be read. None: it was passed over."""
    from etude.questions.question import Unreadable

    while True:
        text = input("answer (? for how, empty to pass): ")
        if not text.strip():
            return None
        if text.strip() == "?":
            echo(f"Answer with {posed.question.shown().how}.")
            continue
        try:
            return posed.question.judge(text)
        except Unreadable as error:
            echo(f"{error}.")


def explain(posed: Posed, judged: Judged | None) -> None:
    """Say whether an answer is right, and why."""
    from etude.cli.show import print_lesson

    question = posed.question
    if judged is not None and judged.right:
        parts = [f"**Right.** {judged.says}"]
    else:
        parts = ["**Passed.**" if judged is None else "**Not right.**"]
        if judged is not None and judged.misconception:
            parts = [f"**Not right: {judged.misconception}.** {judged.says}"]
        parts.append(f"**The answer:** {question.key()}")
        parts.append(question.why)
    see = judged.see if judged is not None else question.see
    parts.append(f"*{posed.generator.where(see)}*")
    if run := question.shown().run:
        parts.append(f"Now look: `{run}`")
    print_lesson("\n\n".join(parts))
    echo()


# -- from a file -----------------------------------------------------------------------------------


def answers_of(path: Path, most: int) -> list[str]:
    """The lines of a file with answers.

    Raises:
        UserError: it can't be read, or has more answers than there are questions.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} is larger than {LARGEST:,} bytes; expected an answer a line")
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{path} is no text in UTF-8; expected an answer a line") from None
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) > most:
        raise UserError(f"{path} has {len(lines)} answers; expected at most {most}, one a question")
    return lines + [""] * (most - len(lines))


def judge_all(
    posed: Sequence[Posed], answers: Sequence[str], options: argparse.Namespace, seed: int
) -> int:
    """Judge answers, and say what is said of each."""
    from etude.questions.question import Judged, Unreadable

    found: list[tuple[Posed, str, Judged | None]] = []
    for each, answer in zip(posed, answers, strict=True):
        try:
            judged = each.question.judge(answer) if answer.strip() else None
        except Unreadable as error:
            judged = Judged(False, f"{error}.", each.question.see, "it can't be read")
        found.append((each, answer, judged))
    right = sum(judged is not None and judged.right for _, _, judged in found)
    if options.json:
        rows = [
            {"id": e.generator.id, "answer": answer, "key": e.question.key()}
            | ({"right": False} if judged is None else asdict(judged))
            for e, answer, judged in found
        ]
        echo_json({"seed": seed, "right": right, "of": len(found), "questions": rows})
        return 0 if right == len(found) else 1
    for number, (each, _, judged) in enumerate(found, 1):
        show(number, each.question.shown())
        explain(each, judged)
    echo(f"{right} of {len(found)} right")
    return 0 if right == len(found) else 1
