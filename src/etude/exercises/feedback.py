"""What a student reads of what came of a submission: nothing of the hidden checks."""

from __future__ import annotations

from pathlib import Path

from etude.errors import UserError, printable
from etude.exercises.grading import Outcome, Result, Verdict
from etude.exercises.handed import file_name
from etude.exercises.queue import Graded
from etude.exercises.sandbox import Tier
from etude.runs import files

MARKS = {Verdict.PASS: "✓", Verdict.NOT_ATTEMPTED: "·"}


def mark(outcome: Outcome) -> str:
    """A sign for a verdict."""
    return MARKS.get(outcome.verdict, "✗")


def reason(outcome: Outcome) -> str:
    """Why a check has not passed; ``""`` where it has."""
    sentence, verdict = outcome.sentence, outcome.verdict
    if verdict == Verdict.PASS:
        return ""
    if verdict == Verdict.NOT_ATTEMPTED:
        missing = sentence.removeprefix("NotImplementedError: ")
        if missing in ("", "NotImplementedError", outcome.task):
            return verdict.value
        if missing == sentence:
            return f"{verdict.value}: {sentence}"
        return f"{verdict.value}: it asks for another task, too ({missing})"
    lines = f" ({'; '.join(outcome.lines)})" if outcome.lines else ""
    return (sentence or verdict.value) + lines


def as_text(graded: Graded, title: str) -> str:
    """What came of a submission, as its student may read it.

    Args:
        graded: what came of it.
        title: of the assignment.
    """
    lines = [title, f"{graded.student}: {', '.join(graded.files)}"]
    if graded.tier:
        begun = min(result.begun for result in graded.results)
        lines.append(f"graded {begun:%Y-%m-%d %H:%M} UTC, sandbox: {Tier(graded.tier).words}")
    if not graded.scored:
        lines += ["", "The grader failed, which is not your fault. It will be graded again."]
        return "\n".join([*lines, ""])
    if not graded.attempt:
        why = graded.outcomes[0].sentence
        lines += ["", f"It could not be graded, and counts as no attempt: {why}."]
    else:
        for result in graded.results:
            lines += ["", *_of_exercise(result.for_student())]
    return printable("\n".join([*lines, ""]), keep="\n")


def _of_exercise(result: Result) -> list[str]:
    public, hidden = result.public, result.hidden
    lines = [f"{result.exercise}: {public.earned} of {public.possible} points of the public checks"]
    if hidden.possible:
        lines.append(f"  Hidden checks are worth {hidden.possible} points and are not shown here.")
    for each in result.outcomes:
        why = reason(each)
        said = f"  {mark(each)} {each.check}, {each.earned} of {each.points}"
        lines.append(f"{said}: {why}" if why else said)
    return lines + [f"  note: {note}" for note in result.notes]


def write_feedback(folder: Path, graded: Graded, title: str) -> None:
    """Write a student's text, ``STUDENT.txt``, in place of an earlier one.

    Raises:
        UserError: it can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.write(folder / f"{file_name(graded.student)}.txt", as_text(graded, title).encode())
    except OSError as error:
        raise UserError(f"{folder} can't be written to: {error.strerror}") from None
