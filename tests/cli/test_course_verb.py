from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from etude.cli import main
from etude.courses.library import NAMES, SYLLABI

OWN = """
id = "OWN"
title = "Mine"
school = "Here"
term = "Now"
about = "It is mine."
"""
CLASS = """
[[schedule]]
title = "Begin"
dates = [2027-01-18]
"""
EDITION = 'base = "OU"\nstart = 2027-01-19\n'


def course(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["course", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_courses_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = course(capsys)
    assert code == 0
    assert [
        line.split()[0]
        for line in out.splitlines()
        if line[:1].isupper() and line.split()[0].isupper()
    ] == [*NAMES]
    assert course(capsys, "list")[1] == out
    found = json.loads(course(capsys, "list", "--json")[1])
    assert [each["course"] for each in found] == [*NAMES]
    assert all(set(each["built"]) <= set(each["studies"]) for each in found)


@pytest.mark.parametrize("name", SYLLABI)
def test_a_course_is_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = course(capsys, "show", name.lower())
    assert code == 0
    for heading in ("Handed in", "The grade", "Rules", "Left open"):
        assert heading in out
    found = json.loads(course(capsys, "show", name, "--json")[1])
    assert found["id"] == name
    assert found["open"]
    assert found["start"] is None


def test_a_week_is_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = course(capsys, "show", "CU", "--week", "2")
    assert "Kingma and Jimmy Ba" in out
    assert "etude run optimizers" in out
    code, _, err = course(capsys, "show", "CU", "--week", "14")
    assert code == 2
    assert "no week 14; expected one from 1 to 13" in err
    _, out, _ = course(capsys, "show", "OU", "--week", "1")
    assert out.startswith("Tue\xa018\xa0Jan")


def test_what_an_assignment_demands_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = course(capsys, "show", "CU", "--assignment", "A3")
    assert code == 0
    assert "a program" in out
    assert "instructor" in out
    assert "etude assignment start a3" in out
    _, out, _ = course(capsys, "show", "CU", "--assignment", "midterm")
    assert "  1. Find a paper." in out


def test_an_edition_is_made_shown_and_put_into_a_calendar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = course(capsys, "new", "ou", "--start", "2027-01-18", "--out", "mine")
    assert (code, out) == (0, "mine/course.toml\n")
    assert "the first class is on Tue\xa019\xa0Jan\xa02027" in err
    code, out, _ = course(capsys, "show", "mine")
    assert code == 0
    assert "from 2027-01-18 on" in out
    assert "Tue 19 Jan" in out.replace("\xa0", " ")
    assert course(capsys, "calendar", "mine")[:2] == (0, "ou.ics\n")
    assert (tmp_path / "ou.ics").read_bytes().startswith(b"BEGIN:VCALENDAR\r\n")
    code, _, err = course(capsys, "calendar", "mine")
    assert code == 2
    assert "is there already" in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["shwo", "OU"], "did you mean 'show'?"),
        (["show"], "show which course?"),
        (["show", "CUHKK"], "did you mean 'CUHK'?"),
        (["list", "OU"], "'etude course show OU'"),
        (["show", "OU", "--start", "2027-01-19"], "--start is an option of 'etude course new'"),
        (["list", "--week", "2"], "--week is an option of 'etude course show or quiz'"),
        (["show", "CU", "--assignment", "A9"], "CU has no assignment 'A9'; there is A1"),
        (["new", "OU"], "expected etude course new OU --start DATE --out DIR"),
        (["new", "OU", "--start", "soon", "--out", "x"], "expected a day like 2027-01-19"),
        (["new", "./x.toml", "--start", "2027-01-19", "--out", "x"], "no course './x.toml'"),
        (["calendar", "NCKU"], "makes an edition that has"),
        (["calendar", "OU", "--out", "/dev/null/x.ics"], "can't be written"),
    ],
)
def test_mistakes_are_told(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = course(capsys, *words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


DOTS = ".".join("a" * 50)
DEEP = "zone = " + f"[\n{{{DOTS} = " * 60 + "1" + "}\n]" * 60  # 3,000 tables within one another


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        (OWN + CLASS.replace("2027", "9999"), ["calendar"], "'Begin': 9999-01-18 is no day of a"),
        (OWN + CLASS.replace("2027", "0001"), ["show"], "0001-01-18 is no day of a course"),
        (EDITION.replace("2027", "9999"), ["show"], "the start: 9999-01-19 is no day of a course"),
        (EDITION + "[due]\nvideo = 9999-01-01T00:00:00", ["show"], "[due] video: 9999-01-01 is"),
        (EDITION + "[days]\n1 = 0001-01-01", ["show"], "[days] 1: 0001-01-01 is no day"),
        (EDITION + f"[days]\n{'1' * 5_000} = 2027-01-01", ["show"], "[days]: no class '1"),
        (EDITION + f"[days]\n1 = 0x{'1' * 5_000}", ["show"], "a number of thousands of digits"),
        (EDITION + f"[decisions]\n{DEEP}", ["show"], "expected a time zone"),
        (EDITION + f"[decisions]\nzone = {{ {'a.' * 51}a = 1 }}", ["show"], "line 4 has 51 dots"),
        ("a.b = 1\n" * 130_000, ["show"], "is too large; expected a course of at most"),
        (OWN + "schedule = []", ["show", "--week", "3"], "OWN has no week 3; expected a course"),
    ],
    ids=range(11),
)
def test_a_strangers_course_is_refused_in_a_sentence(
    text: str, words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "course.toml").write_text(text)
    code, out, err = course(capsys, words[0], str(tmp_path), *words[1:])
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_a_file_that_is_too_large_is_not_taken_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def parsed(text: str) -> dict[str, object]:
        raise AssertionError("it was")

    monkeypatch.setattr("tomllib.loads", parsed)
    (tmp_path / "course.toml").write_bytes(b"#" * 1_000_001)
    assert "is too large" in course(capsys, "show", str(tmp_path))[2]
    (tmp_path / "course.toml").write_bytes(b"a." * 100 + b"b = 1")
    assert "has 100 dots" in course(capsys, "show", str(tmp_path))[2]


def test_a_calendar_holds_nothing_that_a_terminal_obeys(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    evil = r'"a\r\nb\u001b[2J\u202e\u009b"'
    text = OWN.replace('"Mine"', evil) + CLASS.replace('"Begin"', evil) + f"topics = [{evil}]\n"
    text += f'[[assignments]]\nid = "A1"\ntitle = {evil}\ntask = {evil}\ndue = 2027-01-20\n'
    (tmp_path / "course.toml").write_text(text)
    assert main(["course", "calendar", str(tmp_path), "--out", "-"]) == 0
    shown = capfdbinary.readouterr().out.decode()
    assert shown.startswith("BEGIN:VCALENDAR\r\n")
    assert [sign for sign in shown.replace("\r\n", "") if not sign.isprintable()] == []
    assert re.search(r"SUMMARY:OWN: a b\\+x1b", shown)


@pytest.mark.parametrize("start", ["9999-12-01", "2199-12-30"])
def test_no_edition_is_left_of_a_year_without_courses(
    start: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = course(capsys, "new", "OU", "--start", start, "--out", str(tmp_path / "far"))
    assert code == 2
    assert "is no day of a course" in err
    assert list(tmp_path.iterdir()) == []


# -- quiz, exam ------------------------------------------------------------------------------------


def test_a_week_is_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("quiz", "CU", "--week", "1", "--seed", "2", "--count", "6")
    shown = json.loads(course(capsys, *words, "--json")[1])["questions"]
    studies = [each["id"].partition("/")[0] for each in shown]
    assert len(studies) == 6
    assert {"autodiff", "linear"} <= set(studies) <= {"autodiff", "optimizers", "linear"}
    answers = tmp_path / "answers"
    answers.write_text("\n" * 5)
    code, out, _ = course(capsys, *words, "--answers", str(answers))
    assert code == 1
    assert "0 of 6 right" in out


def test_an_exam_is_written_with_its_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "exam"
    words = ("exam", "CUHK", "--lectures", "1-9", "--out", str(out), "--seed", "3")
    code, said, err = course(capsys, *words)
    assert code == 0
    assert said.split() == [str(out / "exam.html"), str(out / "key.html")]
    paper, key = ((out / name).read_text() for name in ("exam.html", "key.html"))
    assert paper.count('class="how"') == 25
    assert key.count('class="key"') == 25
    assert "<math" in paper
    assert "$" not in re.sub(r"<(style|pre|code).*?</\1>", "", paper, flags=re.DOTALL)
    assert 'class="key"' not in paper  # nothing of the key stands on the students' page
    assert "the lesson of" not in paper
    assert "the lesson of" in key
    assert "http" not in paper.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert "--seed 3" in key  # whoever has it can make the key
    assert "--seed" not in paper
    assert "lectures without questions of their own: 1" in err

    code, _, err = course(capsys, *words)
    assert code == 2
    assert "is there already" in err
    again = tmp_path / "again"
    course(capsys, *words[:-3], str(again), "--seed", "3")
    assert (again / "exam.html").read_text() == paper


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["quiz", "CU"], "expected etude course quiz CU --week N"),
        (["quiz", "CU", "--week", "99"], "CU has no week 99"),
        (["quiz", "CU", "--week", "12"], "week 12 of CU has no questions yet"),
        (["exam", "CUHK", "--out", "x"], "expected etude course exam CUHK --lectures FROM-TO"),
        (["exam", "CUHK", "--lectures", "1-9"], "--out DIR"),
        (["exam", "CUHK", "--lectures", "one", "--out", "x"], "expected a range such as 1-9"),
        (["exam", "CUHK", "--lectures", "2-", "--out", "x"], "expected a range such as 1-9"),
        (["exam", "CUHK", "--lectures", "3-99", "--out", "x"], "CUHK has lectures 1 to 11"),
        (["exam", "CUHK", "--lectures", "1", "--out", "x"], "have no questions yet"),
        (["exam", "CU", "--lectures", "1-2", "--out", "x"], "does not number its lectures"),
        (["show", "CU", "--seed", "3"], "--seed is an option of 'etude course quiz or exam'"),
        (["list", "--lectures", "3"], "--lectures is an option of 'etude course exam'"),
    ],
)
def test_what_cant_be_drawn_is_a_sentence(
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = course(capsys, *words)
    assert code == 2
    assert sentence in err
    assert not out
    assert not [*tmp_path.iterdir()]
