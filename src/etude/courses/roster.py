"""A roster and lists of marks that come in as CSV, and become events."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from etude.courses.amounts import number
from etude.courses.csvs import Table, read_table
from etude.courses.events import Enrolment, Event, HandMark
from etude.courses.pieces import Pieces
from etude.courses.standing import Standing
from etude.errors import UserError, nearest

COLUMNS = {  # what programs call a column, in lower case and without what is no letter
    "id": (
        "sisuserid",
        "idnumber",
        "studentid",
        "studentnumber",
        "matriculation",
        "id",
        "username",
        "sisloginid",
        "login",
        "student",
    ),
    "name": ("name", "fullname", "studentname", "displayname", "student"),
    "first": ("firstname", "givenname", "forename"),
    "last": ("lastname", "surname", "familyname"),
    "email": ("email", "emailaddress", "mail"),
    "section": ("section", "group", "class"),
}
ABOUT = {name for names in COLUMNS.values() for name in names}


def read_roster(path: Path) -> list[Enrolment]:
    """The students of a roster.

    Two students may have one name; an id stands there once.

    Raises:
        UserError: a column is missing, an id is missing or stands there twice.
    """
    table = read_table(path)
    columns = _known(table)
    if "id" not in columns:
        raise UserError(
            f"{path} has no column of ids; its columns are {_list(table.columns)}; expected one"
            " called id, student id, ID number, SIS User ID or username"
        )
    if not {"name", "first", "last"} & columns.keys():
        raise UserError(
            f"{path} has no column of names; its columns are {_list(table.columns)}; expected one"
            " called name, or first name and last name"
        )
    found: dict[str, int] = {}
    students = []
    for line, cells in table.rows:
        student = _tidy(cells[columns["id"]])
        if _is_points(cells, columns):
            continue
        if not student:
            raise UserError(f"{path}, line {line}: there is no {columns['id']}; expected an id")
        if student in found:
            raise UserError(
                f"{path}, line {line}: the id {student} stands in line {found[student]} already;"
                " expected each student once"
            )
        found[student] = line
        parts = [_tidy(cells[columns[each]]) for each in ("first", "last") if each in columns]
        name = _tidy(cells[columns["name"]]) if "name" in columns else " ".join(filter(None, parts))
        if len(student) > 200:
            raise UserError(f"{path}, line {line}: an id of {len(student)} signs; expected 200")
        email = _tidy(cells[columns["email"]]) if "email" in columns else ""
        section = _tidy(cells[columns["section"]]) if "section" in columns else ""
        students.append(Enrolment(student=student, name=name, email=email, section=section))
    if not students:
        raise UserError(f"{path} has no student; expected a line for each")
    return students


def enrolled(roster: Iterable[Enrolment], standing: Standing) -> list[Event]:
    """The events of a roster: those who are new, and those of whom something changed."""
    events: list[Event] = []
    for each in roster:
        there = standing.students.get(each.student)
        if there is None or each != Enrolment(
            student=there.student,
            name=there.name,
            email=there.email,
            section=there.section,
            left=there.left,
        ):
            events.append(each)
    return events


def read_marks(path: Path, standing: Standing, pieces: Pieces) -> list[Event]:
    """Marks by hand from a table: a column of ids, and a column a work.

    A heading is a work's name, with ``/30`` behind it where it is marked out of 30 and not of 100:
    ``quizzes/3 /30``. A row whose name is "Points Possible", as Canvas writes it, says the same. A
    cell may say ``8/10`` itself. An empty cell says nothing. A mark is one for the submission that
    counts now, so a corrected one is not for what was handed in since.

    Raises:
        UserError: a column names no work, a row no student, a cell no mark.
    """
    table = read_table(path)
    columns = _known(table)
    if "id" not in columns:
        raise UserError(
            f"{path} has no column of ids; its columns are {_list(table.columns)}; expected one"
            " called id"
        )
    works: dict[str, tuple[str, Decimal]] = {}
    for column in table.columns:
        if not column or column == columns["id"]:
            continue
        work, most = _heading(column)
        if pieces.leaf_of(work) is not None:  # asked first: a work may be called class, too
            works[column] = work, most
        elif work != column or _plain(column) not in ABOUT:
            expected = nearest(work, pieces.markable())
            raise UserError(f"{path}: no work '{work}'{expected}")
    events: list[Event] = []
    for line, cells in table.rows:
        where = f"{path}, line {line}"
        if _is_points(cells, columns):
            for column, (work, _) in works.items():
                if cells[column]:
                    works[column] = (work, mark_of(f"{where}, {column}", cells[column], None)[0])
            continue
        student = _tidy(cells[columns["id"]])
        if student not in standing.students:
            raise UserError(f"{where}: no student '{student}'{nearest(student, standing.students)}")
        for column, (work, most) in works.items():
            if cells[column]:
                earned, most = mark_of(f"{where}, {column}", cells[column], most)
                record = standing.students[student]
                event = HandMark(
                    student=student,
                    work=work,
                    earned=earned,
                    most=most,
                    submission=record.submission(work, pieces),
                )
                before = record.marks.get(work)
                same = before and (before.mark.earned, before.mark.most) == (earned, most)
                events += [] if same else [event]
    return events


def mark_of(where: str, text: str, most: Decimal | None) -> tuple[Decimal, Decimal]:
    """``(earned, most)`` of a mark like ``8``, ``7.5/10`` or ``85%``.

    Args:
        where: the mark stands.
        text: the mark.
        most: what it is out of, where the text does not say; None: of 100.

    Raises:
        UserError: it is none.
    """
    earned, slash, of = text.partition("/")
    percent = earned.rstrip().endswith("%") and not slash
    try:
        found = number(earned.rstrip().removesuffix("%") if percent else earned)
        whole = number(of) if slash else Decimal(100) if most is None else most
        return found * whole / 100 if percent else found, whole
    except ValueError as error:
        expected = f"{error}, like 8, 7.5/10 or 85%"
        raise UserError(f"{where}: '{text}' is no mark; {expected}") from None


def _heading(column: str) -> tuple[str, Decimal]:
    work, slash, most = column.rpartition("/")
    try:
        if slash and work[-1:].isspace():
            return work.rstrip(), number(most)
    except ValueError:
        pass
    return column, Decimal(100)


def _known(table: Table) -> dict[str, str]:
    """``{what it is: heading}`` of the columns that are known; of several, the first that isn't
    empty.
    """
    plain = {_plain(column): column for column in table.columns}
    found: dict[str, str] = {}
    for what, names in COLUMNS.items():
        there = [plain[name] for name in names if name in plain and plain[name] != found.get("id")]
        filled = [name for name in there if any(cells[name] for _, cells in table.rows)]
        if there:
            found[what] = (filled or there)[0]
    return found


def _is_points(cells: dict[str, str], columns: dict[str, str]) -> bool:
    return any(
        cells[columns[each]].strip().lower() == "points possible"
        for each in ("id", "name")
        if each in columns
    )


def _plain(column: str) -> str:
    return re.sub(r"[^a-z]", "", column.lower())


def _tidy(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _list(columns: Iterable[str]) -> str:
    return ", ".join(f"'{column}'" for column in columns) or "none"
