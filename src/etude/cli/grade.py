"""Grade a folder of submissions: each student's code runs in a sandbox and decides nothing itself.

DIR holds a file, a notebook, an archive or a folder for each student. Results go to DIR-graded, one
file a submission; a second call grades what is new, also where the first one was killed. Whose a
file is, its name says: by the roster, where COURSE has a gradebook (an id, or the name of one
student, at its beginning), else the name itself, or what stands in it before _assign.

  etude grade handed-in --assignment classifiers        exercises, as 'etude assignment' has them
  etude grade handed-in --assignment H1 --course mine   an assignment of a course
  etude grade handed-in --assignment H1 --course mine --feedback texts
  etude grades mine add grading handed-in-graded --times modified   into the gradebook

The exit code is 0 where all pass, 1 where something of a student's is wrong, 2 for a mistake in the
request, 3 where the grader failed: what it failed in has no score and is graded by the next call.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.cli.gradebooks import placed
from etude.cli.options import count
from etude.cli.output import echo, echo_json
from etude.cli.tables import Column, print_table
from etude.courses.gradebook import Gradebook
from etude.courses.library import NAMES, find
from etude.errors import UserError, nearest

if TYPE_CHECKING:
    from etude.exercises.handed import HandIn
    from etude.exercises.queue import Graded, Step, Work
    from etude.exercises.tiers import Choice


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude grade``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("dir", type=Path, help="the folder of submissions")
    parser.add_argument(
        "--assignment", metavar="ID", required=True, help="of the course; else an exercise's name"
    )
    parser.add_argument("--course", metavar="COURSE", help="a course's folder, or its name")
    parser.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="a secret that chooses the inputs of the tests; by default one that is made for the"
        " results and kept there",
    )
    parser.add_argument(
        "--workers",
        type=count,
        help="how many submissions are graded at a time (default: one a processor)",
    )
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="where results go (default: DIR-graded)"
    )
    parser.add_argument(
        "--feedback", type=Path, metavar="DIR", help="write a text for each student there"
    )
    parser.add_argument(
        "--similar",
        action="store_true",
        help="list submissions that resemble each other, to be looked at: it decides nothing",
    )
    parser.add_argument("--again", action="store_true", help="grade all anew")
    parser.add_argument(
        "--unsafe",
        action="store_true",
        help="where the machine has no sandbox, run the students' code without one",
    )
    parser.add_argument("--json", action="store_true", help="the results as JSON")


def main(options: argparse.Namespace) -> int:
    """Grade, tell as it goes on, and show what came of it."""
    from etude.exercises.feedback import write_feedback
    from etude.exercises.handed import hand_ins
    from etude.exercises.packs import pack
    from etude.exercises.queue import (
        Work,
        grade_all,
        key_of,
        only_one,
        processors,
        unhurried,
        write_index,
    )
    from etude.exercises.tiers import choose

    course, title, names, roster = assignment(options)
    found = hand_ins(options.dir, roster)
    folder = options.dir if options.dir.name not in ("", "..") else options.dir.resolve()
    results: Path = options.results or Path(f"{folder}-graded")
    workers: int = options.workers or processors()
    if results.resolve().is_relative_to(options.dir.resolve()):
        raise UserError(f"{results} lies among the submissions; --results names another folder")
    exercises = tuple(unhurried(pack(name).exercise(), workers) for name in names)
    tier = choose(unsafe=options.unsafe)
    tell_tier(tier)
    if roster is None:
        echo("No roster: the names of files are taken for students' ids.", error=True)

    def waits() -> None:
        echo(f"Another grader writes to {results}; waiting until it has ended.", error=True)

    with only_one(results, waits):
        work = Work(options.assignment, exercises, key_of(options.key, results), tier, results)
        steps: list[Step] = []
        with closing(grade_all(work, found, workers=workers, again=options.again)) as graded:
            for step in graded:
                steps.append(step)
                if step.fresh:
                    place = f"{len(steps):>{len(str(len(found)))}}/{len(found)}"
                    echo(f"[{place}] {said(step)}", error=True)
        steps.sort(key=lambda step: step.hand_in.student)
        write_index(work, course, steps)
        if options.feedback:
            for step in steps:
                if step.graded:
                    write_feedback(options.feedback, step.graded, title)
    tried = [step.hand_in for step in steps if step.graded and step.graded.attempt]
    pairs = alike(work, tried) if options.similar else []
    if options.json:
        echo_json(
            {
                "assignment": options.assignment,
                "course": course,
                "exercises": list(names),
                "tier": tier.tier.value,
                "refused": {each.value: why for each, why in tier.refused.items()},
                "results": str(results),
                "submissions": [as_json(step) for step in steps],
                **({"similar": pairs} if options.similar else {}),
            }
        )
    else:
        show(steps, results)
        if options.similar:
            show_alike(pairs)
    if not all(step.scored for step in steps):
        return 3
    return 0 if all(step.graded and step.graded.passed for step in steps) else 1


def assignment(
    options: argparse.Namespace,
) -> tuple[str, str, tuple[str, ...], dict[str, str] | None]:
    """The course, the title, the exercises of the assignment, and the roster where there is one.

    Raises:
        UserError: there is no such course or assignment, or it has no exercises.
    """
    from etude.exercises.packs import names, pack

    name = options.assignment
    if options.course is None:
        if name not in names():
            raise UserError(
                f"no exercise '{name}'{nearest(name, names())}; --course names the course of an"
                " assignment"
            )
        return "", pack(name).title, (name,), None
    known = options.course.upper() in NAMES and not Path(options.course).exists()
    place = None if known else placed(options.course)
    course = (find(options.course) if place is None else place.edition).course
    there = {each.id: each for each in course.assignments}
    if name not in there:
        raise UserError(f"{course.id} has no assignment '{name}'{nearest(name, there)}")
    if not there[name].packs:
        with_some = [each.id for each in there.values() if each.packs]
        raise UserError(
            f"{name} of {course.id} names no exercises that a program could grade"
            + (f"; {', '.join(with_some)} does" if with_some else '; expected packs = ["…"]')
        )
    roster = None
    if place is not None and place.book.exists():
        with Gradebook(place.book, place.pieces) as book:
            roster = {each.student: each.name for each in book.standing.students.values()}
            roster |= {team: "" for of, team in book.standing.teams if of in ("", name)}
    return course.id, f"{name} · {there[name].title}", there[name].packs, roster


# -- telling --------------------------------------------------------------------------------------


def tell_tier(tier: Choice) -> None:
    """Say how well students' code is shut in, and why not better."""
    echo(f"Sandbox: tier {tier.tier} ({tier.tier.words})", error=True)
    for each, why in tier.refused.items():
        echo(f"  tier {each} ({each.words}) is refused: {why}", error=True)


def said(step: Step) -> str:
    """A submission in a line."""
    if step.graded is None:
        return f"{step.hand_in.student}: grader error: {step.trouble}"
    points = step.graded.points
    return (
        f"{step.hand_in.student}: {points.earned} of {points.possible} points"
        f" ({verdicts(step.graded)})"
    )


def verdicts(graded: Graded) -> str:
    """How many checks have each verdict."""
    if not graded.attempt:
        return "invalid submission"
    return ", ".join(f"{number} {verdict}" for verdict, number in graded.verdicts.items())


def wrong(step: Step) -> str:
    """What is wrong first of all; ``""`` where nothing is."""
    from etude.exercises.feedback import reason
    from etude.exercises.grading import Verdict

    if step.graded is None:
        return step.trouble
    fine = (Verdict.PASS, Verdict.SKIPPED)
    bad = [each for each in step.graded.outcomes if each.verdict not in fine]
    of_grader = [each for each in bad if each.verdict == Verdict.GRADER_ERROR]
    if not bad:
        return ""
    if not step.graded.attempt:
        return bad[0].sentence
    first = (of_grader or bad)[0]
    return f"{first.check}: {reason(first)}"


def show(steps: list[Step], results: Path) -> None:
    """One row a submission, and what they come to."""
    rows = []
    for step in steps:
        graded = step.graded
        if graded is None:
            rows.append([step.hand_in.student, "", "", "", "grader error", wrong(step)])
            continue
        cells = [
            f"{part.earned} of {part.possible}" if graded.scored else ""
            for part in (graded.points, graded.public, graded.hidden)
        ]
        rows.append([graded.student, *cells, verdicts(graded), wrong(step)])
    columns = [
        Column("student", accent=True),
        Column("points", right=True),
        Column("public", right=True, drop=2),
        Column("hidden", right=True, drop=3),
        Column("verdicts", wrap=True),
        Column("what is wrong first", wrap=True, drop=1),
    ]
    print_table(columns, rows, 3)
    passed = sum(bool(step.graded and step.graded.passed) for step in steps)
    fresh = sum(step.fresh for step in steps)
    failed = sum(not step.scored for step in steps)
    echo(
        f"{len(steps)} submission{'s' * (len(steps) != 1)}, {passed} pass{'es' * (passed == 1)};"
        f" {fresh} graded now, {len(steps) - fresh} before; results in {results}"
    )
    if failed:
        echo(f"The grader failed in {failed}; they have no score, and the next call grades them.")


def alike(work: Work, found: list[HandIn]) -> list[dict[str, Any]]:
    """The pairs of submissions that resemble each other, exercise by exercise."""
    from etude.exercises.similar import similar, texts_of

    return [
        {
            "exercise": exercise.id,
            "students": list(pair.students),
            "share": round(pair.share, 2),
            "passages": pair.common,
        }
        for exercise in work.exercises
        for pair in similar(texts_of(work, found, exercise), exercise.starter)
    ]


def show_alike(pairs: list[dict[str, Any]]) -> None:
    """One row a pair."""
    if not pairs:
        echo("No two submissions resemble each other beyond the starter and what many have.")
        return
    columns = [
        Column("resemble each other", accent=True, wrap=True),
        Column("exercise"),
        Column("of the smaller", right=True),
        Column("passages", right=True),
    ]
    rows = [
        [", ".join(p["students"]), p["exercise"], f"{p['share']:.0%}", str(p["passages"])]
        for p in pairs
    ]
    print_table(columns, rows)
    echo("Look at both before you say anything: short tasks have few solutions.")


def as_json(step: Step) -> dict[str, Any]:
    """A submission as plain values."""
    graded = step.graded
    about: dict[str, Any] = {
        "student": step.hand_in.student,
        "files": step.hand_in.names,
        "scored": step.scored,
        "graded_now": step.fresh,
        "wrong": wrong(step),
    }
    if graded is not None:
        parts = {"points": graded.points, "public": graded.public, "hidden": graded.hidden}
        about |= {
            name: {"earned": part.earned, "possible": part.possible} for name, part in parts.items()
        }
        about |= {
            "attempt": graded.attempt,
            "passed": graded.passed,
            "tier": graded.tier,
            "verdicts": graded.verdicts,
            "submission": graded.submission,
            "modified": graded.modified.isoformat(),
        }
    return about
