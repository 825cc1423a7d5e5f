"""Open the page in the browser: look at studies, run them, try them."""

from __future__ import annotations

import argparse
import threading
import webbrowser

from etude.cli.options import add_runs
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
            "address to answer at; 0.0.0.0 shows the page to whoever reaches this machine, who can"
            " then start and stop runs and throw them away; to use it alone from elsewhere, rather:"
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
        from etude.app.server import serve
    except ImportError as error:
        raise UserError(f"the page needs {error.name}: pip install 'etude[app]'") from None

    def opened(address: str) -> None:
        print(f"{address} (Ctrl-C ends the page; runs go on)", flush=True)
        if options.host not in ("127.0.0.1", "localhost", "::1"):
            print(
                "Whoever reaches this machine can now see its runs, start and stop runs, and throw"
                " them away.",
                flush=True,
            )
        if not options.no_open and has_display():
            threading.Timer(0.5, webbrowser.open, [address]).start()

    serve(runs_root(options.runs), options.host, options.port, opened)
    return 0
