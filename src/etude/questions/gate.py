"""What every question has to pass before a student sees it: 200 seeds, looked at from all sides."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import chain

from etude.questions.asking import Generator, measured
from etude.questions.choosing import Choice, Match, Order, Several, TrueFalse
from etude.questions.lesson import places
from etude.questions.question import Question, Shown, Unreadable, Wrong
from etude.questions.wording import Code

SEEDS = 200
VARIED = 20  # different questions among those of all seeds, whatever the order of options
CITED = 0.02  # how far a recorded number may be from what a question says, as a fraction of it


def troubles(generator: Generator, seeds: int = SEEDS) -> Iterator[str]:
    """What is wrong with a generator, a sentence each; the first of each kind.

    Args:
        generator: what is looked at.
        seeds: how many questions are made.
    """
    said: set[str] = set()
    lesson = generator.lesson.read_text(encoding="utf-8") if generator.lesson.is_file() else ""
    for sentence in chain(_citing(generator), _posing(generator, places(lesson), seeds)):
        kind = re.sub(r"\d+|'.*'|: .*", "", sentence)
        if kind not in said:
            said.add(kind)
            yield f"{generator.id}: {sentence}"


def _citing(generator: Generator) -> Iterator[str]:
    record = measured(generator.lesson)
    for metric, said in generator.cites.items():
        if metric not in record:
            yield f"it cites '{metric}', which the record does not have"
        elif abs(record[metric] - said) > CITED * max(abs(said), abs(record[metric])):
            yield f"it says that '{metric}' is {said:g}; the record says {record[metric]:g}"


def _posing(generator: Generator, parts: Collection[str], seeds: int) -> Iterator[str]:
    if not generator.about:
        yield "it has no docstring; expected what it asks, in a phrase"
    contents: set[tuple[object, ...]] = set()
    for seed in range(seeds):
        try:
            question = generator.pose(seed)
        except Exception as error:
            yield f"with seed {seed} it fails: {type(error).__name__}: {error}"
            return
        if seed < 3 and generator.pose(seed) != question:
            yield f"seed {seed} gives two questions; expected it to draw from its rng alone"
        found = [*question.troubles()]
        yield from (f"with seed {seed} {sentence}" for sentence in found)
        if not found:
            yield from (f"with seed {seed} {sentence}" for sentence in _question(question, parts))
        contents.add(_content(question.shown()))
    least = 1 if generator.cites else 4 if isinstance(question, Code) else min(VARIED, seeds)
    if len(contents) < least:
        yield f"{seeds} seeds give {len(contents)} different questions; expected at least {least}"


def _content(shown: Shown) -> tuple[object, ...]:
    """What is shown, whatever its order."""
    return (shown.prompt, frozenset(shown.options), frozenset(shown.items), shown.lines)


def _question(question: Question, parts: Collection[str]) -> Iterator[str]:
    """What is wrong with one question."""
    if not question.prompt.strip() or not question.why.strip():
        yield "it has no prompt or says not why; expected both"
    slips = [*question.slips()]
    if not slips and not isinstance(question, Order | Match | Several):
        yield "it knows no misconception; expected at least one"
    for place in {question.see, *(wrong.see for _, wrong in slips if wrong.see)}:
        if place not in parts:
            yield f"it points at '{place}', which is no part of the lesson"
    for _, wrong in slips:
        if not wrong.name.strip() or not wrong.says.strip():
            yield f"the misconception of {wrong.answer} has no name or says nothing"
    yield from _judging(question, slips)
    yield from _leaks(question)


def _judging(question: Question, slips: list[tuple[str, Wrong[object]]]) -> Iterator[str]:
    for spelling in question.spellings():
        try:
            judged = question.judge(spelling)
        except Unreadable as error:
            yield f"its answer can't be read when written {spelling!r}: {error}"
            continue
        if not judged.right:
            yield f"its answer is judged wrong when written {spelling!r}"
    # Two things that are matched the wrong way around may be two misconceptions at once.
    others = [wrong.name for _, wrong in slips] if isinstance(question, Match) else []
    for spelling, wrong in slips:
        try:
            judged = question.judge(spelling)
        except Unreadable as error:
            yield f"the misconception {wrong.name!r} can't be read as {spelling!r}: {error}"
            continue
        if judged.right:
            yield f"the misconception {wrong.name!r} is judged right"
        elif judged.misconception not in {wrong.name, *others}:
            yield f"the misconception {wrong.name!r} is taken for {judged.misconception!r}"


def _leaks(question: Question) -> Iterator[str]:
    """Whether a student could read the answer off what is shown."""
    if question.shown() != _unlike(question).shown():
        yield "what is shown depends on the answer"
    if isinstance(question, Choice | Several | TrueFalse | Order | Match):
        return  # whose answers stand among others
    prompt = re.sub(r"(?<=\d)[\s,'_](?=\d{3})", "", question.prompt).casefold()
    plainest = next(question.spellings()).casefold()
    long = len(re.sub(r"\W", "", plainest)) >= 4  # a short one stands in a prompt by chance
    if long and re.search(rf"(?<![\w.]){re.escape(plainest)}(?!\w)", prompt):
        yield "the answer stands in the prompt"


def _unlike(question: Question) -> Question:
    """A question with another answer and another explanation, shown in the same order."""
    return replace(question.with_another_answer(), why="another", see="another")
