"""The command line: one file a verb, each of which parses, calls and prints.

Nothing here imports torch to answer.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from etude.cli.output import echo
from etude.errors import UserError, memory_trouble, nearest, out_of_memory

VERBS = {
    "list": "the studies: by topic, course or words; how long each takes",
    "show": "a study's lesson, fields, scales, claims and references",
    "graph": "a study's network: modules, shapes, parameters, FLOPs; as a picture",
    "new": "write a study of your own that runs as it is",
    "run": "run a study; any of its fields is an option",
    "resume": "go on with a run that was stopped",
    "runs": "the runs that are here, as a table",
    "compare": "runs side by side: fields that differ, metrics, curves",
    "check": "measure claims over seeds and say which hold",
    "sweep": "vary fields over many runs; find what serves best on validation data",
    "reproduce": "claims over seeds as a report: one HTML file, and LaTeX",
    "predict": "apply a run's network to images or texts",
    "report": "rebuild a run's report and open it",
    "export": "hand a run's network over: hdf5, safetensors, onnx, notebook",
    "path": "what to do before a study, in an order, and what it leads to",
    "course": "the courses: weeks, assignments, grades; begin one on your own first day",
    "quiz": "questions on a study: asked, judged, explained",
    "assignment": "assignments to write: list them, start one, check what you wrote",
    "grade": "grade a folder of submissions in a sandbox: each once, some at a time",
    "grades": "a course's gradebook: marks, late rules, sums explained, CSV in and out",
    "app": "the page in the browser: look at studies, run them, try them",
    "data": "data sets: which are here, where from; fetch and verify them",
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, as everything in Etude does."""

    def error(self, message: str) -> NoReturn:
        """Raise the sentence; ``main`` prints it."""
        raise UserError(f"{message}; see '{self.prog} --help'")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 well, 1 a claim fails, 2 a mistake in the request,
    130 stopped).
    """
    arguments = [
        *(sys.argv[1:] if argv is None else argv)
    ]  # 'list' is a module here, once the verb has been used
    for stream in (sys.stdout, sys.stderr):  # what a terminal can't show becomes a question mark
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")
    try:
        return _dispatch(arguments)
    except UserError as error:
        complain(error)
        return 2
    except BrokenPipeError:  # the reader (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        may = "; expected one that you may use" if isinstance(error, PermissionError) else ""
        complain(f"{what}{error.strerror or error}{may}")
        return 2
    except KeyboardInterrupt:
        return 130
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        complain(memory_trouble(error))
        return 2


def complain(sentence: object) -> None:
    """Say a sentence on standard error, if there is one and anybody reads it."""
    echo(f"etude: {sentence}", error=True)


def _dispatch(arguments: list[str]) -> int:
    if len(arguments) == 2 and arguments[0] == "help":
        arguments = [arguments[1], "--help"]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        echo(
            "etude: deep learning's courses as software that runs\n\nusage: etude VERB …\n",
            lines=True,
        )
        for verb, summary in VERBS.items():
            echo(f"  {verb:<10} {summary}")
        echo(
            "\nBegin with 'etude run spirals'. 'etude VERB --help' says more; 'etude --version' the"
            " version.",
            lines=True,
        )
        return 0
    if arguments[0] in ("-V", "--version", "version"):
        from importlib import metadata

        echo(f"etude {metadata.version('etude')}")
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        raise UserError(f"no verb '{verb}'{nearest(verb, VERBS)}")
    module = importlib.import_module(f"etude.cli.{verb}")
    if hasattr(module, "raw"):  # takes its words as they are
        return int(module.raw(rest))
    parser = Parser(prog=f"etude {verb}", description=module.__doc__, allow_abbrev=False)
    module.arguments(parser)
    return int(module.main(parser.parse_args(rest)))
