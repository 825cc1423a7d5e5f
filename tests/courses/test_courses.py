"""The five courses: what their syllabi state is there, in full."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from etude.catalogue import Catalogue
from etude.courses.course import HELD, Course, LateByLetter, LateByPercent, LateCap
from etude.courses.library import NAMES, OWN, SYLLABI, asked_by, course, planned
from etude.courses.making import text_of
from etude.courses.words import by_week, policies

each_course = pytest.mark.parametrize("name", SYLLABI)
BUILT = {entry.name for entry in Catalogue().all()}


def kinds(course: Course) -> dict[str, int]:
    return dict(Counter(row.kind for row in course.schedule))


def weights(course: Course) -> dict[str, Decimal | None]:
    return {item.id: item.weight for item in course.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_course_names_only_studies_that_are_built_or_planned(name: str) -> None:
    assert course(name).asked().keys() <= BUILT | planned().keys()


def test_no_study_is_planned_that_is_built() -> None:
    assert not planned().keys() & BUILT


def test_every_study_is_asked_for() -> None:
    assert not [name for name in BUILT if not asked_by(name)]


@each_course
def test_every_rule_stands_beside_the_words_of_its_syllabus(name: str) -> None:
    found = course(name)
    conditions = [condition for each in found.assignments for condition in each.conditions]
    assert all(item.words for item in found.items())
    assert all(letter.words for letter in found.letters)
    assert all(late.words for late in found.late)
    assert all(rule.words for rule in found.rules)
    assert all(decision.words for decision in found.decisions)
    assert all(condition.words for condition in conditions)
    assert all(each.due_words for each in found.assignments if each.due or each.hour)
    assert all(each.team_words for each in found.assignments if each.team)


@each_course
def test_what_counts_towards_the_grade_sums_to_a_hundred(name: str) -> None:
    assert sum(item.weight or 0 for item in course(name).grade if not item.extra) == 100


@each_course
def test_every_row_that_is_held_stands_in_one_week(name: str) -> None:
    weeks = by_week(course(name))
    assert sum(map(len, weeks.values())) == len(course(name).schedule)
    assert list(weeks) == sorted(weeks)


def test_our_own_course_goes_through_every_study_once_each_after_what_it_needs() -> None:
    order = [study for row in course(OWN).schedule for study in row.studies]
    assert sorted(order) == sorted(BUILT | planned().keys())
    for entry in Catalogue().all():
        early = order[: order.index(entry.name)]
        assert set(entry.needs) <= set(early), entry.name
    levels = [row.level for row in course(OWN).schedule]
    assert [*dict.fromkeys(levels)] == ["first steps", "core", "advanced"]
    assert all(row.hours for row in course(OWN).schedule)


def test_oklahoma() -> None:
    ou = course("OU")
    assert kinds(ou) == {"lecture": 25, "presentation": 3, "break": 2}
    assert len(ou.outline) == 15
    assert len(ou.toolboxes) == 12
    assert sum(len(row.recommended) for row in ou.schedule) == 16
    found = weights(ou)
    assert [found[i] for i in ("homework", "presentation", "midterm", "project")] == [
        30,
        20,
        20,
        30,
    ]
    assert {item.id: item.weight for item in ou.grade if item.extra} == {
        "participation": 10,
        "report": 20,
    }
    assert [(each.letter, each.above) for each in ou.letters] == [
        ("A", 90),
        ("B", 80),
        ("C", 70),
        ("D", 60),
        ("F", None),
    ]
    assert not any(letter.includes for letter in ou.letters)  # "B: … not more than 90%"
    (late,) = ou.late
    assert isinstance(late, LateByPercent)
    assert [late.per_day, late.days] == [5, 10]
    assert not late.of  # "for all submissions"
    assert all(row.dates[0].weekday() in (1, 3) for row in ou.schedule)


def test_lahore() -> None:
    itu = course("ITU")
    assert len(itu.schedule) == 23
    assert kinds(itu) == {"lecture": 19, "cancelled": 3, "make-up": 1}
    assert len(itu.outline) == 8
    assert [block.tutorial[:10] for block in itu.outline if block.tutorial] == [
        f"Tutorial {n}" for n in (1, 2, 4, 5, 6)
    ]
    found = [item.weight for item in itu.grade]
    assert found == [45, 5, 20, 10, 10, 10]
    assert not itu.letters
    assert not itu.late
    tasks = [task for row in itu.schedule for task in row.tasks]
    assert len(tasks) == 4
    assert {"letters", "late", "A3-order"} <= {each.id for each in itu.decisions}


def test_tainan() -> None:
    ncku = course("NCKU")
    assert [row.number for row in ncku.schedule] == [*range(1, 10)]
    python = [topic for row in ncku.schedule if "Python" in row.title for topic in row.topics]
    assert len(python) == 13
    assert len(ncku.outcomes) == 9
    assert [item.weight for item in ncku.grade] == [60, 40]
    (project,) = ncku.assignments
    handed = " ".join(each.text for each in project.conditions)
    assert all(word in handed for word in ("notebook", "specification", "HDF5", "independent"))
    assert any("CC BY 4.0" in sentence for sentence in policies(ncku))


def test_new_york() -> None:
    cu = course("CU")
    assert [paper.id for paper in cu.papers] == [f"P{n}" for n in range(1, 39)]
    by_paper = {paper.id: paper.week for paper in cu.papers}
    assert {row.week: row.papers for row in cu.schedule} == {
        week: tuple(each for each, of in by_paper.items() if of == week) for week in range(1, 14)
    }
    assert [item.weight for item in cu.grade] == [30, 30, 30, 10]
    assert len(cu.outcomes) == 6
    conditions = {each.id: len(each.conditions) for each in cu.assignments}
    assert conditions.keys() >= {"A1", "A2", "A3", "A4", "A5", "extra", "midterm"}
    assert conditions["A1"] >= 10
    days = {each.id: (each.due.month, each.due.day) for each in cu.assignments if each.due}
    assert days == {"midterm": (10, 27), "final-1": (12, 15), "final-2": (12, 15)}
    assert {each.either for each in cu.assignments} == {"", "final"}
    (late,) = cu.late
    assert isinstance(late, LateByLetter)
    assert (late.every, late.most) == (2, "B")
    assert {rule.kind for rule in cu.rules} >= {"must submit", "missed is zero", "citations"}


def test_shenzhen() -> None:
    cuhk = course("CUHK")
    assert kinds(cuhk) == {"lecture": 11, "tutorial": 6, "exam": 1, "deadline": 1}
    found = weights(cuhk)
    assert [found[name] for name in ("A1", "A2", "midterm", "project")] == [15, 15, 25, 40]
    (project,) = [item for item in cuhk.grade if item.id == "project"]
    code, report = project.parts
    assert [part.weight for part in code.parts] == [10, 5]
    assert [part.weight for part in report.parts] == [3, 4, 5, 8, 2, 3]
    (participation,) = [item for item in cuhk.grade if item.id == "participation"]
    assert [part.weight for part in participation.parts] == [Decimal("1.5"), Decimal("1.5"), 2]
    (extra,) = [item for item in cuhk.grade if item.extra]
    assert extra.weight == 5
    assert [part.weight for part in extra.parts] == [2, 3]
    (late,) = cuhk.late
    assert isinstance(late, LateCap)
    assert late.most == 50
    assert {each.id: each.team for each in cuhk.assignments}["project"] == 3
    (pages,) = [rule for rule in cuhk.rules if rule.kind == "pages"]
    assert pages.most == 5
    (questions,) = [rule for rule in cuhk.rules if rule.kind == "questions"]
    assert (questions.least, questions.most) == (20, 30)


@each_course
def test_every_open_decision_stands_in_a_new_edition(name: str) -> None:
    import datetime

    text = text_of(course(name), datetime.date(2027, 1, 18))
    for decision in course(name).decisions:
        where = decision.of if decision.kind in ("date", "time") else decision.id
        assert f"{where} = " in text
    assert f'base = "{name}"' in text


def test_what_is_held_is_no_break() -> None:
    assert not {"break", "cancelled", "deadline"} & set(HELD)
