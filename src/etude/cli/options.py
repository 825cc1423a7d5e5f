"""Options that several verbs share."""

from __future__ import annotations

import argparse


def add_runs(parser: argparse.ArgumentParser) -> None:
    """``--runs DIR``."""
    parser.add_argument(
        "--runs", metavar="DIR", help="folder of all runs; else $ETUDE_RUNS, else ./runs"
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    """``RUN`` and ``--runs DIR``."""
    parser.add_argument(
        "run", help="a run's folder, the beginning of its name, or a study's name for its last run"
    )
    add_runs(parser)


def add_study(parser: argparse.ArgumentParser) -> None:
    """``--study``, for a run that does not say its study or is not to be believed."""
    parser.add_argument(
        "--study",
        metavar="FILE",
        help="the study of the run, where it is another than the run says",
    )


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)
