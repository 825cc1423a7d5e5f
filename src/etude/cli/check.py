"""Measure claims over seeds and say which hold; exit code 1 if one does not."""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path

from etude.catalogue import STUDIES, Catalogue
from etude.cli.options import add_runs, count
from etude.cli.output import echo, echo_json
from etude.cli.tables import Column, no_break, print_table
from etude.entry import Entry
from etude.errors import UserError
from etude.results import check as results
from etude.results import documents
from etude.results.files import whole
from etude.results.listing import duration
from etude.results.pictures import LARGER, cover, others, small
from etude.runs.folder import RunFolder


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude check``."""
    parser.add_argument(
        "study", nargs="*", help="names from 'etude list', or paths of your own studies' files"
    )
    parser.add_argument("--all", action="store_true", help="every study")
    parser.add_argument(
        "--scale", default="quick", help="whose claims: quick (the default), full …"
    )
    parser.add_argument(
        "--seeds",
        type=count,
        metavar="N",
        help="run seeds 0 … N-1; else as many as each claim states",
    )
    parser.add_argument(
        "--reuse",
        action="store_true",
        help="count finished, unchanged runs instead of running again",
    )
    parser.add_argument(
        "--record", action="store_true", help="keep what was measured in Etude's documents"
    )
    parser.add_argument(
        "--untimed",
        action="store_true",
        help="with --record, on a busy machine: leave the recorded time as it is",
    )
    parser.add_argument(
        "--jobs", type=count, default=1, metavar="N", help="how many runs at once; 1 by default"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_runs(parser)


def main(options: argparse.Namespace) -> int:
    """Run, judge, print and record."""
    if options.all == bool(options.study):
        raise UserError("name one or more studies to check, or give --all; 'etude list' shows them")
    if options.untimed and not options.record:
        raise UserError("--untimed says what --record leaves as it is; give both")
    catalogue = Catalogue()
    entries = (
        catalogue.all()
        if options.all
        else [catalogue[name] for name in dict.fromkeys(options.study)]
    )
    if not options.all:
        for entry in entries:
            entry.defaults(options.scale)  # raises where there is no such scale
    source = source_folder(entries) if options.record else None

    checked = results.check(
        entries,
        options.scale,
        seeds=options.seeds,
        reuse=options.reuse,
        jobs=options.jobs,
        root=options.runs,
        say=say,
    )
    if options.json:
        echo_json([each.as_json() for each in checked])
    else:
        show(checked)
    if source:
        record(source, checked, options.seeds, timed=not options.untimed)
    return int(any(each.failed for each in checked))


def say(line: str) -> None:
    """Progress goes to standard error, so that standard output stays for results."""
    echo(line, error=True)


def show(checked: list[results.Checked]) -> None:
    """The table, the sentences of failed runs, the sum."""
    rows = []
    for each in checked:
        if not each.claims:
            rows.append([each.entry.name, f"no claims at scale {each.scale}", "", "", "", ""])
        for judged in each.claims:
            rows.append(
                [
                    each.entry.name,
                    judged.claim.name,
                    judged.claim.bound,
                    no_break(judged.verdict.measured),
                    duration(each.seconds),
                    judged.mark,
                ]
            )
    columns = [
        Column("study", accent=True),
        Column("claim", wrap=True),
        Column("bound"),
        Column("measured", wrap=True),
        Column("time", right=True, drop=1),
        Column("", wrap=True),
    ]
    print_table(columns, rows)
    for sentence in (sentence for each in checked for sentence in each.failures):
        echo(f"✗ {sentence}")
    claims = [judged for each in checked for judged in each.claims]
    partial = sum(judged.partial and not judged.failed for judged in claims)
    tail = f"; {partial} measured on fewer seeds than stated" if partial else ""
    echo(f"{sum(judged.held for judged in claims)} of {len(claims)} claims hold{tail}")


def source_folder(entries: list[Entry]) -> Path:
    """The source checkout's folder.

    Raises:
        UserError: Etude is not run from one, or a study is not of this package.
    """
    folder = STUDIES.resolve().parents[2]
    try:
        name = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"][
            "name"
        ]
    except (OSError, ValueError, KeyError):
        name = None
    if name != "etude":
        raise UserError(
            "--record writes into Etude's own documents; expected a source checkout (pip"
            " install -e)"
        )
    for entry in entries:
        if not ours(entry):
            raise UserError(
                f"--record keeps the results of Etude's own studies; {entry.path} is none of them"
            )
    return folder


def ours(entry: Entry) -> bool:
    """Whether a study is of this package."""
    return bool(entry.module and entry.module.startswith("etude.studies."))


def record(
    folder: Path, checked: list[results.Checked], seeds: int | None, *, timed: bool = True
) -> None:
    """Write each study's ``record.json``, cover and README, then ``docs/results.md`` and the
    README's part.

    Args:
        folder: the source checkout.
        checked: the studies that were measured.
        seeds: how many were asked for; ``None`` for as many as each claim states.
        timed: whether the time is kept too; if not, that of the older record stays.
    """
    for each in checked:
        if each.failures:
            say(f"{each.entry.name}: not recorded, for a run failed")
        elif each.claims:
            command = f"etude check {each.entry.name} --scale {each.scale}"
            command += f" --seeds {seeds}" if seeds else ""
            new = results.record_of(each, command)
            old = each.entry.measured.get(each.scale, {})
            if not timed:
                new["seconds"] = old.get("seconds")
            if results.replaces(new, old):
                record = {**each.entry.measured, each.scale: new}
                text = json.dumps(record, ensure_ascii=False, indent=1)
                write(each.entry.path.with_name("record.json"), text + "\n")
            else:
                say(f"{each.entry.name}: an older record on more seeds stays; pictures are new")
            if each.scale == "quick" and each.outcomes and each.outcomes[0].folder:
                keep_pictures(each.entry, each.outcomes[0].folder)
    entries = [entry for entry in Catalogue().all() if ours(entry)]
    for entry in entries:
        update(entry.path.with_name("README.md"), documents.lesson_part(entry), "recorded")
    (folder / "docs").mkdir(exist_ok=True)
    write(folder / "docs" / "results.md", documents.results_page(entries))
    update(folder / "README.md", documents.overview(documents.featured(entries)), "results")


def update(page: Path, content: str, name: str) -> None:
    """Write ``content`` into a page's part of this name, where it has one and it differs."""
    before = page.read_text(encoding="utf-8") if page.is_file() else ""
    after = documents.between_markers(before, content, name)
    if after is None:
        say(f"{page} has no part between <!-- {name} --> and <!-- /{name} -->; it is left as it is")
    elif after != before:
        write(page, after)


def keep_pictures(entry: Entry, folder: RunFolder) -> None:
    """Small pictures of the run: the cover, which the page shows of a study that was not run here
    yet, and ``figure-<name>.webp``, which the study's README shows.
    """
    if not (path := cover(folder)):
        return
    for old in entry.path.parent.glob("figure-*.webp"):
        old.unlink()
    kept = {"cover": small(path)}
    kept |= {f"figure-{other.stem}": small(other, LARGER) for other in others(folder)}
    for name, picture in kept.items():
        with whole(entry.path.with_name(f"{name}.webp")) as part:
            part.write_bytes(picture)


def write(path: Path, text: str) -> None:
    """Write a whole file or none."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")
