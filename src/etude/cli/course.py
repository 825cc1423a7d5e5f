"""The courses: what each week asks for, what is handed in, how grades are made.

list shows them, show one of them (COURSE is a name, or the path of a course's file or folder), new
writes an edition of one that begins on your first day of classes, calendar writes its days for a
calendar program. quiz asks questions on a week's studies, as 'etude quiz' does on one; exam draws
questions on a range of lectures and writes them as pages to be printed, exam.html and key.html.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from etude.catalogue import Catalogue
from etude.cli.asking import add_asking, chosen_seed, conduct
from etude.cli.output import echo, echo_json
from etude.cli.tables import Column, Row, print_table, terminal_width
from etude.courses.course import HELD, Meeting
from etude.courses.edition import Edition
from etude.courses.library import all_courses, course_named, find, planned
from etude.courses.words import (
    by_week,
    choices,
    cited,
    dated,
    days,
    grade_rows,
    policies,
    titled,
    when,
)
from etude.errors import UserError, nearest
from etude.results.files import create

ACTIONS = ("list", "show", "new", "calendar", "quiz", "exam")
QUIZ, EXAM = 10, 25  # questions, unless --count says otherwise
BELONGS = {  # an option, and the actions that have it
    "start": ("new",),
    "week": ("show", "quiz"),
    "assignment": ("show",),
    "lectures": ("exam",),
    "out": ("new", "calendar", "exam"),
    "seed": ("quiz", "exam"),
    "count": ("quiz", "exam"),
    "answers": ("quiz",),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude course``."""
    parser.add_argument(
        "action",
        nargs="?",
        default="list",
        help="list (the default), show, new, calendar, quiz, exam",
    )
    parser.add_argument("course", nargs="?", help="a name from 'etude course list', or a path")
    parser.add_argument("--week", type=int, metavar="N", help="show, quiz: one week of it")
    parser.add_argument(
        "--assignment", metavar="ID", help="show: what one assignment demands, step by step"
    )
    parser.add_argument("--start", metavar="DATE", help="new: the first day of classes, 2027-01-19")
    parser.add_argument(
        "--out",
        metavar="PATH",
        type=Path,
        help="new, exam: a folder; calendar: a file, '-' to print it",
    )
    parser.add_argument("--lectures", metavar="FROM-TO", help="exam: which lectures, such as 1-9")
    add_asking(parser)


def main(options: argparse.Namespace) -> int:
    """List, show, make, or write a calendar."""
    if options.action not in ACTIONS:
        raise UserError(f"etude course can't '{options.action}'{nearest(options.action, ACTIONS)}")
    for option, actions in BELONGS.items():
        if getattr(options, option) is not None and options.action not in actions:
            raise UserError(f"--{option} is an option of 'etude course {' or '.join(actions)}'")
    if options.action == "list":
        if options.course:
            raise UserError(f"list shows all courses; 'etude course show {options.course}' one")
        list_all(options)
        return 0
    if not options.course:
        raise UserError(f"{options.action} which course? 'etude course list' shows them")
    if options.action == "show":
        show(find(options.course), options)
    elif options.action == "new":
        new(options)
    elif options.action == "quiz":
        return quiz(find(options.course), options)
    elif options.action == "exam":
        exam(find(options.course), options)
    else:
        write_calendar(find(options.course), options)
    return 0


# -- list ------------------------------------------------------------------------------------------


def list_all(options: argparse.Namespace) -> None:
    """One row a course."""
    there = {entry.name for entry in Catalogue().all()}
    rows = []
    found = []
    for course in all_courses():
        studies = list(course.asked())
        built = [name for name in studies if name in there]
        held = [row for row in course.schedule if row.kind in HELD]
        rows.append(
            [
                course.id,
                course.title,
                f"{course.school}, {course.term}",
                str(len(held)),
                f"{len(built)} of {len(studies)}",
            ]
        )
        found.append(
            {
                "course": course.id,
                "title": course.title,
                "school": course.school,
                "term": course.term,
                "held": len(held),
                "studies": studies,
                "built": built,
            }
        )
    if options.json:
        echo_json(found)
        return
    columns = [
        Column("course", accent=True),
        Column("title", wrap=True),
        Column("where", wrap=True, drop=1),
        Column("classes", right=True, drop=2),
        Column("studies built", right=True),
    ]
    print_table(columns, rows)


# -- show ------------------------------------------------------------------------------------------


def show(edition: Edition, options: argparse.Namespace) -> None:
    """A course: about it, its schedule, what is handed in, the grade, what is open."""
    if options.json:
        echo_json(as_json(edition))
        return
    course = edition.course
    if options.week is not None:
        show_week(edition, options.week)
        return
    if options.assignment is not None:
        show_assignment(edition, options.assignment)
        return
    begins = f", from {edition.start} on" if edition.start else ""
    echo(f"{course.id} · {course.title} · {course.school}, {course.term}{begins}")
    say(course.about)
    echo()
    show_schedule(course.schedule)
    if course.assignments:
        echo()
        echo("Handed in")
        rows = [
            [
                each.id,
                each.title,
                when(edition, each),
                ", ".join(map(marked, each.studies)),
                ", ".join(each.packs),
            ]
            for each in course.assignments
        ]
        columns = [
            Column("id", accent=True),
            Column("what", wrap=True),
            Column("due", wrap=True),
            Column("studies", wrap=True, drop=1),
            Column("to write", wrap=True, drop=2),
        ]
        print_table(columns, rows)
    if course.grade:
        echo()
        echo("The grade")
        print_table(
            [
                Column("weight", right=True),
                Column("for"),
                Column("the syllabus", wrap=True, drop=1),
            ],
            list(grade_rows(course.grade)),
        )
    sentences = list(policies(course))
    if sentences:
        echo()
        echo("Rules")
    for sentence in sentences:
        say(f"· {sentence}")
    if edition.open:
        echo()
        echo(f"Left open by the syllabus: {len(edition.open)} decisions")
        rows = [[each.id, each.question, choices(each)] for each in edition.open]
        columns = [
            Column("decision", accent=True),
            Column("question", wrap=True),
            Column("answers", wrap=True, drop=1),
        ]
        print_table(columns, rows)
        if edition.start is None:
            say(f"'etude course new {course.id} --start DATE --out DIR' makes a file for them.")
    if any(name in planned() for name in course.asked()):
        say("A study in (brackets) is not built yet.")


def show_schedule(schedule: Iterable[Meeting]) -> None:
    """One row a class."""
    rows: list[Row] = []
    for row in schedule:
        reads = [*row.papers, *row.assigned]
        rows.append(
            [
                days(row),
                titled(row) + (f" ({row.level}, {row.hours} h)" if row.hours else ""),
                ", ".join(map(marked, row.studies)),
                "; ".join(
                    [
                        *(f"out: {each}" for each in row.out),
                        *(f"due: {each}" for each in row.due),
                        *reads,
                    ]
                ),
            ]
        )
    columns = [
        Column("when", wrap=True),
        Column("what", wrap=True),
        Column("studies", wrap=True),
        Column("to read, to hand in", wrap=True, drop=1),
    ]
    print_table(columns, rows)


def show_week(edition: Edition, number: int) -> None:
    """All that one week holds.

    Raises:
        UserError: the course has no such week.
    """
    weeks = by_week(edition.course)
    if number not in weeks:
        there = f"one from {min(weeks)} to {max(weeks)}" if weeks else "a course with a schedule"
        raise UserError(f"{edition.course.id} has no week {number}; expected {there}")
    papers = {paper.id: paper for paper in edition.course.papers}
    for row in weeks[number]:
        echo(f"{days(row)}  {titled(row)}".strip())
        for heading, lines in (
            ("", row.topics),
            ("To read", row.assigned),
            ("Further", row.recommended),
            ("Papers", [cited(papers[name]) for name in row.papers]),
            ("Materials", row.materials),
            ("To do at home", row.tasks),
            ("Handed out", row.out),
            ("Due", row.due),
            ("Exercises", [f"etude assignment start {name}" for name in row.packs]),
            (
                "Studies",
                [f"etude run {s}" if s not in planned() else marked(s) for s in row.studies],
            ),
        ):
            if heading and lines:
                echo(f"  {heading}")
            for line in lines:
                say(f"· {line}", indent="    " if heading else "  ")
        echo()


def show_assignment(edition: Edition, name: str) -> None:
    """All that an assignment demands, beside the syllabus's words.

    Raises:
        UserError: the course has none of that name.
    """
    there = {each.id: each for each in edition.course.assignments}
    if name not in there:
        raise UserError(f"{edition.course.id} has no assignment '{name}'{nearest(name, there)}")
    found = there[name]
    echo(f"{found.id} · {found.title} · due: {when(edition, found)}")
    say(found.task)
    for number, step in enumerate(found.steps, 1):
        say(f"{number}. {step.text}", indent="  ")
    if found.conditions:
        echo()
        judged = {"program": "a program", "instructor": "the instructor"}
        rows = [[each.text, judged[each.by], f"“{each.words}”"] for each in found.conditions]
        columns = [
            Column("condition", wrap=True),
            Column("judged by", wrap=True),
            Column("the syllabus", wrap=True, drop=1),
        ]
        print_table(columns, rows)
    if found.studies:
        say(f"Studies: {', '.join(map(marked, found.studies))}")
    for pack in found.packs:
        echo(f"To write: etude assignment start {pack}")
    if found.packs:
        say("It writes what is handed in and how; 'etude assignment check' judges what you have.")


def marked(study: str) -> str:
    """A study's name, in brackets where it is not built yet."""
    return f"({study})" if study in planned() else study


def as_json(edition: Edition) -> dict[str, Any]:
    """A course as plain values."""
    import msgspec

    course: dict[str, Any] = msgspec.to_builtins(edition.course, enc_hook=str)
    made = {name: plain(value) for name, value in edition.made.items()}
    start = edition.start and edition.start.isoformat()
    return {**course, "start": start, "made": made, "open": [each.id for each in edition.open]}


def plain(value: Any) -> Any:
    """A decided value as JSON holds it."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return str(value)


def say(text: str, indent: str = "") -> None:
    """A sentence, wrapped."""
    width = terminal_width()
    echo(
        textwrap.fill(
            text,
            width,
            initial_indent=indent,
            subsequent_indent=indent + ("  " if indent else ""),
            replace_whitespace=False,
            break_on_hyphens=False,
        ),
        lines=True,
    )


# -- new, calendar ---------------------------------------------------------------------------------


def new(options: argparse.Namespace) -> None:
    """Write an edition's file.

    Raises:
        UserError: a day or folder is missing or can't be.
    """
    from etude.courses.making import make

    course = course_named(options.course)
    if not options.start or not options.out:
        raise UserError(f"expected etude course new {course.id} --start DATE --out DIR")
    try:
        start = date.fromisoformat(options.start)
    except ValueError:
        raise UserError(f"--start is {options.start}; expected a day like 2027-01-19") from None
    path = make(course, start, options.out)
    echo(path)
    edition = find(str(path))
    classes = [day for row in edition.course.schedule for day in row.dates]
    if classes:
        echo(f"the first class is on {dated(min(classes))}", error=True)
    echo(
        f"{len(edition.open)} decisions are left to you in it; then"
        f" 'etude course show {path.parent}'",
        error=True,
    )


def write_calendar(edition: Edition, options: argparse.Namespace) -> None:
    """Write the days of a course as a file that calendar programs read.

    Raises:
        UserError: it has none, or the file can't be written.
    """
    from etude.courses.calendar import calendar

    content = calendar(edition)
    if str(options.out) == "-":
        sys.stdout.buffer.write(content)  # with its own line ends; else nothing in it is obeyed
        sys.stdout.flush()
        return
    path = options.out or Path(f"{edition.course.id.lower()}.ics")
    create({path: content}, "--out names another file")
    echo(path)


# -- quiz, exam ------------------------------------------------------------------------------------


def quiz(edition: Edition, options: argparse.Namespace) -> int:
    """Ask questions on the studies of a week.

    Raises:
        UserError: no week is named, or it has no questions.
    """
    from etude.courses.exams import of_week
    from etude.questions.asking import draw

    course = edition.course
    if options.week is None:
        raise UserError(f"expected etude course quiz {options.course} --week N")
    groups = of_week(course, options.week)
    seed = chosen_seed(options)
    count = options.count or min(QUIZ, sum(map(len, groups)))
    posed = draw(groups, count, str(seed).encode())
    again = f"etude course quiz {options.course} --week {options.week}"
    return conduct(posed, options, seed, f"{again} --seed {seed} --count {count}")


def exam(edition: Edition, options: argparse.Namespace) -> None:
    """Write an exam and its key.

    Raises:
        UserError: the lectures or the folder are missing or can't be.
    """
    from etude.courses.exams import of_lectures
    from etude.questions.asking import draw
    from etude.questions.printing import paper

    course = edition.course
    if not options.lectures or not options.out:
        raise UserError(f"expected etude course exam {options.course} --lectures FROM-TO --out DIR")
    first, dash, last = options.lectures.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal()) or bool(dash) != bool(last):
        raise UserError(f"--lectures is '{options.lectures}'; expected a range such as 1-9")
    groups = of_lectures(course, int(first), int(last or first))
    seed = chosen_seed(options, size=8)  # whoever guesses it can make the key
    count = options.count or EXAM
    posed = draw(groups, count, str(seed).encode())
    title = (
        f"{course.title}: lectures {first} to {last}"
        if last
        else f"{course.title}, lecture {first}"
    )
    about = f"{course.school}, {course.term} · {count} questions"
    pages = {
        "exam.html": paper(posed, title, about, key=False),
        "key.html": paper(posed, title, f"{about} · --seed {seed}", key=True),
    }
    for name in pages:
        if (options.out / name).exists():
            raise UserError(f"{options.out / name} is there already; --out names another folder")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, page in pages.items():
            with (options.out / name).open("x", encoding="utf-8") as file:
                file.write(page)
            echo(options.out / name)
    except OSError as error:
        raise UserError(f"{options.out} can't be written to: {error.strerror}") from None
    there = sum(map(len, groups))
    if count > there:
        echo(
            f"there are {there} different questions: {count - there} more are the same with other"
            " numbers",
            error=True,
        )
    without = [str(number) for number, group in enumerate(groups, int(first)) if not group]
    if without:
        echo(f"lectures without questions of their own: {', '.join(without)}", error=True)
