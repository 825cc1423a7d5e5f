"""A grader of many submissions that is killed (SIGKILL) at random instants and called again: each
submission is graded, none twice, and each has one mark in the gradebook.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from etude.exercises.packs import pack
from etude.exercises.queue import Graded, read_record
from tests.faults.disks import Trial

ASSIGNMENT, EXERCISE = "H1", "classifiers"  # of OU
STUDENTS = 12
HOW = (
    "'etude grade' of {0} submissions with 3 workers, and 'etude grades add grading' of what it"
    " found, each killed at an instant within the time it takes: the first process alone, or all"
    " its graders with it; then called again, until both have come to their ends"
)


def killed(place: Path, kills: int, seed: int = 0, late: float = float("inf")) -> Trial:
    """Kill a grader so many times.

    Args:
        place: a folder to work in.
        kills: how many.
        seed: of the instants.
        late: a time (``time.monotonic``) after which nothing more is begun.
    """
    trial = Trial("grader", HOW.format(STUDENTS))
    since = time.monotonic()
    bench = Bench(place / "grading")
    rng = random.Random(seed)
    expected, seconds = bench.undisturbed()
    while trial.tried < kills and time.monotonic() < late:
        bench.clean()
        for command, took in zip((bench.grade, bench.add), seconds, strict=True):
            while trial.tried < kills:
                before = bench.records()
                instant = rng.uniform(0, took)
                whole = rng.random() < 0.5
                if not bench.killed(command, instant, whole=whole):
                    break
                trial.tried += 1
                after = bench.records()
                lost = [name for name, content in before.items() if after.get(name) != content]
                if lost:
                    trial.failed.append(f"after {instant:.2f} s: {', '.join(lost)} changed")
            bench.call(command)
        found = bench.found()
        if found != expected:
            trial.failed.append(f"round of {trial.tried} kills: {found}, not {expected}")
    trial.seconds = time.monotonic() - since
    return trial


class Bench:
    """A course, submissions, and what is typed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "handed").mkdir(parents=True)
        right, starter = pack(EXERCISE).source, pack(EXERCISE).starter
        texts = (right, right.replace("np.maximum(squares, 0)", "squares"), starter, "x = (")
        for number in range(STUDENTS):
            (folder / "handed" / f"s{number}.py").write_text(texts[number % len(texts)])
        roster = "".join(f"s{number},Student {number}\n" for number in range(STUDENTS))
        (folder / "roster.csv").write_text(f"id,name\n{roster}")
        self.call(["course", "new", "OU", "--start", "2027-01-18", "--out", "mine"])
        self.call(["grades", "mine", "add", "roster", "roster.csv"])
        shutil.copytree(folder / "mine", folder / "first")
        self.grade = ["grade", "handed", "--assignment", ASSIGNMENT, "--course", "mine"]
        self.grade += ["--workers", "3"]
        self.add = ["grades", "mine", "add", "grading", "handed-graded", "--times", "modified"]

    def started(self, words: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "etude", *words],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def call(self, words: list[str]) -> None:
        """Type a command, and let it end."""
        process = self.started(words)
        _, error = process.communicate()
        if process.returncode not in (0, 1):
            raise RuntimeError(f"etude {' '.join(words)}: {error.decode()}")

    def killed(self, words: list[str], instant: float, *, whole: bool) -> bool:
        """Type a command and kill it; whether it had not ended before."""
        process = self.started(words)
        try:
            process.wait(instant)
        except subprocess.TimeoutExpired:
            if whole:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.communicate()
        return process.returncode == -signal.SIGKILL

    def undisturbed(self) -> tuple[dict[str, object], tuple[float, float]]:
        """What is found by a grader that nobody kills, and how long it takes."""
        seconds = []
        for command in (self.grade, self.add):
            since = time.monotonic()
            self.call(command)
            seconds.append(time.monotonic() - since)
        return self.found(), (seconds[0], seconds[1])

    def clean(self) -> None:
        """As if nothing had been graded, but for the key."""
        for path in (self.folder / "handed-graded").iterdir():
            if path.name != "key":
                path.unlink()
        shutil.rmtree(self.folder / "mine")
        shutil.copytree(self.folder / "first", self.folder / "mine")

    def records(self) -> dict[str, bytes]:
        """What is in the folder of results under its last name."""
        found = {}
        for path in (self.folder / "handed-graded").glob("s*.json"):
            found[path.name] = path.read_bytes()
            read_record(path)  # it is whole
        return found

    def found(self) -> dict[str, object]:
        """What was found of each student, and what the gradebook has."""
        graded = [read_record(self.folder / "handed-graded" / name) for name in self.records()]
        done = subprocess.run(
            [sys.executable, "-m", "etude", "grades", "mine", "log", "--json"],
            cwd=self.folder,
            capture_output=True,
            check=True,
        )
        events = [each["event"] for each in json.loads(done.stdout)]
        kept = Counter(f"{e['kind']} {e['student']}" for e in events if "work" in e)
        parts = [*(self.folder / "handed-graded").glob(".*.part")]
        return {
            "records": sorted(map(_bare, graded)),
            "events": sorted(kept.items()),
            "left": len(parts),
        }


def _bare(graded: Graded) -> tuple[str, str, int, str]:
    """A record without the times at which it was made."""
    return graded.student, graded.submission, graded.points.earned, str(graded.verdicts)
