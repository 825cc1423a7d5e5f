"""Every assignment passes the gate; the gate refuses what may not be handed out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from etude.cli import main
from etude.courses.library import all_courses
from etude.exercises import gate as gates
from etude.exercises.checks import (
    Check,
    Code,
    Failure,
    agree,
    array_of,
    check,
    checks_of,
    numeric_gradient,
)
from etude.exercises.gate import NOT_ATTEMPTED, code_of, gate, outcomes
from etude.exercises.packs import Experiment, Pack, names, pack

each_pack = pytest.mark.parametrize(
    "name", [name for name in names() if not isinstance(pack(name), Experiment)]
)


@each_pack
def test_a_pack_passes_the_gate(name: str) -> None:
    report = gate(pack(name))
    assert report.troubles == []
    assert report.mutants >= 5 * len(pack(name).regions)


def test_every_pack_is_part_of_a_course_and_every_part_is_a_pack() -> None:
    named: set[str] = set()
    for course in all_courses():
        named |= {name for row in course.schedule for name in row.packs}
        named |= {name for each in course.assignments for name in each.packs}
    assert named == set(names())


@dataclasses.dataclass(frozen=True)
class Small(Pack):
    """A pack without files."""

    code: str = ""
    given: str = "# Small\n"
    asked: tuple[Check, ...] = ()

    @property
    def source(self) -> str:
        return self.code

    @property
    def text(self) -> str:
        return self.given

    @property
    def checks(self) -> list[Check]:
        return list(self.asked)

    def reference(self) -> gates.Variant:
        code = code_of(self.source, "small")
        assert isinstance(code, gates.Variant)
        return code


DOUBLE = '''def double(x):
    """Twice x."""
    # task double, 2 points: Double it.
    twice_of_x = 2 * x
    return twice_of_x
    # end of task
'''


@check("double", points=2, public=True)
def of_a_number(student: Code, reference: Code, rng: np.random.Generator) -> None:
    x = float(rng.normal())
    agree(student.call("double", x), reference.call("double", x))


def test_a_small_pack_passes() -> None:
    report = gate(Small("small", code=DOUBLE, asked=(of_a_number,)))
    assert report.troubles == []


def test_the_gate_refuses() -> None:
    def sees_nothing(student: Code, reference: Code, rng: np.random.Generator) -> None:
        student.call("double", 1.0)

    def is_wrong(student: Code, reference: Code, rng: np.random.Generator) -> None:
        agree(student.call("double", 1.0), 3.0)

    def asks_nothing(student: Code, reference: Code, rng: np.random.Generator) -> None:
        pass

    def hidden(student: Code, reference: Code, rng: np.random.Generator) -> None:
        of_a_number.run(student, reference, rng)

    for run, public, points, sentence in (
        (sees_nothing, True, 2, "mistakes; expected 80%"),
        (is_wrong, True, 2, "the reference fails"),
        (asks_nothing, True, 2, "no check of task double fails without its solution"),
        (hidden, False, 2, "has no public check"),
        (hidden, True, 1, "has 2 points and checks of 1"),
    ):
        asked = Check("double", run.__name__, points, public, run)
        report = gate(Small("small", code=DOUBLE, asked=(asked,)))
        assert any(sentence in trouble for trouble in report.troubles), report.troubles
    text = "# Small\n\nWrite `twice_of_x = 2 * x`.\n"
    report = gate(Small("small", code=DOUBLE, given=text, asked=(of_a_number,)))
    assert report.troubles == [
        "the text holds a line of the solution of double: twice_of_x = 2 * x"
    ]


def test_what_never_ends_is_found() -> None:
    endless = 'def double(x):\n    """Twice x."""\n    while True:\n        pass\n'
    small = Small("small", code=DOUBLE, asked=(of_a_number,))
    before = gates.PATIENCE
    try:
        gates.PATIENCE = 0.1
        (found,) = outcomes(small, code_of(endless, "small")).values()
    finally:
        gates.PATIENCE = before
    assert found == "TimeoutError: it computed longer than 0.1 s"


@pytest.mark.parametrize(
    ("found", "expected", "sentence"),
    [
        (np.zeros(3), np.zeros((3, 1)), "has shape (3,); expected (3, 1)"),
        (np.ones(3), 2 * np.ones(3), "wrong in 3 of 3 entries: at [0] it is 1; expected 2"),
        (np.array([1.0, np.nan]), np.ones(2), "at [1] it is nan; expected 1"),
        (np.array([1.0, np.inf]), np.ones(2), "at [1] it is inf; expected 1"),
        (np.ones(2), np.ones(2, int), "expected whole numbers"),
        (np.array([1, 2]), np.array([1, 3]), "wrong in 1 of 2 entries: at [1] it is 2; expected 3"),
        (np.array(["a"]), np.ones(1), "expected numbers"),
        (None, 1.0, "is None; expected"),
        ("1", 1.0, "is a str; expected"),
        ([1.0], [1.0, 2.0], "expected 2 values"),
        ("12", [1.0, 2.0], "expected 2 values"),
        ({"a": 1}, {"a": 1, "b": 2}, "expected a table of a, b"),
        ({"a": 1}, {"a": 2}, "a is 1; expected 2"),
        ("yes", "no", "'yes'; expected 'no'"),
        (3, 4, "is 3; expected 4"),
        (float("nan"), 2.5, "is nan; expected 2.5"),
        ([1.0, 2.0, 3.0], [1.0], "is a list of 3 values; expected 1 value"),
        ("1", 2, "is a str; expected a number"),
        ({1: 2}, {1: 2, 3: 4}, "expected a table of 1, 3"),
        ("a" * 80 + "b" + "c" * 80, "a" * 80 + "d" + "c" * 80, "differs from place 81 on"),
    ],
)
def test_what_does_not_agree(found: object, expected: object, sentence: str) -> None:
    with pytest.raises(Failure) as caught:
        agree(found, expected)
    assert sentence in str(caught.value)
    agree(expected, expected)


def test_an_array_is_asked_for() -> None:
    assert array_of(np.ones((2, 3)), (2, 3)).shape == (2, 3)
    for found in (np.ones(2), [1, 2], None, np.array(["x", "y"])):
        with pytest.raises(Failure):
            array_of(found, (2, 3))


def test_a_loss_that_says_nothing_has_no_gradient_to_compare_with() -> None:
    at = np.ones((2, 2))
    assert np.allclose(numeric_gradient(lambda x: float((x**2).sum()), at), 2 * at)
    for loss in (lambda x: 0.0, lambda x: float("nan"), lambda x: float("inf")):
        with pytest.raises(Failure, match="your loss is"):
            numeric_gradient(loss, at)


def test_checks_stand_in_the_order_of_the_file() -> None:
    from etude.exercises.assignments.classifiers import checks

    found = checks_of(checks)
    assert [each.name for each in found][:2] == [
        "all pairs",
        "a point is at no distance from itself",
    ]


def test_the_assignments_are_listed_and_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["assignment"]) == 0
    assert "softmax-loss" in capsys.readouterr().out
    assert main(["assignment", "list", "--json"]) == 0
    assert {each["assignment"] for each in json.loads(capsys.readouterr().out)} == set(names())
    assert main(["assignment", "start", "classifiers", "--out", "mine"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["mine/classifiers.py", "mine/classifiers.md"]
    assert "17 points" in err
    text = (tmp_path / "mine" / "classifiers.py").read_text()
    found = outcomes(pack("classifiers"), code_of(text, "mine"))
    assert set(found.values()) == {NOT_ATTEMPTED}
    assert main(["assignment", "check", "mine/classifiers.py"]) == 1
    assert "0 of 17 points" in capsys.readouterr().out
    assert main(["assignment", "check", "mine/classifiers.py", "--json"]) == 1
    outcomes_of_starter = json.loads(capsys.readouterr().out)["outcomes"]
    assert [each["verdict"] for each in outcomes_of_starter] == [NOT_ATTEMPTED] * 13
    (tmp_path / "solved.py").write_text(pack("classifiers").source)
    assert main(["assignment", "check", "solved.py", "--of", "classifiers"]) == 0
    assert "17 of 17 points" in capsys.readouterr().out
    wrong = pack("classifiers").source.replace(
        "np.maximum(x @ w1 + b1, 0) @ w2 + b2\n    # end", "x @ w1\n    # end"
    )
    (tmp_path / "classifiers.py").write_text(wrong)
    assert main(["assignment", "check", "classifiers.py", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {each["check"] for each in found["outcomes"] if not each["earned"]} == {
        "two-layers/scores"
    }
    (tmp_path / "classifiers.py").write_text("def softmax(:\n")
    assert main(["assignment", "check", "classifiers.py"]) == 2
    assert "is not Python" in capsys.readouterr().err
    text = pack("classifiers").starter.replace(
        'raise NotImplementedError("softmax-loss")', "return softmax(x @ w), 0"
    )
    (tmp_path / "classifiers.py").write_text(text)
    assert main(["assignment", "check", "classifiers.py"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "it asks for another task, too (softmax)" in said
    for words, sentence in (
        (["start", "classifiers", "--out", "mine"], "is there already"),
        (["check", "solved.py"], "--of names the assignment"),
        (["check", "nofile.py"], "can't be read"),
        (["check", "mine"], "--of names the assignment"),
        (["check", "mine", "--of", "classifiers"], "this is no file"),
        (["list", "layers"], "'etude assignment start layers' begins one"),
        (["check", "none/classifiers.py"], "can't be read"),
        (["start", "clasifiers"], "did you mean 'classifiers'?"),
        (["start"], "start which assignment?"),
        (["begin"], "etude assignment can't 'begin'"),
    ):
        assert main(["assignment", *words]) == 2
        assert sentence in capsys.readouterr().err
