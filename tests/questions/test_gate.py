"""The gate refuses what is wrong with a generator, whatever it is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from random import Random

import pytest

from etude.questions import (
    Choice,
    Count,
    Generator,
    Number,
    Order,
    Question,
    Redraw,
    Shown,
    Wrong,
    draw,
    question,
)
from etude.questions.asking import seed_of
from etude.questions.gate import troubles
from etude.questions.lesson import places

LESSON = """# A lesson

**Here** it is settled. **Not here.**

*There* it is, too.

- *rotary*: a kind.

## What to look at

- *fit*, *bases*: two figures.
"""


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(LESSON)
    claims = [{"metric": "test/accuracy", "mean": 0.9}]
    (tmp_path / "record.json").write_text(json.dumps({"quick": {"claims": claims}}))
    return path


def test_the_parts_of_a_lesson_are_found_with_their_lines() -> None:
    assert places(LESSON) == {
        "A lesson": 1,
        "Here": 3,
        "There": 5,
        "rotary": 7,
        "What to look at": 9,
        "figure fit": 11,
        "figure bases": 11,
    }


def sound(rng: Random) -> Count:
    """How many there are."""
    a, b = rng.randint(10, 99), rng.randint(2, 9)
    return Count(
        prompt=f"What is {a} times {b}?",
        answer=a * b,
        unit="things",
        wrong=(Wrong(a + b, "it was added", "Times is not plus."),),
        why=f"{a * b}.",
        see="Here",
    )


def test_a_sound_generator_passes(lesson: Path) -> None:
    assert [*troubles(Generator(sound, of="x", lesson=lesson))] == []


calls = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Leaky(Count):
    """Shows its answer."""

    def shown(self) -> Shown:
        return replace(super().shown(), how=f"a number, but not {self.answer + 1}")


def leaky(q: Count) -> Question:
    return Leaky(**{each.name: getattr(q, each.name) for each in fields(q)})


def number(q: Count, **changes: object) -> Question:
    given = {"prompt": q.prompt, "why": "w", "see": "Here", "answer": float(q.answer)}
    wrong = (Wrong(2.0 * q.answer, "doubled", "No."),)
    return Number(**{**given, "wrong": wrong, **changes})  # type: ignore[arg-type]


def choice(q: Count, *wrong: str) -> Question:
    return Choice(
        prompt=q.prompt,
        why="w",
        see="Here",
        answer="one",
        wrong=tuple(Wrong(each, f"it was {each}", "No.") for each in wrong),
    )


BROKEN: dict[str, tuple[Callable[[Count], Question], str]] = {
    "a misconception is right": (
        lambda q: replace(q, wrong=(Wrong(q.answer, "a", "b"),)),
        "two of its numbers are the same",
    ),
    "misconceptions are the same": (
        lambda q: replace(q, wrong=(q.wrong[0], q.wrong[0])),
        "two of its numbers are the same",
    ),
    "none is known": (lambda q: replace(q, wrong=()), "knows no misconception"),
    "one has no name": (
        lambda q: replace(q, wrong=(Wrong(q.answer + 1, "", "b"),)),
        "has no name or says nothing",
    ),
    "the lesson has no such part": (lambda q: replace(q, see="Nowhere"), "points at 'Nowhere'"),
    "nor for a misconception": (
        lambda q: replace(q, wrong=(Wrong(q.answer + 1, "a", "b", "figure none"),)),
        "points at 'figure none'",
    ),
    "it says not why": (lambda q: replace(q, why=" "), "says not why"),
    "the answer stands in the prompt": (
        lambda q: replace(
            q,
            answer=q.answer + 12_000,
            prompt=f"Is {q.answer + 12_000:,} right?".replace(",", "\xa0"),
        ),
        "the answer stands in the prompt",
    ),
    "what is shown tells it": (leaky, "depends on the answer"),
    "it is drawn from elsewhere": (
        lambda q: replace(q, prompt=f"{q.prompt} {next(calls)}"),
        "gives two questions",
    ),
    "all students get the same": (
        lambda q: replace(q, prompt="What is 2 times 3?", answer=6),
        "1 different questions",
    ),
    "a count is not whole": (lambda q: replace(q, answer=1.5), "not whole"),  # type: ignore[arg-type]
    "a number is not finite": (lambda q: number(q, answer=float("inf")), "not finite"),
    "numbers can't be told apart": (
        lambda q: number(q, wrong=(Wrong(q.answer * 1.015, "a", "b"),)),
        "can't be told apart",
    ),
    "options are the same": (lambda q: choice(q, "two", "two"), "two of its options are the same"),
    "options are too few": (lambda q: choice(q, "two"), "expected at least 3"),
    "an option is right": (lambda q: choice(q, "one", "two"), "two of its options are the same"),
    "another thing is ordered": (
        lambda q: Order(
            prompt=q.prompt,
            why="w",
            see="Here",
            answer=("a1", "b1", "c1"),
            wrong=(Wrong(("a1", "b1", "d1"), "a", "b"),),
        ),
        "orders other things",
    ),
    "it raises": (lambda q: 1 // 0, "it fails: ZeroDivisionError"),  # type: ignore[return-value]
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_generator_is_refused(name: str, lesson: Path) -> None:
    spoil, sentence = BROKEN[name]

    def broken(rng: Random) -> Question:
        """How many there are."""
        return spoil(sound(rng))

    found = [*troubles(Generator(broken, of="x", lesson=lesson), seeds=40)]
    assert any(sentence in each for each in found), found
    assert all(each.startswith("x/broken: ") for each in found)


def test_one_without_docstring_is_refused(lesson: Path) -> None:
    generator = Generator(lambda rng: sound(rng), of="x", lesson=lesson)
    assert "no docstring" in next(troubles(generator, seeds=25))


@pytest.mark.parametrize(
    ("cited", "sentence"),
    [
        ({"test/accuracy": 0.9}, ""),
        ({"test/accuracy": 0.95}, "the record says 0.9"),
        ({"test/loss": 0.1}, "the record does not have"),
    ],
)
def test_a_record_that_says_otherwise_is_seen(
    cited: dict[str, float], sentence: str, lesson: Path
) -> None:
    generator = replace(question(cites=cited)(sound), of="x", lesson=lesson)
    found = [*troubles(generator, seeds=30)]
    assert (sentence in found[0]) if sentence else not found


def test_a_generator_may_ask_for_other_numbers(lesson: Path) -> None:
    def picky(rng: Random) -> Count:
        """Of even numbers."""
        made = sound(rng)
        if made.answer % 2:
            raise Redraw
        return made

    generator = Generator(picky, of="x", lesson=lesson)
    assert all(generator.pose(seed).answer % 2 == 0 for seed in range(20))  # type: ignore[attr-defined]
    assert not [*troubles(generator)]

    def never(rng: Random) -> Count:
        raise Redraw

    with pytest.raises(Redraw, match="none of 100 draws"):
        Generator(never, of="x").pose(0)


# -- who gets which --------------------------------------------------------------------------------


def test_a_seed_depends_on_all_that_it_is_told() -> None:
    one = seed_of(b"key", "ada", "x/sound", 1)
    assert one == seed_of(b"key", "ada", "x/sound", 1)
    others = [
        seed_of(b"kez", "ada", "x/sound", 1),
        seed_of(b"key", "bob", "x/sound", 1),
        seed_of(b"key", "ada", "x/soun", 1),
        seed_of(b"key", "ada", "x/sound", 2),
        seed_of(b"key", 'ada", "x/sound', "", 1),
    ]
    assert len({one, *others}) == 6


def test_a_draw_takes_as_many_from_each_group() -> None:
    def named(name: str) -> Generator:
        def make(rng: Random) -> Count:
            """A question."""
            return sound(rng)

        make.__name__ = name
        return Generator(make, of="x")

    groups = [[named(f"a{i}") for i in range(6)], [named(f"b{i}") for i in range(2)], []]
    drawn = [each.generator.name for each in draw(groups, 4, b"key")]
    assert sorted(name[0] for name in drawn) == ["a", "a", "b", "b"]
    assert len(set(drawn)) == 4
    again = draw(groups, 4, b"key")
    assert [each.question for each in again] == [each.question for each in draw(groups, 4, b"key")]
    assert {e.generator.name for e in draw(groups, 8, b"key")} == {
        *(f"a{i}" for i in range(6)),
        "b0",
        "b1",
    }
    twice = draw(groups, 16, b"key")
    assert len({each.question.prompt for each in twice}) > 8  # the same again, with other numbers
    assert [e.question for e in draw(groups, 8, b"key", "ada")] != [
        e.question for e in draw(groups, 8, b"key", "bob")
    ]
    assert draw([], 3, b"key") == []
