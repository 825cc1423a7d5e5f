"""The gradebook: only added to, whole after every kill, damaged files told."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest

from etude.courses.events import (
    Adjusted,
    Drawn,
    Enrolment,
    Event,
    Excuse,
    Extension,
    Grading,
    HandMark,
    Missed,
    PolicyVersion,
    Proposal,
    Review,
    Submission,
    Team,
)
from etude.courses.gradebook import Gradebook
from etude.courses.library import course
from etude.courses.pieces import Pieces
from etude.courses.sheet import changes, grades
from etude.errors import UserError
from tests.courses.editions import decided, hours_late

CU = Pieces(course("CU"))
CUHK = Pieces(course("CUHK"))
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


def mark(student: str, work: str, earned: str | None, most: str = "100") -> HandMark:
    return HandMark(
        student=student,
        work=work,
        earned=None if earned is None else Decimal(earned),
        most=Decimal(most),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "grades.db"


@pytest.fixture
def book(path: Path) -> Iterator[Gradebook]:
    with Gradebook(path, CU, clock=lambda: NOW) as book:
        book.append([Enrolment(student=s, name=s.upper()) for s in ("s1", "s2", "s3")], who="me")
        yield book


EVENTS: list[Event] = [
    Team(team="t", members=("s1", "s2")),
    Team(team="u", members=("s3",), of="A1"),
    Submission(student="s1", work="A1", digest="d", at=NOW),
    Submission(team="t", work="midterm", digest="e", at=NOW),
    Grading(
        student="s1", work="A1", earned=Decimal("7.25"), most=Decimal(10), submission="d", tests="t"
    ),
    HandMark(
        student="s2",
        work="A2",
        earned=Decimal(5),
        most=Decimal(10),
        rubric={"plots": Decimal(3), "text": Decimal(2)},
        comment="Good: =1+1 \x1b[31m",
    ),
    Adjusted(student="s1", by=Decimal("-1.5")),
    Extension(student="s3", work="A1", until=NOW),
    Excuse(student="s3", work="A1", reason="private"),
    Missed(student="s2", work="quizzes/3"),
    PolicyVersion(digest="x", text="base = 'CU'"),
    Drawn(work="final-1", seed=3, each=1, pairs={"s1": ("s3",), "s3": ("s1",)}),
    Review(student="s1", work="final-1", of="s3", text="well done", at=NOW),
    Proposal(student="s1", work="midterm", state="proposed", text="a paper"),
]


def test_events_are_read_as_they_were_kept(book: Gradebook, path: Path) -> None:
    assert book.append(EVENTS, who="ada", why="because") == len(EVENTS)
    with Gradebook(path, CU) as again:
        assert [entry.event for entry in again.entries[3:]] == EVENTS
        assert {entry.at for entry in again.entries} == {NOW}
        assert {(entry.who, entry.why) for entry in again.entries[3:]} == {("ada", "because")}
        assert again.standing == book.standing
    assert book.standing.students["s2"].submissions["midterm"][0][1] == "e"  # the team's
    assert "s3" not in book.standing.teams["", "t"]


def test_nothing_is_changed_or_deleted_or_replaced(book: Gradebook, path: Path) -> None:
    book.append(EVENTS, who="ada", why="because")
    base = sqlite3.connect(path, isolation_level=None)
    for statement in (
        "UPDATE events SET who = 'eve'",
        "UPDATE events SET event = '' WHERE number = 7",
        "DELETE FROM events",
        "DELETE FROM events WHERE number = 17",
        "REPLACE INTO events SELECT * FROM events WHERE number = 8",
        "INSERT OR REPLACE INTO events SELECT 18, at, who, why, same, event, chain FROM events"
        " WHERE same IS NOT NULL LIMIT 1",
        "INSERT INTO events SELECT 99, at, who, why, NULL, event, chain FROM events LIMIT 1",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="an event is never"):
            base.execute(statement)
    assert base.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with Gradebook(path) as again:
        assert len(again.entries) == 3 + len(EVENTS)


def test_who_goes_around_the_triggers_is_found(book: Gradebook, path: Path) -> None:
    book.append(EVENTS, who="ada", why="because")
    book.close()
    with around(path) as base:
        base.execute("UPDATE events SET event = replace(event, '7.25', '9.25')")
    with pytest.raises(UserError, match="is damaged \\(event 8 is not what was written\\)"):
        Gradebook(path)


@contextmanager
def around(path: Path) -> Iterator[sqlite3.Connection]:
    """A gradebook's file without its triggers, which are there again afterwards."""
    base = sqlite3.connect(path, isolation_level=None)
    triggers = base.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        base.execute(f"DROP TRIGGER {name}")
    yield base
    for _, sql in triggers:
        base.execute(sql)
    base.close()


FORGED = [  # an event as JSON, and what is wrong with it
    ('{"kind":"mark","student":"s9","work":"A1","earned":"1"}', "no student 's9'"),
    ('{"kind":"mark","student":"s1","work":"A1","earned":"11","most":"10"}', "are no marks"),
    ('{"kind":"mark","student":"s1","work":"A1","earned":"1e-999999"}', "are no marks"),
    (f'{{"kind":"mark","student":"s1","work":"A1","earned":"{"1" * 5000}"}}', "are no marks"),
    ('{"kind":"mark","student":"s1","work":"A1","earned":null}', "no mark that could be taken"),
    ('{"kind":"mark","team":"t","work":"A1","earned":"1"}', "no team 't'"),
    ('{"kind":"mark","student":"s1","work":"A1","earned":"1","rubric":{"a":"nan"}}', "no marks"),
    ('{"kind":"grading","team":"t","teams_of":"A2","work":"A1","earned":"1"}', "no team 't'"),
    ('{"kind":"adjustment","student":"s1","by":"1e-999999"}', "can't be added"),
    ('{"kind":"adjustment","student":"s9","by":"1"}', "no student 's9'"),
    ('{"kind":"submission","student":"s9","work":"A1","at":"2027-03-01T12:00:00Z"}', "no student"),
    ('{"kind":"submission","student":"s1","work":"A1","at":"0001-01-01T00:00:00Z"}', "no day of"),
    ('{"kind":"extension","student":"s9","work":"A1","until":null}', "no student"),
    ('{"kind":"excuse","student":"s9","work":"A1"}', "no student"),
    ('{"kind":"submission","work":"A1","at":"2027-03-01T12:00:00Z"}', "whose A1 is it"),
    ('{"kind":"team","team":"t","members":["s9"]}', "no student 's9'"),
    ('{"kind":"drawn","work":"A1","seed":1,"each":1,"pairs":{"s9":["s1"]}}', "no student 's9'"),
    ('{"kind":"proposal","student":"s1","work":"A1","state":"approved"}', "is not there yet"),
    ('{"kind":"proposal","student":"s1","work":"A1","state":"eaten"}', "Invalid enum value"),
    ('{"kind":"nothing"}', "Invalid value"),
    ("[[[[", "event 2"),
]


@pytest.mark.parametrize(("event", "sentence"), FORGED)
def test_an_event_that_nobody_could_have_written_is_named(
    path: Path, event: str, sentence: str
) -> None:
    """Whoever makes a gradebook by hand can make its digests, too."""
    with Gradebook(path, CU) as book:
        book.append([Enrolment(student="s1")], who="me")
        chain = book._chain
    forge(path, 2, chain, event=event)
    with pytest.raises(UserError) as caught:
        Gradebook(path)
    assert "is damaged (event 2: " in str(caught.value)
    assert sentence in str(caught.value)


def forge(path: Path, number: int, chain: bytes, **given: str) -> None:
    """Add an event to a gradebook's file without its code."""
    from etude.courses.gradebook import _link

    row = {"at": NOW.isoformat(), "who": "eve", "why": "so", "event": '{"kind":"student"}'} | given
    digest = _link(chain, number, row["at"], row["who"], row["why"], row["event"])
    with sqlite3.connect(path) as base:
        base.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, NULL, ?, ?)",
            (number, row["at"], row["who"], row["why"], row["event"], digest),
        )
    base.close()


@pytest.mark.parametrize(
    "given", [{"at": "2027-03-01T12:00:00"}, {"at": "yesterday"}, {"who": " "}]
)
def test_an_event_without_a_time_or_a_cause_is_named(path: Path, given: dict[str, str]) -> None:
    Gradebook(path).close()
    forge(path, 1, b"", event='{"kind":"student","student":"s1"}', **given)
    with pytest.raises(UserError, match="is damaged \\(event 1: "):
        Gradebook(path)


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TRIGGER events_stay"],
        ["CREATE TABLE more (x)"],
        ["CREATE TRIGGER t AFTER INSERT ON events BEGIN SELECT 1; END"],
        ["CREATE INDEX i ON events (who)"],
        [
            "ALTER TABLE events RENAME TO hidden",
            "CREATE VIEW events AS SELECT number, at, upper(who) AS who, why, event, chain"
            " FROM hidden",
        ],
    ],
)
def test_a_database_with_other_tables_is_no_gradebook(
    book: Gradebook, path: Path, statements: list[str]
) -> None:
    book.close()
    base = sqlite3.connect(path)
    for statement in statements:
        base.execute(statement)
    base.commit()
    base.close()
    for make in (True, False):
        with pytest.raises(UserError, match="is not a gradebook of Etude"):
            Gradebook(path, make=make)


def test_a_gradebook_that_is_only_looked_at_is_not_made(tmp_path: Path) -> None:
    for name, content in (("none.db", None), ("empty.db", b"")):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError, match="there is no gradebook in"):
            Gradebook(path, make=False)
        assert path.exists() is (content is not None)
    bare = tmp_path / "bare.db"
    base = sqlite3.connect(bare)
    base.execute("VACUUM")
    base.close()
    Gradebook(bare).close()
    Gradebook(bare, make=False).close()


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (mark("s9", "A1", "3"), "no student 's9'"),
        (mark("s1", "A9", "3"), "no work 'A9'"),
        (mark("s1", "assignments", "3"), "is marked by its parts: A1, A2"),
        (mark("s1", "extra", "3"), "counts towards no part of the grade"),
        (mark("s1", "A1/2", "3"), "no work 'A1/2'"),
        (mark("s1", "A1", "11", "10"), "11 of 10 are no marks"),
        (mark("s1", "A1", "-1"), "are no marks"),
        (mark("s1", "A1", "nan"), "are no marks"),
        (mark("", "A1", "1"), "whose A1 is it?"),
        (mark("s1", "A1", None), "no mark that could be taken back"),
        (
            HandMark(student="s1", work="A1", earned=Decimal(5), rubric={"a": Decimal(4)}),
            "the criteria of A1 sum to 4; expected 5",
        ),
        (Submission(student="s1", work="quizzes", at=NOW), "no assignment 'quizzes'"),
        (Submission(team="x", work="A1", at=NOW), "no team 'x'"),
        (Extension(student="s1", work="B1", until=NOW), "no assignment 'B1'"),
        (Excuse(student="s1", work="nothing"), "no work 'nothing'"),
        (Adjusted(student="s1", by=Decimal(1)), "says why"),
        (Team(team="v", members=("s1", "s1")), "stands twice"),
        (Team(team="v", members=("s1", "s9")), "no student 's9'"),
        (Team(team="v", members=("s1",), of="A9"), "no assignment 'A9'"),
        (Proposal(student="s1", work="midterm", state="approved"), "is not there yet"),
        (Review(student="s1", work="A1", of="s2", text="", at=NOW), "was not drawn"),
        (Enrolment(student=""), "this can't be kept"),
        (Enrolment(student="s4", name="x" * 30_000), "this can't be kept"),
        (Enrolment(student="s4", name="\ud800"), "can't be written in UTF-8"),
        (Submission(student="s1", work="A1", at=datetime(2027, 1, 1)), "this can't be kept"),
        (Submission(student="s1", work="A1", at=NOW.replace(year=9999)), "is no day of a course"),
        (Extension(student="s1", work="A1", until=NOW.replace(year=1000)), "is no day of a course"),
        (Drawn(work="A1", seed=1, each=1, pairs={"s8": ("s1",)}), "no student 's8'"),
    ],
)
def test_what_an_event_can_not_say(book: Gradebook, event: Event, sentence: str) -> None:
    before = [*book.entries]
    with pytest.raises(UserError) as caught:
        book.append([mark("s2", "A1", "1"), event], who="me")
    assert sentence in str(caught.value)
    assert book.entries == before  # all of them, or none
    assert "A1" not in book.standing.students["s2"].marks
    assert len(Gradebook(book.path).entries) == len(before)


def test_a_mark_is_never_changed_without_who_and_why(book: Gradebook) -> None:
    book.append([mark("s1", "A1", "50")], who="ada")
    for event in (mark("s1", "A1", "60"), mark("s1", "A1", None), mark("s1", "A1", "50", "60")):
        with pytest.raises(UserError, match="expected a reason to change"):
            book.append([event], who="ada")
        with pytest.raises(UserError, match="expected a reason to change"):
            book.append([event], who="ada", why="  ")
        with pytest.raises(UserError, match="says who causes it"):
            book.append([event], who=" ", why="a slip")
    assert book.append([mark("s1", "A1", "60")], who="ada", why="a slip") == 1
    entry = book.entries[-1]
    assert (entry.who, entry.why) == ("ada", "a slip")
    book.append([mark("s1", "A1", None)], who="ada", why="of another student")
    assert not book.standing.students["s1"].marks


def test_what_is_handed_in_or_graded_twice_is_kept_once(book: Gradebook) -> None:
    submission, grading = EVENTS[2], EVENTS[4]
    assert book.append([submission, grading], who="grader") == 2
    assert book.append([submission, grading, submission], who="grader") == 0
    book.append([mark("s1", "A1", "9", "10")], who="ada", why="by hand")
    assert book.append([grading], who="grader", why="again") == 1  # it changes the mark back
    assert book.standing.students["s1"].marks["A1"].mark.earned == Decimal("7.25")


def test_the_submission_counts_that_was_marked(path: Path) -> None:
    early, late = hours_late(-1), hours_late(30)
    with Gradebook(path, CU) as book:
        book.append([Enrolment(student="s1")], who="me")
        record = book.standing.students["s1"]

        def counts() -> datetime | None:
            return record.work(CU).handed_in.get("A1")

        book.append([Submission(student="s1", work="A1", digest="a", at=early)], who="s1")
        assert counts() == early
        book.append([mark("s1", "A1", "50")], who="me")
        book.append([Submission(student="s1", work="A1", digest="b", at=late)], who="s1")
        assert counts() == early  # which is the one that is marked
        assert record.submission("A1", CU) == "a"
        book.append([mark("s1", "A1", "90")], who="me", why="handed in again")
        assert counts() == late
        first = Grading(student="s1", work="A1", earned=Decimal(60), submission="a", tests="t")
        book.append([first], who="grader", why="the first one again")
        assert counts() == early
        book.append([Submission(student="s1", work="A1", digest="a", at=late)], who="s1")
        assert counts() == early  # the same file again is no later work


def test_an_earlier_grading_that_comes_again_counts_again(path: Path) -> None:
    """Whether it has the marks of the one that came between, or only the share of them."""
    early, late = hours_late(-1), hours_late(30)
    with Gradebook(path, CU) as book:
        book.append([Enrolment(student="s1")], who="me")
        record = book.standing.students["s1"]
        times = {"a": early, "b": late}
        handed = [
            Submission(student="s1", work="A1", digest=each, at=at) for each, at in times.items()
        ]
        book.append(handed, who="s1")

        def grading(digest: str, most: int) -> Grading:
            return Grading(
                student="s1",
                work="A1",
                earned=Decimal(8),
                most=Decimal(most),
                submission=digest,
                tests="t",
            )

        first, second, other = grading("a", 10), grading("b", 10), grading("a", 20)
        for event, kept, at in (
            (first, 1, early),
            (second, 1, late),
            (first, 1, early),
            (first, 0, early),
            (other, 1, early),
            (first, 1, early),
        ):
            assert book.append([event], who="grader", why="again") == kept
            assert record.work(CU).handed_in["A1"] == at
            assert record.marks["A1"].mark.most == event.most


def test_a_choice_that_is_made_after_the_mark_is_not_what_was_marked(path: Path) -> None:
    """CU's final project is final-1 or final-2, and a mark for it may be called final."""
    with Gradebook(path, CU) as book:
        book.append([Enrolment(student="s1")], who="me")
        work = book.standing.students["s1"].work
        early, late = hours_late(-1), hours_late(30)
        book.append([Submission(student="s1", work="final-1", digest="a", at=early)], who="s1")
        book.append([mark("s1", "final", "90")], who="me")
        book.append([Submission(student="s1", work="final-2", digest="b", at=late)], who="s1")
        assert work(CU).handed_in == {"final-1": early}
        assert book.standing.students["s1"].submission("final", CU) == "a"
        again = HandMark(student="s1", work="final", earned=Decimal(95), submission="b")
        book.append([again], who="me", why="the second option is better")
        assert work(CU).handed_in == {"final-2": late}


def test_a_late_team_is_late_for_all_its_members(path: Path) -> None:
    """CUHK: the maximum project credit for all team members is 50 %."""
    edition = decided("CUHK")
    rubric = [leaf for leaf in CUHK.leaves if "project" in CUHK.above[leaf]]
    with Gradebook(path, CUHK) as book:
        book.append([Enrolment(student=s) for s in ("s1", "s2", "s3", "s4")], who="me")
        with pytest.raises(UserError, match="4 members; project allows 3"):
            book.append([Team(team="t", members=("s1", "s2", "s3", "s4"), of="project")], who="me")
        book.append([Team(team="t", members=("s1", "s2", "s3"), of="project")], who="me")
        with pytest.raises(UserError, match="s3 is in team t"):
            book.append([Team(team="u", members=("s3", "s4"), of="project")], who="me")
        book.append([Team(team="u", members=("s4",), of="project")], who="me")
        full = [HandMark(team=t, work=r, earned=Decimal(100)) for t in "tu" for r in rubric]
        times = {"t": hours_late(1), "u": hours_late(-1)}
        handed = [Submission(team=t, work="project", digest=t, at=at) for t, at in times.items()]
        book.append([*handed, *full], who="me")
        found = grades(book.standing, edition)
        assert {s: g.marks for s, g in found.items()} == {"s1": 20, "s2": 20, "s3": 20, "s4": 40}
        until = Extension(team="t", work="project", until=hours_late(2))
        book.append([until], who="me", why="the server was down")
        assert [g.marks for g in grades(book.standing, edition).values()] == [40, 40, 40, 40]


def test_a_mark_never_goes_to_another_team_of_that_name(path: Path) -> None:
    """Of two teams 1 and two teams 2, of A1 and of the project, each mark finds its own."""
    runs = [HandMark(team=t, work="runs", earned=Decimal(e)) for t, e in (("1", 80), ("2", 60))]
    with Gradebook(path, CUHK) as book:
        book.append([Enrolment(student=s) for s in "abcdef"], who="me")
        teams = {
            ("A1", "1"): "ab",
            ("A1", "2"): "cd",
            ("project", "1"): "cd",
            ("project", "2"): "e",
        }
        made = [Team(team=t, members=tuple(who), of=of) for (of, t), who in teams.items()]
        book.append(made, who="me")
        book.append([*runs, HandMark(team="1", work="A1", earned=Decimal(50))], who="me")
        for work in ("midterm", "outside", "A2"):  # handed in by none of the two
            with pytest.raises(UserError, match="team '1' is one of A1 and of project, and which"):
                book.append([HandMark(team="1", work=work, earned=Decimal(9))], who="me")
        with pytest.raises(UserError, match="team '2' is one of A1 and of project, and which"):
            book.append([Submission(team="2", work="A2", at=NOW)], who="me")
        expected = {"a": {"A1": 50}, "b": {"A1": 50}, "c": {"runs": 80}, "d": {"runs": 80}}
        expected |= {"e": {"runs": 60}, "f": {}}
        for pieces in (CUHK, None):  # what was kept means the same without the course's pieces
            with Gradebook(path, pieces) as again:
                assert {
                    student: {work: each.mark.earned for work, each in record.marks.items()}
                    for student, record in again.standing.students.items()
                } == expected
        book.append([Team(team="3", members=("f",))], who="me")  # one for all assignments
        book.append([HandMark(team="3", work="outside", earned=Decimal(70))], who="me")
        assert book.standing.students["f"].marks["outside"].mark.earned == 70


def test_a_team_of_a_chosen_project_is_marked_by_the_choice(path: Path) -> None:
    """CU's final project is final-1 or final-2; OU's progress is no part of the proposal."""
    with Gradebook(path, CU) as book:
        book.append([Enrolment(student=s) for s in "ab"], who="me")
        book.append([Team(team="1", members=("a",), of="final-2")], who="me")
        book.append([HandMark(team="1", work="final", earned=Decimal(80))], who="me")
        with pytest.raises(UserError, match="team '1' is one of final-2, and which"):
            book.append([HandMark(team="1", work="final-1", earned=Decimal(80))], who="me")
        assert [len(book.standing.students[s].marks) for s in "ab"] == [1, 0]
        with pytest.raises(UserError, match="team '1' is one of final-2, and which"):
            book.preview([HandMark(team="1", work="midterm", earned=Decimal(80))], who="me")
    with Gradebook(path.with_name("ou.db"), Pieces(course("OU"))) as book:
        book.append([Enrolment(student="a")], who="me")
        book.append([Team(team="1", members=("a",), of="proposal")], who="me")
        with pytest.raises(UserError, match="team '1' is one of proposal, and which"):
            book.append([HandMark(team="1", work="progress", earned=Decimal(80))], who="me")


def test_a_regrade_is_seen_before_it_is_kept(book: Gradebook) -> None:
    edition = decided("CU")
    book.append([mark(s, "A1", "50") for s in ("s1", "s2")], who="me")
    before = grades(book.standing, edition)
    after = book.preview([mark("s1", "A1", "100")], who="me", why="a test was wrong")
    (change,) = changes(before, grades(after, edition))
    assert (change.student, *change.marks) == ("s1", Fraction(3), Fraction(6))
    assert grades(book.read(), edition) == before  # nothing was kept
    weights = {"A1": 10, "A2": 5, "A3": 5, "A4": 5, "A5": 5}
    moved = changes(before, grades(book.standing, decided("CU", assignments=weights)))
    assert [c.student for c in moved] == ["s1", "s2"]
    assert {c.marks for c in moved} == {(Fraction(3), Fraction(5))}
    assert changes(before, before) == []


def test_proposals_go_from_state_to_state(book: Gradebook) -> None:
    """CU: "If approved, continue. Else, go back to step 1 or 2, according to feedback."."""

    def to(state: str, feedback: str = "") -> None:
        event = Proposal(student="s1", work="midterm", state=state, feedback=feedback)  # type: ignore[arg-type]
        book.append([event], who="me")

    ways = {
        "": ["draft", "proposed"],
        "draft": ["draft", "proposed"],
        "proposed": ["approved", "returned"],
        "returned": ["draft", "proposed"],
        "approved": [],
    }
    state = ""
    for after in ("draft", "proposed", "returned", "proposed", "approved"):
        for other in ways:
            if other and other not in ways[state]:
                with pytest.raises(UserError, match="can't become"):
                    to(other, "look again")
        if after == "returned":
            with pytest.raises(UserError, match="with feedback"):
                to(after)
        to(after, "look again" if after == "returned" else "")
        state = after
    assert book.standing.proposals["s1", "midterm"].state == "approved"
    with pytest.raises(UserError, match="expected nothing more"):
        to("draft")


# -- files that are none ---------------------------------------------------------------------------


def test_what_is_no_gradebook(tmp_path: Path, path: Path) -> None:
    path.write_bytes(b"not a database at all, but long enough to be read as one")
    with pytest.raises(UserError, match="is no gradebook"):
        Gradebook(path)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as base:
        base.execute("CREATE TABLE things (x)")
    with pytest.raises(UserError, match="another program's database"):
        Gradebook(other)
    with pytest.raises(UserError, match="is no file"):
        Gradebook(tmp_path)
    with pytest.raises(UserError, match="can't be opened"):
        Gradebook(tmp_path / "nowhere" / "grades.db")
    new = tmp_path / "new.db"
    Gradebook(new).close()
    base = sqlite3.connect(new)
    base.execute("PRAGMA user_version = 2")
    base.close()
    with pytest.raises(UserError, match="written by a newer Etude"):
        Gradebook(new)
    empty = tmp_path / "empty.db"
    empty.touch()  # what a kill at the first instant leaves
    with Gradebook(empty) as book:
        assert book.append([Enrolment(student="s")], who="me") == 1


def test_a_damaged_file_gives_a_sentence_or_what_was_written(book: Gradebook, path: Path) -> None:
    book.append(EVENTS, who="ada", why="because")
    written = [*book.entries]
    book.close()
    good = path.read_bytes()
    random = Random(3)
    told = 0
    for trial in range(150):
        content = bytearray(good)
        if trial % 3 == 0:
            content = content[: random.randrange(1, len(good))]
        elif trial % 3 == 1:
            at = random.randrange(len(good))
            content[at] ^= 1 << random.randrange(8)
        else:
            at = random.randrange(len(good))
            content[at : at + 200] = random.randbytes(200)
        for leftover in path.parent.glob("grades.db-*"):
            leftover.unlink()
        path.write_bytes(content)
        sentence = ""
        try:
            with Gradebook(path, CU) as again:
                found = again.entries
        except UserError as error:
            sentence = str(error)
            told += 1
        assert str(path) in sentence if sentence else found == written
    assert told > 40


def test_a_full_disk_gives_a_sentence_and_keeps_nothing_of_it(book: Gradebook) -> None:
    (pages,) = book._base.execute("PRAGMA page_count").fetchone()
    book._base.execute(f"PRAGMA max_page_count = {pages}")
    before = [*book.entries]
    long = [Enrolment(student=f"x{n}", name="a long name " * 50) for n in range(50)]
    with pytest.raises(UserError, match="the disk is full; nothing of this was kept"):
        book.append(long, who="me")
    assert book.entries == before
    assert "x1" not in book.standing.students
    book._base.execute("PRAGMA max_page_count = 1000000")
    assert book.append(long, who="me") == 50


def test_two_writers_wait_for_each_other(book: Gradebook, path: Path) -> None:
    def write(number: int) -> None:
        with Gradebook(path, CU) as mine:
            for n in range(15):
                mine.append([mark("s1", f"quizzes/{number}-{n}", "1")], who=f"w{number}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(book.read().students["s1"].marks) == 45
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with (
        Gradebook(path, CU, patience=0.1) as mine,
        pytest.raises(UserError, match=r"for 0\.1 s; try again"),
    ):
        mine.append([mark("s2", "A1", "1")], who="me")
    holder.execute("ROLLBACK")
    assert book.append([mark("s2", "A1", "1")], who="me") == 1


WRITER = """
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from etude.courses.events import Enrolment, HandMark
from etude.courses.gradebook import Gradebook
book = Gradebook(Path(sys.argv[1]))
begin = len(book.entries) // 3
for n in range(begin, 10_000):
    student = f"s{n}"
    book.append(
        [Enrolment(student=student), HandMark(student=student, work="A1", earned=Decimal(1)),
         HandMark(student=student, work="A2", earned=Decimal(2))],
        who="writer",
    )
    print(n, flush=True)
"""


def test_a_writer_that_is_killed_at_any_instant_leaves_whole_events(path: Path) -> None:
    random = Random(5)
    acknowledged = -1
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(random.random() / 4)
        os.kill(writer.pid, signal.SIGKILL)
        said = [first, *writer.stdout.readlines()]
        writer.wait()
        writer.stdout.close()
        acknowledged = int([line for line in said if line.endswith("\n")][-1])
        with Gradebook(path) as book:
            assert len(book.entries) % 3 == 0  # no half of what was kept together
            assert acknowledged + 1 <= len(book.standing.students) <= acknowledged + 2
            assert all(len(s.marks) == 2 for s in book.standing.students.values())
    assert acknowledged > 6


def test_a_gradebook_that_is_killed_as_it_is_made_can_be_made_again(tmp_path: Path) -> None:
    random = Random(7)
    for trial in range(5):
        path = tmp_path / f"{trial}.db"
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.0005)
        time.sleep(random.random() / 50)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        with Gradebook(path) as book:
            book.append([Enrolment(student="after")], who="me")
            assert "after" in book.standing.students


def test_adjustments_are_numbers_with_a_reason(book: Gradebook) -> None:
    for by in ("nan", "inf", "1e9", "1e-999999", "0.1234567890123"):
        with pytest.raises(UserError, match="can't be added"):
            book.append([Adjusted(student="s1", by=Decimal(by))], who="me", why="x")
    book.append([Adjusted(student="s1", by=Decimal(2))], who="me", why="x")
    assert grades(book.standing, decided("CU"))["s1"].marks == 2


def test_times_are_kept_with_their_zone(book: Gradebook, path: Path) -> None:
    at = hours_late(0) + timedelta(microseconds=1)
    book.append([Submission(student="s1", work="A1", at=at)], who="s1")
    with Gradebook(path) as again:
        (kept,) = again.standing.students["s1"].submissions["A1"]
        assert kept[2] == at
