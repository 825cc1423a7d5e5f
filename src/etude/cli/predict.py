"""Apply a run's network to inputs of your own: image files or texts, as its study takes them."""

from __future__ import annotations

import argparse
import json

from etude.cli.options import add_run, add_study
from etude.runs.folder import RunFolder

TOP = 5  # classes shown of each input


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude predict``."""
    add_run(parser)
    parser.add_argument("input", nargs="+", help="files or texts, each in quotes")
    add_study(parser)
    parser.add_argument("--json", action="store_true", help="as JSON, with all classes")


def main(options: argparse.Namespace) -> int:
    """Print classes and probabilities, the most probable first."""
    folder = RunFolder.open(options.run, options.runs)

    from etude.results.load import load

    trained = load(folder, study=options.study, root=options.runs)
    found = []
    for given in options.input:
        classes = trained.predict(given)
        order = sorted(classes.items(), key=lambda item: -item[1])
        found.append({"input": given, "classes": {name: float(probability) for name, probability in order}})
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return 0
    width = max(len(name) for each in found for name in list(each["classes"])[:TOP])
    for each in found:
        print(each["input"])
        for name, probability in list(each["classes"].items())[:TOP]:
            print(f"  {name:<{width}}  {probability:.4f}")
    return 0
