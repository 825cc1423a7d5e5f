"""The queue of submissions: each is graded once, whatever ends the grader, and when."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from etude.errors import UserError
from etude.exercises import queue
from etude.exercises.feedback import as_text
from etude.exercises.grading import Exercise, Result, Verdict
from etude.exercises.graft import Invalid
from etude.exercises.handed import HandIn, hand_ins
from etude.exercises.queue import (
    INDEX,
    KEY,
    Graded,
    Step,
    Work,
    grade_all,
    key_of,
    only_one,
    read_index,
    unhurried,
    write_index,
)
from etude.exercises.sandbox import Tier
from etude.exercises.tiers import Choice
from etude.runs import files
from tests.exercises.small import EXERCISE, best, handed_in, result_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="graders are copies of a process")
STUDENTS = [f"s{number}" for number in range(5)]


class Bench:
    """A folder of submissions, and a grader that says which of them it grades.

    The processes that grade are copies of this one, so what is exchanged here is exchanged there.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.handed = folder / "handed"
        self.results = folder / "results"
        self.log = folder / "log"
        self.log.touch()
        self.monkeypatch = monkeypatch
        self.handed.mkdir()
        self.work = Work("H1", (EXERCISE,), b"a key of mine", Choice(Tier.A), self.results)
        for student in STUDENTS:
            (self.handed / f"{student}.py").write_text(f"x = '{student}'\n")
        self.act: Callable[[str], Verdict | None] = lambda student: None
        monkeypatch.setattr(queue, "grade", self.grade)

    def grade(
        self, exercise: Exercise, name: str, content: bytes | Invalid, **of: object
    ) -> Result:
        student = str(of["student"])
        with self.log.open("a") as file:
            file.write(f"{student}\n")
        return result_of(student, self.act(student) or Verdict.PASS)

    @property
    def begun(self) -> list[str]:
        """Whose submissions were begun to be graded, and forget it."""
        found = self.log.read_text().split()
        self.log.write_text("")
        return sorted(found)

    @property
    def hand_ins(self) -> list[HandIn]:
        return hand_ins(self.handed)

    def all(self, work: Work | None = None, workers: int = 2, **options: bool) -> list[Step]:
        with only_one(self.results, lambda: None):
            return [*grade_all(work or self.work, self.hand_ins, workers=workers, **options)]

    def records(self) -> Counter[str]:
        """How many records each student has; every file in the folder is one."""
        names = [path for path in self.results.iterdir() if path.name != ".lock"]
        return Counter(queue.read_record(path).student for path in names)

    def first(self) -> bool:
        """Whether no process was here before."""
        try:
            (self.folder / "was here").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


# -- once -----------------------------------------------------------------------------------------


def test_a_second_call_grades_only_what_is_new(bench: Bench) -> None:
    first = bench.all()
    assert bench.begun == STUDENTS
    assert all(step.fresh and step.scored for step in first)
    second = bench.all()
    assert bench.begun == []
    assert not any(step.fresh for step in second)
    by_name = {step.hand_in.student: step.graded for step in first}
    assert {step.hand_in.student: step.graded for step in second} == by_name

    (bench.handed / "s3.py").write_text("x = 3\n")
    (bench.handed / "s9.py").write_text("x = 9\n")
    assert {s.hand_in.student for s in bench.all() if s.fresh} == {"s3", "s9"}
    assert bench.begun == ["s3", "s9"]
    assert bench.records() == {**dict.fromkeys(STUDENTS, 1), "s3": 2, "s9": 1}
    assert {s.hand_in.student for s in bench.all(again=True) if s.fresh} == {*STUDENTS, "s9"}
    assert bench.records() == {**dict.fromkeys(STUDENTS, 1), "s3": 2, "s9": 1}


def test_plots_are_graded_with_the_code_that_they_belong_to(bench: Bench) -> None:
    given: dict[str, object] = {}
    bench.monkeypatch.setattr(
        queue, "grade", lambda *_, **of: given.update(of) or result_of("s0", Verdict.PASS)
    )
    (bench.handed / "s0.svg").write_bytes(b"<svg/>")
    work = replace(bench.work, exercises=(replace(EXERCISE, scale="quick"),))
    assert work.parts
    assert not bench.work.parts
    both = next(each for each in bench.hand_ins if each.student == "s0")
    assert both.names == ["s0.py", "s0.svg"]
    work.graded(both, queue.read_hand_in(both, parts=work.parts))
    assert given["files"] == {"s0.svg": b"<svg/>"}


@pytest.mark.parametrize(
    "change",
    [
        {"key": b"another key of mine"},
        {"assignment": "H2"},
        {"tier": Choice(Tier.B)},
        {"exercises": (replace(EXERCISE, checks=EXERCISE.checks[:3]),)},
        {"exercises": (EXERCISE, replace(EXERCISE, id="more"))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_key_test_or_tier_is_another_grading(
    change: dict[str, object], bench: Bench
) -> None:
    bench.all()
    assert len({*bench.begun}) == len(STUDENTS)
    other = replace(bench.work, **change)  # type: ignore[arg-type]
    assert all(step.fresh for step in bench.all(other))
    assert {*bench.begun} == {*STUDENTS}


def test_a_record_holds_what_was_found(bench: Bench) -> None:
    bench.act = lambda student: Verdict.FAIL if student == "s1" else None
    graded = {step.hand_in.student: step.graded for step in bench.all()}
    one, two = graded["s0"], graded["s1"]
    assert one
    assert two
    assert (one.passed, two.passed) == (True, False)
    assert (one.points.earned, one.points.possible) == (9, 9)
    assert (two.public.earned, two.hidden.earned, two.hidden.possible) == (0, 6, 8)
    assert two.verdicts == {"pass": 2, "fail": 2}
    assert (two.files, two.tier, two.attempt, two.scored) == (["s1.py"], "A", True, True)


def test_as_many_are_graded_at_a_time_as_there_are_workers(bench: Bench) -> None:
    """Each of the first three waits for the other two; the fourth begins when one has ended."""

    def act(student: str) -> None:
        running = bench.folder / "running"
        running.mkdir(exist_ok=True)
        (running / student).touch()
        while student in STUDENTS[:3] and not (bench.folder / "three").exists():
            if len([*running.iterdir()]) == 3:
                (bench.folder / "three").touch()
        if len([*running.iterdir()]) > 3:
            (bench.folder / "more").touch()
        (running / student).unlink()

    bench.act = act
    assert all(step.scored for step in bench.all(workers=3))
    assert not (bench.folder / "more").exists()


# -- the grader fails -----------------------------------------------------------------------------


def test_a_grader_error_has_no_score_and_waits_for_the_next_call(bench: Bench) -> None:
    bench.act = lambda student: Verdict.GRADER_ERROR if student == "s2" else None
    steps = {step.hand_in.student: step for step in bench.all()}
    assert [s for s, step in steps.items() if not step.scored] == ["s2"]
    assert bench.begun == sorted([*STUDENTS, "s2"])  # twice
    graded = steps["s2"].graded
    assert graded
    assert not graded.scored
    assert "graded again" in as_text(graded, "H1")
    bench.act = lambda student: None
    assert {s.hand_in.student for s in bench.all() if s.fresh} == {"s2"}
    assert bench.records() == dict.fromkeys(STUDENTS, 1)


def test_a_grader_that_dies_is_told_and_tried_again(bench: Bench) -> None:
    def act(student: str) -> None:
        if student == "s2" or (student == "s1" and bench.first()):
            die()
        if student == "s3":
            raise KeyError("x")

    bench.act = act
    steps = {step.hand_in.student: step for step in bench.all()}
    assert {s for s, step in steps.items() if step.scored} == {"s0", "s1", "s4"}
    assert steps["s2"].trouble == "the grader has ended with code -9"
    assert steps["s3"].trouble == "KeyError: 'x'"
    assert bench.begun == sorted([*STUDENTS, "s1", "s2", "s3"])
    assert bench.records() == dict.fromkeys(["s0", "s1", "s4"], 1)


def test_a_grader_that_does_not_end_is_ended(bench: Bench) -> None:
    bench.monkeypatch.setattr(Work, "patience", 0.5)
    bench.act = lambda student: time.sleep(600) if student == "s1" else None
    steps = {step.hand_in.student: step for step in bench.all(workers=5)}
    assert steps["s1"].trouble == "the grader took longer than 0 s"


def test_a_full_disk_is_told(bench: Bench) -> None:
    def write(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    bench.monkeypatch.setattr(files, "write", write)
    steps = bench.all()
    assert {s.trouble for s in steps} == {"the record can't be written: No space left on device"}
    with pytest.raises(UserError, match="No space left"):
        write_index(bench.work, "", steps)
    assert bench.records() == {}


def test_a_record_that_was_cut_is_graded_again(bench: Bench) -> None:
    bench.all()
    (path,) = bench.results.glob("s2.*.json")
    path.write_bytes(path.read_bytes()[:100])
    assert [s.hand_in.student for s in bench.all() if s.fresh] == ["s2"]


# -- killed ---------------------------------------------------------------------------------------

MOMENTS = ("before", "made", "written", "synced", "renamed")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_while_a_record_is_written_loses_nothing(moment: str, bench: Bench) -> None:
    write, fsync, opened, mine = files.write, os.fsync, Path.open, os.getpid()

    def killed() -> None:
        if os.getpid() != mine and bench.first():
            die()

    def exchanged_write(path: Path, content: bytes) -> None:
        if moment == "before":
            killed()
        write(path, content)
        if moment == "renamed":
            killed()

    def exchanged_fsync(number: int) -> None:
        if moment == "written":
            killed()
        fsync(number)
        if moment == "synced":
            killed()

    def exchanged_open(path: Path, *args: Any) -> Any:
        if moment == "made" and path.suffix == ".part":
            killed()
        return opened(path, *args)

    bench.monkeypatch.setattr(files, "write", exchanged_write)
    bench.monkeypatch.setattr(os, "fsync", exchanged_fsync)
    bench.monkeypatch.setattr(Path, "open", exchanged_open)
    steps = bench.all()
    assert not bench.first()
    assert all(step.scored for step in steps)
    assert len(steps) == len(STUDENTS)
    bench.all()  # which sweeps up
    assert bench.records() == dict.fromkeys(STUDENTS, 1)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_grader_killed_at_any_instant_scores_each_once(workers: int, bench: Bench) -> None:
    """The first process is killed, later and later, until one comes to its end."""
    bench.act = lambda student: time.sleep(0.02)
    for milliseconds in itertools.count(5, 25):
        before = {*bench.records()} if bench.results.exists() else set()
        process = get_context("fork").Process(target=bench.all, kwargs={"workers": workers})
        process.start()
        process.join(milliseconds / 1000)
        process.kill()
        process.join()
        with only_one(bench.results, lambda: None):  # copies of it still keep what they have
            pass
        assert not before & {*bench.begun}  # what has a record is not graded again
        if process.exitcode == 0:
            break
    assert bench.records() == dict.fromkeys(STUDENTS, 1)


def test_what_a_killed_grader_has_begun_is_kept_and_not_graded_twice(bench: Bench) -> None:
    def act(student: str) -> None:
        (bench.folder / "begun").touch()
        while not (bench.folder / "go").exists():
            time.sleep(0.005)

    bench.act = act
    process = get_context("fork").Process(target=bench.all, kwargs={"workers": 1})
    process.start()
    while not (bench.folder / "begun").exists():
        time.sleep(0.005)
    process.kill()
    process.join()
    with only_one(bench.results, (bench.folder / "go").touch):
        steps = [*grade_all(bench.work, bench.hand_ins, workers=2)]
    assert [step.hand_in.student for step in steps if not step.fresh] == ["s0"]
    assert bench.begun == STUDENTS


def test_a_grader_that_is_stopped_leaves_no_process(bench: Bench) -> None:
    bench.act = lambda student: time.sleep(600) if student != "s0" else None
    with only_one(bench.results, lambda: None):
        steps = grade_all(bench.work, bench.hand_ins, workers=3)
        assert next(steps).scored
        steps.close()
    with only_one(bench.results, lambda: pytest.fail("a process still holds the lock")):
        pass
    assert bench.records() == {"s0": 1}


# -- the folder -----------------------------------------------------------------------------------


def test_a_key_is_made_once_and_is_the_graders_alone(bench: Bench) -> None:
    with only_one(bench.results, lambda: None):
        key = key_of(None, bench.results)
        assert key == key_of(None, bench.results)
    assert len(key) == 64
    assert (bench.results / KEY).stat().st_mode & 0o777 == 0o600
    assert bench.results.stat().st_mode & 0o777 == 0o700
    own = bench.folder / "own"
    own.write_text("a secret of a course\n")
    assert key_of(own, bench.results) == b"a secret of a course"
    own.write_text("short\n")
    with pytest.raises(UserError, match="has 5 bytes; expected a secret of at least 16"):
        key_of(own, bench.results)
    with pytest.raises(UserError, match="can't be read: No such file"):
        key_of(bench.folder / "none", bench.results)


def test_no_record_tells_the_key(bench: Bench) -> None:
    bench.all()
    texts = [path.read_bytes() for path in bench.results.iterdir()]
    assert not any(
        bench.work.key in text or bench.work.key.hex().encode() in text for text in texts
    )


def test_the_index_says_what_lay_in_the_folder(bench: Bench) -> None:
    with pytest.raises(UserError, match=r"expected the results of 'etude grade'"):
        read_index(bench.results)
    bench.act = lambda student: die() if student == "s4" else None
    steps = bench.all()
    (bench.handed / "s0.py").unlink()
    write_index(bench.work, "OU", [s for s in steps if s.hand_in.student != "s0"])
    index, records = read_index(bench.results)
    assert (index.assignment, index.course, index.missing) == ("H1", "OU", ["s4"])
    assert [each.student for each in records] == ["s1", "s2", "s3"]
    (bench.results / index.records[0]).unlink()
    with pytest.raises(UserError, match=r"there is no .*s1\."):
        read_index(bench.results)
    (bench.results / INDEX).write_text("{}")
    with pytest.raises(UserError, match="is damaged"):
        read_index(bench.results)


def test_results_go_into_a_folder_only(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "file/in", "link"):
        with pytest.raises(UserError), only_one(tmp_path / name, lambda: None):
            pass


def test_more_workers_than_processors_have_more_time() -> None:
    cores = len(os.sched_getaffinity(0))
    assert unhurried(EXERCISE, cores) is EXERCISE
    assert unhurried(EXERCISE, 3 * cores).limits.wall == 3 * EXERCISE.limits.wall
    assert unhurried(EXERCISE, 3 * cores).digest == EXERCISE.digest


# -- what students read ---------------------------------------------------------------------------


def test_a_students_text_shows_no_hidden_check(bench: Bench) -> None:
    bench.act = lambda student: Verdict.FAIL
    graded = bench.all()[0].graded
    assert graded
    text = as_text(graded, "H1 · Functions")
    assert "small: 0 of 1 points of the public checks" in text
    assert "✗ softmax/rows sum to one, 0 of 1: it is a fail" in text
    assert "Hidden checks are worth 8 points and are not shown here." in text
    assert "as the reference has it" not in text
    assert "relu" not in text
    nothing = replace_results(graded, attempt=False)
    assert "counts as no attempt: it is a fail." in as_text(nothing, "H1")


def replace_results(graded: Graded, **changes: object) -> Graded:
    from msgspec.structs import replace

    return replace(graded, results=[replace(each, **changes) for each in graded.results])


# -- side by side ---------------------------------------------------------------------------------


def test_submissions_graded_at_a_time_see_nothing_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looks for processes and files of others while another one is running."""
    spy = """
def softmax(x):
    import os, time
    open(f"/tmp/of-{OWN}", "w").close()
    own, seen = {1, 2, os.getpid(), os.getppid()}, set()
    for _ in range(20):
        time.sleep(0.02)
        seen |= {f"/tmp/{name}" for name in os.listdir("/tmp") if name != f"of-{OWN}"}
        for number in {*range(1, 300)} - own:
            try:
                os.kill(number, 0)
            except ProcessLookupError:
                continue
            except OSError:
                pass
            seen.add(f"process {number}")
    if seen:
        raise ValueError(sorted(seen))
    shifted = x - x.max(axis=1)[:, None]
    return np.exp(shifted) / np.exp(shifted).sum(axis=1)[:, None]
"""
    folder = tmp_path / "handed"
    folder.mkdir()
    for student in ("s-one", "s-other"):
        (folder / f"{student}.py").write_bytes(handed_in(softmax=spy.replace("{OWN}", student)))
    work = Work("H1", (EXERCISE,), b"a key of mine", best(), tmp_path / "results")
    with only_one(work.results, lambda: None):
        steps = [*grade_all(work, hand_ins(folder), workers=2)]
    for step in steps:
        assert step.graded, step.trouble
        assert step.graded.passed, [each.sentence for each in step.graded.outcomes]
