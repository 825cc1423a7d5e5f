"""What is typed behind 'etude grades DIR add', as events of the gradebook."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import get_args

from etude.cli.gradebooks import Place, moment, student_of
from etude.cli.output import echo
from etude.courses.csvs import LARGEST
from etude.courses.events import (
    Adjusted,
    Event,
    Excuse,
    Extension,
    Grading,
    HandMark,
    Missed,
    Proposal,
    ProposalState,
    Review,
    Submission,
    Team,
)
from etude.courses.gradebook import Gradebook
from etude.courses.roster import enrolled, mark_of, read_marks, read_roster
from etude.courses.standing import Standing
from etude.errors import UserError

Maker = Callable[..., list[Event]]


def makers_of(
    place: Place, book: Gradebook, options: argparse.Namespace
) -> dict[str, tuple[str, Maker]]:
    """``{what is added: (the words that it takes, what makes events of them)}``."""
    return {
        "roster": ("FILE", lambda file: enrolled(read_roster(Path(file)), book.standing)),
        "marks": ("FILE", lambda file: read_marks(Path(file), book.standing, place.pieces)),
        "mark": ("WHO WORK MARK", lambda *given: add_mark(book.standing, *given)),
        "submission": (
            "WHO WORK FILE",
            lambda *given: add_submission(place, book, options, *given),
        ),
        "grading": ("RESULTS", lambda folder: add_grading(place, book, options, folder)),
        "extension": ("WHO WORK UNTIL", lambda *given: add_extension(place, book, *given)),
        "excuse": ("STUDENT WORK", lambda *given: add_excuse(book.standing, options, *given)),
        "missed": ("STUDENT WORK", lambda *given: add_missed(book.standing, options, *given)),
        "adjustment": ("STUDENT MARKS", lambda *given: add_adjustment(book.standing, *given)),
        "team": ("NAME STUDENT …", lambda *given: add_team(book.standing, options, *given)),
        "proposal": (
            "WHO WORK STATE",
            lambda *given: add_proposal(book.standing, options, *given),
        ),
        "review": ("STUDENT WORK OF FILE", lambda *given: add_review(book.standing, *given)),
    }


def changes_marks(events: Sequence[Event], standing: Standing) -> bool:
    """Whether events change marks that are there."""
    for event in events:
        if isinstance(event, Grading | HandMark):
            team = event.team
            for student in standing.members(team, event.work) if team else [event.student]:
                record = standing.students.get(student)
                before = record.marks.get(event.work) if record else None
                if before and (before.mark.earned, before.mark.most) != (event.earned, event.most):
                    return True
    return False


def subject(standing: Standing, name: str) -> tuple[str, str]:
    """``(student, team)``, of which one is ""."""
    if name not in standing.students and any(name == team for _, team in standing.teams):
        return "", name
    return student_of(standing, name).student, ""


def add_mark(standing: Standing, name: str, work: str, text: str) -> list[Event]:
    """A mark by hand, or that it is taken back."""
    earned, most = (None, Decimal(100)) if text == "none" else mark_of("the mark", text, None)
    student, team = subject(standing, name)
    return [HandMark(student=student, team=team, work=work, earned=earned, most=most)]


def add_submission(
    place: Place, book: Gradebook, options: argparse.Namespace, name: str, work: str, file: str
) -> list[Event]:
    """That a file was handed in; the file itself is not kept."""
    at = moment(place, options.at) if options.at else datetime.now(UTC)
    path = Path(file)
    if not path.is_file():
        raise UserError(f"{path} is no file; expected what was handed in, as one file")
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    student, team = subject(book.standing, name)
    return [Submission(student=student, team=team, work=work, digest=digest, at=at)]


def add_grading(
    place: Place, book: Gradebook, options: argparse.Namespace, folder: str
) -> list[Event]:
    """What 'etude grade' found: submissions, with their marks."""
    from etude.courses.handing import handed_in, read_times
    from etude.exercises.queue import read_index

    if options.times is None:
        raise UserError(
            "when was it handed in? expected --times modified, which takes the times of the files"
            " as they lay in the folder, or --times FILE, a CSV with ids and times"
        )
    index, records = read_index(Path(folder))
    times = None
    if options.times != "modified":
        times = read_times(Path(options.times), lambda text: moment(place, text))
    left = [each.student for each in records if not (each.attempt and each.scored)]
    if left or index.missing:
        names = ", ".join([*left, *index.missing])
        echo(f"No mark for {names}: the submission is invalid, or the grader failed.", error=True)
    standing = book.standing
    events, differences = handed_in(
        index.assignment, records, times, lambda name: subject(standing, name), book.entries
    )
    for difference in differences:
        echo(difference, error=True)
    return events


def add_extension(place: Place, book: Gradebook, name: str, work: str, text: str) -> list[Event]:
    """A deadline of one's own, or that it is taken back."""
    until = None if text == "none" else moment(place, text)
    student, team = subject(book.standing, name)
    return [Extension(student=student, team=team, work=work, until=until)]


def add_excuse(
    standing: Standing, options: argparse.Namespace, name: str, work: str
) -> list[Event]:
    """An excuse; its reason stays private."""
    student = student_of(standing, name).student
    return [Excuse(student=student, work=work, reason=options.why, withdrawn=options.withdraw)]


def add_missed(
    standing: Standing, options: argparse.Namespace, name: str, work: str
) -> list[Event]:
    """That a student was not there."""
    student = student_of(standing, name).student
    return [Missed(student=student, work=work, withdrawn=options.withdraw)]


def add_adjustment(standing: Standing, name: str, text: str) -> list[Event]:
    """Marks on top, or that a student fails or does not."""
    student = student_of(standing, name).student
    if text in ("fails", "passes"):
        return [Adjusted(student=student, fails=text == "fails")]
    try:
        by = Decimal(text)
        if not by.is_finite() or not by:
            raise InvalidOperation
    except InvalidOperation:
        raise UserError(
            f"an adjustment is '{text}'; expected marks like 2 or -1.5, or 'fails' or 'passes'"
        ) from None
    return [Adjusted(student=student, by=by)]


def add_team(
    standing: Standing, options: argparse.Namespace, name: str, *students: str
) -> list[Event]:
    """A team with its members."""
    members = tuple(student_of(standing, each).student for each in students)
    return [Team(team=name, members=members, of=options.of)]


def add_proposal(
    standing: Standing, options: argparse.Namespace, name: str, work: str, state: str
) -> list[Event]:
    """A new state of a proposal."""
    states: tuple[ProposalState, ...] = get_args(ProposalState)
    for each in states:
        if each == state:
            student, team = subject(standing, name)
            return [
                Proposal(student=student, team=team, work=work, state=each, feedback=options.why)
            ]
    raise UserError(f"a proposal can't be '{state}'; expected {', '.join(states)}")


def add_review(standing: Standing, name: str, work: str, of: str, file: str) -> list[Event]:
    """A review that a student wrote."""
    path = Path(file)
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} has more than {LARGEST:,} bytes; expected a text")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read as a text: {error}") from None
    student = student_of(standing, name).student
    return [Review(student=student, work=work, of=of, text=text, at=datetime.now(UTC))]
