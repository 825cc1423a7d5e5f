"""What holds of every policy, whatever a student did and whatever is decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import combinations
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from etude.courses.course import Late, LateByPercent, LateCap, Letter
from etude.courses.lateness import late_days
from etude.courses.letters import letter_of, spans
from etude.courses.library import SYLLABI, course
from etude.courses.policy import Policy
from etude.courses.student_work import Mark, StudentWork
from etude.courses.summing import best_average
from tests.courses.editions import DUE, LETTERS, ZONE, all_in, decided, everything

WAYS: dict[str, dict[str, list[Any]]] = {  # what can be decided on grades
    "OU": {"late_day": ["begun", "whole", "exact"], "report_of": ["course", "project"]},
    "ITU": {"late": ["nothing", "all"]},
    "NCKU": {},
    "CU": {
        "late_days": ["floor", "ceiling"],
        "late_day": ["begun", "whole", "exact"],
        "late_order": ["after", "before"],
        "late_excused": ["no", "yes"],
        "late_marks": ["top", "place", "bottom"],
        "projects_too": ["no", "yes"],
        "letters": [LETTERS, {"A": 93, "A-": 90, "B+": 87, "B": 80, "B-": 70, "C": 50, "D": 0}],
    },
    "CUHK": {
        "late_assignments": ["nothing", "all"],
        "late_originality": ["beside", "within", "own-half"],
        "participation": ["within", "make-up"],
    },
}


ADDED: dict[str, list[tuple[str, ...]]] = {  # what late rules of an instructor's own can be on
    "OU": [("homework",), ("project", "abstract"), ()],
    "ITU": [("assignments",), ("A1", "project")],
    "NCKU": [("project",)],
    "CU": [("assignments",), ("projects",), ("A1", "final"), ()],
    "CUHK": [("assignments",), ("A1",), ("project",), ()],
}


@cache
def policy_of(name: str, made: tuple[tuple[str, str], ...], added: tuple[Late, ...]) -> Policy:
    ways = WAYS[name]
    edition = decided(name, **{key: ways[key][int(number)] for key, number in made})
    late = (*edition.course.late, *added)
    return Policy(replace(edition, course=structs.replace(edition.course, late=late)))


@st.composite
def policies(draw: st.DrawFn, names: tuple[str, ...] = SYLLABI, capped: bool = False) -> Policy:
    """A syllabus as it may be decided, with a late rule that an instructor may add."""
    name = draw(st.sampled_from(names))
    made = tuple((k, str(draw(st.integers(0, len(v) - 1)))) for k, v in WAYS[name].items())
    of = draw(st.sampled_from(ADDED[name]))
    rules: dict[str, tuple[Late, ...]] = {
        "none": (),
        "percent": (LateByPercent(per_day=Decimal(10), days=3, counts="whole", of=of, words="x"),),
        "cap": (LateCap(most=Decimal(10), of=of, words="x"),),
    }
    kind = "cap" if capped else draw(st.sampled_from([*rules]))
    return policy_of(name, made, rules[kind])


EDGES = "59.99 60 69.995 70 79.99 80 89.99 89.995 90 90.01"
PERCENTS = st.one_of(
    st.integers(0, 100).map(Decimal),
    st.decimals(0, 100, places=3),
    st.sampled_from(EDGES.split()).map(Decimal),
)
HOURS = st.one_of(st.integers(-48, 400), st.floats(-1, 60, allow_nan=False))


@st.composite
def works(draw: st.DrawFn, policy: Policy) -> StudentWork:
    """A student who handed in everything that has a mark, at any time. Where one of several works
    is handed in, the mark is one for any of them, or for the part.
    """
    marks = {
        draw(st.sampled_from(piece.keys)): Mark(draw(PERCENTS))
        for leaf in policy.pieces.leaves
        for piece in policy.of[leaf]
    }
    due = DUE.replace(tzinfo=ZONE)
    hours = draw(st.lists(HOURS, min_size=1, max_size=4))
    ids = [*policy.pieces.assignments]
    handed = {a: due + timedelta(hours=hours[n % len(hours)]) for n, a in enumerate(ids)}
    excused = draw(st.lists(st.sampled_from(ids), max_size=2))
    extended = {
        a: due + timedelta(hours=draw(st.integers(-100, 300)))
        for a in draw(st.lists(st.sampled_from(ids), max_size=2))
    }
    return StudentWork(marks, handed, extended, excused)


def sum_of(policy: Policy, work: StudentWork) -> Fraction:
    grade = policy.grade(work, final=True)
    assert not grade.undecided
    assert grade.marks is not None
    return grade.marks


SHARES = st.tuples(st.fractions(0, 1, max_denominator=20), st.integers(1, 30))
FEW = settings(max_examples=60, deadline=None)


@FEW
@given(st.data())
def test_a_later_submission_never_scores_more(data: st.DataObject) -> None:
    policy = data.draw(policies())
    work = data.draw(works(policy))
    name = data.draw(st.sampled_from([*work.handed_in]))
    by = timedelta(hours=data.draw(st.integers(0, 400)), seconds=data.draw(st.integers(0, 3600)))
    later = replace(work, handed_in={**work.handed_in, name: work.handed_in[name] + by})
    assert sum_of(policy, later) <= sum_of(policy, work)


@FEW
@given(st.data())
def test_an_extension_never_lowers(data: st.DataObject) -> None:
    policy = data.draw(policies())
    work = replace(data.draw(works(policy)), extended={})
    name = data.draw(st.sampled_from([*work.handed_in]))
    to = DUE.replace(tzinfo=ZONE) + timedelta(hours=data.draw(st.integers(-400, 400)))
    assert sum_of(policy, replace(work, extended={name: to})) >= sum_of(policy, work)


@FEW
@given(st.data())
def test_an_excuse_never_lowers_what_is_done(data: st.DataObject) -> None:
    policy = data.draw(policies())
    work = replace(data.draw(works(policy)), excused=())
    name = data.draw(st.sampled_from([*work.handed_in]))
    assert sum_of(policy, replace(work, excused=[name])) >= sum_of(policy, work)


@FEW
@given(st.data())
def test_better_work_never_gets_less(data: st.DataObject) -> None:
    policy = data.draw(policies())
    work = data.draw(works(policy))
    name = data.draw(st.sampled_from([*work.marks]))
    more = Mark(data.draw(PERCENTS))
    assume(more.earned >= work.marks[name].earned)
    better = replace(work, marks={**work.marks, name: more})
    assert sum_of(policy, better) >= sum_of(policy, work)


@FEW
@given(policies())
def test_who_scores_all_gets_all_and_who_scores_nothing_gets_nothing(policy: Policy) -> None:
    handed = all_in(policy)
    extra = sum((i.weight or 0 for i in policy.course.grade if i.extra), Decimal(0))
    grade = policy.grade(StudentWork(everything(policy), handed), final=True)
    assert grade.letter == policy.course.letters[0].letter
    assert grade.of == 100
    report = policy.made("report-of")
    assert grade.marks == 100 + (extra if report in (None, "course") else Decimal(16))
    assert policy.grade(StudentWork(everything(policy, 0), handed), final=True).marks == 0


@FEW
@given(st.data())
def test_parts_sum_to_the_marks(data: st.DataObject) -> None:
    policy = data.draw(policies(("OU", "ITU", "NCKU", "CU")))
    grade = policy.grade(data.draw(works(policy)), final=True)
    assert grade.marks == sum((part.marks or 0 for part in grade.parts), Fraction(0))

    def check(part: Any) -> None:
        if part.parts and part.marks is not None:
            assert sum((each.marks or 0 for each in part.parts), Fraction(0)) == part.marks
        for each in part.parts:
            check(each)

    for part in grade.parts:
        check(part)


@FEW
@given(st.data())
def test_marks_so_far_are_at_most_what_is_marked(data: st.DataObject) -> None:
    policy = data.draw(policies(("ITU", "NCKU", "CU")))  # no extra credit
    work = data.draw(works(policy))
    kept = data.draw(st.sets(st.sampled_from([*work.marks])))
    some = replace(work, marks={k: v for k, v in work.marks.items() if k in kept}, excused=())
    grade = policy.grade(some)
    assert grade.marks is not None
    assert 0 <= grade.marks <= grade.of <= 100
    assert (grade.letter is None) == bool(grade.missing)
    assert policy.grade(work).of == 100


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_who_is_late_with_one_work_loses_nothing_in_another(data: st.DataObject) -> None:
    """Nor in what was chosen in its place. CUHK's originality is held by the project alone."""
    policy = data.draw(policies(("CU", "CUHK"), capped=True))
    work = replace(data.draw(works(policy)), handed_in=all_in(policy), extended={}, excused=())
    at = DUE.replace(tzinfo=ZONE) + timedelta(hours=data.draw(st.integers(1, 400)))
    before = earned(policy, work)
    for name in work.handed_in:
        may_lose = {"originality"} if name == "project" else set()
        for leaf in policy.pieces.leaves:
            for piece in policy.of[leaf]:
                (key,) = work.marks.keys() & {*piece.keys}
                if name == key or (name in piece.assignments and key not in piece.assignments):
                    may_lose |= {*policy.pieces.above[leaf]}
        after = earned(policy, replace(work, handed_in={**work.handed_in, name: at}))
        assert {part for part in before if after[part] != before[part]} <= may_lose


def earned(policy: Policy, work: StudentWork) -> dict[str, Fraction]:
    waiting, found = [*policy.grade(work, final=True).parts], {}
    while waiting:
        part = waiting.pop()
        found[part.item.id] = part.earned
        waiting += part.parts
    return found


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_what_is_missed_counts_as_nothing_by_whatever_name(data: st.DataObject) -> None:
    policy = data.draw(policies())
    work = data.draw(works(policy))
    for piece in [each for leaf in policy.pieces.leaves for each in policy.of[leaf]]:
        marks = {key: mark for key, mark in work.marks.items() if key not in piece.keys}
        handed = {name: at for name, at in work.handed_in.items() if name not in piece.assignments}
        for key in piece.keys:
            grade = policy.grade(StudentWork(marks, handed, missed=[key]))
            assert grade.missing == ()
            zero = policy.grade(StudentWork({**marks, key: Mark(Decimal(0))}, handed))
            assert grade.marks == zero.marks


@given(st.sampled_from(["OU"]), st.integers(0, 4), st.fractions(0, 1))
def test_at_each_edge_of_each_letter_the_sentence_holds(
    name: str, at: int, place: Fraction
) -> None:
    letters = course(name).letters
    bounds = [Fraction(100), *(Fraction(each.above or 0) for each in letters[:-1]), Fraction(0)]
    high, low = bounds[at], bounds[at + 1]
    above, not_more = low, high
    inside = high - place * (high - low)
    assume(inside > above or at == 4)
    assert letter_of(letters, inside) == letters[at].letter  # "above low but not more than high"
    assert letter_of(letters, not_more) == letters[at].letter
    if at < 4:
        assert letter_of(letters, above) == letters[at + 1].letter


@given(
    st.lists(st.integers(1, 99), min_size=1, max_size=6, unique=True),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.fractions(0, 100),
)
def test_spans_are_where_letters_are(
    bounds: list[int], includes: list[bool], marks: Fraction
) -> None:
    bounds.sort(reverse=True)
    letters = [
        Letter(letter="ABCDEF"[n], above=Decimal(b), includes=includes[n], words="x")
        for n, b in enumerate(bounds)
    ] + [Letter(letter="Z", words="x")]
    (span,) = [each for each in spans(letters) if each.letter == letter_of(letters, marks)]
    assert span.low <= marks <= span.high
    for each in spans(letters):
        assert letter_of(letters, each.least) == each.letter
        assert letter_of(letters, each.best) == each.letter


@given(
    st.datetimes(min_value=DUE.replace(year=2000), max_value=DUE.replace(year=2040)),
    st.timedeltas(timedelta(0), timedelta(days=40)),
    st.timedeltas(timedelta(0), timedelta(days=5)),
    st.timezones(),
)
@settings(max_examples=200, deadline=None)
def test_days_late_grow_with_time_in_every_zone(due: Any, late: Any, more: Any, zone: Any) -> None:
    from datetime import UTC

    due = due.replace(tzinfo=zone)
    handed = due.astimezone(UTC) + late
    first, second = late_days(due, handed), late_days(due, handed + more)
    assert 0 <= first <= second
    assert abs(first - Fraction(late / timedelta(days=1))) <= 1.1
    assert (first == 0) == (late == timedelta(0))


@given(
    st.lists(
        st.tuples(st.fractions(0, 1, max_denominator=20), st.integers(1, 30)),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 6),
)
def test_the_works_that_count_are_the_best_choice(
    shares: list[tuple[Fraction, int]], keep: int
) -> None:
    keep = min(keep, len(shares))
    weighed = [(share, Fraction(weight)) for share, weight in shares]
    best = max(
        sum((s * w for s, w in kept), Fraction(0)) / sum((w for _, w in kept), Fraction(0))
        for kept in combinations(weighed, keep)
    )
    assert best_average(weighed, keep) == best


@pytest.mark.parametrize("name", SYLLABI)
def test_a_policy_says_the_same_twice_and_changes_nothing(name: str) -> None:
    policy = Policy(decided(name))
    work = StudentWork(everything(policy, 77), all_in(policy, 50))
    before = repr(work)
    first, second = policy.grade(work, final=True), policy.grade(work, final=True)
    assert first == second
    assert repr(work) == before
    assert policy.grade(work, final=True) == Policy(decided(name)).grade(work, final=True)
