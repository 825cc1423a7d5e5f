"""Grades as CSV: plain, or with the columns that Canvas and Moodle read."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Literal

from etude.courses.amounts import exact, shown
from etude.courses.course import Course
from etude.courses.csvs import written
from etude.courses.explaining import marks_of
from etude.courses.standing import Record
from etude.courses.summing import Grade

Format = Literal["plain", "canvas", "moodle"]
FORMATS: tuple[Format, ...] = ("plain", "canvas", "moodle")


REST = "Adjustments"  # Canvas's column for what is in the sum and in no part


def export(
    grades: Mapping[str, Grade], students: Mapping[str, Record], course: Course, form: Format
) -> bytes:
    """The grades of a course as a CSV file: a row a student, a column a part of the grade.

    In ``canvas`` a part is out of its weight and extra credit is out of 0, as is a further column
    for what is in the sum and in no part: adjustments, and marks that are made up for. So Canvas's
    own sum is the same, and numbers stand there with all their digits. A part that has no mark, or
    whose weight is not decided, is an empty cell.

    Args:
        grades: by student.
        students: what is known of each.
        course: whose grades they are.
        form: whose columns.
    """
    items = course.grade
    rows = []
    for student, grade in grades.items():
        record = students[student]
        cells = [marks_of(part) for part in grade.parts]
        total = "" if grade.marks is None else shown(grade.marks, course.bounds)
        letter = grade.letter or ""
        if form == "canvas":
            cells = [marks_of(part, exact) for part in grade.parts]
            about = [record.name or student, "", student, "", record.section]
            rows.append([*about, *cells, _rest(grade)])
        elif form == "moodle":
            rows.append([student, record.name, record.email, *cells, total, letter])
        else:
            why = " ".join((*grade.fails, *grade.undecided))
            about = [student, record.name, record.section]
            rows.append([*about, *cells, total, shown(grade.of), letter, why])
    if form == "canvas":
        out_of = ["0" if item.extra else exact(item.weight or 0) for item in items]
        rows.insert(0, ["Points Possible", "", "", "", "", *out_of, "0"])
        columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
        return written([*columns, *(item.title for item in items), REST], rows)
    if form == "moodle":
        columns = ["ID number", "Full name", "Email address", *(item.title for item in items)]
        return written([*columns, "Course total", "Letter"], rows)
    titles = [
        f"{item.id} {'+' if item.extra else '/'}{'' if item.weight is None else shown(item.weight)}"
        for item in items
    ]
    columns = ["id", "name", "section", *titles, "marks", "of", "letter", "notes"]
    return written(columns, rows, mark=True)


def _rest(grade: Grade) -> str:
    """What is in a sum and in none of its parts."""
    if grade.marks is None:
        return ""
    parts = (part.marks for part in grade.parts if part.state == "marked")
    return exact(grade.marks - sum((marks for marks in parts if marks is not None), Fraction(0)))
