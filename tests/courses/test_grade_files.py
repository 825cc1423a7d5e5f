"""Rosters, marks and grades as CSV; the explanation of a sum."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.courses.csvs import masked, read_table, unmasked, written
from etude.courses.events import Adjusted, Enrolment, Event, HandMark, Submission
from etude.courses.explaining import as_text, lines, total
from etude.courses.exporting import FORMATS, export
from etude.courses.library import course
from etude.courses.pieces import Pieces
from etude.courses.policy import Policy
from etude.courses.roster import enrolled, mark_of, read_marks, read_roster
from etude.courses.sheet import grades
from etude.courses.standing import Entry, Standing
from etude.courses.student_work import Mark, StudentWork
from etude.errors import UserError
from tests.courses.editions import all_in, decided, everything, hours_late

CU = Pieces(course("CU"))
NASTY = ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1", "＝1", "a;=1", 'a",=1']
CELLS = st.one_of(
    st.text(st.sampled_from("=+-@'\t\r\n;,| \"a1.＝−\u00a0"), max_size=8),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.sampled_from(NASTY),
)


def standing(*students: str) -> Standing:
    found = Standing()
    for number, student in enumerate(students, 1):
        found.apply(Entry(number, hours_late(0), "me", "", Enrolment(student=student, name="N")))
    return found


# -- cells -----------------------------------------------------------------------------------------


@given(CELLS)
def test_a_cell_is_read_back_unchanged(cell: str) -> None:
    assert unmasked(masked(cell)) == cell


@given(st.lists(CELLS, min_size=1, max_size=4))
def test_no_cell_is_a_formula_at_whatever_separator(cells: list[str]) -> None:
    content = written(["id"] * len(cells), [cells]).decode()
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(content, newline=""), delimiter=separator):
            for cell in row:
                number = cell.strip().removeprefix("-").replace(".", "", 1).isdecimal()
                bare = cell.strip(' "\u00a0')
                assert not bare.startswith(("=", "+", "-", "@", "＝", "−")) or number


@given(st.lists(CELLS.map(str.strip).filter(bool), min_size=1, max_size=3))
def test_a_table_is_read_back_unchanged(cells: list[str]) -> None:
    import tempfile

    cells = [" ".join(cell.split()) for cell in cells]
    columns = [f"c{n}" for n in range(len(cells) + 1)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_bytes(written(columns, [["x", *cells]], mark=True))
        ((_, row),) = read_table(path).rows
    assert [*row.values()] == ["x", *cells]


def test_numbers_stay_numbers() -> None:
    for number in ("-1.5", "0", "12", "99.99"):
        assert masked(number) == number
    assert masked("-1.5.2") == "'-1.5.2"


# -- rosters ---------------------------------------------------------------------------------------

PLAIN = "id,name,email\ns1,Zoë Müller,z@x.org\ns2,José Núñez,j@x.org\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_rosters_in_every_encoding(encoding: str, separator: str, tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(PLAIN.replace(",", separator).encode(encoding))
    assert [(s.student, s.name, s.email) for s in read_roster(path)] == [
        ("s1", "Zoë Müller", "z@x.org"),
        ("s2", "José Núñez", "j@x.org"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Student,ID,SIS User ID,SIS Login ID,Section\nPoints Possible,,,,\nA B,7,s1,ab,X",
            "s1 A B",
        ),
        ("Student,ID,SIS User ID\nA B,7,", "7 A B"),
        ("First name,Last name,ID number\nA,B,s1", "s1 A B"),
        ("student,name\ns1,A B", "s1 A B"),
        ("Username,Full name\ns1,A B", "s1 A B"),
        ("name,id\n=1+1,=1+1", "=1+1 =1+1"),
        ("name,id\n'=1+1,'=1+1", "=1+1 =1+1"),
        ('name,id\n"B, A",s1', "s1 B, A"),
        ("\n\nid,name\n\n s1 , A   B \n\n", "s1 A B"),
        ("id,name,,\ns1,A B,,", "s1 A B"),
    ],
)
def test_rosters_of_other_programs(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(text)
    (student,) = read_roster(path)
    assert f"{student.student} {student.name}" == expected


def test_two_students_may_have_one_name(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text("id,name\ns1,A B\ns2,A B\n")
    assert [each.student for each in read_roster(path)] == ["s1", "s2"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"name,email\nA,b", "no column of ids; its columns are 'name', 'email'"),
        (b"id,email\ns1,b", "no column of names"),
        (b"id,name\ns1,A\ns1,B", "line 3: the id s1 stands in line 2 already"),
        (b"id,name\n,A", "line 2: there is no id"),
        (b"id,name\ns1,A,x", "line 2: 3 cells; expected 2"),
        (b"id,id,name\ns1,s1,A", "two columns 'id'"),
        (b"id,name\n", "has no student"),
        (b"", "is empty"),
        (b'id,name\ns1,"A', "unexpected end of data"),
        (b"PK\x03\x04\x00\x00\x00\x00\x00\x01" * 9, "is "),
        (b"id,name\ns1,\x81\x8d", "no known encoding"),
        (b"id," * 501 + b"name\n", "502 columns; expected at most 500"),
        (b"id," + b" a" * 400 + b"\ns1,A", "line 1: a cell has more than 500 signs"),
        (b"id,name\ns1," + b"A" * 20_001, "line 2: a cell has more than 20,000 signs"),
    ],
)
def test_what_is_no_roster(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_roster(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    for missing in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UserError, match="can't be read"):
            read_roster(missing)


@pytest.mark.parametrize(("rows", "cells", "most"), [(3, 100, 3), (100, 9, 4)])
def test_a_table_has_no_more_than_a_course_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, cells: int, most: int
) -> None:
    monkeypatch.setattr("etude.courses.csvs.MOST_ROWS", rows)
    monkeypatch.setattr("etude.courses.csvs.MOST_CELLS", cells)
    path = tmp_path / "x.csv"
    for number in (most, most + 1):
        path.write_text("id,name\n" + "".join(f"s{n},N\n\n" for n in range(number)))
        if number == most:
            assert len(read_roster(path)) == most
    with pytest.raises(UserError, match=f"expected at most {most} rows of 2 cells"):
        read_roster(path)


@given(st.binary(max_size=300))
def test_whatever_a_file_holds_is_a_roster_or_a_sentence(content: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(b"id,name\n" + content)
        file.flush()
        try:
            found = read_roster(Path(file.name))
        except UserError:
            return
        assert len({each.student for each in found}) == len(found) > 0


def test_only_what_is_new_of_a_roster_is_kept() -> None:
    there = standing("s1")
    roster = [Enrolment(student="s1", name="N"), Enrolment(student="s2", name="M")]
    assert enrolled(roster, there) == [roster[1]]
    assert enrolled([Enrolment(student="s1", name="O")], there)


# -- marks -----------------------------------------------------------------------------------------


def test_marks_come_in(tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    path.write_text("id,name,A1,quizzes/3 /30,A2\ns1,N,85,27.5,\ns2,N,,,7/10\n")
    assert read_marks(path, standing("s1", "s2"), CU) == [
        HandMark(student="s1", work="A1", earned=Decimal(85)),
        HandMark(student="s1", work="quizzes/3", earned=Decimal("27.5"), most=Decimal(30)),
        HandMark(student="s2", work="A2", earned=Decimal(7), most=Decimal(10)),
    ]
    path.write_text("Student,SIS User ID,A1\nPoints Possible,,20\nN,s1,15\n")
    assert read_marks(path, standing("s1"), CU) == [
        HandMark(student="s1", work="A1", earned=Decimal(15), most=Decimal(20))
    ]


@pytest.mark.parametrize("heading", ["class", "class /10"])
def test_a_work_may_be_called_like_a_column_of_a_roster(heading: str, tmp_path: Path) -> None:
    """ITU marks participation in class; a column Section or Group says nothing of marks."""
    path = tmp_path / "marks.csv"
    path.write_text(f"id,Section,{heading}\ns1,X,9\n")
    (mark,) = read_marks(path, standing("s1"), Pieces(course("ITU")))
    assert isinstance(mark, HandMark)
    most = Decimal(10 if "/" in heading else 100)
    assert (mark.work, mark.earned, mark.most) == ("class", Decimal(9), most)
    path.write_text("id,class\ns1,Group A\n")  # none of CU's works
    assert read_marks(path, standing("s1"), CU) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,A9\ns1,3", "no work 'A9'"),
        ("id,class /10\ns1,3", "no work 'class'"),
        ("id,A1\ns9,3", "line 2: no student 's9'"),
        ("id,A1\ns1,good", "line 2, A1: 'good' is no mark"),
        ("id,A1\ns1,1.2.3", "is no mark"),
        ("A1\n3", "its columns are 'A1'; expected one called id"),
        ("id,A1\ns1,1_0", "is no mark"),
        ("id,A1\ns1,85%/10", "is no mark"),
        ("id,assignments\ns1,3", "no work 'assignments'"),
    ],
)
def test_what_are_no_marks(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "marks.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_marks(path, standing("s1"), CU)
    assert sentence in str(caught.value)


def test_a_mark_as_one_writes_it() -> None:
    for text, of, expected in (
        ("8", 10, "8 10"),
        (" 7.5 / 10 ", 20, "7.5 10"),
        ("85%", 30, "25.5 30"),
        ("33.33 %", 10, "3.333 10"),
        ("85%", None, "85 100"),
        ("8", None, "8 100"),
    ):
        most = None if of is None else Decimal(of)
        assert mark_of("x", text, most) == tuple(map(Decimal, expected.split()))


def test_a_percent_counts_as_much_as_the_marks_beside_it(tmp_path: Path) -> None:
    """Where quizzes divide by their points, 85 % of one out of 30 is 25.5 of 30."""
    path = tmp_path / "marks.csv"
    path.write_text("id,quizzes/1 /30,quizzes/2 /30\ns1,85%,0\n")
    there = standing("s1")
    for number, event in enumerate(read_marks(path, there, CU), 2):
        there.apply(Entry(number, hours_late(0), "me", "", event))
    (grade,) = grades(there, decided("CU", quiz_weights="points")).values()
    assert grade.marks == 30 * Decimal("25.5") / 60


# -- grades out ------------------------------------------------------------------------------------


def filled() -> Standing:
    found = Standing()
    policy = Policy(decided("OU"))
    events = [
        Enrolment(student="=1+1", name='=HYPERLINK("x")', email="a@x", section="@s"),
        *(HandMark(student="=1+1", work=leaf, earned=Decimal(80)) for leaf in policy.pieces.leaves),
        Submission(student="=1+1", work="H1", at=hours_late(1)),
        Enrolment(student="s2", name="Zoë"),
    ]
    for number, event in enumerate(events, 1):
        found.apply(Entry(number, hours_late(0), "me", "", event))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_grades_go_out_and_are_read_back(form: str, tmp_path: Path) -> None:
    there = filled()
    found = grades(there, decided("OU"))
    path = tmp_path / "grades.csv"
    path.write_bytes(export(found, there.students, decided("OU").course, form))  # type: ignore[arg-type]
    assert path.read_bytes() == export(found, there.students, decided("OU").course, form)  # type: ignore[arg-type]
    raw = path.read_text(encoding="utf-8-sig")
    assert "'=1+1" in raw
    assert ",=" not in raw
    assert [(s.student, s.name) for s in read_roster(path)] == [
        ("=1+1", '=HYPERLINK("x")'),
        ("s2", "Zoë"),
    ]
    table = read_table(path)
    rows = [row for _, row in table.rows if "Points Possible" not in row.values()]
    homework = next(column for column in table.columns if column.lower().startswith("homework"))
    assert [row[homework] for row in rows] == ["23.6", ""]
    if form == "canvas":
        (points,) = [row for _, row in table.rows if "Points Possible" in row.values()]
        assert points["Homework"] == "30"
        assert points["Written report"] == "0"
        assert sum(int(points[item.title]) for item in course("OU").grade) == 100
        assert points["Adjustments"] == "0"
        assert [row["Adjustments"] for row in rows] == ["0", "0"]
    if form == "moodle":
        assert table.columns[:3] == ("ID number", "Full name", "Email address")
        assert rows[0]["Course total"] == "103.6"
    if form == "plain":
        assert (rows[0]["marks"], rows[0]["letter"], rows[1]["letter"]) == ("103.6", "A", "")


@pytest.mark.parametrize("participation", ["within", "make-up"])
def test_canvas_sums_to_what_the_grade_is(participation: str, tmp_path: Path) -> None:
    """With an adjustment, a third of a mark, and what makes up for marks that were lost."""
    edition = decided("CUHK", participation=participation)
    found = standing("s1", "s2")
    events: list[Event] = [
        HandMark(student="s1", work=leaf, earned=Decimal(2), most=Decimal(3))
        for leaf in Policy(edition).pieces.leaves
    ]
    events += [Adjusted(student="s1", by=Decimal("-1.5")), Adjusted(student="s2", by=Decimal(2))]
    for number, event in enumerate(events, 3):
        found.apply(Entry(number, hours_late(0), "me", "why", event))
    path = tmp_path / "grades.csv"
    reckoned = grades(found, edition)
    path.write_bytes(export(reckoned, found.students, edition.course, "canvas"))
    columns = [*(item.title for item in edition.course.grade), "Adjustments"]
    for _, row in read_table(path).rows[1:]:
        sums = sum(Fraction(row[column] or 0) for column in columns)
        marks = reckoned[row["SIS User ID"]].marks
        assert marks is not None
        assert abs(sums - marks) < Fraction(1, 10**25)


# -- the explanation -------------------------------------------------------------------------------


def test_the_explanation_names_every_step() -> None:
    there = filled()
    (grade, empty) = grades(there, decided("OU")).values()
    text = as_text(grade, decided("OU").course)
    for step in (
        "23.6 of   30  Homework (homework)",
        "7.6 of   10    Classifiers by hand (H1)",
        "80 of 100 marks.",
        "It was 1 h late, which counts as 1 day: 95 % of its marks are left.",
        "“There will be 5% deduction per each late day",
        "24 marks of extra credit come on top.",
        "103.6 of 100 marks: A.",
        "103.6 marks make the letter A. “A: above 90%”",
    ):
        assert step in text
    assert "0 of 0 marks so far." in as_text(empty, decided("OU").course)
    assert "Not marked yet: H1, H2, H3, talk" in as_text(empty, decided("OU").course)
    undecided = as_text(grades(there, decided("OU", without=("late-day",)))["=1+1"], course("OU"))
    assert "The sum is not computed" in undecided
    assert "· late-day is not decided: What does a part of a late day count for?" in undecided


def test_the_table_sums_to_the_total() -> None:
    policy = Policy(decided("CU"))
    marks = everything(policy, 77) | {"A1": Mark(Decimal(1), Decimal(3))}
    grade = policy.grade(StudentWork(marks, all_in(policy, 30)), final=True)
    rows = lines(grade)
    assert [row.id for row in rows if row.depth == 0] == [i.id for i in course("CU").grade]
    assert sum(Decimal(row.marks) for row in rows if row.depth == 0) == Decimal("72.7")
    assert total(grade, course("CU")) == "72.7 of 100 marks: C."
    assert next(row for row in rows if row.id == "A1").marks == "2"
