"""Five students of ECE-472, whose grades somebody else has reckoned by hand from the syllabus.

Decided: letters at 90, 80, 70, 60; a letter for each two days that have begun; the cap at B after;
marks at the same place in the lower letter. A1 has 13 points.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from etude.courses.policy import Policy
from etude.courses.student_work import Mark, StudentWork
from tests.courses.editions import decided, hours_late

LATER = ("A2", "A3", "A4", "A5", "midterm", "final", "quizzes", "participation")
MOST = (100, 100, 100, 100, 100, 100, 40, 100)
STUDENTS = {  # points of A1, hours after its deadline, the other marks, and the sum by hand
    # 8 · 9/13 = 5.5385, and 80.37 of the rest
    "in time": (9, -1, (90, 85, 80, 75, 88, 92, 34, 95), "85.9085"),
    # one day has begun: one letter; 69.23 % is a D, 12/13 of the way up; F's 12/13 are 55.38 %
    "a day late": (9, 20, (80, 70, 60, 90, 70, 85, 30, 80), "75.1308"),
    # three days: two letters, and below F there is none: nothing is left of A1
    "three days late": (9, 60, (100, 95, 90, 85, 60, 75, 20, 70), "63.1500"),
    # three days, and an extension of four
    "extended": (9, 60, (72, 68, 77, 81, 90, 66, 37, 100), "82.2685"),
    # 8 · 4/13 = 2.4615
    "four points": (4, -1, (55, 60, 65, 70, 50, 58, 18, 60), "52.0515"),
}


@pytest.mark.parametrize("who", STUDENTS)
def test_the_sum_is_that_by_hand(who: str) -> None:
    points, hours, rest, by_hand = STUDENTS[who]
    edition = decided(
        "CU",
        late_days="ceiling",
        late_marks="place",
        assignments={"A1": 8, "A2": 6, "A3": 6, "A4": 5, "A5": 5},
        projects={"midterm": 12, "final": 18},
    )
    policy = Policy(edition)
    marked = {"A1": Mark(Decimal(points), Decimal(13))}
    for name, earned, most in zip(LATER, rest, MOST, strict=True):
        marked[name] = Mark(Decimal(earned), Decimal(most))
    handed = {each.id: hours_late(-1) for each in edition.course.assignments}
    handed["A1"] = hours_late(hours)
    until = {"A1": hours_late(0) + timedelta(days=4)} if who == "extended" else {}
    found = policy.grade(StudentWork(marked, handed, extended=until), final=True)
    assert found.undecided == ()
    assert abs(found.marks - Fraction(by_hand)) < Fraction(1, 10_000)
