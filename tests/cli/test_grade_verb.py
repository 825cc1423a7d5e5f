"""'etude grade' as one types it, and the way of its results into a gradebook."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tests.exercises.small import best

from etude.cli import main
from etude.exercises import grading, queue, tiers
from etude.exercises.grading import Exercise, Result
from etude.exercises.graft import Invalid
from etude.exercises.packs import pack
from etude.exercises.sandbox import Tier
from etude.exercises.tiers import Probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="graders are copies of a process")
RIGHT = pack("regression").source
STARTER = pack("regression").starter


class Typed:
    """Types 'etude …' in a folder with submissions."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        self.err = ""

    def hand_in(self, **texts: str) -> None:
        (self.folder / "handed").mkdir(exist_ok=True)
        for name, text in texts.items():
            (self.folder / "handed" / f"{name}.py").write_text(text)

    def __call__(self, *words: str, code: int = 0) -> str:
        self.capsys.readouterr()
        found = main([*words])
        captured = self.capsys.readouterr()
        self.err = captured.err
        assert found == code, captured.err
        return captured.out

    def grade(self, *words: str, code: int = 0) -> str:
        return self("grade", "handed", "--assignment", "regression", *words, code=code)

    def refused(self, *words: str) -> str:
        assert self("grade", *words, code=2) == ""
        return self.err


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    monkeypatch.chdir(tmp_path)
    return Typed(tmp_path, capsys)


@pytest.fixture
def quick(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """The same, with a grader that only compares: its text decides, and a sandbox is not needed."""

    def grade(exercise: Exercise, name: str, content: bytes | Invalid, **of: object) -> Result:
        if isinstance(content, Invalid) or content == STARTER.encode():
            return grading.grade(exercise, name, content, **of)  # type: ignore[arg-type]
        found = grading.grade(exercise, name, Invalid(""), **of)  # type: ignore[arg-type]
        return as_told(found, content.decode())

    monkeypatch.setattr(queue, "grade", grade)
    monkeypatch.setattr(tiers, "probe", lambda tier: Probe(tier))
    return typed


def as_told(result: Result, text: str) -> Result:
    """A result that a text tells: ``right``, ``half``, ``grader error``."""
    from msgspec.structs import replace

    outcomes = []
    for number, each in enumerate(result.outcomes):
        right = text == "right" or (text == "half" and number % 2 == 0)
        verdict = grading.Verdict.PASS if right else grading.Verdict.FAIL
        verdict = grading.Verdict.GRADER_ERROR if text == "grader error" else verdict
        said = "" if right else f"a secret of {each.check}"
        points = each.points if right else 0
        outcomes.append(replace(each, verdict=verdict, earned=points, sentence=said))
    return replace(
        result,
        outcomes=outcomes,
        scored=text != "grader error",
        attempt=True,
        tier="A",
        public=grading._points(outcomes, public=True),
        hidden=grading._points(outcomes, public=False),
    )


def test_a_folder_is_graded_in_a_sandbox(typed: Typed) -> None:
    best()
    typed.hand_in(s1=RIGHT, s2=STARTER, s3="def x(:\n", s4=RIGHT.replace("@", "*"))
    (typed.folder / "handed" / "s5.py").symlink_to("/etc/passwd")
    found = json.loads(typed.grade("--json", "--workers", "2", code=1))
    assert typed.err.startswith(f"Sandbox: tier {best().tier} (")
    assert "[5/5] " in typed.err
    by_name = {each["student"]: each for each in found["submissions"]}
    right = by_name["s1"]
    assert right["points"]["earned"] == right["points"]["possible"] == pack("regression").points
    assert right["passed"]
    assert (right["tier"], found["tier"]) == (best().tier, best().tier)
    assert {*by_name["s2"]["verdicts"]} == {"not attempted"}
    for name in ("s3", "s5"):
        assert {*by_name[name]["verdicts"]} == {"invalid submission"}
        assert not by_name[name]["attempt"]
    assert by_name["s5"]["wrong"] == "s5.py is a link; expected plain files"
    assert 0 <= by_name["s4"]["points"]["earned"] < right["points"]["earned"]
    assert all(each["scored"] and each["graded_now"] for each in found["submissions"])

    again = json.loads(typed.grade("--json", code=1))
    assert not any(each.pop("graded_now") for each in again["submissions"])
    for each in found["submissions"]:
        del each["graded_now"]
    assert again == found


def test_the_table_says_what_is_wrong_and_the_code_who(quick: Typed) -> None:
    quick.hand_in(s1="right")
    out = quick.grade()
    assert "1 submission, 1 passes; 1 graded now, 0 before; results in handed-graded" in out
    quick.hand_in(s2="half")
    out = quick.grade("--feedback", "texts", code=1)
    total = pack("regression").points
    assert f"{total} of {total}" in out
    assert "secret" in out
    assert "2 submissions, 1 passes; 1 graded now, 1 before" in out
    hidden = [each.id for each in pack("regression").checks if not each.public]
    assert hidden
    text = (quick.folder / "texts" / "s2.txt").read_text()
    assert "points of the public checks" in text
    assert not [each for each in hidden if each in text]
    quick.hand_in(s3="grader error")
    out = quick.grade(code=3)
    assert "The grader failed in 1; they have no score, and the next call grades them." in out
    assert "1 graded now, 2 before" in out
    quick.hand_in(s3="right")
    quick.grade(code=1)


def test_what_resembles_each_other_is_listed_and_decides_nothing(typed: Typed) -> None:
    """The texts have no function of a task, so that no sandbox is needed."""
    copied = "".join(f"def own_{n}(x):\n    return x.a{n} ** x.b{n} + {n}\n" for n in range(20))
    typed.hand_in(s1=copied, s2=copied.replace("x", "y"), s3="import numpy as np\n", s4="x = (")
    best()
    found = json.loads(typed.grade("--similar", "--json", code=1))
    (pair,) = found["similar"]
    assert (pair["exercise"], pair["students"]) == ("regression", ["s1", "s2"])
    assert pair["share"] == 1
    assert {each["points"]["earned"] for each in found["submissions"]} == {0}
    assert "s1, s2" in typed.grade("--similar", code=1)
    assert "similar" not in json.loads(typed.grade("--json", code=1))


def test_without_a_sandbox_nothing_is_graded_unless_it_is_said(
    quick: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick.hand_in(s1="right")

    def probe(tier: Tier) -> Probe:
        return Probe(tier, "" if tier == Tier.C else "it is not here")

    monkeypatch.setattr(tiers, "probe", probe)
    error = quick.refused("handed", "--assignment", "regression")
    assert "there is no sandbox for students' code on this machine: A (bubblewrap)" in error
    assert not (quick.folder / "handed-graded").exists()
    quick.grade("--unsafe")
    assert "Sandbox: tier C (limits only, not a sandbox)" in quick.err
    assert "tier A (bubblewrap) is refused: it is not here" in quick.err


def test_what_is_wrong_with_a_request_is_told_before_anything_is_done(typed: Typed) -> None:
    typed.hand_in(s1="right")
    (typed.folder / "empty").mkdir()
    cases = {
        "no exercise 'regresion'; did you mean 'regression'?": ("--assignment", "regresion"),
        "OU has no assignment 'H9'": ("--assignment", "H9", "--course", "OU"),
        "abstract of OU names no exercises": ("--assignment", "abstract", "--course", "OU"),
        "there is no course in nowhere": ("--assignment", "H1", "--course", "nowhere"),
        "lies among the submissions": ("--assignment", "regression", "--results", "handed/out"),
    }
    for sentence, words in cases.items():
        assert sentence in typed.refused("handed", *words)
    assert "holds no submission" in typed.refused("empty", "--assignment", "regression")
    assert not (typed.folder / "handed-graded").exists()


def test_a_course_gives_the_exercises_and_the_roster(quick: Typed) -> None:
    assert quick("course", "new", "OU", "--start", "2027-01-18", "--out", "mine")
    roster = quick.folder / "roster.csv"
    roster.write_text("id,name\ns1,Ada Lovelace\ns2,Bob\n")
    quick("grades", "mine", "add", "roster", str(roster))
    quick.hand_in(lovelaceada_12345_67890_solution="right", s2_classifiers="half")
    words = ("handed", "--assignment", "H1", "--course", "mine")
    found = json.loads(quick("grade", *words, "--json", code=1))
    assert found["exercises"] == ["classifiers"]
    assert [each["student"] for each in found["submissions"]] == ["s1", "s2"]
    quick.hand_in(s9="right")
    assert "1 that belong to nobody of the roster: s9.py" in quick.refused(*words)


def test_results_go_into_the_gradebook_once(quick: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    assert quick("course", "new", "OU", "--start", "2027-01-18", "--out", "mine")
    (quick.folder / "roster.csv").write_text("id,name\ns1,Ada\ns2,Bob\ns3,Cy\n")
    quick("grades", "mine", "add", "roster", "roster.csv")
    quick.hand_in(s1="right", s2="half")
    (quick.folder / "handed" / "s3.py").symlink_to("s1.py")
    words = ("grade", "handed", "--assignment", "H1", "--course", "mine")
    adding = ("grades", "mine", "add", "grading", "handed-graded")
    quick(*adding, "--times", "modified", code=2)
    assert "expected the results of 'etude grade', which came to its end" in quick.err
    quick(*words, code=1)
    assert quick(*adding, code=2) == ""
    assert "when was it handed in? expected --times modified" in quick.err
    assert quick(*adding, "--times", "modified") == "4 things kept.\n"
    assert "No mark for s3: the submission is invalid" in quick.err
    quick(*adding, "--times", "modified")
    assert "Nothing new." in quick.err

    judge = as_told
    monkeypatch.setitem(globals(), "as_told", lambda result, text: judge(result, "right"))
    quick(*words, "--again", code=1)
    again = (*adding, "--times", "modified", "--why", "a test was mended")
    quick(*again[:-2], code=2)
    assert "expected a reason to change them" in quick.err
    out = quick(*again)
    assert "s2: 9 of 17 before, 17 of 17 now" in quick.err
    assert "Nothing is kept; --keep keeps it." in quick.err
    assert "kept" not in out
    assert quick(*again, "--keep") == "1 thing kept.\n"
    assert quick(*again, "--keep") == ""
    events = json.loads(quick("grades", "mine", "log", "s2", "--json"))
    marks = [each["event"]["earned"] for each in events if each["event"]["kind"] == "grading"]
    assert marks == ["9", "17"]
    assert len([each for each in events if each["event"]["kind"] == "submission"]) == 1
