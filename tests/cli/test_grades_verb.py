"""'etude grades' as one types it, over a folder made by 'etude course new'."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from etude.cli import main
from etude.courses.csvs import read_table
from etude.courses.events import PolicyVersion
from etude.courses.gradebook import Gradebook

DECISIONS = """
zone = "America/New_York"
letters = { A = 90, B = 80, C = 70, D = 60, F = 0 }
late-days = "ceiling"
late-day = "begun"
late-order = "after"
late-excused = "no"
late-marks = "top"
projects-too = "no"
assignments = { A1 = 6, A2 = 6, A3 = 6, A4 = 6, A5 = 6 }
projects = { midterm = 15, final = 15 }
quiz-weights = "equal"
"""


class Grades:
    """Types 'etude grades mine …'."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        self.err = ""

    def __call__(self, *words: str, code: int = 0) -> str:
        self.capsys.readouterr()
        found = main(["grades", str(self.folder), *words])
        captured = self.capsys.readouterr()
        self.err = captured.err
        assert found == code, captured.err
        return captured.out

    def refused(self, *words: str) -> str:
        assert self(*words, code=2) == ""
        assert self.err.startswith("etude: ")
        assert self.err.count("\n") == 1
        return self.err

    def of(self, student: str, *words: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(self("show", student, "--json", *words))
        return found


@pytest.fixture
def made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Grades:
    monkeypatch.chdir(tmp_path)
    assert main(["course", "new", "CU", "--start", "2027-01-19", "--out", "mine"]) == 0
    course = tmp_path / "mine" / "course.toml"
    text = course.read_text().replace("[decisions]\n", f"[decisions]\n{DECISIONS}", 1)
    due = "".join(f"A{n} = 2027-02-0{n}T23:59:00\n" for n in range(1, 6))
    due += "midterm = 2027-03-01T12:00:00\nfinal-1 = 2027-05-01T12:00:00\n"
    due += "final-2 = 2027-05-01T12:00:00\n"
    course.write_text(text.replace("[due]\n", f"[due]\n{due}", 1))
    grades = Grades(tmp_path / "mine", capsys)
    roster = tmp_path / "roster.csv"
    roster.write_text(
        "Student ID;Name;Email\ns1;Ada Lovelace;ada@x\ns2;Zoë;z@x\ns3;Zoë;z@y\n=1+1;=1+1;\n",
        encoding="cp1252",
    )
    assert grades("add", "roster", str(roster)) == "4 things kept.\n"
    return grades


def test_a_course_from_its_roster_to_its_grades(made: Grades, tmp_path: Path) -> None:
    """Each number is worked out by hand beside it."""
    work = tmp_path / "work.py"
    work.write_text("print(1)\n")
    for name in ("A1", "A2", "A3", "A4", "A5"):
        at = {"A1": "2027-02-02T00:30", "A2": "2027-02-05T12:00"}.get(name, "2027-02-01T09:00")
        made("add", "submission", "s1", name, str(work), "--at", at)
    made("add", "submission", "s1", "final-2", str(work), "--at", "2027-04-30T12:00")
    marks = tmp_path / "marks.csv"
    marks.write_text(
        "id,A1,A2,A3,A4,A5,midterm,final-2,quizzes/1 /5,quizzes/2 /5,participation\n"
        "s1,95,85,100,90,80,70,80,5,4,100\n"
        "s2,,,50,,,,,3,,\n"
    )
    assert made("add", "marks", str(marks)) == "12 things kept.\n"
    assert made("add", "marks", str(marks)) == ""  # nothing new
    assert made.err == "Nothing new.\n"
    found = made.of("s1")
    # A1 31 min late: 1 day, a letter: 95 → 89.99, the best B. A2 due 2 Feb, 2.5 days late: 3 days,
    # 2 letters: 85 → 69.99. Assignments: 6 % of 89.99 + 69.99 + 100 + 90 + 80 = 25.7988.
    # Projects: 15 % of 70 + 80 = 22.5. Quizzes: 30 % of (1 + 0.8)/2 = 27. Participation: 10.
    assert found["marks"] == "85.2988"
    assert found["letter"] == "B"
    parts = {part["part"]: part for part in found["parts"]}  # type: ignore[attr-defined]
    assert (parts["A1"]["marks"], parts["A2"]["marks"]) == ("5.3994", "4.1994")
    assert [parts[p]["marks"] for p in ("projects", "quizzes", "participation")] == [
        "22.5",
        "27",
        "10",
    ]
    text = made("show", "Ada Lovelace")
    assert text.startswith("Ada Lovelace (s1) · CU ECE-472 Deep Learning\n")
    assert "It was 31 min late: its letter falls by 1, and is at most B, so 95 %" in text
    assert "85.3 of 100 marks: B." in text

    until = ("add", "extension", "s1", "A2", "2027-02-05T12:00", "--why", "the cluster was down")
    assert made(*until) == "1 thing kept.\n"
    assert made.of("s1")["marks"] == "86.1994"  # A2: 85 → 5.1 in place of 4.1994
    made("add", "excuse", "s1", "A1", "--why", "a private thing")
    assert made.of("s1")["marks"] == "86.5"  # A1: 95 → 5.7 in place of 5.3994
    made("add", "adjustment", "s1", "-1.5", "--why", "a wager")
    assert made.of("s1")["marks"] == "85"

    assert made.of("s2")["marks"] == "21"  # 3 of A3's 6, 18 of the quizzes' 30
    assert made.of("s2")["of"] == "36"
    final = made.of("s2", "--final")
    # The second quiz was missed: (0.6 + 0)/2 of 30 = 9; 3 of A3. Four assignments are missing.
    assert (final["marks"], final["letter"]) == ("12", "F")
    assert len(final["fails"]) == 4  # type: ignore[arg-type]
    everywhere = made("show", "s1") + made("--json") + made("log") + made("log", "s1", "--json")
    assert "a private thing" not in everywhere
    assert "a private thing" in made("log", "s1", "--json", "--private")


def test_a_changed_mark_is_shown_before_it_is_kept(made: Grades) -> None:
    made("add", "mark", "s1", "A1", "50")
    assert "A1 of s1 has 50 of 100 marks; expected a reason" in made.refused(
        "add", "mark", "s1", "A1", "60"
    )
    changed = ("add", "mark", "s1", "A1", "60", "--why", "a test was wrong")
    assert ["s1", "Ada", "Lovelace", "3", "3.6"] in [x.split() for x in made(*changed).splitlines()]
    assert "Nothing is kept; --keep keeps it." in made.err
    assert made.of("s1")["marks"] == "3"
    assert made(*changed, "--keep", "--who", "grace") == "1 thing kept.\n"
    assert made.of("s1")["marks"] == "3.6"
    (*_, last) = json.loads(made("log", "s1", "--json"))
    assert (last["who"], last["why"]) == ("grace", "a test was wrong")
    made("add", "mark", "s1", "A1", "none", "--why", "of another", "--keep")
    assert made.of("s1")["of"] == "0"


def test_a_changed_policy_is_shown_before_it_is_kept(made: Grades) -> None:
    made("add", "mark", "s1", "A1", "50")
    assert "as it stands" in made("policy")
    course = made.folder / "course.toml"
    weights = "{ A1 = 10, A2 = 5, A3 = 5, A4 = 5, A5 = 5 }"
    old = "{ A1 = 6, A2 = 6, A3 = 6, A4 = 6, A5 = 6 }"
    course.write_text(course.read_text().replace(old, weights))
    assert made.of("s1")["marks"] == "3"
    assert "has changed since its policy was kept" in made.err
    assert "s1" in made("policy")
    assert "Nothing is kept" in made.err
    assert made.of("s1")["marks"] == "3"
    made("policy", "--keep", "--why", "A1 is longer")
    assert made.of("s1")["marks"] == "5"
    assert made.err == ""


def test_what_is_not_decided_is_named(made: Grades) -> None:
    course = made.folder / "course.toml"
    course.write_text(course.read_text().replace('late-marks = "top"\n', ""))
    made("policy", "--keep")
    work = made.folder / "w"
    work.write_text("x")
    made("add", "submission", "s1", "A1", str(work), "--at", "2027-03-01T00:00:00+01:00")
    made("add", "mark", "s1", "A1", "50")
    text = made()
    assert "not decided" in text
    assert "· late-marks is not decided: Which mark does late work get" in text
    assert "The sum is not computed" in made("show", "s1")
    assert made.of("s1")["marks"] is None


def test_a_table_of_all(made: Grades) -> None:
    made("add", "mark", "s1", "quizzes/1", "4/5")
    rows = [line.split() for line in made().splitlines()]
    assert rows[0][:2] == ["student", "name"]
    assert rows[0][-3:] == ["marks", "of", "letter"]
    (ada,) = [row for row in rows if row[:1] == ["s1"]]
    assert ada[-2:] == ["24", "30"]
    assert [each["student"] for each in json.loads(made("--json"))] == ["s1", "s2", "s3", "=1+1"]


@pytest.mark.parametrize("form", ["plain", "canvas", "moodle"])
def test_grades_are_exported(made: Grades, form: str, tmp_path: Path) -> None:
    made("add", "mark", "=1+1", "quizzes/1", "4/5")
    path = tmp_path / "out.csv"
    assert made("export", "--format", form, "--out", str(path)).strip() == str(path)
    assert "is there already" in made.refused("export", "--out", str(path))
    cells = [cell for _, row in read_table(path).rows for cell in row.values()]
    assert "=1+1" in cells
    assert "24" in cells
    assert "Zoë" in cells
    assert "'=1+1" in made("export", "--format", form, "--out", "-")


def test_teams_reviews_and_proposals(made: Grades, tmp_path: Path) -> None:
    work = tmp_path / "w.txt"
    work.write_text("well done")
    made("add", "team", "t", "s2", "s3", "--of", "midterm")
    made("add", "submission", "t", "midterm", str(work), "--at", "2027-02-01T12:00")
    made("add", "mark", "t", "midterm", "80")
    assert [made.of(s)["marks"] for s in ("s1", "s2", "s3")] == ["0", "12", "12"]
    for student in ("s1", "=1+1"):
        made("add", "submission", student, "midterm", str(work), "--at", "2027-02-01T12:00")
    assert "nobody was drawn" in made.refused("reviews", "midterm")
    drawn = json.loads(made("reviews", "midterm", "--seed", "1", "--each", "1", "--json"))
    assert "t" not in drawn["s2"]["reviews"] + drawn["s3"]["reviews"]
    assert made("reviews", "midterm", "--json") == json.dumps(drawn, indent=2) + "\n"
    (of,) = drawn["s1"]["reviews"]
    made("add", "review", "s1", "midterm", of, str(work))
    assert json.loads(made("reviews", "midterm", "--json"))["s1"]["done"] == [of]
    assert "was not drawn to review" in made.refused(
        "add", "review", "s1", "midterm", "s1", str(work)
    )
    made("add", "proposal", "t", "midterm", "proposed")
    assert "with feedback" in made.refused("add", "proposal", "t", "midterm", "returned")
    made("add", "proposal", "t", "midterm", "returned", "--why", "narrow it")
    assert "can't become approved" in made.refused("add", "proposal", "t", "midterm", "approved")
    made("add", "proposal", "t", "midterm", "proposed")
    made("add", "proposal", "t", "midterm", "approved")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sho"], "can't 'sho'; did you mean 'show'?"),
        (["show"], "expected etude grades"),
        (["show", "s9"], "no student 's9'"),
        (["show", "lovelace"], "did you mean s1 (Ada Lovelace)?"),
        (["show", "Zoë"], "2 students are called Zoë; give an id: s2, s3"),
        (["add"], "can't add ''"),
        (["add", "marc", "s1", "A1", "5"], "did you mean"),
        (["add", "mark", "s1", "A1"], "add mark WHO WORK MARK"),
        (["add", "mark", "s1", "A1", "good"], "'good' is no mark"),
        (["add", "mark", "s1", "A1", "101"], "expected from 0 to 100"),
        (["add", "mark", "s1", "A9", "10"], "no work 'A9'"),
        (["add", "extension", "s1", "A1", "2027-02-03"], "no day with its hour"),
        (["add", "adjustment", "s1", "much", "--why", "x"], "an adjustment is 'much'"),
        (["add", "adjustment", "s1", "2"], "says why"),
        (["add", "submission", "s1", "A1", "nothing.py"], "can't be read"),
        (["add", "proposal", "s1", "midterm", "done"], "can't be 'done'"),
        (["add", "roster", "nothing.csv"], "can't be read"),
        (["reviews", "A9"], "no assignment 'A9'"),
        (["export", "s1"], "expected etude grades"),
    ],
)
def test_what_can_not_be_asked_for(made: Grades, words: list[str], sentence: str) -> None:
    assert sentence in made.refused(*words)


def test_a_folder_without_a_course_or_gradebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    grades = Grades(tmp_path / "mine", capsys)
    assert "there is no course in" in grades.refused()
    assert "'etude course new CU" in Grades(Path("CU"), capsys).refused()
    main(["course", "new", "CU", "--start", "2027-01-19", "--out", "mine"])
    assert "has no gradebook yet" in grades.refused()
    assert "has no students yet" in grades.refused("add", "mark", "s1", "A1", "5")
    bad = tmp_path / "bad.csv"
    bad.write_text("who\nme\n")
    assert "no column of ids" in grades.refused("add", "roster", str(bad))
    assert not (tmp_path / "mine" / "grades.db").exists()
    (tmp_path / "mine" / "grades.db").write_bytes(b"\x00" * 5000)
    assert "is no gradebook" in grades.refused()


def test_in_the_folder_itself_it_need_not_be_named(
    made: Grades, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(made.folder)
    assert main(["grades", "show", "s1"]) == 0
    assert "Ada Lovelace" in capsys.readouterr().out
    assert main(["grades", "list"]) == 0
    assert main(["grades", "."]) == 0


def test_numbers_in_json_are_texts_with_all_their_digits(made: Grades) -> None:
    made("add", "mark", "s1", "A1", "33.333")
    assert made.of("s1")["marks"] == "1.99998"
    assert made.of("s1")["parts"][1]["marks"] == "1.99998"  # type: ignore[index]
    made("add", "mark", "s1", "A2", "1/9")
    assert made.of("s1")["parts"][2]["marks"] == "0." + "6" * 29 + "7"  # type: ignore[index]


def test_marks_are_shown_on_their_side_of_a_letter_s_bound(made: Grades, tmp_path: Path) -> None:
    marks = tmp_path / "marks.csv"
    works = "A1,A2,A3,A4,A5,midterm,final,quizzes,participation"
    marks.write_text(f"id,{works}\ns2,{','.join(['90'] * 9)}\ns1,{','.join(['90'] * 8)},89.98\n")
    made("add", "marks", str(marks))
    assert made.of("s1")["marks"] == "89.998"
    assert [row.split()[-3:] for row in made().splitlines() if row.startswith(("s1", "s2"))] == [
        ["89.998", "100", "B"],
        ["90", "100", "A"],
    ]
    assert "89.998" in made("add", "mark", "s2", "participation", "89.98", "--why", "a slip")
    course = made.folder / "course.toml"
    course.write_text(course.read_text().replace("A = 90, B = 80", "A = 90, B = 89.999"))
    assert "89.998" in made("policy")


@pytest.mark.parametrize("named", [False, True])
def test_a_corrected_mark_is_for_the_file_that_was_marked(
    made: Grades, tmp_path: Path, named: bool
) -> None:
    """A letter falls where what counts is late: 85 % becomes 79.99 %."""
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    for path, at in ((first, "2027-02-01T20:00"), (second, "2027-02-03T20:00")):
        path.write_text(path.name)
        made("add", "submission", "s1", "A1", str(path), "--at", at)
        if path == first:
            made("add", "mark", "s1", "A1", "84")
    words = ["--submission", str(second)] if named else []
    made("add", "mark", "s1", "A1", "85", "--why", "a typo", "--keep", *words)
    assert made.of("s1")["marks"] == ("4.7994" if named else "5.1")
    if named:  # the same marks for another file are a change
        again = ("add", "mark", "s1", "A1", "85", "--submission", str(first), "--why", "rather")
        assert "5.1" in made(*again)
        assert "Nothing is kept" in made.err
    table = tmp_path / "marks.csv"
    table.write_text("id,A1\ns1,86\n")
    made("add", "marks", str(table), "--keep", "--why", "another typo")
    assert made.of("s1")["marks"] == ("4.7994" if named else "5.16")
    other = tmp_path / "other.py"
    other.write_text("x")
    said = made.refused("add", "mark", "s1", "A1", "5", "--submission", str(other))
    assert "nothing that s1 handed in for A1" in said


def test_a_team_is_marked_for_what_each_of_it_handed_in(made: Grades, tmp_path: Path) -> None:
    made("add", "team", "t", "s1", "s2")
    for student in ("s1", "s2"):
        work = tmp_path / student
        work.write_text(student)
        made("add", "submission", student, "A1", str(work), "--at", "2027-02-01T20:00")
    assert made("add", "mark", "t", "A1", "80") == "2 things kept.\n"
    assert made("add", "mark", "t", "A2", "80") == "1 thing kept.\n"
    assert [made.of(s)["marks"] for s in ("s1", "s2", "s3")] == ["9.6", "9.6", "0"]


def test_a_mark_has_a_rubric_and_a_comment(made: Grades) -> None:
    words = ("add", "mark", "s1", "A1", "8/10", "--rubric", "plots=3.5", "--rubric")
    assert "the criteria of A1 sum to 7.5; expected 8" in made.refused(*words, "text=4")
    for wrong in ("text", "=3", "text=much", "plots=4.5"):
        assert f"--rubric {wrong} is no mark of a criterion" in made.refused(*words, wrong)
    assert "-1 of 10 are no marks" in made.refused(*words, "text=5.5", "--rubric", "late=-1")
    made(*words, "text=4.5", "--comment", "Label\nthe axes.\x1b[2J")
    assert made("show", "s1").endswith("A1: plots 3.5, text 4.5; “Label the axes.\\x1b[2J”\n")
    assert made.of("s1")["comments"] == [
        {
            "work": "A1",
            "rubric": {"plots": "3.5", "text": "4.5"},
            "comment": "Label\nthe axes.\x1b[2J",
        }
    ]


def test_a_work_with_parts_is_marked_by_them_out_of_the_syllabus_s_own_marks(
    made: Grades,
) -> None:
    """CUHK: code 15 (10 and 5), report 25 (3, 4, 5, 8, 2 and 3)."""
    assert main(["course", "new", "CUHK", "--start", "2027-01-04", "--out", "cuhk"]) == 0
    made.folder = Path("cuhk")
    Path("cuhk.csv").write_text("id,name\na,A\nb,B\n")
    made("add", "roster", "cuhk.csv")
    made("add", "team", "1", "a", "b", "--of", "project")

    def code(mark: str, **points: str) -> tuple[str, ...]:
        rubric = [word for part, each in points.items() for word in ("--rubric", f"{part}={each}")]
        return ("add", "mark", "1", "code", mark, *rubric)

    for words, sentence in (
        (code("13.5/15"), "code is marked by its parts: runs, structure"),
        (code("13.5/20", runs="9", structure="4.5"), "sum to 13.5/15; expected that, and not"),
        (code("14", runs="9", structure="4.5"), "the parts of code sum to 13.5/15"),
        (code("14/15", runs="11", structure="3"), "runs has 11 marks; expected from 0 to 10"),
        (code("9/15", runs="9"), "the rubric of code has no structure; expected every part"),
        (code("9/15", run="9", structure="0"), "code has no part 'run'; did you mean 'runs'?"),
    ):
        assert sentence in made.refused(*words)
    made(*code("90%", runs="9", structure="4.5"), "--comment", "It runs.")
    assert [made.of(student)["marks"] for student in "ab"] == ["13.5", "13.5"]
    assert made("show", "b").count("It runs.") == 1


def test_proposals_are_shown_with_their_text(made: Grades, tmp_path: Path) -> None:
    text = tmp_path / "proposal.txt"
    text.write_text("We read\na paper.")
    made("add", "team", "t", "s2", "s3")
    made("add", "proposal", "t", "midterm", "proposed", "--text", str(text))
    made("add", "proposal", "t", "midterm", "returned", "--why", "Which one?")
    assert made("show", "s3").endswith(
        "The proposal for midterm is returned. Feedback: “Which one?”\n"
    )
    made("add", "proposal", "t", "midterm", "proposed", "--text", str(text))
    assert made("show", "s3").endswith("is proposed. “We read a paper.”\n")
    assert "proposal" not in made("show", "s1")
    text.write_text("x" * 20_001)
    assert "has 20,001 signs" in made.refused(
        "add", "proposal", "t", "midterm", "approved", "--text", str(text)
    )


def test_a_student_leaves_and_comes_back(made: Grades) -> None:
    made("add", "mark", "s1", "A1", "50")
    assert made("add", "left", "s1") == "1 thing kept.\n"
    assert made("add", "left", "s1") == ""
    assert [each["student"] for each in json.loads(made("--json"))] == ["s2", "s3", "=1+1"]
    assert "s1 has left the course" in made.refused("show", "s1")
    assert "left True" in made("log", "s1")
    assert made("add", "left", "s1", "--withdraw") == "1 thing kept.\n"
    assert (made.of("s1")["marks"], made.of("s1")["name"]) == ("3", "Ada Lovelace")
    assert "no student" in made.refused("add", "left", "nobody")


# -- what a stranger's folder holds ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe", "-wal", "-shm"])
def test_what_lies_in_place_of_a_gradebook_is_not_touched(
    made: Grades, tmp_path: Path, kind: str
) -> None:
    book, other = made.folder / "grades.db", tmp_path / "other.db"
    victim = tmp_path / "victim"
    victim.write_text("mine")
    book.rename(other)
    if kind in ("link", "dangling"):
        book.symlink_to(other if kind == "link" else tmp_path / "nothing.db")
    elif kind == "folder":
        book.mkdir()
    elif kind == "pipe":
        os.mkfifo(book)
    else:
        other.rename(book)
        Path(f"{book}{kind}").symlink_to(victim)
    before = {path: path.read_bytes() for path in tmp_path.glob("*") if path.is_file()}
    for words in ([], ["add", "mark", "s1", "A1", "5"], ["add", "roster", "roster.csv"]):
        assert "is no file but a link, a folder or the like" in made.refused(*words)
    assert {path: path.read_bytes() for path in tmp_path.glob("*") if path.is_file()} == before


def test_only_adding_begins_a_gradebook(made: Grades) -> None:
    book = made.folder / "grades.db"
    book.unlink()
    book.touch()
    for words in ([], ["policy", "--keep"]):
        assert "there is no gradebook in" in made.refused(*words)
        assert [path.name for path in made.folder.glob("grades*")] == ["grades.db"]
        assert book.read_bytes() == b""
    made("add", "roster", "roster.csv")


@pytest.mark.parametrize("kind", ["pipe", "endless", "large", "link", "folder"])
def test_what_is_added_from_a_file_is_a_plain_one(made: Grades, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "given"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(1 << 34)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "roster.csv")
    given = Path("/dev/zero") if kind == "endless" else path
    ways = [["roster"], ["marks"], ["review", "s1", "midterm", "s2"]]
    ways += [["submission", "s1", "A1"]] if kind != "large" else []
    for way in ways:
        said = made.refused("add", *way, str(given))
        assert "has more than" in said if kind == "large" else "can't be read: it is" in said


@pytest.mark.parametrize("number", ["1e-999999", "0e999999", "9" * 120_000, "nan"])
def test_a_number_without_end_locks_no_gradebook(made: Grades, tmp_path: Path, number: str) -> None:
    marks = tmp_path / "marks.csv"
    for way in (
        ["mark", "s1", "A1", number],
        ["mark", "s1", "A1", f"1/{number}"],
        ["mark", "s1", "A1", f"{number}%"],
        ["mark", "s1", "A1", "1", "--rubric", f"x={number}"],
        ["adjustment", "s1", number, "--why", "x"],
    ):
        made.refused("add", *way)
    for heading, cell in (("A1", number), ("A1", f"1/{number}"), (f"A1 /{number}", "1")):
        marks.write_text(f"id,{heading}\ns1,{cell}\n")
        made.refused("add", "marks", str(marks))
    assert made.of("s1")["of"] == "0"


def test_a_policy_that_is_none_is_told(made: Grades) -> None:
    with Gradebook(made.folder / "grades.db") as book:
        book.append([PolicyVersion(digest="x", text="base = 1")], who="eve")
    assert made(code=2) == ""
    assert "grades.db keeps is none: " in made.err


def test_no_text_forges_a_line(made: Grades) -> None:
    course = made.folder / "course.toml"
    forged = "100 of 100 marks: A."
    course.write_text(f'title = "Mine\\n{forged}\\u001b[2J"\n' + course.read_text())
    made("policy", "--keep")
    made("add", "adjustment", "s1", "1", "--why", f"so\n{forged}")
    text = made("show", "s1")
    assert text.count(forged) == 2
    assert forged not in [line[: len(forged)] for line in text.splitlines()]
    assert "\x1b" not in text
