"""What the graded submissions of a folder add to a gradebook: that they came, and their marks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from etude.courses.csvs import read_table
from etude.courses.events import Event, Grading, Submission
from etude.courses.roster import COLUMNS
from etude.courses.standing import Entry
from etude.errors import UserError
from etude.exercises.queue import Graded

TIMES = ("time", "submittedat", "submitted", "submissiontime", "handedin", "at")  # of a column


def read_times(path: Path, moment: Callable[[str], datetime]) -> dict[str, datetime]:
    """When students handed in, from a table with a column of ids and one of times.

    Args:
        path: of the table.
        moment: reads a day with its hour.

    Raises:
        UserError: a column is missing, a cell is no time, a student stands there twice.
    """
    table = read_table(path)
    plain = {re.sub(r"[^a-z]", "", column.lower()): column for column in table.columns}
    ids = [plain[name] for name in COLUMNS["id"] if name in plain]
    times = [plain[name] for name in TIMES if name in plain]
    if not ids or not times:
        raise UserError(
            f"{path} has the columns {', '.join(table.columns)}; expected one of ids, such as id,"
            " and one of times, such as submitted at"
        )
    found: dict[str, datetime] = {}
    for line, cells in table.rows:
        student = cells[ids[0]]
        if student in found:
            raise UserError(f"{path}, line {line}: {student} stands there twice; expected one time")
        try:
            found[student] = moment(re.sub(r" (?=[+-]\d\d:?\d\d$)", "", cells[times[0]]))
        except UserError as error:
            raise UserError(f"{path}, line {line}: {error}") from None
    return found


def handed_in(
    work: str,
    records: Sequence[Graded],
    times: Mapping[str, datetime] | None,
    subject: Callable[[str], tuple[str, str]],
    entries: Sequence[Entry],
) -> tuple[list[Event], list[str]]:
    """What graded submissions add to a gradebook: a submission each, and a mark each that has a
    score. What is no attempt adds nothing, and neither does what the gradebook has already.

    Args:
        work: the assignment.
        records: what came of the submissions.
        times: when they were handed in; None: when their files were changed last.
        subject: ``(student, team)`` of a name, of which one is "".
        entries: of the gradebook.

    Returns:
        The events; and a sentence for each program's mark that becomes another one.

    Raises:
        UserError: a time is missing; a name is nobody's.
    """
    submitted, last = set(), {}
    for entry in entries:
        if isinstance(entry.event, Submission):
            submitted.add(_handed(entry.event))
        elif isinstance(entry.event, Grading):
            last[_whose(entry.event)] = entry.event
    events: list[Event] = []
    differences = []
    for each in records:
        if not each.attempt:
            continue
        if times is not None and each.student not in times:
            raise UserError(f"there is no time for {each.student}; expected one a submission")
        student, team = subject(each.student)
        at = each.modified if times is None else times[each.student]
        came = Submission(student=student, team=team, work=work, digest=each.submission, at=at)
        if _handed(came) not in submitted:
            events.append(came)
        if not each.scored:
            continue
        mark = _grading(each, work, student, team)
        before = last.get(_whose(mark))
        if before is None or _found(before) != _found(mark):
            events.append(mark)
            if before is not None and (before.earned, before.most) != (mark.earned, mark.most):
                was = f"{before.earned} of {before.most}"
                differences.append(
                    f"{each.student}: {was} before, {mark.earned} of {mark.most} now"
                )
    return events, differences


def _handed(event: Submission) -> tuple[object, ...]:
    return (event.student, event.team, event.work, event.digest, event.at)


def _whose(event: Grading) -> tuple[str, str, str]:
    return (event.student, event.team, event.work)


def _found(event: Grading) -> tuple[object, ...]:
    return (event.earned, event.most, event.submission, event.source, event.tests)


def _grading(graded: Graded, work: str, student: str, team: str) -> Grading:
    points = graded.points
    return Grading(
        student=student,
        team=team,
        work=work,
        earned=Decimal(points.earned),
        most=Decimal(points.possible),
        submission=graded.submission,
        source=_one([result.starter for result in graded.results]),
        tests=_one([result.checks for result in graded.results]),
        tier=graded.tier,
    )


def _one(digests: Sequence[str]) -> str:
    """One digest for several."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
