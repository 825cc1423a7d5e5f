"""The gate over all questions of all studies, and what their files may hold."""

from __future__ import annotations

import ast
import re

import pytest

from etude.catalogue import Catalogue
from etude.entry import Entry
from etude.questions import Predict
from etude.questions.gate import troubles
from etude.sources import imported_files

ASKING = [entry for entry in Catalogue().all() if entry.has_questions]
each_study = pytest.mark.parametrize("entry", ASKING, ids=lambda entry: entry.name)
COMPUTE = {"studies", "layers", "networks", "training", "autodiff", "data"}  # rooms


@each_study
def test_every_question_passes_the_gate(entry: Entry) -> None:
    found = [trouble for each in entry.questions() for trouble in troubles(each)]
    assert not found, "\n".join(found)


@each_study
def test_a_study_asks_five_questions_of_several_kinds(entry: Entry) -> None:
    generators = entry.questions()
    assert len(generators) >= 5
    assert len({each.name for each in generators}) == len(generators)
    assert len({each.pose(0).kind for each in generators}) >= 3


@each_study
def test_answers_are_computed_by_code_of_ours(entry: Entry) -> None:
    path = entry.path.with_name("_questions.py")
    rooms = {other.relative_to(path.parents[3]).parts[0] for other in imported_files(path)}
    assert rooms & COMPUTE
    assert typed(path.read_text(encoding="utf-8")) == []


def typed(source: str) -> list[int]:
    """The lines in which a number is given as an answer."""
    return [
        node.lineno
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        for node in [each for each in call.keywords if each.arg == "answer"]
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, int | float)
    ]


def test_a_typed_answer_is_seen() -> None:
    assert typed("Count(answer=12)\nCount(answer=f(12))\nNumber(\n  answer=-1,\n  why=2.0)") == [1]
    assert typed("Number(answer=0.5, why='')") == [1]


@each_study
def test_what_is_to_be_run_is_a_command_for_this_study(entry: Entry) -> None:
    for each in entry.questions():
        question = each.pose(0)
        if isinstance(question, Predict):
            words = question.run.split()
            assert words[:3] == ["etude", "run", entry.name]
            options = {f"--{field.name.replace('_', '-')}" for field in entry.fields}
            assert {word for word in words if re.match("--", word)} <= options | {"--scale"}
