"""Apply a run's network to inputs of your own: image files or texts, as its study takes them."""

from __future__ import annotations

import argparse
import ast
from typing import Any

from etude.cli.options import add_run, add_study
from etude.cli.output import echo, echo_json
from etude.runs.folder import RunFolder

TOP = 5  # classes shown of each input


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude predict``."""
    add_run(parser)
    parser.add_argument("input", nargs="+", help="files or texts, each in quotes")
    add_study(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="FIELD=VALUE",
        help="of the study, how its network is asked: temperature=0.5",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, with all classes")


def main(options: argparse.Namespace) -> int:
    """Print classes and probabilities, the most probable first; of a study that writes, its text as
    it comes.
    """
    folder = RunFolder.open(options.run, options.runs)

    import torch

    from etude.results.load import load
    from etude.study import Study

    trained = load(folder, study=options.study, root=options.runs)
    if options.set:
        trained = trained.but(**dict(options.set))
    if type(trained.study).write is not Study.write:
        torch.seed()  # another text each time
        written = []
        for given in options.input:
            pieces = trained.write(given)
            if options.json:
                written.append({"input": given, "text": "".join(pieces)})
                continue
            echo(given, end="", lines=True)
            for piece in pieces:
                echo(piece, end="", lines=True)
            echo()
        if options.json:
            echo_json(written)
        return 0
    found = []
    for given in options.input:
        classes = trained.predict(given)
        order = sorted(classes.items(), key=lambda item: -item[1])
        found.append(
            {"input": given, "classes": {name: float(probability) for name, probability in order}}
        )
    if options.json:
        echo_json(found)
        return 0
    width = max(len(name) for each in found for name in list(each["classes"])[:TOP])
    for each in found:
        echo(each["input"], lines=True)
        for name, probability in list(each["classes"].items())[:TOP]:
            echo(f"  {name:<{width}}  {probability:.4f}")
    return 0


def setting(text: str) -> tuple[str, Any]:
    """``temperature=0.5`` as a name and a value."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not FIELD=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
