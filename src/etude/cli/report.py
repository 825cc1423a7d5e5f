"""Rebuild a run's report from its folder, and open it in the browser."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser

from etude.cli.options import add_run
from etude.cli.output import echo
from etude.runs.folder import RunFolder


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude report``."""
    add_run(parser)
    parser.add_argument("--no-open", action="store_true", help="only write it")


def main(options: argparse.Namespace) -> int:
    """Write ``report.html``, say where it lies, open it."""
    folder = RunFolder.open(options.run, options.runs)

    from etude.runs.report import write_report

    path = write_report(folder).resolve()
    echo(path)
    if not options.no_open and has_display():
        webbrowser.open(path.as_uri())
    return 0


def has_display() -> bool:
    """Whether a browser has somewhere to appear; without, Python would start one in this
    terminal.
    """
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
