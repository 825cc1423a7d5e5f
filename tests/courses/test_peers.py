"""Who reviews whose work."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.courses.peers import draw
from etude.errors import UserError


@st.composite
def classes(draw_: st.DrawFn) -> dict[str, str]:
    sizes = draw_(st.lists(st.integers(1, 4), min_size=2, max_size=9))
    names = iter(range(100))
    return {f"s{next(names)}": f"t{team}" for team, size in enumerate(sizes) for _ in range(size)}


@settings(max_examples=150, deadline=None)
@given(classes(), st.integers(0, 10**6), st.integers(1, 4))
def test_nobody_reviews_her_own_or_her_teams(teams: dict[str, str], seed: int, each: int) -> None:
    pairs = draw(teams, seed, each)
    works = set(teams.values())
    assert list(pairs) == sorted(teams)
    for reviewer, of in pairs.items():
        assert teams[reviewer] not in of
        assert set(of) <= works
        assert len(of) == len(set(of)) == min(each, len(works) - 1)
    assert draw(dict(reversed(teams.items())), seed, each) == pairs


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 40), st.integers(0, 10**6), st.integers(1, 5))
def test_alone_each_is_reviewed_as_often_as_she_reviews(count: int, seed: int, each: int) -> None:
    teams = {f"s{n}": f"s{n}" for n in range(count)}
    got = Counter(work for of in draw(teams, seed, each).values() for work in of)
    assert set(got.values()) == {min(each, count - 1)}
    assert len(got) == count


@settings(max_examples=100, deadline=None)
@given(classes(), st.integers(0, 10**6), st.integers(1, 3))
def test_reviews_are_shared_as_evenly_as_can_be(
    teams: dict[str, str], seed: int, each: int
) -> None:
    """No single review that moves to another work makes it more even."""
    pairs = draw(teams, seed, each)
    got = Counter(dict.fromkeys(teams.values(), 0))
    got.update(work for of in pairs.values() for work in of)
    for reviewer, of in pairs.items():
        for old in of:
            for new in got:
                if new != teams[reviewer] and new not in of:
                    assert got[new] >= got[old] - 1
    if len(set(Counter(teams.values()).values())) == 1:  # teams of one size
        assert max(got.values()) - min(got.values()) <= 1


def test_the_seed_decides() -> None:
    teams = {f"s{n}": f"s{n}" for n in range(20)}
    assert draw(teams, 1, 3) == draw(teams, 1, 3)
    assert len({str(draw(teams, seed, 3)) for seed in range(20)}) == 20


@settings(max_examples=100, deadline=None)
@given(classes(), st.integers(1, 3), st.integers(0, 99), st.integers(1, 3))
def test_late_ones_are_added_and_nothing_else_changes(
    teams: dict[str, str], each: int, seed: int, late: int
) -> None:
    before = draw(teams, seed, each)
    more = teams | {f"late{n}": f"late{n}" for n in range(late)}
    after = draw(more, seed, each, before)
    for reviewer, of in before.items():
        assert set(of) <= set(after[reviewer])
    got = Counter(work for of in after.values() for work in of)
    for n in range(late):
        assert len(after[f"late{n}"]) >= min(each, len(set(more.values())) - 1)
        assert f"late{n}" not in after[f"late{n}"]
        assert got[f"late{n}"] >= min(each, len(more) - 4)
    assert all(more[reviewer] not in of for reviewer, of in after.items())
    assert all(len(of) == len(set(of)) for of in after.values())


def test_who_leaves_keeps_what_was_drawn_for_the_others() -> None:
    teams = {f"s{n}": f"s{n}" for n in range(6)}
    before = draw(teams, 1, 2)
    del teams["s3"]
    after = draw(teams, 1, 2, before)
    assert all(set(before[name]) <= set(after[name]) for name in teams)


def test_nobody_to_review() -> None:
    for teams, each in (({}, 1), ({"a": "t", "b": "t"}, 1), ({"a": "a", "b": "b"}, 0)):
        with pytest.raises(UserError):
            draw(teams, 1, each)
