"""Open the page in the browser: look at studies, run them, try them."""

from __future__ import annotations

import argparse
import contextlib
import html
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from etude.cli.options import add_runs
from etude.cli.output import echo
from etude.cli.report import has_display
from etude.errors import UserError
from etude.runs.folder import runs_root


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude app``."""
    parser.add_argument("--port", type=int, default=7860, help="0 takes a free one (default: 7860)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help=(
            "address or name to answer at, and to be asked by; 0.0.0.0 for all of this machine's."
            " Whoever has the token of the printed address can then start and stop runs and throw"
            " them away, and what is sent is not encrypted; to use the page from elsewhere, rather:"
            " ssh -L 7860:127.0.0.1:7860 MACHINE"
        ),
    )
    parser.add_argument("--no-open", action="store_true", help="do not open the browser")
    add_runs(parser)


def main(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; runs that are under way go on."""
    if not 0 <= options.port < 65_536:
        raise UserError(f"--port is {options.port}; expected a number from 0 to 65535")
    try:
        from etude.app.guard import LOOPBACK
        from etude.app.server import serve
    except ImportError as error:
        raise UserError(f"the page needs {error.name}: pip install 'etude[app]'") from None

    files = contextlib.ExitStack()

    def opened(address: str) -> None:
        echo(f"{address} (Ctrl-C ends the page; runs go on)")
        if options.host not in LOOPBACK:
            echo(
                "Whoever has this address and reaches this machine can see its runs, start and stop"
                " runs, and throw them away; what is sent is not encrypted."
            )
        if not options.no_open and has_display():
            way = files.enter_context(way_in(address))
            threading.Timer(0.5, webbrowser.open, [way.as_uri()]).start()

    with files:
        serve(runs_root(options.runs), options.host, options.port, opened)
    return 0


@contextlib.contextmanager
def way_in(address: str) -> Iterator[Path]:
    """A file of this user's alone that leads a browser to an address.

    The words with which a browser is started can be read by every user of the machine, so the token
    must not be among them.
    """
    with tempfile.TemporaryDirectory(prefix="etude-") as folder:  # which others may not enter
        path = Path(folder) / "open.html"
        path.write_text(
            f'<!doctype html><meta charset="utf-8"><title>Etude</title>'
            f'<meta http-equiv="refresh" content="0; url={html.escape(address)}">'
            f'<a href="{html.escape(address)}">Open the page</a>\n',
            encoding="utf-8",
        )
        yield path
