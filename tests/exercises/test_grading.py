"""Grading: each check has one verdict, and nothing but an answer gives points."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.random import Generator

from etude.errors import UserError
from etude.exercises import grading
from etude.exercises.checks import Check, Code, Failure, agree, check, require
from etude.exercises.grading import (
    Exercise,
    Outcome,
    Result,
    Verdict,
    grade,
    seeded,
)
from etude.exercises.remote import Trouble, Unstarted, Workers
from etude.exercises.sandbox import Boxed, Limits, Tier
from tests.exercises.small import EXERCISE, REFERENCE, RIGHT, Reference, best, handed_in, held

IDS = [each.id for each in EXERCISE.checks]


def graded(
    content: bytes, exercise: Exercise = EXERCISE, name: str = "a.py", **options: object
) -> Result:
    settings: dict[str, object] = {"key": b"a key", "student": "s1", "tier": best(), **options}
    return grade(exercise, name, content, **settings)  # type: ignore[arg-type]


def verdicts(result: Result) -> dict[str, Verdict]:
    return {each.check: each.verdict for each in result.outcomes}


def test_a_right_solution_scores_full_and_a_starter_nothing() -> None:
    right, nothing = graded(handed_in()), graded(EXERCISE.starter.encode())
    assert verdicts(right) == dict.fromkeys(IDS, Verdict.PASS)
    assert verdicts(nothing) == dict.fromkeys(IDS, Verdict.NOT_ATTEMPTED)
    assert (right.public.earned, right.hidden.earned) == (1, 8)
    assert (nothing.public.earned, nothing.hidden.earned) == (0, 0)
    assert right.public.possible == nothing.public.possible == 1
    assert right.hidden.possible == nothing.hidden.possible == 8
    assert right.scored
    assert right.attempt
    assert nothing.attempt
    assert right.tier == best().tier
    assert right.submission != nothing.submission
    assert right.starter == nothing.starter
    assert right.checks == nothing.checks == EXERCISE.digest


def test_the_reference_scores_full() -> None:
    assert verdicts(graded(REFERENCE.encode())) == dict.fromkeys(IDS, Verdict.PASS)


def test_a_half_right_solution_scores_what_is_right() -> None:
    unstable = "def softmax(x):\n    p = np.exp(x)\n    return p / p.sum(1, keepdims=True)\n"
    result = graded(handed_in(softmax=unstable, relu=""))
    assert list(verdicts(result).values()) == [
        Verdict.PASS,
        Verdict.FAIL,
        Verdict.NOT_ATTEMPTED,
        Verdict.PASS,
    ]
    assert (result.public.earned, result.hidden.earned) == (1, 4)
    assert "it is nan; expected" in result.outcomes[1].sentence


def test_a_failure_says_shape_and_error_and_a_mistake_its_line() -> None:
    result = graded(
        handed_in(
            "import numpy as np\n",
            softmax="def softmax(x):\n    return x[:, 0]\n",
            relu="def relu(x):\n    return np.maximum(x, 0) * 1.001\n",
            momentum=(
                "class Momentum:\n    def step(self, weights, gradient):\n"
                "        a = [1]\n        return a[2]\n"
            ),
        )
    )
    said = [each.sentence for each in result.outcomes]
    where = r"the answer is wrong in \d+ of \d+ entries: at \[5\] it is [\d.]+; expected [\d.]+"
    assert re.fullmatch(where, said.pop(2))
    assert said == [
        "the answer has shape (5,); expected (5, 3)",
        "the answer has shape (4,); expected (4, 6)",
        "IndexError: list index out of range",
    ]
    assert result.outcomes[3].lines == ["line 15: return a[2]"]


def test_a_result_is_the_same_twice_and_in_json() -> None:
    first, second = graded(handed_in(relu="")), graded(handed_in(relu=""))
    assert msgspec.json.decode(first.encoded(), type=Result) == first

    def bare(result: Result) -> object:
        return [(each.check, each.verdict, each.earned, each.sentence) for each in result.outcomes]

    assert bare(first) == bare(second)


def test_numbers_depend_on_key_student_and_check_and_on_nothing_else() -> None:
    def drawn(*words: str, key: bytes = b"k") -> float:
        return float(seeded(key, *words).random())

    assert drawn("e", "s", "c") == drawn("e", "s", "c")
    others = [drawn("e", "s", "d"), drawn("e", "t", "c"), drawn("f", "s", "c")]
    others += [drawn("e", "s", "c", key=b"l"), drawn("es", "", "c")]
    assert len({*others, drawn("e", "s", "c")}) == 6


# -- errors that are not the student's -------------------------------------------------------------


@check("relu", points=5)
def a_check_that_is_wrong(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=3)
    agree(student.call("relu", x), reference.call("relu", x) + 1)


@check("relu", points=5)
def a_check_that_breaks(student: Code, reference: Code, rng: Generator) -> None:
    raise KeyError("x")


@check("relu", points=5)
def a_check_that_trusts(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("relu", rng.normal(size=3))
    require(found.min() >= 0, "an entry is negative")


@check("relu", points=5)
def a_check_that_goes_on(student: Code, reference: Code, rng: Generator) -> None:
    try:
        student.call("relu", rng.normal(size=3))
    except Exception:
        return


@pytest.mark.parametrize("wrong", [a_check_that_is_wrong, a_check_that_breaks])
def test_a_check_that_the_reference_fails_is_never_scored(wrong: Check) -> None:
    exercise = replace(EXERCISE, checks=(*EXERCISE.checks, wrong))
    result = graded(handed_in(), exercise)
    assert result.outcomes[-1].verdict == Verdict.GRADER_ERROR
    assert "the reference fails this check" in result.outcomes[-1].sentence
    assert not result.scored
    assert result.outcomes[-1].earned == 0


@pytest.mark.parametrize("answer", ["None", "'text'", "[]", "{}", "(1, 2)", "np", "x.tolist()"])
def test_an_answer_over_which_a_check_stumbles_is_the_students(answer: str) -> None:
    exercise = replace(EXERCISE, checks=(a_check_that_trusts,))
    result = graded(handed_in(relu=f"def relu(x):\n    return {answer}\n"), exercise)
    assert result.outcomes[0].verdict == Verdict.FAIL
    assert result.scored


def test_a_check_that_goes_on_over_a_crash_gives_no_points() -> None:
    exercise = replace(EXERCISE, checks=(a_check_that_goes_on,))
    result = graded(handed_in(relu="def relu(x):\n    import os; os._exit(0)\n"), exercise)
    assert result.outcomes[0].verdict == Verdict.CRASHED


def test_a_sandbox_that_does_not_start_is_an_error_of_the_graders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(self: Workers, source: str) -> None:
        raise Unstarted("the sandbox was refused: no space")

    monkeypatch.setattr(Workers, "load", refused)
    result = graded(handed_in())
    assert verdicts(result) == dict.fromkeys(IDS, Verdict.GRADER_ERROR)
    assert not result.scored
    assert result.public.earned == result.hidden.earned == 0


# -- each check once -------------------------------------------------------------------------------


def test_skipped_checks_count_on_neither_side() -> None:
    result = graded(handed_in(), skipped=[IDS[0], IDS[3]])
    assert list(verdicts(result)) == IDS
    assert (result.public.earned, result.public.possible) == (0, 0)
    assert (result.hidden.earned, result.hidden.possible) == (4, 4)
    with pytest.raises(UserError, match="no check 'nothing'"):
        graded(handed_in(), skipped=["nothing"])


def test_an_exercise_refuses_doubled_checks_and_checks_of_nothing() -> None:
    with pytest.raises(UserError, match="2 checks"):
        replace(EXERCISE, checks=(*EXERCISE.checks, EXERCISE.checks[0]))
    with pytest.raises(UserError, match="about no task"):
        replace(EXERCISE, checks=(replace(EXERCISE.checks[0], task="other"),))


def test_what_is_hidden_is_not_in_what_a_student_sees() -> None:
    leaking = handed_in(relu="def relu(x):\n    print(x)\n    raise ValueError(str(x))\n")
    result = graded(leaking)
    shown = result.for_student()
    assert [each.check for each in shown.outcomes] == [IDS[0]]
    assert b"ValueError" in result.encoded()
    assert b"ValueError" not in shown.encoded()
    assert shown.hidden.earned == 0
    assert shown.hidden.possible == 8
    assert result.for_student(hidden=True) == result


def test_a_changed_check_has_another_hash() -> None:
    other = replace(EXERCISE.checks[0], points=2)
    assert replace(EXERCISE, checks=(other, *EXERCISE.checks[1:])).digest != EXERCISE.digest


# -- time ------------------------------------------------------------------------------------------


@pytest.fixture
def short() -> Exercise:
    return replace(EXERCISE, limits=Limits(wall=3))


def test_the_time_is_that_of_a_task_and_others_have_their_own(short: Exercise) -> None:
    result = graded(handed_in(softmax="def softmax(x):\n    while True: pass\n"), short)
    assert list(verdicts(result).values()) == [
        *(Verdict.TIMEOUT, Verdict.TIMEOUT),
        *(Verdict.PASS, Verdict.PASS),
    ]
    assert sum(each.seconds for each in result.outcomes if each.task == "softmax") < 6


def test_a_module_that_never_loads_is_not_tried_for_each_check(short: Exercise) -> None:
    endless = "def f():\n    while True: pass\nX = f()\n"
    result = graded(
        handed_in(f"import numpy as np\n{endless}", relu="def relu(x): return X"), short
    )
    assert set(verdicts(result).values()) == {Verdict.TIMEOUT}
    assert result.seconds < 300


def test_an_answer_that_differs_from_run_to_run_is_flaky() -> None:
    sometimes = (
        "def relu(x):\n    global n\n    n = globals().get('n', 0) + 1\n"
        "    return x * (x > 0) if n % 2 else x\n"
    )
    result = graded(handed_in(relu=sometimes))
    assert result.outcomes[2].verdict == Verdict.FLAKY
    assert result.outcomes[2].earned == 0
    assert "it passes once" in result.outcomes[2].sentence


@pytest.mark.parametrize("tier", [Tier.A, Tier.B])
def test_ten_functions_are_graded_with_one_start_of_python(
    tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starting Python and NumPy takes longer than all else."""
    choice = held(tier)
    reference = "\n".join(
        f"def f{n}(x):\n    # task f{n}, 1 point: Add.\n    return x + {n}\n    # end of task\n"
        for n in range(10)
    )

    def checked(n: int) -> Check:
        def run(student: Code, reference: Code, rng: Generator) -> None:
            x = rng.normal(size=(100, 100))
            agree(student.call(f"f{n}", x), reference.call(f"f{n}", x))

        return Check(f"f{n}", "adds", 1, False, run)

    exercise = Exercise("ten", Reference(reference), tuple(map(checked, range(10))))
    started = []
    begin = Workers._started

    def counted(self: Workers) -> Boxed:
        started.append(self)
        return begin(self)

    monkeypatch.setattr(Workers, "_started", counted)
    result = graded(reference.encode(), exercise, tier=choice)
    assert result.hidden.earned == 10
    assert len(started) == 1


def test_nothing_but_pass_earns() -> None:
    for verdict in Verdict:
        found: Outcome = grading._outcome(EXERCISE.checks[0], verdict)
        assert found.earned == (1 if verdict == Verdict.PASS else 0)


def test_numpy_of_the_grader_is_the_one_it_was() -> None:
    """A student's patch stays in the worker."""
    before = np.allclose
    graded(handed_in(relu="def relu(x):\n    np.allclose = None\n    return x * (x > 0)\n"))
    assert np.allclose is before
    assert issubclass(Failure, Exception)
    assert not issubclass(Trouble, Failure)
    assert RIGHT.keys() == {"softmax", "relu", "momentum"}


def test_the_example_for_instructors_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path(__file__).parents[2] / "docs" / "before-grading.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "reference.py").write_text(REFERENCE, encoding="utf-8")
    of_small = "from tests.exercises.small import as_the_reference_has_it, rows_sum_to_one\n"
    (tmp_path / "mine" / "checks.py").write_text(of_small, encoding="utf-8")
    (tmp_path / "ada.py").write_bytes(handed_in())
    (tmp_path / "key").write_bytes(b"a key")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    best()
    exec(code, {})
    points = "Points(earned=1, possible=1) Points(earned=2, possible=2)"
    assert capsys.readouterr().out.split(maxsplit=1)[1].strip() == points
