"""What is typed behind 'etude grades DIR add', as events of the gradebook."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import get_args

from etude.cli.gradebooks import Place, moment, student_of
from etude.cli.output import echo
from etude.courses.amounts import number
from etude.courses.events import (
    LONGEST,
    Adjusted,
    Enrolment,
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
from etude.courses.pieces import Pieces
from etude.courses.roster import enrolled, mark_of, read_marks, read_roster
from etude.courses.standing import Standing
from etude.errors import UserError, nearest
from etude.files import Unreadable, content_of, opened

Maker = Callable[..., list[Event]]


def makers_of(
    place: Place, book: Gradebook, options: argparse.Namespace
) -> dict[str, tuple[str, Maker]]:
    """``{what is added: (the words that it takes, what makes events of them)}``."""
    return {
        "roster": ("FILE", lambda file: enrolled(read_roster(Path(file)), book.standing)),
        "marks": ("FILE", lambda file: read_marks(Path(file), book.standing, place.pieces)),
        "mark": ("WHO WORK MARK", lambda *given: add_mark(place, book.standing, options, *given)),
        "submission": (
            "WHO WORK FILE",
            lambda *given: add_submission(place, book, options, *given),
        ),
        "grading": ("RESULTS", lambda folder: add_grading(place, book, options, folder)),
        "extension": ("WHO WORK UNTIL", lambda *given: add_extension(place, book, *given)),
        "excuse": ("STUDENT WORK", lambda *given: add_excuse(book.standing, options, *given)),
        "missed": ("STUDENT WORK", lambda *given: add_missed(book.standing, options, *given)),
        "adjustment": ("STUDENT MARKS", lambda *given: add_adjustment(book.standing, *given)),
        "left": ("STUDENT", lambda name: add_left(book.standing, options, name)),
        "team": ("NAME STUDENT …", lambda *given: add_team(book.standing, options, *given)),
        "proposal": (
            "WHO WORK STATE",
            lambda *given: add_proposal(book.standing, options, *given),
        ),
        "review": ("STUDENT WORK OF FILE", lambda *given: add_review(book.standing, *given)),
    }


def changes_marks(events: Sequence[Event], standing: Standing, pieces: Pieces) -> bool:
    """Whether events change marks that are there, or for which submission they are."""
    for event in events:
        if isinstance(event, Grading | HandMark):
            team = event.team
            students = standing.members(team, event.work, pieces) if team else [event.student]
            for student in students:
                record = standing.students.get(student)
                before = record.marks.get(event.work) if record else None
                if record is None or before is None:
                    continue
                there = before.mark.earned, before.mark.most, record.submission(event.work, pieces)
                if there != (event.earned, event.most, event.submission):
                    return True
    return False


def subject(standing: Standing, name: str) -> tuple[str, str]:
    """``(student, team)``, of which one is ""."""
    if name not in standing.students and any(name == team for _, team in standing.teams):
        return "", name
    return student_of(standing, name).student, ""


def add_mark(
    place: Place,
    standing: Standing,
    options: argparse.Namespace,
    name: str,
    work: str,
    text: str,
) -> list[Event]:
    """A mark by hand, or that it is taken back; with a rubric and a comment where they are given.

    It is one for the submission that counts now, or for the one that is named.
    """
    pieces = place.pieces
    student, team = subject(standing, name)
    rubric = rubric_of(options.rubric)
    item = pieces.items.get(work)
    if item is not None and item.parts:
        marks = by_parts(pieces, work, text, rubric)
        rubric = {}
    else:
        earned, most = (None, Decimal(100)) if text == "none" else mark_of("the mark", text, None)
        marks = {work: (earned, most)}
    events: list[Event] = []
    for each, (earned, most) in marks.items():
        students = standing.members(team, each, pieces) if team else (student,)
        marked = {who: submission_of(standing, who, each, pieces, options) for who in students}
        alike = len(set(marked.values())) == 1
        for who, digest in marked.items():
            event = HandMark(
                student="" if team and alike else who,
                team=team if alike else "",
                work=each,
                earned=earned,
                most=most,
                submission=digest,
                rubric=rubric,
                comment=options.comment if each == next(iter(marks)) else "",
            )
            events += [] if event in events else [event]
    return events


def rubric_of(given: Sequence[str]) -> dict[str, Decimal]:
    """What is typed as ``plots=3``, as marks of each criterion.

    Raises:
        UserError: it is none.
    """
    found: dict[str, Decimal] = {}
    for each in given:
        name, _, points = each.rpartition("=")
        try:
            if not name or name in found:
                raise ValueError("expected each criterion once, like plots=3")
            found[name] = number(points)
        except ValueError as error:
            raise UserError(f"--rubric {each} is no mark of a criterion; {error}") from None
    return found


def by_parts(
    pieces: Pieces, work: str, text: str, rubric: Mapping[str, Decimal]
) -> dict[str, tuple[Decimal | None, Decimal]]:
    """``{part: (earned, most)}`` of a work whose parts are its rubric, each out of its weight.

    Raises:
        UserError: it is not all parts that are marked, one has more than its weight, or they sum to
            another mark.
    """
    parts = [leaf for leaf in pieces.leaves if work in pieces.above[leaf]]
    if not rubric:
        expected = " ".join(f"--rubric {part}=…" for part in parts)
        raise UserError(f"{work} is marked by its parts: {', '.join(parts)}; expected {expected}")
    for name in rubric:
        if name not in parts:
            raise UserError(f"{work} has no part '{name}'{nearest(name, parts)}")
    left = [part for part in parts if part not in rubric]
    if left:
        raise UserError(f"the rubric of {work} has no {', '.join(left)}; expected every part")
    marks: dict[str, tuple[Decimal | None, Decimal]] = {}
    for part in parts:
        weight = pieces.items[part].weight
        if weight is None:
            raise UserError(f"what {part} gives of {work} is not decided in course.toml")
        if not 0 <= rubric[part] <= weight:
            raise UserError(f"{part} has {rubric[part]} marks; expected from 0 to {weight}")
        marks[part] = (rubric[part], weight)
    most = sum((weight for _, weight in marks.values()), Decimal(0))
    total = sum(rubric.values(), Decimal(0))
    if mark_of("the mark", text, most) != (total, most):
        raise UserError(f"the parts of {work} sum to {total}/{most}; expected that, and not {text}")
    return marks


def submission_of(
    standing: Standing, student: str, work: str, pieces: Pieces, options: argparse.Namespace
) -> str:
    """The digest of what a mark is for: what counts now, or the file that is named.

    Raises:
        UserError: the student did not hand in that file.
    """
    record = standing.students.get(student)
    if options.submission is None or record is None:
        return record.submission(work, pieces) if record else ""
    digest = digest_of(options.submission)
    handed = (record.submissions.get(each, ()) for each in pieces.handed_by(work))
    if not any(digest == each.digest for those in handed for each in those):
        raise UserError(
            f"{options.submission} is nothing that {student} handed in for {work}; expected the"
            " same file"
        )
    return digest


def digest_of(path: Path) -> str:
    """The digest of a file that was handed in.

    Raises:
        UserError: it is no file.
    """
    try:
        with opened(path) as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except Unreadable as why:
        raise UserError(f"{path} {why}; expected what was handed in, as one file") from None


def add_submission(
    place: Place, book: Gradebook, options: argparse.Namespace, name: str, work: str, file: str
) -> list[Event]:
    """That a file was handed in; the file itself is not kept."""
    at = moment(place, options.at) if options.at else datetime.now(UTC)
    digest = digest_of(Path(file))
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
        by = number(text)
    except ValueError:
        by = Decimal(0)
    if not by:
        raise UserError(
            f"an adjustment is '{text}'; expected marks like 2 or -1.5, or 'fails' or 'passes'"
        )
    return [Adjusted(student=student, by=by)]


def add_left(standing: Standing, options: argparse.Namespace, name: str) -> list[Event]:
    """That a student has left the course, or is in it again."""
    record = student_of(standing, name)
    if record.left is not options.withdraw:
        return []
    return [
        Enrolment(
            student=record.student,
            name=record.name,
            email=record.email,
            section=record.section,
            left=not options.withdraw,
        )
    ]


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
            text = text_of(options.text) if options.text else ""
            return [
                Proposal(
                    student=student,
                    team=team,
                    work=work,
                    state=each,
                    text=text,
                    feedback=options.why,
                )
            ]
    raise UserError(f"a proposal can't be '{state}'; expected {', '.join(states)}")


def add_review(standing: Standing, name: str, work: str, of: str, file: str) -> list[Event]:
    """A review that a student wrote."""
    student = student_of(standing, name).student
    text = text_of(Path(file))
    return [Review(student=student, work=work, of=of, text=text, at=datetime.now(UTC))]


def text_of(path: Path) -> str:
    """The text of a file.

    Raises:
        UserError: it is none, or too long.
    """
    try:
        text = content_of(path, LONGEST * 4).decode("utf-8-sig")
    except Unreadable as why:
        raise UserError(f"{path} {why}; expected a text of at most {LONGEST:,} signs") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8") from None
    if len(text) > LONGEST:
        raise UserError(f"{path} has {len(text):,} signs; expected at most {LONGEST:,}")
    return text
