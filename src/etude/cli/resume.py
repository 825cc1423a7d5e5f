"""Go on with a run that was stopped, killed or failed; its numbers become those of a run that never
was.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from etude.cli import complain
from etude.cli.options import add_run, add_study, count
from etude.cli.output import echo_json
from etude.errors import UserError
from etude.runs.folder import RunFolder
from etude.runs.launch import launch, launched
from etude.sources import changed

SHOWN = 8  # names of changed files


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude resume``."""
    add_run(parser)
    add_study(parser)
    parser.add_argument(
        "--devices",
        type=count,
        default=1,
        help="processes that share the work, as many as before or not",
    )
    parser.add_argument(
        "--strategy",
        choices=("ddp", "fsdp"),
        help="of several: each holds the network, or a shard of it; as before",
    )
    parser.add_argument(
        "--begin-again",
        action="store_true",
        help="where none of its checkpoints can be used, begin at the first step",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing while it runs")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def main(options: argparse.Namespace) -> int:
    """Build the study as it was, and run it on the device and in the precision in which it
    began.
    """
    folder = RunFolder.open(options.run, options.runs)
    if folder.result_json.is_file():
        return finish(folder)
    about = folder.study()
    if "source" not in about:
        raise UserError(
            f"run {folder.name} is that of a plain script; start the script again, with"
            f' Run({json.dumps(str(about.get("study")))}, resume="auto")'
        )
    check_record(about, folder)

    if options.devices > 1 and not launched():
        more = [
            f"--{name}={value}"
            for name in ("study", "strategy")
            if (value := getattr(options, name))
        ]
        more += [
            f"--{name.replace('_', '-')}"
            for name in ("quiet", "json", "begin_again")
            if getattr(options, name)
        ]
        return launch(["resume", str(folder.path), *more], options.devices)

    from etude.results.load import find, rebuild
    from etude.study import execute

    entry = find(about, f"run {folder.name}", options.study, folder)
    study = rebuild(about, f"run {folder.name}", options.study, folder)
    if about.get("digest") != entry.digest:
        files = ", ".join(changed(about.get("digests") or {}, entry.digests)[:SHOWN]) or str(
            entry.path
        )
        complain(
            f"changed since the run began: {files}; its numbers may not be those of a run never"
            " stopped"
        )
    run = execute(
        study,
        scale=about["scale"],
        resume=folder.path,
        begin_again=options.begin_again,
        device=about["device"],
        precision=about["precision"],
        compiled=about["compiled"],
        quiet=options.quiet,
        source=entry.source,
        folds=about.get("folds", 0),
        strategy=options.strategy or about.get("strategy", "ddp"),
    )
    if options.json and run.workers.first:
        echo_json({"run": str(run.folder.path), **(run.folder.result() or {})}, indent=None)
    return 0


def finish(folder: RunFolder) -> int:
    """Do what a kill has left undone after the result of a run was written.

    Raises:
        UserError: nothing is left to do, or another process writes the run.
    """
    if folder.is_tidy:  # asked first: the answer needs no PyTorch
        raise UserError(
            f"run {folder.name} is finished; there is nothing to resume. 'etude report' shows it"
        )
    from etude.runs.lifecycle import complete

    complete(folder)
    complain(f"run {folder.name} had its result already; its report is {folder.report_html}")
    return 0


def check_record(about: dict[str, Any], folder: RunFolder) -> None:
    """Raise a UserError where ``study.json`` lacks what a run is resumed by, or holds something
    else.
    """
    texts, numbers = ("study", "scale", "device", "precision"), ("seed", "threads")
    expected = dict.fromkeys(texts, str) | dict.fromkeys(numbers, int) | {"compiled": bool}
    for key, kind in expected.items():
        if not isinstance(about.get(key), kind):
            raise UserError(
                f"{folder.study_json} is damaged: its {key} is {about.get(key)!r}; expected a"
                f" {kind.__name__}"
            )
    if not isinstance(about.get("folds", 0), int):
        raise UserError(
            f"{folder.study_json} is damaged: its folds is {about['folds']!r}; expected an int"
        )
    if (
        about["precision"] not in ("auto", "fp32", "bf16")
        or about["threads"] < 1
        or not 0 <= about["seed"] < 2**63
    ):
        raise UserError(
            f"{folder.study_json} is damaged: precision, threads or seed is none that a run can"
            " have"
        )
