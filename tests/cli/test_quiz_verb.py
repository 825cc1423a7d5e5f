from __future__ import annotations

import builtins
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etude.cli import main

QUESTIONS = '''
"""Questions on a study of a user's own."""

from random import Random

from etude.questions import Choice, Count, Wrong, question

from .mine import double


@question
def doubled(rng: Random) -> Count:
    """A double."""
    x = rng.randint(10, 99)
    return Count(
        prompt=f"What is $2 \\\\cdot {x}$?",
        answer=double(x),
        unit="things",
        wrong=(Wrong(x * x, "it was squared", "A double is a sum."),),
        why=f"{x} and {x}.",
        see="The idea",
    )


@question
def which(rng: Random) -> Choice:
    """Which is it."""
    return Choice(
        prompt=f"Which of them, {rng.randint(1, 99)}?",
        answer="the first thing",
        wrong=(Wrong("a second thing", "it was second", "No."),
               Wrong("a third thing", "it was third", "No.")),
        why="So it is.",
        see="The idea",
    )
'''
STUDY = '''
from dataclasses import dataclass
from etude import Run, Study


def double(x: int) -> int:
    return x + x


@dataclass
class Mine(Study):
    """Mine."""

    def __call__(self, run: Run) -> None:
        run.result({"x": 1.0})
'''


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.py").write_text(STUDY)
    (folder / "_questions.py").write_text(QUESTIONS)
    (folder / "README.md").write_text("# Mine\n\n**The idea** is to double.\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return "./mine/"


def quiz(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["quiz", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def right_answers(capsys: pytest.CaptureFixture[str], study: str, folder: Path) -> list[str]:
    """The right answers to the questions of seed 4, as the judgement tells them."""
    (folder / "none.txt").write_text("")
    told = json.loads(
        quiz(capsys, study, "--seed", "4", "--answers", str(folder / "none.txt"), "--json")[1]
    )
    return [each["key"].partition(")")[0].replace("things", "") for each in told["questions"]]


def test_questions_are_printed_where_nobody_can_answer(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = quiz(capsys, study, "--seed", "4")
    assert code == 0
    assert "2 · " in out
    assert "c)" in out
    assert "Answer with a whole number of things." in out
    assert "--answers FILE" in err
    assert quiz(capsys, study, "--seed", "4")[1] == out != quiz(capsys, study, "--seed", "5")[1]
    assert "and" not in out  # why
    shown = json.loads(quiz(capsys, study, "--seed", "4", "--json")[1])
    assert shown["seed"] == 4
    for each in shown["questions"]:
        assert each.keys() <= {"id", "kind", "prompt", "how", "options", "items", "lines", "run"}


def test_answers_in_a_file_are_judged(
    study: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = right_answers(capsys, study, tmp_path)
    file = tmp_path / "answers.txt"
    file.write_text("\n".join(answers))
    code, out, _ = quiz(capsys, study, "--seed", "4", "--answers", str(file))
    assert code == 0
    assert "2 of 2 right" in out

    file.write_text("1+1\n1+1\n")
    code, out, _ = quiz(capsys, study, "--seed", "4", "--answers", str(file))
    assert code == 1
    assert "0 of 2 right" in out
    assert "not computed" in " ".join(out.split())
    assert "The idea (the lesson of mine, line 3)" in out
    told = json.loads(quiz(capsys, study, "--seed", "4", "--answers", str(file), "--json")[1])
    assert (told["right"], told["of"]) == (0, 2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["perceptrom"], "did you mean 'perceptron'?"),
        (["./mine/", "--answers", "x"], "--answers needs --seed N"),
        (["./mine/", "--seed", "1", "--answers", "none"], "none can't be read"),
        (["./mine/", "--seed", "1", "--answers", "many"], "many has 3 answers; expected at most 2"),
        (["./mine/", "--seed", "1", "--answers", "bytes"], "no text in UTF-8"),
        (["./mine/", "--count", "0"], "at least 1"),
        (["./mine/", "--seed", "x"], "invalid int"),
        (["./bare/"], "bare has no questions yet"),
        (["./empty/"], "holds no function with @question"),
        (["./broken/"], "can't be imported: ZeroDivisionError"),
    ],
)
def test_what_cant_be_asked_is_a_sentence(
    words: list[str], sentence: str, study: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("many").write_text("1\n2\n3\n")
    Path("bytes").write_bytes(b"\xff\xfe\xff")
    for name, text in (("bare", None), ("empty", "x = 1\n"), ("broken", "x = 1 / 0\n")):
        Path(name).mkdir()
        Path(f"{name}/{name}.py").write_text(STUDY.replace("Mine", name.title()))
        if text:
            Path(f"{name}/_questions.py").write_text(text)
    code, out, err = quiz(capsys, *words)
    assert code == 2
    assert sentence in err
    assert not out


def answering(
    monkeypatch: pytest.MonkeyPatch, *answers: str | type[BaseException]
) -> Callable[[], list[str]]:
    """A terminal at which somebody answers."""
    left = [*answers]
    monkeypatch.setenv("TERM", "dumb")  # no bold letters

    def typed(prompt: str = "") -> str:
        print(prompt)
        answer = left.pop(0)
        if isinstance(answer, str):
            return answer
        raise answer

    monkeypatch.setattr(builtins, "input", typed)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    return lambda: left  # type: ignore[return-value]


def test_a_terminal_asks_judges_and_explains(
    study: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = right_answers(capsys, study, tmp_path)
    left = answering(monkeypatch, "2+2", "?", first, second)
    code, out, _ = quiz(capsys, study, "--seed", "4")
    assert code == 0
    assert not left()
    assert out.count("Right.") == 2
    assert "2 of 2 right" in out
    assert f"The same questions again: etude quiz {study} --seed 4" in out


def test_a_wrong_answer_gets_its_misconception_and_the_right_one(
    study: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = json.loads(quiz(capsys, study, "--seed", "4", "--json")[1])["questions"]
    numbers = ["doubled" in each["id"] for each in shown]
    x = int(shown[numbers.index(True)]["prompt"].split()[-1].rstrip("$?"))
    answering(monkeypatch, *(str(x * x) if number else "" for number in numbers))
    code, out, _ = quiz(capsys, study, "--seed", "4")
    words = " ".join(out.split())
    assert code == 1
    assert "Not right: it was squared. A double is a sum." in words
    assert f"The answer: {2 * x} things" in words
    assert "Passed." in words
    assert "0 of 2 right" in words
    assert "it was squared: The idea (the lesson of mine, line 3)" in words


@pytest.mark.parametrize(("end", "expected"), [(KeyboardInterrupt, 130), (EOFError, 1)])
def test_ctrl_c_and_the_end_of_the_input_sum_up(
    end: type[BaseException],
    expected: int,
    study: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, _ = right_answers(capsys, study, tmp_path)
    answering(monkeypatch, first, end)
    code, out, err = quiz(capsys, study, "--seed", "4")
    assert code == expected
    assert "1 of 1 right; 1 not asked" in out
    assert "Traceback" not in err


def test_help_and_the_list_import_nothing_heavy() -> None:
    code = (
        "import sys\nfrom etude.cli import main\nmain(['quiz'])\n"
        "try:\n    main(['quiz', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'numpy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert "perceptron" in done.stdout
