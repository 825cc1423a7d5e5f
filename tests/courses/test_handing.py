"""Graded submissions in a gradebook: each once, with its time, and a regrade as a difference."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from etude.courses.events import Enrolment, Event, Grading, Submission
from etude.courses.gradebook import Gradebook
from etude.courses.handing import handed_in, read_times
from etude.errors import UserError
from etude.exercises.grading import Verdict
from etude.exercises.queue import Graded
from tests.exercises.small import result_of

WHEN = datetime(2027, 2, 1, 12, 0, tzinfo=UTC)


def graded(student: str, verdict: Verdict = Verdict.PASS, **changes: str) -> Graded:
    result = result_of(student, verdict, checks=changes.get("checks", "tests"))
    files = [f"{student}.py"]
    return Graded(1, "H1", student, files, changes.get("digest", "d1"), WHEN, "basis", [result])


def whose(name: str) -> tuple[str, str]:
    return ("", name) if name.startswith("team") else (name, "")


@pytest.fixture
def book(tmp_path: Path) -> Gradebook:
    book = Gradebook(tmp_path / "grades.db")
    book.append([Enrolment(student=f"s{n}") for n in range(3)], who="me")
    return book


def add(book: Gradebook, *records: Graded, why: str = "") -> tuple[list[Event], list[str]]:
    events, differences = handed_in("H1", records, None, whose, book.entries)
    book.append(events, who="me", why=why)
    return events, differences


def test_a_result_is_a_submission_and_a_mark(book: Gradebook) -> None:
    events, differences = add(book, graded("s1", Verdict.FAIL))
    result = graded("s1").results[0]
    assert events == [
        Submission(student="s1", work="H1", digest="d1", at=WHEN),
        Grading(
            student="s1",
            work="H1",
            earned=Decimal(6),
            most=Decimal(9),
            submission="d1",
            source=result.starter,
            tests="tests",
            tier="A",
        ),
    ]
    assert differences == []
    mark = book.standing.students["s1"].marks["H1"].mark
    assert (mark.earned, mark.most) == (Decimal(6), Decimal(9))


def test_the_same_twice_adds_nothing_even_after_a_mark_by_hand(book: Gradebook) -> None:
    from etude.courses.events import HandMark

    add(book, graded("s1"), graded("s2"))
    before = len(book.entries)
    assert add(book, graded("s1"), graded("s2")) == ([], [])
    by_hand = HandMark(student="s1", work="H1", earned=Decimal(5), most=Decimal(9))
    book.append([by_hand], who="me", why="he copied")
    assert add(book, graded("s1"), graded("s2")) == ([], [])
    assert len(book.entries) == before + 1
    assert book.standing.students["s1"].marks["H1"].mark.earned == 5


def test_a_regrade_is_a_difference_and_needs_a_reason(book: Gradebook) -> None:
    add(book, graded("s1", Verdict.FAIL), graded("s2"))
    again = (graded("s1", checks="mended"), graded("s2", checks="mended"))
    with pytest.raises(UserError, match="expected a reason"):
        add(book, *again)
    events, differences = add(book, *again, why="a test was mended")
    assert differences == ["s1: 6 of 9 before, 9 of 9 now"]
    assert [type(event).__name__ for event in events] == ["Grading", "Grading"]
    back = graded("s1", Verdict.FAIL)  # the first tests again: the mark is another one again
    assert add(book, back, why="no, it was right")[1] == ["s1: 9 of 9 before, 6 of 9 now"]
    assert book.standing.students["s1"].marks["H1"].mark.earned == 6


def test_what_is_no_attempt_adds_nothing_and_a_grader_error_no_mark(book: Gradebook) -> None:
    from msgspec.structs import replace

    bad = graded("s1")
    invalid = replace(bad, results=[replace(each, attempt=False) for each in bad.results])
    events, _ = add(book, invalid, graded("s2", Verdict.GRADER_ERROR))
    assert [type(event).__name__ for event in events] == ["Submission"]
    assert book.standing.students["s2"].submissions["H1"]
    assert not book.standing.students["s1"].submissions


def test_another_submission_of_a_student_is_added(book: Gradebook) -> None:
    add(book, graded("s1", Verdict.FAIL))
    events, _ = add(book, graded("s1", digest="d2"), why="handed in again")
    assert [type(event).__name__ for event in events] == ["Submission", "Grading"]
    assert len(book.standing.students["s1"].submissions["H1"]) == 2


# -- times ----------------------------------------------------------------------------------------


def test_times_come_from_a_table(tmp_path: Path, book: Gradebook) -> None:
    path = tmp_path / "times.csv"
    path.write_text(
        "Name;SID;Student ID;Submission Time\nAda;1;s1;2027-02-03 23:59:30 -0500\n"
        "Bob;2;s2;2027-02-04T00:00+00:00\n"
    )
    times = read_times(path, datetime.fromisoformat)
    assert times["s1"] == datetime(2027, 2, 4, 4, 59, 30, tzinfo=UTC)
    records = [graded("s1"), graded("s2")]
    events, _ = handed_in("H1", records, times, whose, book.entries)
    assert [e.at for e in events if isinstance(e, Submission)] == [*times.values()]
    with pytest.raises(UserError, match="no time for s0; expected one a submission"):
        handed_in("H1", [graded("s0")], times, whose, book.entries)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,name\ns1,Ada\n", "expected one of ids, such as id, and one of times"),
        ("at\n2027-02-01T12:00+00:00\n", "expected one of ids"),
        ("id,at\ns1,2027-02-01T12:00\ns1,2027-02-01T12:00\n", "line 3: s1 stands there twice"),
        ("id,at\ns1,soon\n", "line 2: 'soon' is no day"),
    ],
)
def test_a_table_that_has_no_times_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "times.csv"
    path.write_text(text)

    def moment(text: str) -> datetime:
        if text == "soon":
            raise UserError("'soon' is no day")
        return datetime.fromisoformat(text)

    with pytest.raises(UserError, match=reason):
        read_times(path, moment)
