"""How long a gradebook takes: 500 students, 30 items, all recomputed.

``python benchmarks/gradebook.py [--students 500] [--items 30]``

The course is of 30 assignments with a late rule; each is handed in, some late, and marked. Timed
are writing all events at once, reading them again from the file, and reckoning every grade with its
explanation.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from etude.courses.course import Assignment, Course, Decision, Item, LateByPercent, Meeting
from etude.courses.edition import Edition, edition_of
from etude.courses.events import Enrolment, Event, HandMark, Submission
from etude.courses.explaining import lines
from etude.courses.gradebook import Gradebook
from etude.courses.pieces import Pieces
from etude.courses.sheet import grades

DUE = datetime(2027, 3, 1, 23, 59)
ZONE = "America/Chicago"


def edition(items: int) -> Edition:
    names = [f"A{n}" for n in range(items)]
    parts = tuple(
        Item(id=name, title=name, weight=Decimal(100) / items, words="equal") for name in names
    )
    exact = sum((part.weight or Decimal(0) for part in parts), Decimal(0))
    course = Course(
        id="BENCH",
        title="Many assignments",
        school="Etude",
        term="now",
        about="For the benchmark.",
        schedule=(Meeting(title="Begin"),),
        assignments=tuple(Assignment(id=n, title=n, item="work", task="Do it.") for n in names),
        grade=(Item(id="work", title="Work", weight=exact, words="all", parts=parts),),
        late=(LateByPercent(per_day=Decimal(5), days=10, counts="begun", words="5 % a day"),),
        decisions=(Decision(id="zone", question="Where?", kind="zone", words="here"),),
    )
    due = dict.fromkeys(names, DUE)
    return edition_of(course, date(2027, 1, 18), {"zone": ZONE}, due)


def events(students: int, items: int) -> Iterator[Event]:
    due = DUE.replace(tzinfo=ZoneInfo(ZONE))
    for n in range(students):
        student = f"s{n}"
        yield Enrolment(student=student, name=f"Student {n}")
        for m in range(items):
            work, at = f"A{m}", due + timedelta(hours=(n * 7 + m * 13) % 60 - 40)
            yield Submission(student=student, work=work, digest=f"{n}-{m}", at=at)
            yield HandMark(student=student, work=work, earned=Decimal((n * 31 + m * 17) % 101))


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.perf_counter(), time.process_time()
    yield
    wall, busy = time.perf_counter() - began[0], time.process_time() - began[1]
    print(f"{what:<36} {wall:6.2f} s, of which {busy:5.2f} s of the processor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=500)
    parser.add_argument("--items", type=int, default=30)
    options = parser.parse_args()
    course = edition(options.items)
    pieces = Pieces(course.course)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grades.db"
        with timed("keep all events"), Gradebook(path, pieces) as book:
            count = book.append([*events(options.students, options.items)], who="bench")
        with timed(f"read {count} events"), Gradebook(path, pieces) as book:
            standing = book.standing
        with timed(f"reckon {options.students} × {options.items}"):
            found = grades(standing, course)
        with timed("explain all"):
            steps = sum(len(lines(grade)) for grade in found.values())
        assert steps == options.students * (options.items + 1)


if __name__ == "__main__":
    main()
