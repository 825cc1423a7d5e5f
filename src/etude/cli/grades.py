"""The grades of a course: who is in it, what was handed in and marked, and the sums explained.

DIR is a course's folder, as 'etude course new' makes it; its gradebook lies beside course.toml as
grades.db. Nothing in a gradebook is ever changed: what is added later holds, and says who and why.

  etude grades DIR                              everybody's grade
  etude grades DIR show STUDENT                 one student's sum, step by step
  etude grades DIR export --format canvas       grades as CSV: plain, canvas or moodle
  etude grades DIR log [STUDENT]                what was added, when, by whom and why
  etude grades DIR policy                       what a changed course.toml changes; --keep keeps it
  etude grades DIR reviews WORK --seed 1        draw who reviews whose work; again: add late ones

  etude grades DIR add roster FILE              students from a CSV file
  etude grades DIR add left STUDENT             who has left the course; --withdraw: is in it again
  etude grades DIR add marks FILE               marks from a CSV file: ids, and a column a work
  etude grades DIR add mark WHO WORK 7.5/10     one mark; 'none' takes it back; --comment TEXT
          … --rubric plots=3 --rubric text=4.5  how it is made up; of a work with parts, each part's
          … --submission FILE                   what was marked, if not what counts now
  etude grades DIR add submission WHO WORK FILE
  etude grades DIR add grading RESULTS          what 'etude grade' found; --times says when it came
  etude grades DIR add extension WHO WORK 2027-02-03T23:59
  etude grades DIR add excuse STUDENT WORK      --why is private; --withdraw takes it back
  etude grades DIR add missed STUDENT WORK
  etude grades DIR add adjustment STUDENT 2     marks on top; or 'fails', or 'passes'
  etude grades DIR add team NAME STUDENT …      --of WORK: for one assignment
  etude grades DIR add proposal WHO WORK STATE  draft, proposed, returned (--why) or approved;
                                                --text FILE: what is proposed
  etude grades DIR add review STUDENT WORK OF FILE

WHO is a student or a team.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from etude.cli.adding import changes_marks, makers_of
from etude.cli.gradebooks import Place, placed, student_of, who
from etude.cli.output import echo, echo_json
from etude.cli.tables import Column, print_table
from etude.courses.amounts import exact, shown
from etude.courses.edition import Edition
from etude.courses.events import Drawn, Event, Excuse, PolicyVersion, Proposal
from etude.courses.explaining import as_text, lines, marks_of
from etude.courses.exporting import FORMATS, export
from etude.courses.gradebook import Gradebook
from etude.courses.peers import draw
from etude.courses.pieces import Pieces
from etude.courses.roster import read_roster
from etude.courses.sheet import Change, changes, grades
from etude.courses.standing import Record, Standing
from etude.courses.summing import Grade
from etude.errors import UserError, nearest
from etude.results.files import create

ACTIONS = ("list", "show", "export", "log", "policy", "reviews", "add")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude grades``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("dir", help="a course's folder")
    parser.add_argument("action", nargs="?", default="list", help=", ".join(ACTIONS))
    parser.add_argument("words", nargs="*", help="what the action is about")
    parser.add_argument("--json", action="store_true", help="list, show, log: as JSON")
    parser.add_argument(
        "--final", action="store_true", help="the course is over: what has no mark counts 0"
    )
    parser.add_argument("--format", choices=FORMATS, default="plain", help="export: whose columns")
    parser.add_argument("--out", type=Path, metavar="FILE", help="export: write there")
    parser.add_argument("--who", help="add: who does it (default: your user name)")
    parser.add_argument(
        "--why", default="", help="add: the reason; where a mark is changed, needed"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep what changes marks that are there already"
    )
    parser.add_argument("--at", help="add submission: when, 2027-02-01T23:59 (default: now)")
    parser.add_argument(
        "--rubric",
        action="append",
        default=[],
        metavar="ID=MARKS",
        help="add mark: the marks of one criterion; they sum to the mark",
    )
    parser.add_argument("--comment", default="", metavar="TEXT", help="add mark: for the student")
    parser.add_argument(
        "--submission",
        type=Path,
        metavar="FILE",
        help="add mark: what was marked (default: what counts now)",
    )
    parser.add_argument("--text", type=Path, metavar="FILE", help="add proposal: what is proposed")
    parser.add_argument(
        "--times",
        metavar="modified|FILE",
        help="add grading: the files' own times, or a CSV with ids and times",
    )
    parser.add_argument("--of", default="", metavar="WORK", help="add team: for one assignment")
    parser.add_argument("--withdraw", action="store_true", help="add excuse, missed: take it back")
    parser.add_argument("--seed", type=int, help="reviews: draw by this seed")
    parser.add_argument("--each", type=int, default=3, help="reviews: works a student (default 3)")
    parser.add_argument("--private", action="store_true", help="log: with the reasons of excuses")


def main(options: argparse.Namespace) -> int:
    """Show grades, explain them, write them, or add to the gradebook."""
    if options.dir in ACTIONS and not Path(options.dir).exists():  # in the course's own folder
        given = [] if options.action == "list" else [options.action]
        options.words = [*given, *options.words]
        options.dir, options.action = ".", options.dir
    if options.action not in ACTIONS:
        raise UserError(f"etude grades can't '{options.action}'{nearest(options.action, ACTIONS)}")
    place = placed(options.dir)
    is_new = not os.path.lexists(place.book)  # a link is there, wherever it leads
    if is_new and options.action != "add":
        raise UserError(
            f"{place.path.parent} has no gradebook yet; 'etude grades {options.dir} add roster"
            " FILE' begins one"
        )
    if is_new and options.words[:1] != ["roster"]:
        raise UserError(
            f"{place.path.parent} has no students yet; 'etude grades {options.dir} add roster FILE'"
            " adds them"
        )
    act: Callable[[Place, Gradebook, argparse.Namespace], None] = {
        "list": list_all,
        "show": show,
        "export": write,
        "log": log,
        "policy": policy,
        "reviews": reviews,
        "add": add,
    }[options.action]
    if is_new:
        students_of(options.words)  # a roster that is none begins no gradebook
    with Gradebook(place.book, place.pieces, make=options.action == "add") as book:
        act(place, book, options)
    return 0


def told(place: Place, standing: Standing, options: argparse.Namespace) -> Edition:
    """The course in force; says so where course.toml says something else by now."""
    if standing.policy is not None and standing.policy.digest != place.version.digest:
        echo(
            f"{place.path} has changed since its policy was kept, and grades are reckoned by what"
            f" it was; 'etude grades {options.dir} policy' shows what the change does",
            error=True,
        )
    return place.in_force(standing)


# -- looking ---------------------------------------------------------------------------------------


def list_all(place: Place, book: Gradebook, options: argparse.Namespace) -> None:
    """One row a student."""
    nothing_more(options, 0)
    standing = book.standing
    edition = told(place, standing, options)
    found = grades(standing, edition, final=options.final)
    if options.json:
        echo_json([as_json(standing.students[s], grade) for s, grade in found.items()])
        return
    items = edition.course.grade
    rows = []
    for student, grade in found.items():
        cells = [marks_of(part) for part in grade.parts]
        end = result(grade, edition.course.bounds)
        rows.append([student, standing.students[student].name, *cells, *end])
    columns = [
        Column("student", accent=True),
        Column("name", wrap=True),
        *(Column(f"{item.id} {weight(item.weight)}", right=True, drop=1) for item in items),
        Column("marks", right=True),
        Column("of", right=True),
        Column("letter"),
    ]
    print_table(columns, rows)
    strange = standing.strange(Pieces(edition.course))
    if strange:
        echo(f"Marked, and no part of the course any more: {', '.join(strange)}", error=True)
    sentences = dict.fromkeys(s for grade in found.values() for s in grade.undecided)
    if sentences:
        echo("\nNot decided, and so not computed:", lines=True)
        for sentence in sentences:
            echo(f"· {sentence}")


def result(grade: Grade, bounds: Sequence[Decimal]) -> list[str]:
    """The last cells of a row; the marks on the side of each letter's bound where they are."""
    marks = "not decided" if grade.marks is None else shown(grade.marks, bounds)
    letter = grade.letter or ("fails" if grade.fails else "")
    return [marks, shown(grade.of), letter]


def weight(value: Decimal | None) -> str:
    """A weight as a heading shows it."""
    return "" if value is None else shown(value)


def show(place: Place, book: Gradebook, options: argparse.Namespace) -> None:
    """One student's sum, step by step."""
    (student,) = nothing_more(options, 1, "STUDENT")
    record = student_of(book.standing, student)
    edition = told(place, book.standing, options)
    found = grades(book.standing, edition, final=options.final)
    if record.student not in found:
        raise UserError(f"{record.student} has left the course; 'log' shows what was added")
    grade = found[record.student]
    if options.json:
        echo_json(as_json(record, grade))
        return
    echo(f"{record.name} ({record.student}) · {edition.course.id} {edition.course.title}")
    echo()
    echo(as_text(grade, edition.course), lines=True, end="")
    for line in said_of(record, book.standing):
        echo(line)


def said_of(record: Record, standing: Standing) -> Iterator[str]:
    """What was said with a student's marks, and where her proposals stand."""
    for work, marked in record.marks.items():
        points = ", ".join(f"{name} {shown(each)}" for name, each in marked.rubric.items())
        comment = f"“{flat(marked.comment)}”" if marked.comment else ""
        if points or comment:
            yield f"{work}: {'; '.join(filter(None, (points, comment)))}"
    for proposal in proposals_of(record, standing):
        text = f" “{flat(proposal.text)}”" if proposal.text else ""
        feedback = f" Feedback: “{flat(proposal.feedback)}”" if proposal.feedback else ""
        yield f"The proposal for {proposal.work} is {proposal.state}.{text}{feedback}"


def proposals_of(record: Record, standing: Standing) -> list[Proposal]:
    """The proposals of a student and of her teams."""
    return [
        each
        for each in standing.proposals.values()
        if record.student
        in (
            standing.members(each.team, each.teams_of or each.work)
            if each.team
            else (each.student,)
        )
    ]


def flat(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


def as_json(record: Record, grade: Grade) -> dict[str, Any]:
    """A grade as plain values; numbers are texts with all their digits, or thirty behind the point
    where there is no end to them.
    """
    return {
        "student": record.student,
        "name": record.name,
        "marks": None if grade.marks is None else exact(grade.marks),
        "of": exact(grade.of),
        "letter": grade.letter,
        "fails": list(grade.fails),
        "missing": list(grade.missing),
        "undecided": list(grade.undecided),
        "notes": list(grade.notes),
        "parts": [
            {
                "part": line.id,
                "depth": line.depth,
                "marks": line.marks or None,
                "of": line.of or None,
                "notes": list(line.notes),
            }
            for line in lines(grade, as_shown=exact)
        ],
        "comments": [
            {
                "work": work,
                "rubric": {name: exact(each) for name, each in marked.rubric.items()},
                "comment": marked.comment,
            }
            for work, marked in record.marks.items()
            if marked.rubric or marked.comment
        ],
    }


def write(place: Place, book: Gradebook, options: argparse.Namespace) -> None:
    """Write the grades as CSV.

    Raises:
        UserError: the file is there already, or can't be written.
    """
    nothing_more(options, 0)
    edition = told(place, book.standing, options)
    found = grades(book.standing, edition, final=options.final)
    content = export(found, book.standing.students, edition.course, options.format)
    path = options.out or Path(f"grades-{options.format}.csv")
    if str(path) == "-":
        echo(content.decode("utf-8-sig").replace("\r\n", "\n"), lines=True, end="")
        return
    create({path: content}, "--out names another file")
    echo(path)


def log(place: Place, book: Gradebook, options: argparse.Namespace) -> None:
    """What was added, in order; the reason of an excuse only if it is asked for."""
    import msgspec

    student = student_of(book.standing, *nothing_more(options, 1)).student if options.words else ""
    rows = []
    found = []
    for entry in book.entries:
        event: dict[str, Any] = msgspec.to_builtins(entry.event, enc_hook=str)
        if student and student not in named_in(event, book.standing):
            continue
        if isinstance(entry.event, Excuse) and not options.private:
            event["reason"] = "(private)"
        if isinstance(entry.event, PolicyVersion):
            event = {"kind": "policy", "digest": entry.event.digest}
        found.append(
            {
                "number": entry.number,
                "at": entry.at.isoformat(),
                "who": entry.who,
                "why": entry.why,
                "event": event,
            }
        )
        kind = event.pop("kind") if not options.json else ""
        said = ", ".join(f"{k} {v}" for k, v in event.items() if v not in ("", None))
        when = f"{entry.at:%Y-%m-%d %H:%M}"
        rows.append([str(entry.number), when, entry.who, kind, said, entry.why])
    if options.json:
        echo_json(found)
        return
    columns = [
        Column("number", right=True),
        Column("when (UTC)"),
        Column("who"),
        Column("what", accent=True),
        Column("of", wrap=True),
        Column("why", wrap=True),
    ]
    print_table(columns, rows)


def named_in(event: dict[str, Any], standing: Standing) -> Sequence[str]:
    """The students that an event is about."""
    if event.get("team") and event["kind"] != "team":
        return standing.members(event["team"], event.get("teams_of") or event.get("work", ""))
    return [event.get("student", ""), event.get("of", ""), *event.get("members", ())]


def policy(place: Place, book: Gradebook, options: argparse.Namespace) -> None:
    """What a changed course.toml changes; and keep it."""
    nothing_more(options, 0)
    standing, version = book.standing, place.version
    if standing.policy is not None and standing.policy.digest == version.digest:
        echo(f"Grades are reckoned by {place.path} as it stands.")
        return
    before = grades(standing, place.in_force(standing), final=options.final)
    after = grades(standing, place.edition, final=options.final)
    show_changes(changes(before, after), standing, place.edition.course.bounds)
    if options.keep:
        book.append([version], who=who(options), why=options.why)
        echo("Kept: grades are reckoned by it from now on.", error=True)
    else:
        echo("Nothing is kept; --keep keeps it.", error=True)


def show_changes(found: list[Change], standing: Standing, bounds: Sequence[Decimal]) -> None:
    """Whose grade becomes another; the marks on the side of each bound where they are."""
    if not found:
        echo("No grade changes.")
        return
    rows = [
        [
            each.student,
            standing.students[each.student].name,
            *("" if m is None else shown(m, bounds) for m in each.marks),
            *(letter or "" for letter in each.letter),
        ]
        for each in found
    ]
    columns = [
        Column("student", accent=True),
        Column("name", wrap=True),
        Column("marks before", right=True),
        Column("after", right=True),
        Column("letter before"),
        Column("after"),
    ]
    print_table(columns, rows)


def reviews(place: Place, book: Gradebook, options: argparse.Namespace) -> None:
    """Who reviews whose work; drawn with --seed, among those who have handed it in."""
    (work,) = nothing_more(options, 1, "WORK")
    if work not in place.pieces.assignments:
        raise UserError(f"no assignment '{work}'{nearest(work, place.pieces.assignments)}")
    standing = book.standing
    if options.seed is not None:
        authors = [each.student for each in standing.present if work in each.submissions]
        teams = {student: standing.team_of(student, work) or student for student in authors}
        before = standing.drawn.get(work, {})
        pairs = {**before, **draw(teams, options.seed, options.each, before)}
        drawn = Drawn(work=work, seed=options.seed, each=options.each, pairs=pairs)
        if pairs != before:
            book.append([drawn], who=who(options), why=options.why)
    if work not in standing.drawn:
        raise UserError(f"nobody was drawn to review {work}; --seed NUMBER draws")
    rows = []
    found = {}
    for reviewer, of in standing.drawn[work].items():
        done = [each for each in of if (work, reviewer, each) in standing.reviews]
        rows.append([reviewer, ", ".join(of), ", ".join(done)])
        found[reviewer] = {"reviews": list(of), "done": done}
    if options.json:
        echo_json(found)
    else:
        columns = [Column("student", accent=True), Column("reviews", wrap=True), Column("done")]
        print_table(columns, rows)


# -- adding ----------------------------------------------------------------------------------------


def add(place: Place, book: Gradebook, options: argparse.Namespace) -> None:
    """Add to the gradebook; what changes a mark is shown first, and kept with --keep."""
    what, *words = options.words or [""]
    makers = makers_of(place, book, options)
    if what not in makers:
        raise UserError(f"etude grades can't add '{what}'{nearest(what, makers)}")
    usage, make = makers[what]
    wanted = len(usage.split())
    if len(words) != wanted and not (what == "team" and len(words) >= 1):
        raise UserError(f"expected etude grades {options.dir} add {what} {usage}")
    events = make(*words)
    why = "" if what == "excuse" else options.why  # which is private
    if not events:
        echo("Nothing new.", error=True)
        return
    standing = book.standing
    if changes_marks(events, standing, place.pieces) and not options.keep:
        after = book.preview(events, who=who(options), why=why)
        edition = told(place, standing, options)
        before = grades(standing, edition, final=options.final)
        found = changes(before, grades(after, edition, final=options.final))
        show_changes(found, standing, edition.course.bounds)
        echo("This changes marks that are there. Nothing is kept; --keep keeps it.", error=True)
        return
    first: list[Event] = [place.version] if standing.policy is None else []
    kept = book.append([*first, *events], who=who(options), why=why)
    kept -= len(first)
    echo("Nothing new." if not kept else "1 thing kept." if kept == 1 else f"{kept} things kept.")


def students_of(words: Sequence[str]) -> None:
    """Read a roster, so that what is none is told before anything is made."""
    if len(words) == 2:
        read_roster(Path(words[1]))


# -- words -----------------------------------------------------------------------------------------


def nothing_more(options: argparse.Namespace, number: int, usage: str = "") -> list[str]:
    """The words behind an action.

    Raises:
        UserError: there are more, or fewer.
    """
    if len(options.words) != number:
        raise UserError(f"expected etude grades {options.dir} {options.action} {usage}".rstrip())
    return list(options.words)
