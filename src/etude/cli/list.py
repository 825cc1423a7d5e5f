"""The studies: all of them, or those that fit a course or words."""

from __future__ import annotations

import argparse

from etude.catalogue import Catalogue, in_order, topics
from etude.cli.output import echo, echo_json
from etude.cli.tables import Column, Row, no_break, print_table
from etude.courses.library import asked_by
from etude.entry import Entry
from etude.errors import UserError, nearest


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude list``."""
    parser.add_argument(
        "words", nargs="*", help="show the studies whose name, title or lesson holds every word"
    )
    parser.add_argument("--course", help="show what a course asks for: CU, OU, ITU, NCKU, CUHK")
    parser.add_argument("--topic", help="show one topic: foundations, vision, language …")
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(options: argparse.Namespace) -> int:
    """Print the studies by topic."""
    entries = in_order(Catalogue().all())
    courses = {course.split()[0] for entry in entries for course in asked_by(entry.name)}
    there = {entry.topic for entry in entries}
    if options.course and options.course.upper() not in courses:
        raise UserError(
            "no study is asked for by course"
            f" '{options.course}'{nearest(options.course.upper(), courses)}"
        )
    if options.topic and options.topic not in there:
        raise UserError(f"no topic '{options.topic}'{nearest(options.topic, there)}")
    chosen = [entry for entry in entries if fits(entry, options)]
    if options.json:
        echo_json([as_json(entry) for entry in chosen])
        return 0
    if chosen:
        show(chosen)
    else:
        echo("no study fits; 'etude list' shows all")
    return 0


def show(chosen: list[Entry]) -> None:
    """One table, each topic under its title."""
    rows: list[Row] = []
    for topic in dict.fromkeys(entry.topic for entry in chosen):
        rows.append(topics().get(topic, topic.capitalize()))
        rows += [
            [
                entry.name,
                entry.title,
                seconds(entry, "quick"),
                seconds(entry, "full"),
                ", ".join(map(no_break, asked_by(entry.name))),
            ]
            for entry in chosen
            if entry.topic == topic
        ]
    columns = [
        Column("study", accent=True),
        Column("what it is", wrap=True),
        Column("quick", right=True),
        Column("full", right=True, drop=1),
        Column("asked by", wrap=True, drop=2),
    ]
    print_table(columns, rows, lines=2)


def fits(entry: Entry, options: argparse.Namespace) -> bool:
    """Whether a study is among those asked for."""
    text = f"{entry.name} {entry.lesson}".lower()
    courses = {course.split()[0] for course in asked_by(entry.name)}
    asked = not options.course or options.course.upper() in courses
    return (
        asked
        and (not options.topic or entry.topic == options.topic)
        and all(w.lower() in text for w in options.words)
    )


def seconds(entry: Entry, scale: str) -> str:
    """How long a scale takes, as measured; ``–`` where nobody has."""
    taken = entry.measured.get(scale, {}).get("seconds")
    if taken is None:
        return "–"
    return f"{taken:.0f} s" if taken < 100 else f"{taken / 60:.0f} min"


def as_json(entry: Entry) -> dict[str, object]:
    """What a program wants to know."""
    return {
        "name": entry.name,
        "topic": entry.topic,
        "title": entry.title,
        "courses": asked_by(entry.name),
        "needs": entry.needs,
        "scales": {scale: entry.measured.get(scale, {}).get("seconds") for scale in entry.scales},
        "claims": [f"{claim.scale}: {claim.name} {claim.bound}" for claim in entry.claims],
    }
