"""Grades what a student has handed in, check by check.

The student's functions are grafted into a clean starter (:mod:`etude.exercises.graft`) and run in a
sandbox (:mod:`etude.exercises.remote`). For each check the grader chooses inputs that depend on a
key, the student and the check, and judges itself what comes back. A result holds each check of the
exercise once, whatever the student's code does; points are given where a check has returned without
complaint, and nowhere else.

A check that the reference fails, too, says nothing of the student: that is an error of the
grader's. It is never scored.
"""

from __future__ import annotations

import hashlib
import hmac
import inspect
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from types import ModuleType

import msgspec
import numpy as np

from etude.errors import UserError, printable
from etude.exercises.checks import Check, Code, Failure
from etude.exercises.graft import Grafted, Invalid, Submission, graft, read
from etude.exercises.regions import Region, regions_of, starter
from etude.exercises.remote import Kind, Remote, Trouble, Unstarted, Workers
from etude.exercises.sandbox import Limits, Sandbox
from etude.exercises.tiers import Choice
from etude.exercises.work import Missing, Work, files_of

VERSION = 1  # of what a result holds
CHEAP = 2.0  # seconds: a check that took less is run twice
PRINTED = 2_000  # signs that are kept of what was printed during a check


class Verdict(StrEnum):
    """What came of a check."""

    PASS = "pass"
    FAIL = "fail"
    NOT_ATTEMPTED = "not attempted"
    ERROR = "error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASHED = "crashed"
    FORBIDDEN = "forbidden"
    FLAKY = "flaky"
    INVALID_SUBMISSION = "invalid submission"
    SKIPPED = "skipped by the instructor"
    GRADER_ERROR = "grader error"


@dataclass(frozen=True)
class Exercise:
    """What a student has to write, and what judges it.

    Attributes:
        id: its name.
        reference: the solution; its tasks are marked (:mod:`etude.exercises.regions`).
        checks: what judges, in their order.
        packages: distributions that the code may import.
        limits: what the code may use; its wall clock is for all checks of one task.
        scale: of an experiment, whose checks are conditions on the whole of what was handed in
            (:mod:`etude.exercises.work`); ``""`` of functions.

    Raises:
        UserError: two checks have one id; one is about no task.
    """

    id: str
    reference: Code
    checks: tuple[Check, ...]
    packages: tuple[str, ...] = ("numpy",)
    limits: Limits = field(default_factory=Limits)
    scale: str = ""

    def __post_init__(self) -> None:
        for name, count in Counter(each.id for each in self.checks).items():
            if count > 1:
                raise UserError(f"{self.id}: {count} checks are called {name}; expected one")
        tasks = {region.id for region in self.regions}
        for each in self.checks:
            if each.task not in tasks:
                raise UserError(f"{self.id}: the check {each.id} is about no task")

    @cached_property
    def regions(self) -> list[Region]:
        """The tasks."""
        return regions_of(self.reference.source(), self.id)

    @cached_property
    def starter(self) -> str:
        """What students begin with."""
        return starter(self.reference.source(), self.id)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that judges: the checks, the files in which they stand, the reference."""
        parts: list[object] = [self.reference.source(), self.scale]
        files: dict[str, str] = {}
        for each in self.checks:
            parts.append([each.id, each.points, each.public, each.run.__code__.co_code.hex()])
            module = inspect.getmodule(each.run)
            if module is not None:
                for used in [module, *_experimental(module)]:
                    with suppress(OSError, TypeError):
                        files[used.__name__] = inspect.getsource(used)
        return _digest(msgspec.json.encode([*parts, sorted(files.items())]))


# -- results ---------------------------------------------------------------------------------------


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of one check.

    Attributes:
        check: its id.
        task: what it is about.
        public: whether students have it.
        verdict: what came of it.
        points: what it is worth.
        earned: points that are given.
        sentence: why, for the student; ``""`` where it has passed.
        lines: of the student's that an error has passed: ``line 3: return x / 0``.
        printed: what the code has printed meanwhile, cut.
        seconds: for which answers were awaited.
    """

    check: str
    task: str
    public: bool
    verdict: Verdict
    points: int
    earned: int
    sentence: str = ""
    lines: list[str] = []
    printed: str = ""
    seconds: float = 0.0


class Points(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was earned of what can be."""

    earned: int
    possible: int


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of one submission.

    Attributes:
        version: of this record.
        exercise: its id.
        student: whose submission it is.
        outcomes: each check of the exercise, once, in their order.
        scored: whether it counts: not where the grader has failed; then it is to be graded again.
        attempt: whether it counts as an attempt: not where it could not be read.
        public: points of the checks that students have.
        hidden: points of the others.
        notes: what was passed over in the submission.
        tier: of the sandbox; ``""`` where nothing was run.
        refused: better tiers, and why they could not be used.
        submission: SHA-256 of what was handed in; ``""`` where it could not be read.
        starter: SHA-256 of the starter.
        checks: SHA-256 of the checks.
        limits: what the code was allowed.
        begun: when.
        seconds: how long it took.
        measured: numbers that an experiment's conditions have found.
    """

    version: int
    exercise: str
    student: str
    outcomes: list[Outcome]
    scored: bool
    attempt: bool
    public: Points
    hidden: Points
    notes: list[str]
    tier: str
    refused: dict[str, str]
    submission: str
    starter: str
    checks: str
    limits: dict[str, float]
    begun: datetime
    seconds: float
    measured: dict[str, float] = {}

    def encoded(self) -> bytes:
        """The result as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)

    def for_student(self, *, hidden: bool = False) -> Result:
        """The result as its student may see it.

        Args:
            hidden: whether hidden checks are shown, too. What they say tells of their inputs.
        """
        if hidden:
            return self
        shown = [each for each in self.outcomes if each.public]
        unknown = Points(0, self.hidden.possible)
        return msgspec.structs.replace(self, outcomes=shown, hidden=unknown, measured={})


# -- grading ---------------------------------------------------------------------------------------


def grade(
    exercise: Exercise,
    name: str,
    content: bytes | Invalid,
    *,
    key: bytes,
    student: str,
    tier: Choice,
    skipped: Collection[str] = (),
    files: Mapping[str, bytes] | None = None,
) -> Result:
    """Grade what a student has handed in.

    Args:
        exercise: what was to be written.
        name: of the file, with its ending.
        content: its bytes; or why there are none that could be read.
        key: the instructor's; inputs of the checks come of it.
        student: an id.
        tier: of the sandbox, from ``tiers.choose``.
        skipped: ids of checks that do not count.
        files: what was handed in beside it, by names without folders; of a ``.zip`` it is read
            from there.

    Raises:
        UserError: a check to be skipped is none of the exercise.
    """
    begun, clock = datetime.now(UTC), time.monotonic()
    for unknown in sorted(set(skipped) - {each.id for each in exercise.checks}):
        raise UserError(f"{exercise.id} has no check '{unknown}'")
    outcomes: dict[str, Outcome] = {}
    notes: Sequence[str] = ()
    used = ""
    measured: dict[str, float] = {}
    try:
        if isinstance(content, Invalid):
            raise content
        submission = read(name, content)
        grafted = graft(submission, exercise.starter, exercise.regions)
    except Invalid as error:
        for check in exercise.checks:
            verdict = Verdict.SKIPPED if check.id in skipped else Verdict.INVALID_SUBMISSION
            outcomes[check.id] = _outcome(check, verdict, str(error))
    else:
        notes, used = grafted.notes, tier.tier.value
        sandbox = Sandbox(tier.tier, exercise.limits, exercise.packages)
        with Workers(sandbox) as workers:
            beside = files_of(name, content) if files is None else files
            grading = _Grading(exercise, submission, grafted, beside, workers, key, student)
            outcomes = grading.all(frozenset(skipped))
            measured = grading.work.measured
    ordered = [outcomes[check.id] for check in exercise.checks]  # each once, or KeyError
    return Result(
        version=VERSION,
        exercise=exercise.id,
        student=student,
        outcomes=ordered,
        scored=all(each.verdict != Verdict.GRADER_ERROR for each in ordered),
        attempt=used != "",
        public=_points(ordered, public=True),
        hidden=_points(ordered, public=False),
        notes=list(notes),
        tier=used,
        refused={each.value: reason for each, reason in tier.refused.items()},
        submission="" if isinstance(content, Invalid) else _digest(content),
        starter=_digest(exercise.starter.encode()),
        checks=exercise.digest,
        limits=asdict(exercise.limits),
        begun=begun,
        seconds=round(time.monotonic() - clock, 3),
        measured=measured,
    )


def seeded(key: bytes, exercise: str, student: str, check: str) -> np.random.Generator:
    """The random numbers of a check: the same each time, and unknown without the key."""
    words = "\0".join((exercise, student, check)).encode()
    seed = hmac.new(key, words, hashlib.sha256).digest()
    return np.random.default_rng(int.from_bytes(seed))


def _experimental(module: ModuleType) -> Iterator[ModuleType]:
    """The modules of experiments from which a judge has taken something."""
    for each in vars(module).values():
        name = getattr(each, "__module__", None) or ""
        if name.startswith("etude.exercises.experiments.") and name in sys.modules:
            yield sys.modules[name]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _outcome(check: Check, verdict: Verdict, sentence: str = "") -> Outcome:
    earned = check.points if verdict == Verdict.PASS else 0
    return Outcome(
        check.id, check.task, check.public, verdict, check.points, earned, printable(sentence)
    )


def _points(outcomes: Sequence[Outcome], *, public: bool) -> Points:
    counted = [e for e in outcomes if e.public == public and e.verdict != Verdict.SKIPPED]
    return Points(sum(each.earned for each in counted), sum(each.points for each in counted))


_OF_KIND = {
    Kind.NOT_ATTEMPTED: Verdict.NOT_ATTEMPTED,
    Kind.ERROR: Verdict.ERROR,
    Kind.TIMEOUT: Verdict.TIMEOUT,
    Kind.MEMORY: Verdict.MEMORY,
    Kind.CRASHED: Verdict.CRASHED,
    Kind.FORBIDDEN: Verdict.FORBIDDEN,
}


class _Grading:
    """The grading of one submission."""

    def __init__(
        self,
        exercise: Exercise,
        submission: Submission,
        grafted: Grafted,
        files: Mapping[str, bytes],
        workers: Workers,
        key: bytes,
        student: str,
    ) -> None:
        self.exercise = exercise
        self.submission = submission
        self.grafted = grafted
        self.workers = workers
        self.key = key
        self.student = student
        self.unloadable: Trouble | None = None
        self.remote: Remote | None = None
        self.left = 0.0
        self.work = Work(
            self._opened,
            submission.text,
            submission.name,
            files,
            lambda purpose: seeded(key, exercise.id, student, purpose),
            exercise.scale,
            self._restart,
        )

    def all(self, skipped: frozenset[str]) -> dict[str, Outcome]:
        """The outcome of each check."""
        outcomes: dict[str, Outcome] = {}
        by_task: dict[str, list[Check]] = {}
        for check in self.exercise.checks:
            by_task.setdefault(check.task, []).append(check)
        for task, checks in by_task.items():
            self.left = self.exercise.limits.wall
            try:
                for check in checks:
                    if check.id in skipped:
                        outcomes[check.id] = _outcome(check, Verdict.SKIPPED)
                    elif task in self.grafted.missing:
                        sentence = self.grafted.missing[task]
                        outcomes[check.id] = _outcome(check, Verdict.NOT_ATTEMPTED, sentence)
                    elif task in self.grafted.other:
                        sentence = self.grafted.other[task]
                        outcomes[check.id] = _outcome(check, Verdict.FAIL, sentence)
                    else:
                        outcomes[check.id] = self.one(check)
            finally:
                self._close()
        return outcomes

    def one(self, check: Check) -> Outcome:
        """The outcome of one check, which is run twice where that is cheap."""
        first = self._once(check)
        if (
            self.exercise.scale
            or first.seconds > CHEAP
            or first.verdict in (Verdict.TIMEOUT, Verdict.GRADER_ERROR)
        ):
            return first
        second = self._once(check)
        if second.verdict == Verdict.GRADER_ERROR:
            return second
        if (first.verdict == Verdict.PASS) == (second.verdict == Verdict.PASS):
            return first
        reason = first.sentence or second.sentence
        sentence = f"it passes once, and once it does not: {reason}"
        return msgspec.structs.replace(first, verdict=Verdict.FLAKY, earned=0, sentence=sentence)

    def _once(self, check: Check) -> Outcome:
        before = self.left
        try:
            found = self._judged(check)
        except Unstarted as error:
            return _outcome(check, Verdict.GRADER_ERROR, str(error))
        printed = ""
        if self.remote is not None:
            self.left = max(0.0, self.remote.box.left)
            printed = self.remote.box.take_log()[:PRINTED]
            if self.remote.dead:
                self._close()
        return msgspec.structs.replace(found, printed=printed, seconds=round(before - self.left, 3))

    def _judged(self, check: Check) -> Outcome:
        try:
            asked = self.work if self.exercise.scale else self._opened()
            check.run(asked, self.exercise.reference, self._numbers(check))
            if self.remote is not None and self.remote.dead:  # the check went on over it
                raise self.remote.dead
        except Trouble as trouble:
            lines = [self._line(each.number, each.text) for each in trouble.lines]
            found = _outcome(check, _OF_KIND[trouble.kind], trouble.sentence)
            return msgspec.structs.replace(found, lines=lines)
        except Unstarted:
            raise
        except Missing as error:
            return _outcome(check, Verdict.NOT_ATTEMPTED, str(error))
        except Exception as error:  # of the check, over what the student's code has answered
            sound = self._unsound(check)
            if sound:
                return _outcome(check, Verdict.GRADER_ERROR, sound)
            if isinstance(error, Failure):
                return _outcome(check, Verdict.FAIL, str(error))
            said = f"the answer can't be judged ({type(error).__name__}: {str(error)[:300]})"
            return _outcome(check, Verdict.FAIL, said)
        return _outcome(check, Verdict.PASS)

    def _opened(self) -> Remote:
        """The student's code, in a process."""
        if self.unloadable is not None:
            raise self.unloadable
        if self.remote is None:
            if self.left <= 0:
                raise Trouble(Kind.TIMEOUT, "the time for this task is over")
            try:
                self.remote = self.workers.load(self.grafted.text)
            except Trouble as trouble:
                self.unloadable = trouble
                raise
            self.remote.box.left = self.left
        return self.remote

    def _restart(self) -> None:
        """End the process, and the sandbox with all that was written there."""
        if self.remote is not None:
            self.left = max(0.0, self.remote.box.left)
        self._close()
        self.workers.close()

    def _close(self) -> None:
        if self.remote is not None:
            self.remote.close()
            self.remote = None

    def _numbers(self, check: Check) -> np.random.Generator:
        return seeded(self.key, self.exercise.id, self.student, check.id)

    def _unsound(self, check: Check) -> str:
        """Why a check can't be trusted: the reference fails it, with the same numbers.

        The reference of an experiment is not trained again: that it meets a condition was found
        before it was handed out. There, only what is no judgement is the grader's.
        """
        if self.exercise.scale:
            error = sys.exception()
            failed = isinstance(error, Failure)
            return (
                "" if failed else f"the condition can't be judged ({type(error).__name__}: {error})"
            )
        reference = self.exercise.reference
        try:
            check.run(reference, reference, self._numbers(check))
        except Exception as error:
            return f"the reference fails this check, too ({type(error).__name__}: {error})"
        return ""

    def _line(self, number: int, text: str) -> str:
        """A line of the module that was run, as the student knows it."""
        own = self.grafted.lines.get(number)
        place = self.submission.place(own) if own else "the starter"
        return printable(f"{place}: {text[:200]}")
