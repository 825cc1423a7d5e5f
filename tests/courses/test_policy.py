"""Every sentence of the five syllabi that speaks of grades, with its number."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from etude.courses.course import Course, Decision, LateCap, Rule
from etude.courses.edition import edition_of
from etude.courses.library import SYLLABI, course, find
from etude.courses.policy import Policy
from etude.courses.student_work import Adjustment, Mark, StudentWork
from etude.courses.summing import Grade, Part
from etude.errors import UserError
from tests.courses.editions import DUE, all_in, decided, everything, hours_late, marks, only


def said(name: str, words: str) -> None:
    """That a course's file holds a sentence of its syllabus."""

    def texts(value: Any) -> list[str]:
        if isinstance(value, tuple):
            return [text for each in value for text in texts(each)]
        if hasattr(value, "__struct_fields__"):
            return [t for field in value.__struct_fields__ for t in texts(getattr(value, field))]
        return [value] if isinstance(value, str) else []

    assert any(words in text for text in texts(course(name))), words


def part(grade: Grade, name: str) -> Part:
    waiting = [*grade.parts]
    while waiting:
        each = waiting.pop()
        if each.item.id == name:
            return each
        waiting += each.parts
    raise AssertionError(name)


def graded(policy: Policy, work: StudentWork) -> Fraction:
    grade = policy.grade(work, final=True)
    assert not grade.undecided
    assert grade.marks is not None
    return grade.marks


# -- weights ---------------------------------------------------------------------------------------

WEIGHTS = [
    ("OU", "Homework: 30%.", ["H1", "H2", "H3"], 30),
    ("OU", "Presentation: 20%.", ["talk", "abstract", "reviews"], 20),
    ("OU", "Midterm: 20%.", ["midterm"], 20),
    ("OU", "Final Project: 30%.", ["proposal", "progress", "video"], 30),
    ("OU", "participation and quizzes (extra credits): 10%", ["participation"], 10),
    ("ITU", "45% Assignments", ["A1", "A2", "A3-1", "A3-2", "further"], 45),
    ("ITU", "5% Class participation and Creating Notes", ["class", "notes"], 5),
    ("ITU", "20% Final Project", ["project"], 20),
    ("ITU", "10% Quizzes", ["quizzes"], 10),
    ("ITU", "10% Midterm Exam", ["midterm"], 10),
    ("ITU", "10% Final Exam", ["final"], 10),
    ("NCKU", "Group project (60%)", ["project"], 60),
    ("NCKU", "Final exam (40%)", ["exam"], 40),
    ("CU", "Assignments 30%", ["A1", "A2", "A3", "A4", "A5"], 30),
    ("CU", "Projects 30%", ["midterm", "final"], 30),
    ("CU", "Quizzes 30%", ["quizzes"], 30),
    ("CU", "Participation 10%", ["participation"], 10),
    ("CUHK", "Assignments (30%)", ["A1", "A2"], 30),
    ("CUHK", "Assignment 1 (15%)", ["A1"], 15),
    ("CUHK", "Assignment 2 (15%)", ["A2"], 15),
    ("CUHK", "Midterm Exam (25%)", ["midterm"], 25),
    ("CUHK", "Code reproducibility (15%)", ["runs", "structure"], 15),
    ("CUHK", "results in the report (10%)", ["runs"], 10),
    ("CUHK", "easy to understand (5%)", ["structure"], 5),
    (
        "CUHK",
        "Project reprort (25%)",
        ["prior", "correctness", "validation", "findings", "writing", "overall"],
        25,
    ),
    ("CUHK", "Reference to prior work (3%)", ["prior"], 3),
    ("CUHK", "Technical correctness (4%)", ["correctness"], 4),
    ("CUHK", "Experimental validation (5%)", ["validation"], 5),
    ("CUHK", "Findings and Analysis (8%)", ["findings"], 8),
    ("CUHK", "Clear in writing (2%)", ["writing"], 2),
    ("CUHK", "Overall quality of report (3%)", ["overall"], 3),
    ("CUHK", "Originality and creativity (5%)", ["outside", "used"], 5),
    ("CUHK", "outside the scope of this course (2%)", ["outside"], 2),
    ("CUHK", "improve your algorithms (3%)", ["used"], 3),
    ("CUHK", "Participation (5%)", ["survey-1", "survey-2", "evaluation"], 5),
    ("CUHK", "1.5% per survey (in total 3%)", ["survey-1", "survey-2"], 3),
    ("CUHK", "The CTE is worth 2% credit.", ["evaluation"], 2),
]


@pytest.mark.parametrize(("name", "words", "parts", "weight"), WEIGHTS)
def test_a_part_gives_its_weight(name: str, words: str, parts: list[str], weight: int) -> None:
    said(name, words)
    policy = Policy(decided(name))
    assert graded(policy, only(policy, dict.fromkeys(parts, 100))) == weight
    assert graded(policy, only(policy, dict.fromkeys(parts, 50))) == Fraction(weight, 2)


def test_every_part_of_every_course_is_weighed() -> None:
    for name in SYLLABI:
        policy = Policy(decided(name))
        tested = {leaf for each, _, parts, _ in WEIGHTS if each == name for leaf in parts}
        assert tested == set(policy.pieces.leaves) - {"report"}


def test_cuhk_final_project_40() -> None:
    said("CUHK", "Final Project (40%)")
    policy = Policy(decided("CUHK"))
    rubric = ["runs", "structure", "prior", "correctness", "validation", "findings", "writing"]
    assert graded(policy, only(policy, dict.fromkeys([*rubric, "overall"], 100))) == 40


def test_ou_written_report_20_of_what_is_decided() -> None:
    said("OU", "Written report is not mandatory but worth a maximum 20% extra credit.")
    for made, expected in (("course", 20), ("project", 6)):
        policy = Policy(decided("OU", report_of=made))
        assert graded(policy, only(policy, {"report": 100})) == expected
    policy = Policy(decided("OU", without=("report-of",)))
    grade = policy.grade(only(policy, {"report": 100}), final=True)
    assert grade.marks is None
    assert grade.undecided[0].startswith("report-of is not decided")
    without = everything(policy)
    del without["report"]  # not mandatory
    assert policy.grade(StudentWork(without, all_in(policy))).missing == ()
    assert policy.grade(StudentWork(without, all_in(policy))).marks == 110


def test_extra_credit_comes_on_top() -> None:
    policy = Policy(decided("OU"))
    assert graded(policy, only(policy, everything_percent(policy))) == 130
    policy = Policy(decided("CUHK"))
    assert graded(policy, only(policy, everything_percent(policy))) == 105


def everything_percent(policy: Policy) -> dict[str, object]:
    return dict.fromkeys(policy.pieces.leaves, 100)


def test_cuhk_participation_makes_up_where_it_is_decided_so() -> None:
    said("CUHK", "the relevant scores are used to make up for grades")
    full = {"survey-1": 100, "survey-2": 100, "evaluation": 100}
    for rest, within, make_up in ((100, 100, 100), (80, 81, 85), (0, 5, 5)):
        for made, expected in (("within", within), ("make-up", make_up)):
            policy = Policy(decided("CUHK", participation=made))
            percent = dict.fromkeys(policy.pieces.leaves, rest) | full | {"outside": 0, "used": 0}
            assert graded(policy, only(policy, percent)) == expected
    policy = Policy(decided("CUHK", without=("participation",)))
    assert policy.grade(only(policy, full)).undecided[0].startswith("participation is not decided")


# -- letters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "letter", "inside", "outside"),
    [
        ("A: above 90%", "A", ["90.0001", "100"], ["90"]),
        ("B: above 80% but not more than 90%", "B", ["80.0001", "90"], ["80", "90.0001"]),
        ("C: above 70% but not more than 80%", "C", ["70.0001", "80"], ["70", "80.0001"]),
        ("D: above 60% but not more than 70%", "D", ["60.0001", "70"], ["60", "70.0001"]),
        ("F: not more than 60%", "F", ["60", "0"], ["60.0001"]),
    ],
)
def test_ou_letters(words: str, letter: str, inside: list[str], outside: list[str]) -> None:
    said("OU", words)
    policy = Policy(decided("OU"))
    parts = [leaf for leaf in policy.pieces.leaves if leaf not in ("participation", "report")]
    for percents, holds in ((inside, True), (outside, False)):
        for percent in percents:
            grade = policy.grade(only(policy, dict.fromkeys(parts, percent)), final=True)
            assert grade.marks == Fraction(percent)
            assert (grade.letter == letter) is holds
            if holds:
                assert words in grade.notes[-1]
                assert grade.notes[-1].startswith(f"{percent} marks")  # not rounded to the bound


def test_thirds_that_sum_to_ninety_are_a_b() -> None:
    """In binary or in cut decimals they would sum to a little more or less than 90."""
    policy = Policy(decided("OU"))
    parts = [leaf for leaf in policy.pieces.leaves if leaf not in ("participation", "report")]
    work = {leaf: Mark(Decimal(27), Decimal(30)) for leaf in parts}
    work["H1"], work["H2"], work["H3"] = (
        Mark(Decimal(n), Decimal(3)) for n in ("2.7", "2.6", "2.8")
    )
    grade = policy.grade(StudentWork(work, all_in(policy)), final=True)
    assert grade.marks == 90
    assert grade.letter == "B"


@pytest.mark.parametrize("name", ["ITU", "NCKU", "CU", "CUHK"])
def test_letters_are_decided_or_named_as_open(name: str) -> None:
    policy = Policy(decided(name))
    grade = policy.grade(only(policy, everything_percent(policy)), final=True)
    assert grade.letter == "A"
    exact = dict.fromkeys(policy.pieces.leaves, 90) | {"outside": 0, "used": 0}
    exact = {leaf: exact[leaf] for leaf in policy.pieces.leaves}
    assert policy.grade(only(policy, exact), final=True).letter == "A"  # decided: the least marks
    policy = Policy(decided(name, without=("letters",)))
    grade = policy.grade(only(policy, everything_percent(policy)), final=True)
    assert grade.letter is None
    assert grade.marks is not None
    assert any(note.startswith("letters is not decided: ") for note in grade.notes)


# -- late: OU --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "begun", "whole", "exact"),
    [
        (-1, 100, 100, 100),
        (0, 100, 100, 100),
        (12, 95, 100, Fraction("97.5")),
        (24, 95, 95, 95),
        (36, 90, 95, Fraction("92.5")),
        (9 * 24, 55, 55, 55),
        (10 * 24, 50, 50, 50),
        (11 * 24, 50, 50, 50),
        (900, 50, 50, 50),
    ],
)
def test_ou_late(hours: float, begun: int, whole: int, exact: Fraction) -> None:
    said("OU", "There will be 5% deduction per each late day for all submissions.")
    said("OU", "The deduction will be saturated after 10 days.")
    said("OU", "So you will get half of your marks even if you are super late")
    for counts, expected in (("begun", begun), ("whole", whole), ("exact", exact)):
        policy = Policy(decided("OU", late_day=counts))
        for name, weight in (("H1", 10), ("abstract", 3), ("video", 20), ("report", 20)):
            work = only(policy, {name: 80}, handed_in={name: hours_late(hours)})
            assert graded(policy, work) == weight * Fraction(80, 100) * Fraction(expected) / 100


def test_ou_a_part_of_a_day_is_decided_first() -> None:
    policy = Policy(decided("OU", without=("late-day",)))
    work = only(policy, {"H1": 100}, handed_in={"H1": hours_late(5)})
    grade = policy.grade(work, final=True)
    assert grade.marks is None
    assert grade.undecided == (policy.sentence("late-day"),)
    assert "Set [decisions] late-day in course.toml" in grade.undecided[0]
    assert policy.grade(only(policy, {"H1": 100}), final=True).marks == 10  # in time: not needed


def test_ou_video_due_on_may_9_at_an_hour_that_is_decided() -> None:
    said("OU", "Video presentation due on May 9.")
    (video,) = [each for each in course("OU").assignments if each.id == "video"]
    assert video.due is not None
    assert (video.due.month, video.due.day) == (5, 9)
    edition = decided("OU", without=("video",))
    policy = Policy(edition)
    grade = policy.grade(only(policy, {"video": 100}))
    assert grade.undecided[0].startswith("video-hour is not decided")
    assert "[due] video" in grade.undecided[0]


def test_ou_accommodation() -> None:
    said("OU", "discuss accommodations necessary to ensure full participation")
    said("OU", "Generally, modifications will be made where medically necessary")
    policy = Policy(decided("OU"))
    late = {"H1": hours_late(30)}
    for extended, expected in ((None, 9), (20, Fraction("9.5")), (30, 10), (99, 10), (-50, 9)):
        given = {} if extended is None else {"H1": hours_late(extended)}
        work = only(policy, {"H1": 100}, handed_in=late, extended=given)
        assert graded(policy, work) == expected
    assert graded(policy, only(policy, {"H1": 100}, handed_in=late, excused=["H1"])) == 10


# -- late: CU --------------------------------------------------------------------------------------

CU_LATE = [  # hours late; floor with begun days; ceiling with begun days: top of which letter
    (0, "100", "100"),
    (1, "89.99", "89.99"),
    (25, "89.99", "89.99"),
    (48, "89.99", "89.99"),
    (49, "89.99", "79.99"),
    (73, "79.99", "79.99"),
    (97, "79.99", "69.99"),
    (145, "69.99", "59.99"),
    (700, "59.99", "59.99"),
]


@pytest.mark.parametrize(("hours", "floor", "ceiling"), CU_LATE)
def test_cu_late(hours: float, floor: str, ceiling: str) -> None:
    said("CU", "will have a single letter grade deducted per 2 days late.")
    said("CU", "The maximum grade for any tardy assignment is a B.")
    for made, expected in (("floor", floor), ("ceiling", ceiling)):
        policy = Policy(decided("CU", late_days=made))
        for name in ("A1", "A5"):
            work = only(policy, {name: 100}, handed_in={name: hours_late(hours)})
            assert graded(policy, work) == 6 * Fraction(expected) / 100


@pytest.mark.parametrize(
    ("hours", "earned", "made", "expected"),
    [
        (1, 95, {}, "89.99"),  # the cap alone
        (1, 95, {"late_day": "whole"}, "89.99"),  # tardy, though no day counts
        (1, 85, {}, "85"),  # a B stays what it is
        (1, 0, {}, "0"),
        (49, 95, {"late_day": "whole"}, "89.99"),  # one letter from A is a B
        (49, 95, {"late_day": "whole", "late_order": "before"}, "79.99"),  # one letter from B
        (49, 85, {"late_day": "whole"}, "79.99"),
        (49, 85, {"late_day": "whole", "late_order": "before"}, "79.99"),
        (49, 85, {"late_day": "whole", "late_marks": "place"}, "75"),
        (49, 85, {"late_day": "whole", "late_marks": "bottom"}, "70"),
        (49, 95, {"late_day": "whole", "late_marks": "place"}, "85"),
        (49, 95, {"late_day": "whole", "late_marks": "bottom"}, "80"),
        (36, 85, {"late_day": "exact"}, "85"),
        (36, 85, {"late_day": "exact", "late_days": "ceiling"}, "79.99"),
        (60, 85, {"late_day": "exact", "late_days": "ceiling"}, "69.99"),
        (49, 60, {"late_day": "whole"}, "59.99"),
        (49, 40, {"late_day": "whole"}, "40"),  # there is no letter below the last
        (49, 60, {"late_day": "whole", "late_marks": "place"}, "0"),
    ],
)
def test_cu_late_as_it_is_decided(
    hours: float, earned: int, made: dict[str, Any], expected: str
) -> None:
    policy = Policy(decided("CU", **made))
    work = only(policy, {"A1": earned}, handed_in={"A1": hours_late(hours)})
    assert graded(policy, work) == 6 * Fraction(expected) / 100


@pytest.mark.parametrize(
    "decision", ["late-day", "late-days", "late-order", "late-marks", "letters"]
)
def test_cu_late_names_what_is_open(decision: str) -> None:
    policy = Policy(decided("CU", without=(decision,)))
    late = only(policy, {"A1": 95}, handed_in={"A1": hours_late(1)})
    assert policy.grade(late, final=True).undecided == (policy.sentence(decision),)
    in_time = only(policy, {"A1": 95})
    assert policy.grade(in_time, final=True).marks == 6 * Fraction(95, 100)


def test_cu_unexcused() -> None:
    said("CU", "Unexcused late assignments")
    late = {"A1": hours_late(60)}
    for made, expected in (("no", "100"), ("yes", "89.99")):
        policy = Policy(decided("CU", late_excused=made))
        work = only(policy, {"A1": 100}, handed_in=late, excused=["A1"])
        assert graded(policy, work) == 6 * Fraction(expected) / 100
    policy = Policy(decided("CU", without=("late-excused",)))
    work = only(policy, {"A1": 100}, handed_in=late, excused=["A1"])
    assert policy.grade(work).undecided == (policy.sentence("late-excused"),)


def test_cu_late_projects_as_it_is_decided() -> None:
    late = {"midterm": hours_late(60)}
    for made, expected in (("no", "100"), ("yes", "89.99")):
        policy = Policy(decided("CU", projects_too=made))
        assert (
            graded(policy, only(policy, {"midterm": 100}, handed_in=late))
            == Fraction(expected) / 10
        )
    policy = Policy(decided("CU", without=("projects-too",)))
    grade = policy.grade(only(policy, {"midterm": 100}, handed_in=late))
    assert grade.undecided == (policy.sentence("projects-too"),)
    assert policy.grade(only(policy, {"midterm": 100})).marks == 10


def test_cu_letters_with_signs_fall_by_whole_letters() -> None:
    signs = {"A": 93, "A-": 90, "B+": 87, "B": 83, "B-": 80, "C+": 77, "C": 73, "C-": 70, "F": 0}
    policy = Policy(decided("CU", letters=signs, late_marks="place"))
    for hours, earned, expected in ((1, 95, "86.99"), (49, 85, "75"), (49, 95, "85")):
        work = only(policy, {"A1": earned}, handed_in={"A1": hours_late(hours)})
        assert graded(policy, work) == 6 * Fraction(expected) / 100


def test_cu_a_cap_at_a_letter_that_is_not_there_is_told() -> None:
    policy = Policy(decided("CU", letters={"P": 60, "F": 0}))
    grade = policy.grade(only(policy, {"A1": 95}, handed_in={"A1": hours_late(1)}))
    assert "knows a letter B" in grade.undecided[0]


# -- CU: what must be handed in, quizzes -----------------------------------------------------------


def test_cu_fail_to_submit_an_assignment() -> None:
    said("CU", "If you fail to submit an assignment you will fail the course.")
    policy = Policy(decided("CU"))
    for name in ("A1", "A2", "A3", "A4", "A5"):
        work = only(policy, everything_percent(policy))
        handed = {key: when for key, when in work.handed_in.items() if key != name}
        work = StudentWork({**work.marks, **marks({name: 0})}, handed)
        grade = policy.grade(work, final=True)
        assert grade.letter == "F"
        assert grade.marks == 94
        assert grade.fails == (
            f"{name} was not handed in."
            " “If you fail to submit an assignment you will fail the course.”",
        )
        assert policy.grade(work).fails == ()  # the course is not over
        excused = StudentWork(work.marks, handed, excused=[name])
        assert policy.grade(excused, final=True).fails == ()
    without = only(policy, everything_percent(policy))
    handed = {k: v for k, v in without.handed_in.items() if k not in ("extra", "final-2")}
    assert policy.grade(StudentWork(without.marks, handed), final=True).letter == "A"


def test_cu_fail_to_submit_a_project_as_it_is_decided() -> None:
    for made, fails in (("no", ()), ("yes", ("final", "midterm"))):
        policy = Policy(decided("CU", projects_too=made))
        work = StudentWork(marks(dict.fromkeys(("A1", "A2", "A3", "A4", "A5", "quizzes"), 100)), {})
        found = policy.grade(work, final=True).fails
        assert sorted(each.split()[0] for each in found) == list(fails)
    policy = Policy(decided("CU", without=("projects-too",)))
    assert policy.grade(work, final=True).undecided == (policy.sentence("projects-too"),)


def test_what_is_marked_by_its_parts_is_submitted() -> None:
    edition = decided("CUHK")
    rule = Rule(kind="must submit", text="Hand it in.", of=("project",), words="Or you fail.")
    rules = (*edition.course.rules, rule)
    policy = Policy(replace(edition, course=structs.replace(edition.course, rules=rules)))
    full = everything(policy)
    assert policy.grade(StudentWork(full), final=True).fails == ()
    for done in ({}, {"outside": 100, "used": 100}):  # originality is no part of the project
        (fails,) = policy.grade(StudentWork(marks(done)), final=True).fails
        assert fails.startswith("project was not handed in")


def test_cu_final_project_is_one_of_two() -> None:
    policy = Policy(decided("CU", projects_too="yes"))
    for name in ("final-1", "final-2"):
        base = everything(policy, 0)
        del base["final"]
        handed = {k: v for k, v in all_in(policy).items() if not k.startswith("final")}
        work = StudentWork(base | marks({name: 90}), handed | {name: hours_late(-1)})
        assert graded(policy, work) == 18
        late = StudentWork(base | marks({name: 90}), handed | {name: hours_late(1)})
        assert graded(policy, late) == 20 * Fraction("89.99") / 100
    both = StudentWork(base | marks({"final-1": 90, "final-2": 80}), all_in(policy))
    assert "both marked" in policy.grade(both).undecided[0]


def test_cu_quizzes() -> None:
    said("CU", "otherwise you receive a zero for that quiz")
    said("CU", "please let me know before hand and we will arrange appropriate accommodations")
    named = {"quizzes": ["quizzes/1", "quizzes/2", "quizzes/3"]}
    policy = Policy(decided("CU"), named)
    base = everything(policy, 0)
    del base["quizzes"]
    two = base | marks({"quizzes/1": 100, "quizzes/2": 50})
    missed = StudentWork(two, all_in(policy))
    assert graded(policy, missed) == 15
    assert any("otherwise you receive a zero" in note for note in notes(policy, missed))
    assert graded(policy, StudentWork(two, all_in(policy), excused=["quizzes/3"])) == Fraction(
        "22.5"
    )
    running = policy.grade(StudentWork(two, all_in(policy)))
    assert running.marks == Fraction("22.5")
    assert running.missing == ("quizzes/3",)
    assert running.letter is None
    gone = StudentWork(two, all_in(policy), missed=["quizzes/3"])
    assert policy.grade(gone).marks == 15


def test_what_is_missed_is_missed_by_any_of_its_names() -> None:
    policy = Policy(decided("CU"), {"quizzes": ["quizzes/1", "quizzes/2"]})
    base = {k: v for k, v in everything(policy).items() if k not in ("final", "quizzes")}
    two = base | marks({"quizzes/1": 100, "quizzes/2": 100, "final": 100})
    for work, keys in (
        ("final", ["final"]),
        ("final-1", ["final"]),
        ("final-2", ["final"]),
        ("quizzes", ["quizzes/1", "quizzes/2"]),
        ("quizzes/2", ["quizzes/2"]),
    ):
        left = {k: v for k, v in two.items() if k not in keys}
        grade = policy.grade(StudentWork(left, missed=[work]))
        assert grade.missing == ()
        assert grade.marks == 100 - (20 if keys == ["final"] else 15 * len(keys))
    handed = StudentWork(base, {"final-2": hours_late(-1)}, missed=["final-1"])
    assert "final" in policy.grade(handed).missing  # it is handed in, by the other choice


def test_marks_of_a_whole_beside_marks_of_its_pieces_are_told() -> None:
    policy = Policy(decided("CU"), {"quizzes": ["quizzes/1"]})
    whole = policy.grade(StudentWork(everything(policy), all_in(policy)))
    assert whole.marks is None
    assert "quizzes is marked as a whole and in pieces" in whole.undecided[0]


def notes(policy: Policy, work: StudentWork) -> list[str]:
    waiting, found = [*policy.grade(work, final=True).parts], []
    while waiting:
        each = waiting.pop()
        found += each.notes
        waiting += each.parts
    return found


def test_cu_quizzes_divide_as_it_is_decided() -> None:
    named = {"quizzes": ["quizzes/1", "quizzes/2"]}
    quizzes = {
        "quizzes/1": Mark(Decimal(10), Decimal(10)),
        "quizzes/2": Mark(Decimal(0), Decimal(30)),
    }
    for made, expected in (("equal", 15), ("points", Fraction("7.5"))):
        policy = Policy(decided("CU", quiz_weights=made), named)
        base = everything(policy, 0)
        del base["quizzes"]
        assert graded(policy, StudentWork(base | quizzes, all_in(policy))) == expected
    policy = Policy(decided("CU", without=("quiz-weights",)), named)
    grade = policy.grade(StudentWork(base | quizzes, all_in(policy)))
    assert grade.undecided == (policy.sentence("quiz-weights"),)
    alike = base | marks({"quizzes/1": 100, "quizzes/2": 0})
    assert policy.grade(StudentWork(alike, all_in(policy))).marks == 15  # both ways are one


# -- CUHK ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "project", "originality", "expected"),
    [
        ("beside", 100, 100, 25),
        ("within", 100, 100, 20),
        ("own-half", 100, 100, Fraction("22.5")),
        ("beside", 40, 100, 21),
        ("within", 40, 100, 20),
        ("own-half", 40, 40, 18),
        ("within", 0, 100, 5),
    ],
)
def test_cuhk_late_project(made: str, project: int, originality: int, expected: object) -> None:
    said("CUHK", "the maximum project credit for all team members is 50%.")
    policy = Policy(decided("CUHK", late_originality=made))
    leaves = [leaf for leaf in policy.pieces.leaves if "project" in policy.pieces.above[leaf]]
    percent = dict.fromkeys(leaves, project) | dict.fromkeys(["outside", "used"], originality)
    late = {"project": hours_late(1 / 60)}
    assert graded(policy, only(policy, percent, handed_in=late)) == expected
    for more in (  # an extension, or an excuse
        {"extended": {"project": hours_late(1)}},
        {"excused": ["project"]},
    ):
        full = Fraction(project * 40 + originality * 5, 100)
        assert graded(policy, only(policy, percent, handed_in=late, **more)) == full


def test_cuhk_late_originality_is_decided_first() -> None:
    policy = Policy(decided("CUHK", without=("late-originality",)))
    late = {"project": hours_late(1)}
    grade = policy.grade(only(policy, {"runs": 100, "used": 100}, handed_in=late))
    assert grade.undecided == (policy.sentence("late-originality"),)
    assert policy.grade(only(policy, {"runs": 100}, handed_in=late)).marks == 10


@pytest.mark.parametrize("made", ["within", "own-half"])
def test_cuhk_originality_is_held_by_the_syllabus_s_cap_alone(made: str) -> None:
    """Its sentence is on the project: what an instructor adds on other work is not meant."""
    full = {"A1": 100, "A2": 100, "runs": 100, "used": 100}
    policy = with_caps("CUHK", "assignments", late_originality=made)
    late = only(policy, full, handed_in=dict.fromkeys(("A1", "A2"), hours_late(1)))
    assert graded(policy, late) == 15 + 10 + 3
    harder = with_caps("CUHK", "project", most=10, late_originality=made)
    work = only(harder, full, handed_in={"project": hours_late(1)})
    assert graded(harder, work) == Fraction("36.5" if made == "own-half" else "37")


def test_cuhk_late_assignments_as_it_is_decided() -> None:
    late = {"A1": hours_late(1)}
    for made, expected in (("nothing", 15), ("all", 0)):
        policy = Policy(decided("CUHK", late_assignments=made))
        assert graded(policy, only(policy, {"A1": 100}, handed_in=late)) == expected
    for edition in (
        decided("CUHK", without=("late-assignments",)),
        decided("CUHK", late_assignments="rule"),
    ):
        grade = Policy(edition).grade(only(Policy(edition), {"A1": 100}, handed_in=late))
        assert grade.undecided[0].startswith("late-assignments is ")


def with_caps(name: str, *of: str, most: int = 50, **made: Any) -> Policy:
    """A course to which its instructor adds a cap on late work."""
    edition = decided(name, **made)
    cap = LateCap(most=Decimal(most), of=of, words="Late is half.")
    late = (*edition.course.late, cap)
    return Policy(replace(edition, course=structs.replace(edition.course, late=late)))


@pytest.mark.parametrize("of", [("assignments",), ("A1", "A2"), ("A1",), ("assignments", "A1")])
def test_a_cap_on_a_part_meets_the_work_that_is_late_alone(of: tuple[str, ...]) -> None:
    policy = with_caps("CUHK", *of)
    full = {"A1": 100, "A2": 100}
    late = only(policy, full, handed_in={"A1": hours_late(1)})
    assert graded(policy, late) == Fraction("22.5")
    assert graded(policy, only(policy, full)) == 30
    both = only(policy, full, handed_in=dict.fromkeys(full, hours_late(1)))
    assert graded(policy, both) == (Fraction("22.5") if of == ("A1",) else 15)
    assert graded(policy, only(policy, full, handed_in=both.handed_in, excused=["A1"])) == (
        30 if of == ("A1",) else Fraction("22.5")
    )


def test_a_cap_on_a_part_of_several_works_meets_each() -> None:
    zone = Decision(id="zone", question="Where?", kind="zone", words="It is not said.")
    base = structs.replace(own(), decisions=(zone,))
    edition = edition_of(base, decisions={"zone": "UTC"}, due={"W1": DUE, "W2": DUE})
    cap = LateCap(most=Decimal(50), of=("work",), words="Late is half.")
    policy = Policy(replace(edition, course=structs.replace(edition.course, late=(cap,))))
    handed = {"W1": DUE.replace(tzinfo=UTC) + timedelta(hours=1), "W2": DUE.replace(tzinfo=UTC)}
    work = StudentWork(marks({"W1": 100, "W2": 100, "W3": 100, "exam": 0}), handed)
    assert graded(policy, work) == 50  # of 60, a sixth is lost


def test_a_cap_on_what_is_handed_in_as_a_whole_meets_the_whole_by_whatever_name() -> None:
    """Half of CUHK's project can be earned in one part of it, however the cap names it."""
    for of in (("project",), ()):
        policy = with_caps("CUHK", *of)
        late = only(policy, {"findings": 100, "runs": 100}, handed_in={"project": hours_late(1)})
        assert graded(policy, late) == 18
    base = own()
    work, exam = base.grade
    parts = tuple(structs.replace(exam, id=f"P{n}", weight=Decimal(30)) for n in (1, 2))
    zone = Decision(id="zone", question="Where?", kind="zone", words="It is not said.")
    base = structs.replace(
        base,
        grade=(structs.replace(work, parts=parts), exam),
        assignments=base.assignments[:1],
        decisions=(zone,),
    )
    for of in (("W1",), ("work",), ()):
        edition = edition_of(base, decisions={"zone": "UTC"}, due={"W1": DUE})
        cap = LateCap(most=Decimal(50), of=of, words="Late is half.")
        policy = Policy(replace(edition, course=structs.replace(edition.course, late=(cap,))))
        handed = {"W1": DUE.replace(tzinfo=UTC) + timedelta(hours=1)}
        assert graded(policy, StudentWork(marks({"P1": 100, "P2": 0, "exam": 0}), handed)) == 30


@pytest.mark.parametrize("of", ["final", "projects", "final-1"])
def test_a_cap_meets_the_choice_that_counts(of: str) -> None:
    """CU's final project is one of two; who is late with one and hands in the other is not late."""
    policy = with_caps("CU", of)
    base = {k: v for k, v in everything(policy, 0).items() if k != "final"}
    one, two = hours_late(1), hours_late(2)
    cases = [  # times of final-1 and final-2; what is marked; the marks of 20
        (one, hours_late(-1), "final-2", 20),
        (one, hours_late(-1), "final-1", 10),
        (hours_late(-1), one, "final-1", 20),
        (one, two, "final", 20 if of == "final-1" else 10),
        (hours_late(-2), hours_late(-1), "final", 20),
    ]
    for first, second, marked, expected in cases:
        handed = all_in(policy) | {"final-1": first, "final-2": second}
        work = StudentWork(base | marks({marked: 100}), handed)
        assert graded(policy, work) == expected, (first, second, marked)


def test_cuhk_teams_that_copy_fail() -> None:
    said("CUHK", "all members of the corresponding two teams will fail the course")
    policy = Policy(decided("CUHK"))
    why = "the project was copied from another team"
    work = only(policy, everything_percent(policy), adjustments=(Adjustment(fails=True, why=why),))
    grade = policy.grade(work, final=True)
    assert (grade.letter, grade.fails) == ("F", (f"{why}.",))
    lifted = (*work.adjustments, Adjustment(fails=False, why="it was the other team's"))
    work = StudentWork(work.marks, work.handed_in, adjustments=lifted)
    assert policy.grade(work, final=True).letter == "A"


# -- ITU, NCKU -------------------------------------------------------------------------------------


def test_itu_late_as_it_is_decided() -> None:
    late = {"A2": hours_late(5)}
    for made, expected in (("nothing", 10), ("all", 0)):
        policy = Policy(decided("ITU", late=made))
        assert graded(policy, only(policy, {"A2": 100}, handed_in=late)) == expected
    policy = Policy(decided("ITU", without=("late",)))
    grade = policy.grade(only(policy, {"A2": 100}, handed_in=late))
    assert grade.undecided[0].startswith("late is not decided: What does late work lose?")


def test_itu_a_late_rule_that_the_instructor_adds(tmp_path: Path) -> None:
    file = tmp_path / "course.toml"
    lines = [
        'base = "ITU"',
        "start = 2027-03-09",
        "[decisions]",
        'late = "rule"',
        'zone = "Asia/Karachi"',
        "assignments = { A1 = 10, A2 = 10, A3-1 = 10, A3-2 = 5, further = 10 }",
        "[due]",
        "A1 = 2027-04-01T23:59:00",
        "A2 = 2027-04-01T23:59:00",
    ]
    rules = [
        "[[late]]",
        'kind = "percent"',
        "per_day = 10",
        "days = 7",
        'counts = "whole"',
        "grace = 15",
        'of = ["A1"]',
        'words = "A day costs a tenth."',
    ]
    due = datetime(2027, 4, 1, 23, 59, tzinfo=ZoneInfo("Asia/Karachi"))
    file.write_text("\n".join([*lines, *rules]))
    policy = Policy(find(str(file)))
    for name, minutes, expected in (
        ("A1", 15, 10),
        ("A1", 16, 10),  # no whole day
        ("A1", 1440, 9),
        ("A1", 14400, 3),
        ("A2", -1, 10),
    ):
        at = due + timedelta(minutes=minutes)
        grade = policy.grade(StudentWork(marks({name: 100}), {name: at}))
        assert grade.marks == expected
    late = StudentWork(marks({"A2": 100}), {"A2": due + timedelta(minutes=1)})
    assert "no late rule is there for A2" in policy.grade(late).undecided[0]
    file.write_text("\n".join([*lines, *rules]).replace('"A1"', '"A9"'))
    with pytest.raises(UserError, match="names part of the grade or assignment 'A9'"):
        find(str(file))


def test_itu_five_or_six_assignments() -> None:
    said("ITU", "5 to 6 programming assignments")
    policy = Policy(decided("ITU"), {"further": ["further/4", "further/5"]})
    base = everything(policy, 0)
    del base["further"]
    work = StudentWork(base | marks({"further/4": 100, "further/5": 40}), all_in(policy))
    assert graded(policy, work) == 7


def test_ncku_late_is_marked_by_hand() -> None:
    said("NCKU", "before the last lecture")
    policy = Policy(decided("NCKU", without=("late",)))
    late = only(policy, {"project": 50}, handed_in={"project": hours_late(1)})
    assert policy.grade(late).undecided[0].startswith("late is not decided")
    assert graded(Policy(decided("NCKU")), late) == 30


@pytest.mark.parametrize(
    ("name", "decision", "leaf"),
    [
        ("OU", "homework", "H1"),
        ("OU", "presentation", "talk"),
        ("OU", "project", "video"),
        ("ITU", "assignments", "A1"),
        ("ITU", "participation", "notes"),
        ("CU", "assignments", "A1"),
        ("CU", "projects", "midterm"),
    ],
)
def test_weights_that_are_not_decided(name: str, decision: str, leaf: str) -> None:
    policy = Policy(decided(name, without=(decision,)))
    grade = policy.grade(StudentWork(marks({leaf: 100})))
    assert grade.marks is None
    assert grade.undecided == (policy.sentence(decision),)
    assert policy.grade(StudentWork()).undecided == ()


# -- what an instructor's own course can say -------------------------------------------------------


def own(**item: object) -> Course:
    from etude.courses.course import Assignment, Item, Meeting

    works = tuple(
        Assignment(id=f"W{n}", title="Work", item="work", task="Do it.") for n in (1, 2, 3)
    )
    return Course(
        id="OWN",
        title="Mine",
        school="Here",
        term="Now",
        about="It is mine.",
        schedule=(Meeting(title="Begin"),),
        assignments=works,
        grade=(
            Item(id="work", title="Work", weight=Decimal(60), words="Work 60", **item),  # type: ignore[arg-type]
            Item(id="exam", title="Exam", weight=Decimal(40), words="Exam 40"),
        ),
    )


def test_assignments_of_one_part_count_alike_and_the_worst_can_be_dropped() -> None:
    work = StudentWork(marks({"W1": 100, "W2": 50, "W3": 0, "exam": 100}))
    for item, expected in (
        ({}, 70),
        ({"drop": 1}, 85),
        ({"drop": 2}, 100),
        ({"drop": 9}, 100),
        ({"most": Decimal(40)}, 64),
        ({"least": Decimal(60)}, 76),
    ):
        assert graded(Policy(edition_of(own(**item))), work) == expected


def test_the_least_is_for_what_is_marked() -> None:
    policy = Policy(edition_of(own(least=Decimal(60))))
    for done, expected in (({}, 0), ({"W1": 0}, 36), ({"W1": 100, "W2": 100, "W3": 100}, 60)):
        assert graded(policy, StudentWork(marks(done))) == expected
    assert policy.grade(StudentWork(missed=["W1", "W2", "W3"])).marks == 0


def test_what_is_excused_is_spread_within_its_part_and_never_further() -> None:
    policy = Policy(decided("CU"))
    base = everything(policy)
    del base["A1"]
    handed = {k: v for k, v in all_in(policy).items() if k != "A1"}
    work = StudentWork(base | marks({"A2": 0}), handed, excused=["A1"])
    grade = policy.grade(work, final=True)
    assert grade.marks == Fraction("92.5")
    assert part(grade, "A2").weight == Fraction("7.5")
    policy = Policy(decided("OU"))
    base = everything(policy)
    del base["midterm"]
    grade = policy.grade(StudentWork(base, all_in(policy), excused=["midterm"]), final=True)
    assert grade.marks is None
    assert "midterm is excused" in grade.undecided[0]


def test_adjustments_are_added_and_told() -> None:
    policy = Policy(decided("NCKU"))
    work = only(
        policy,
        {"project": 100},
        adjustments=(Adjustment(Decimal("2.5"), why="a prize"), Adjustment(Decimal(-1), why="no")),
    )
    grade = policy.grade(work, final=True)
    assert grade.marks == Fraction("61.5")
    assert "+ 2.5 marks: a prize" in grade.notes


@pytest.mark.parametrize(
    ("earned", "most"), [("-1", "10"), ("11", "10"), ("0", "0"), ("nan", "10"), ("1", "inf")]
)
def test_what_is_no_mark(earned: str, most: str) -> None:
    with pytest.raises(UserError, match="are no marks"):
        Mark(Decimal(earned), Decimal(most))


def test_a_late_day_ends_at_the_hour_of_the_deadline() -> None:
    """Also where clocks are put forward (14 March 2027) or back (7 November 2027) in Chicago."""
    from etude.courses.lateness import late_days

    zone = ZoneInfo("America/Chicago")
    for day in (datetime(2027, 3, 13, 23, 59), datetime(2027, 11, 6, 23, 59), DUE):
        due = day.replace(tzinfo=zone)
        after = day.replace(day=day.day + 1, tzinfo=zone)
        assert late_days(due, after) == 1
        assert late_days(due, due) == 0
        assert late_days(due, due.replace(second=1)) > 0
        assert late_days(due, due.replace(second=1), grace=1) == 0


@pytest.mark.parametrize("fold", [0, 1])
def test_an_hour_that_comes_twice_is_the_one_that_is_meant(fold: int) -> None:
    """Clocks go back on 7 November 2027 in Chicago, so 1:30 is there at two instants."""
    from etude.courses.lateness import late_days, later

    zone = ZoneInfo("America/Chicago")
    instant = datetime(2027, 11, 7, 6 + fold, 30, tzinfo=UTC)
    due = later(datetime(2027, 11, 1, tzinfo=zone), instant)
    assert (due.hour, due.minute, due.fold) == (1, 30, fold)
    assert late_days(due, instant) == 0
    assert late_days(due, instant + timedelta(minutes=1)) == Fraction(1, 24 * 60 + 60 * (not fold))
