"""Grades many submissions: each in a process of its own, and each once.

What came of a submission is one file, written whole or not at all. It is called by the student and
by a digest of all that it rests on: what was handed in, the tests, the key, the tier of the
sandbox. So a second call grades what is new, whatever ended the first. A submission in which the
grader failed has no score and waits for the next call.

A grader's process is a copy (``fork``) of the one that has read the tests, because importing them
takes longer than most submissions. No student's code ever runs in it: that has a sandbox of its
own, which begins and ends with the submission.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import multiprocessing
import multiprocessing.connection
import os
import secrets
import signal
import sys
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import cast

import msgspec

from etude.errors import UserError
from etude.exercises.grading import Exercise, Outcome, Points, Result, Verdict, grade
from etude.exercises.graft import Invalid
from etude.exercises.handed import Content, HandIn, file_name, for_exercise, read_hand_in
from etude.exercises.remote import START
from etude.exercises.tiers import Choice
from etude.runs import files

VERSION = 1  # of what a record holds
TRIES = 2  # in one call, where the grader fails
CLEARING = 10.0  # seconds in which a grader that is stopped ends its sandbox
LEAST_KEY, LARGEST_KEY = 16, 65_536  # bytes
INDEX, KEY, LOCK = "graded.json", "key", ".lock"  # files beside the records


class Graded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of one submission.

    Attributes:
        version: of this record.
        assignment: its id.
        student: whose submission it is; a student or a team.
        files: as they are called in the folder of submissions.
        submission: SHA-256 of what was handed in.
        modified: when it was changed last, as the folder said at that time.
        basis: SHA-256 of all that the verdicts rest on.
        results: one for each exercise of the assignment.
    """

    version: int
    assignment: str
    student: str
    files: list[str]
    submission: str
    modified: datetime
    basis: str
    results: list[Result]

    @property
    def outcomes(self) -> list[Outcome]:
        """Of all exercises."""
        return [each for result in self.results for each in result.outcomes]

    @property
    def scored(self) -> bool:
        """Whether it counts; else it is to be graded again."""
        return all(result.scored for result in self.results)

    @property
    def attempt(self) -> bool:
        """Whether it counts as an attempt: some of it could be read."""
        return any(result.attempt for result in self.results)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return {each.verdict for each in self.outcomes} <= {Verdict.PASS, Verdict.SKIPPED}

    @property
    def public(self) -> Points:
        """Points of the checks that students have."""
        return _sum([result.public for result in self.results])

    @property
    def hidden(self) -> Points:
        """Points of the others."""
        return _sum([result.hidden for result in self.results])

    @property
    def points(self) -> Points:
        """All points."""
        return _sum([self.public, self.hidden])

    @property
    def verdicts(self) -> dict[str, int]:
        """How many checks have each verdict, in the order in which verdicts are listed."""
        counts = Counter(each.verdict for each in self.outcomes)
        return {verdict.value: counts[verdict] for verdict in Verdict if counts[verdict]}

    @property
    def tier(self) -> str:
        """Of the sandbox; ``""`` where nothing was run."""
        return max(result.tier for result in self.results)

    def encoded(self) -> bytes:
        """The record as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def _sum(parts: Sequence[Points]) -> Points:
    return Points(sum(each.earned for each in parts), sum(each.possible for each in parts))


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last call that came to its end: what lay in the folder then, and the records of it.

    Attributes:
        version: of this record.
        assignment: its id.
        course: of which it is one; ``""`` for exercises of no course.
        records: files with what came of each submission.
        missing: students whose submissions the grader could not grade.
    """

    version: int
    assignment: str
    course: str
    records: list[str]
    missing: list[str]


# -- the work -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """What is graded and how, alike for all submissions.

    Attributes:
        assignment: its id.
        exercises: of which it is made.
        key: the instructor's.
        tier: of the sandbox.
        results: the folder of the records.
    """

    assignment: str
    exercises: tuple[Exercise, ...]
    key: bytes
    tier: Choice
    results: Path

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that judges."""
        parts = [(e.id, e.starter, e.digest, e.packages, e.scale) for e in self.exercises]
        fingerprint = hmac.new(self.key, b"which key it is", hashlib.sha256).hexdigest()
        whole = [VERSION, self.assignment, parts, self.tier.tier.value, fingerprint]
        return hashlib.sha256(msgspec.json.encode(whole)).hexdigest()

    def basis(self, hand_in: HandIn, content: Content) -> str:
        """SHA-256 of all that the verdicts on a submission rest on."""
        whole = [self.digest, hand_in.student, content.digest]
        return hashlib.sha256(msgspec.json.encode(whole)).hexdigest()

    def path(self, student: str, basis: str) -> Path:
        """Of a record."""
        return self.results / f"{file_name(student)}.{basis[:16]}.json"

    def record(self, student: str, basis: str) -> Graded | None:
        """What came of a submission; None where there is no record of it that is whole."""
        with suppress(OSError, UserError):
            found = read_record(self.path(student, basis))
            return found if found.basis == basis else None
        return None

    def file(self, content: Content, exercise: Exercise) -> tuple[str, bytes | Invalid]:
        """The file of a submission that is for an exercise, with its name; or why there is none."""
        if isinstance(content.files, Invalid):
            return "", content.files
        return for_exercise(content.files, exercise.id, only=len(self.exercises) == 1)

    @property
    def parts(self) -> bool:
        """Whether what lies beside the code belongs to a submission."""
        return any(each.scale for each in self.exercises)

    def graded(self, hand_in: HandIn, content: Content) -> Graded:
        """Grade a submission."""
        results = []
        for exercise in self.exercises:
            name, found = self.file(content, exercise)
            result = grade(
                exercise,
                name,
                found,
                key=self.key,
                student=hand_in.student,
                tier=self.tier,
                files=content.parts,
            )
            results.append(result)
        return Graded(
            VERSION,
            self.assignment,
            hand_in.student,
            hand_in.names,
            content.digest,
            content.modified,
            self.basis(hand_in, content),
            results,
        )

    @property
    def patience(self) -> float:
        """Seconds after which the grader of one submission is ended."""
        each = (START + e.limits.wall * len(e.regions) for e in self.exercises)
        return 60 + 2 * sum(each)


def processors() -> int:
    """How many processors there are for this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def unhurried(exercise: Exercise, workers: int) -> Exercise:
    """An exercise with more time on the clock where there are more workers than processors."""
    share = workers / processors()
    if share <= 1:
        return exercise
    limits = dataclasses.replace(exercise.limits, wall=exercise.limits.wall * share)
    return dataclasses.replace(exercise, limits=limits)


# -- the pool -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A submission that is done with.

    Attributes:
        hand_in: the submission.
        graded: what came of it; None where the grader has ended without a record.
        fresh: whether it was graded by this call.
        trouble: why the grader has ended.
    """

    hand_in: HandIn
    graded: Graded | None
    fresh: bool
    trouble: str = ""

    @property
    def scored(self) -> bool:
        """Whether there is a score."""
        return self.graded is not None and self.graded.scored


@dataclass
class _Running:
    hand_in: HandIn
    basis: str
    process: ForkProcess
    said: Connection


def grade_all(
    work: Work, hand_ins: Sequence[HandIn], *, workers: int, again: bool = False
) -> Generator[Step, None, None]:
    """Grade submissions, some at a time; each is given back as soon as it is done with.

    Args:
        work: what is graded and how; see :func:`only_one`.
        hand_ins: the submissions.
        workers: how many are graded at a time.
        again: whether those are graded anew that have a score.
    """
    waiting = deque(hand_ins)
    tried: Counter[str] = Counter()
    running: dict[int, _Running] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                hand_in = waiting.popleft()
                content = read_hand_in(hand_in, parts=work.parts)
                basis = work.basis(hand_in, content)
                kept = None if again else work.record(hand_in.student, basis)
                if kept is not None and kept.scored:
                    yield Step(hand_in, kept, fresh=False)
                    continue
                tried[hand_in.student] += 1
                each = _started(work, hand_in, content, basis)
                running[each.process.sentinel] = each
            for number in multiprocessing.connection.wait([*running]) if running else []:
                each = running.pop(cast("int", number))
                step = _ended(work, each)
                if step.scored or tried[each.hand_in.student] >= TRIES:
                    yield step
                else:
                    waiting.append(each.hand_in)
    finally:
        for each in running.values():
            each.process.terminate()
        for each in running.values():
            each.process.join(CLEARING)
            each.process.kill()
            each.process.join()


def _started(work: Work, hand_in: HandIn, content: Content, basis: str) -> _Running:
    context = multiprocessing.get_context("fork")
    said, says = context.Pipe(duplex=False)
    process = context.Process(target=_grade_apart, args=(work, hand_in, content, says))
    process.start()
    says.close()
    return _Running(hand_in, basis, process, said)


def _ended(work: Work, each: _Running) -> Step:
    """What a grader that has ended leaves."""
    each.process.join()
    code = each.process.exitcode
    trouble = ""
    with suppress(EOFError, OSError):
        trouble = each.said.recv_bytes().decode() if each.said.poll() else ""
    each.said.close()
    each.process.close()
    graded = None
    if code == -signal.SIGALRM:
        trouble = f"the grader took longer than {work.patience:,.0f} s"
    elif code == 0 and not trouble:
        graded = work.record(each.hand_in.student, each.basis)
        trouble = "" if graded else "its record is gone"
    elif not trouble:
        trouble = f"the grader has ended with code {code}"
    return Step(each.hand_in, graded, fresh=True, trouble=trouble)


def _grade_apart(work: Work, hand_in: HandIn, content: Content, says: Connection) -> None:
    """Grade a submission in this process, and keep what came of it."""
    signal.signal(signal.SIGINT, lambda *_: None)  # of the terminal; the first process ends us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, work.patience)  # ends us, also where nobody waits for us
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    try:
        graded = work.graded(hand_in, content)
        try:
            files.write(work.path(graded.student, graded.basis), graded.encoded())
        except OSError as error:
            raise UserError(f"the record can't be written: {error.strerror or error}") from None
    except Exception as error:
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        says.send_bytes(f"{kind}{error}"[:2_000].encode(errors="replace"))


# -- the folder of records ------------------------------------------------------------------------


@contextmanager
def only_one(results: Path, waits: Callable[[], object]) -> Iterator[None]:
    """Be the only grader that writes to a folder of records, which is made where it is not there.

    The lock goes over to the processes that grade. If the first process is killed, they still keep
    what they are at, and the next grader begins when they have.

    Args:
        results: the folder.
        waits: called where another one is there and has to be waited for.

    Raises:
        UserError: the folder can't be made or used.
    """
    import fcntl

    try:
        results.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.check_folder(results)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        lock = os.open(results / LOCK, flags, 0o600)
    except OSError as error:
        raise UserError(
            f"{results} can't be written to: {error.strerror}; expected a folder for the results"
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(lock, fcntl.LOCK_EX)
        files.sweep_up(results)
        yield
    finally:
        os.close(lock)


def key_of(path: Path | None, results: Path) -> bytes:
    """The instructor's key: from a file, else the one of the folder of records, which is made where
    there is none.

    Raises:
        UserError: it can't be read or made; it is too short to be a secret.
    """
    place = path or results / KEY
    try:
        if path is None and not place.exists():
            opened = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "wb") as file:
                file.write(secrets.token_hex(32).encode())
        key = files.read(place, LARGEST_KEY).strip()
    except OSError as error:
        raise UserError(f"the key {place} can't be read: {error.strerror}") from None
    if len(key) < LEAST_KEY:
        raise UserError(
            f"the key {place} has {len(key)} bytes; expected a secret of at least {LEAST_KEY}"
        )
    return key


def write_index(work: Work, course: str, steps: Sequence[Step]) -> None:
    """Keep which records are those of what lies in the folder.

    Raises:
        UserError: it can't be written.
    """
    there = [step.graded for step in steps if step.graded]
    index = Index(
        VERSION,
        work.assignment,
        course,
        sorted(work.path(each.student, each.basis).name for each in there),
        sorted(step.hand_in.student for step in steps if step.graded is None),
    )
    try:
        files.write(work.results / INDEX, msgspec.json.format(msgspec.json.encode(index), indent=2))
    except OSError as error:
        raise UserError(f"{work.results} can't be written to: {error.strerror}") from None


def read_index(results: Path) -> tuple[Index, list[Graded]]:
    """The last call that came to its end, and what came of each submission.

    Raises:
        UserError: there was none; a record is missing or damaged.
    """
    try:
        index = msgspec.json.decode(files.read(results / INDEX), type=Index)
        records = [read_record(results / Path(name).name) for name in index.records]
    except FileNotFoundError as error:
        raise UserError(
            f"there is no {error.filename}; expected the results of 'etude grade', which came to"
            " its end"
        ) from None
    except OSError as error:
        raise UserError(f"{results} can't be read: {error.strerror}") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UserError(f"{results / INDEX} is damaged: {error}") from None
    return index, records


def read_record(path: Path) -> Graded:
    """What came of a submission.

    Raises:
        OSError: the file is not there, or can't be read.
        UserError: it is no record.
    """
    try:
        return msgspec.json.decode(files.read(path), type=Graded)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UserError(f"{path} is no record of a submission: {error}") from None
