"""Assignments to write: what there is, a file to begin with, a check of what you wrote.

list shows the assignments, start writes the file of one for you to complete, check says which of
its tasks are right, gate tries an assignment as its students will, board ranks graded networks by
their parameters.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from etude.cli.output import echo, echo_json
from etude.cli.tables import Column, Row, print_table
from etude.errors import UserError, nearest

if TYPE_CHECKING:
    from etude.exercises.grading import Outcome
    from etude.exercises.packs import Pack

ACTIONS = ("list", "start", "check", "gate", "board")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude assignment``."""
    parser.add_argument(
        "action", nargs="?", default="list", help="list (the default), start, check, gate or board"
    )
    parser.add_argument(
        "name",
        nargs="?",
        help="start, gate: an assignment; check: your file or folder; board: a folder of results",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="start: the folder to write into; here by default"
    )
    parser.add_argument(
        "--scale",
        choices=("quick", "full"),
        help="check: the data that an experiment gets: quick, or full as in grading",
    )
    parser.add_argument(
        "--of", metavar="NAME", help="check: the assignment, if the file is not called like it"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(options: argparse.Namespace) -> int:
    """List, start, check, or try the gate."""
    if options.action not in ACTIONS:
        raise UserError(
            f"etude assignment can't '{options.action}'{nearest(options.action, ACTIONS)}"
        )
    if options.action == "list":
        if options.name:
            raise UserError(
                f"list shows all assignments; 'etude assignment start {options.name}' begins one"
            )
        list_all(options)
        return 0
    if not options.name:
        what = {"check": "file", "board": "folder of results"}.get(options.action, "assignment")
        raise UserError(f"{options.action} which {what}? 'etude assignment list' shows what is")
    if options.action == "start":
        begin(options)
        return 0
    if options.action == "check":
        return check(options)
    if options.action == "board":
        show_board(options)
        return 0
    return try_gate(options)


def list_all(options: argparse.Namespace) -> None:
    """One row a task."""
    from etude.exercises.packs import names, pack

    packs = [pack(name) for name in names()]
    if options.json:
        echo_json(
            [
                {
                    "assignment": each.name,
                    "title": each.title,
                    "points": each.points,
                    "tasks": {r.id: {"points": r.points, "text": r.text} for r in each.regions},
                }
                for each in packs
            ]
        )
        return
    rows: list[Row] = []
    for each in packs:
        rows.append(f"{each.name} · {each.title} ({each.points} points)")
        rows += [[r.id, r.function, str(r.points), r.text] for r in each.regions]
    columns = [
        Column("task", accent=True),
        Column("function", drop=1),
        Column("points", right=True),
        Column("what to do", wrap=True),
    ]
    print_table(columns, rows)


def begin(options: argparse.Namespace) -> None:
    """Write the starter and the text.

    Raises:
        UserError: one of them is there already, or can't be written.
    """
    from etude.exercises.packs import pack

    chosen = pack(options.name)
    folder = options.out or Path()
    files = {f"{chosen.name}.py": chosen.starter, f"{chosen.name}.md": chosen.text}
    for name in files:
        if (folder / name).exists():
            raise UserError(f"{folder / name} is there already; --out names another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
            echo(folder / name)
    except OSError as error:
        raise UserError(f"{folder} can't be written to: {error.strerror}") from None
    tasks = len(chosen.regions)
    echo(
        f"{tasks} task{'s' * (tasks != 1)}, {chosen.points} points; then"
        f" 'etude assignment check {folder / chosen.name}.py'",
        error=True,
    )


def check(options: argparse.Namespace) -> int:
    """Say which tasks of a file are right; 1 where one is not.

    The file is the user's own, so it is run without a sandbox where the machine has none.

    Raises:
        UserError: the file is of no assignment, or can't be read.
    """
    from etude.exercises.grading import Verdict, grade
    from etude.exercises.graft import Invalid, content_of
    from etude.exercises.packs import Experiment, pack
    from etude.exercises.tiers import choose
    from etude.exercises.work import archive_of

    path = Path(options.name)
    name = path.name
    try:
        content = b"" if path.is_dir() else content_of(path)
    except Invalid as error:
        raise UserError(f"{path}: {error}") from None
    try:
        chosen = pack(options.of or path.resolve().stem)
    except UserError as error:
        raise UserError(f"{error}{'' if options.of else '; --of names the assignment'}") from None
    whole = isinstance(chosen, Experiment)
    try:
        if whole and path.suffix.lower() != ".zip":
            name, content = "handed.zip", archive_of(path)
        elif path.is_dir():
            content = content_of(path)  # which says that a folder is no file
    except Invalid as error:
        raise UserError(f"{path}: {error}") from None
    result = grade(
        chosen.exercise(options.scale or chosen.home)
        if isinstance(chosen, Experiment)
        else chosen.exercise(),
        name,
        content,
        key=os.urandom(16),  # other numbers each time
        student="",
        tier=choose(unsafe=True),
    )
    verdicts = {each.verdict for each in result.outcomes}
    right = verdicts == {Verdict.PASS}
    if verdicts == {Verdict.INVALID_SUBMISSION} and not options.json:
        raise UserError(f"{path}: {result.outcomes[0].sentence}")
    if options.json:
        echo(result.encoded().decode(), lines=True)
        return 0 if right else 1 if result.scored else 3
    marks = {Verdict.PASS: "✓", Verdict.NOT_ATTEMPTED: "·"}
    rows = []
    for each in result.outcomes:
        mark = marks.get(each.verdict, "✗")
        rows.append([mark, each.check, f"{each.earned} of {each.points}", why(each)])
    columns = [
        Column(""),
        Column("condition" if whole else "check", wrap=True),
        Column("points", right=True),
        Column("why", wrap=True),
    ]
    print_table(columns, rows)
    for note in result.notes:
        echo(f"note: {note}")
    earned = result.public.earned + result.hidden.earned
    echo(f"{earned} of {result.public.possible + result.hidden.possible} points")
    return 0 if right else 1 if result.scored else 3


def why(outcome: Outcome) -> str:
    """Why a check has not passed, in a cell of a table."""
    from etude.exercises.grading import Verdict

    sentence, verdict = outcome.sentence, outcome.verdict
    if verdict == Verdict.PASS:
        return ""
    if verdict == Verdict.NOT_ATTEMPTED:
        missing = sentence.removeprefix("NotImplementedError: ")
        if missing in ("", outcome.task):
            return verdict.value
        if missing == sentence:
            return f"{verdict.value}: {sentence}"
        return f"{verdict.value}: it asks for another task, too ({missing})"
    lines = f" ({'; '.join(outcome.lines)})" if outcome.lines else ""
    return re.sub(r" {2,}", lambda run: "\xa0" * len(run[0]), sentence or verdict.value) + lines


def try_gate(options: argparse.Namespace) -> int:
    """Say what keeps an assignment from being handed out; 1 if anything does."""
    from etude.exercises.gate import gate
    from etude.exercises.packs import Experiment, pack

    chosen: Pack = pack(options.name)
    report = gate(chosen)
    whole = isinstance(chosen, Experiment)
    if options.json:
        echo_json(
            {
                "assignment": chosen.name,
                "troubles": report.troubles,
                "mistakes": report.mutants,
                "found": report.killed,
                "not_found": report.survivors,
            }
        )
        return int(bool(report.troubles))
    for trouble in report.troubles:
        echo(f"✗ {trouble}")
    for survivor in report.survivors:
        echo(f"  {survivor}" if whole else f"  no check finds: {survivor}")
    if whole:
        echo(f"{report.killed} of {report.mutants} broken twins lose one condition and no other")
    else:
        echo(f"{report.killed} of {report.mutants} mistakes are found")
    if not report.troubles:
        echo(f"✓ {chosen.name} can be handed out")
    return int(bool(report.troubles))


def show_board(options: argparse.Namespace) -> None:
    """The networks that reach the goal, the smallest first.

    Raises:
        UserError: no result in the folder is of an assignment that ranks networks.
    """
    from etude.exercises.board import board

    name = options.of or "extra"
    rows = board(Path(options.name), name)
    if options.json:
        echo_json([{"student": each.student, **each.measured} for each in rows])
        return
    if not rows:
        raise UserError(f"{options.name} holds no result of {name} that reaches the goal")
    measured = [*dict.fromkeys(what for each in rows for what in each.measured)]
    columns = [Column("", right=True), Column("student", accent=True)]
    columns += [Column(what, right=True) for what in measured]
    table: list[Row] = [
        [str(number), each.student, *(f"{each.measured.get(what, 0):,.6g}" for what in measured)]
        for number, each in enumerate(rows, 1)
    ]
    print_table(columns, table)
