"""Apply a run's network to inputs of your own: image files or texts, as its study takes them."""

from __future__ import annotations

import argparse
import ast
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.cli.options import add_run, add_study
from etude.cli.output import echo, echo_json
from etude.errors import UserError
from etude.results.listing import standing, trusted
from etude.runs.folder import RunFolder

if TYPE_CHECKING:
    from torch import Tensor

SHADES = " .:*#"  # in any encoding
TOP = 5  # classes shown of each input
LONGEST = 40  # signs of a text that stands for itself where it is wrong


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
    parser.add_argument(
        "--show", action="store_true", help="also draw each picture as the network gets it"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, with all classes")


def main(options: argparse.Namespace) -> int:
    """Print classes and probabilities, the most probable first; of a study that writes, its text as
    it comes. Which run answers is said beside it, on the error output.
    """
    folder = RunFolder.open(options.run, options.runs, trusted)

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
                written.append({"run": folder.name, "input": given, "text": "".join(pieces)})
                continue
            echo(given, end="", lines=True)
            for piece in pieces:
                echo(piece, end="", lines=True)
            echo()
        if options.json:
            echo_json(written)
        _say(folder)
        return 0
    found: list[dict[str, Any]] = []
    reasons: list[str] = []
    for given in options.input:
        try:
            shown = _drawn(trained.study.read(given)) if options.show else None
            classes = trained.predict(given)
        except UserError as error:
            reasons.append(str(error))
            found.append({"input": given, "error": _named(given, error, len(options.input))})
            continue
        order = sorted(classes.items(), key=lambda item: -item[1])
        found.append(
            {"input": given, "classes": {name: float(probability) for name, probability in order}}
        )
        if shown is not None:
            found[-1]["picture"] = shown
    wrong = [each["error"] for each in found if "error" in each]
    if len(wrong) == len(found) and (len(found) == 1 or len(set(reasons)) == 1):
        raise UserError(wrong[0] if len(found) == 1 else reasons[0])  # not once for each
    if options.json:
        echo_json([{"run": folder.name, **each} for each in found])
    else:
        _print(found)
    if len(wrong) < len(found):
        _say(folder)
        if not options.show and not options.json and type(trained.study).read is not Study.read:
            echo("--show draws each picture as the network got it", error=True)
    for each in wrong:  # behind all that could be answered, where it is seen
        echo(f"etude: {each}", error=True)
    return 2 if wrong else 0


def _say(folder: RunFolder) -> None:
    """Which run answered; beside the answers, not among them."""
    echo(f"answered by run {folder.name}: {standing(folder)}", error=True)


def _named(given: str, error: UserError, inputs: int) -> str:
    """What is wrong with one of so many inputs, so that one knows which it is."""
    if given in str(error):
        return str(error)
    if _is_file(given):
        return f"{given}: {error}"
    shown = given if len(given) <= LONGEST else f"{given[: LONGEST - 1]}…"
    return str(error) if inputs == 1 else f"'{shown}': {error}"


def _is_file(given: str) -> bool:
    """Whether an input is a file, or is written as one."""
    with contextlib.suppress(OSError, ValueError):
        return Path(given).is_file() or bool(Path(given).suffix)
    return False


def _print(found: list[dict[str, Any]]) -> None:
    answered = [each for each in found if "classes" in each]
    names = [name for each in answered for name in list(each["classes"])[:TOP]]
    width = max(map(len, names), default=0)
    for each in answered:
        echo(each["input"], lines=True)
        for row in each.get("picture", []):
            echo(f"  {row}".rstrip())
        if not each["classes"]:
            echo("  nothing found")
        for name, probability in list(each["classes"].items())[:TOP]:
            echo(f"  {name:<{width}}  {probability:.4f}")


def _drawn(image: Tensor) -> list[str]:
    """A picture in signs of a terminal, which are twice as high as wide."""
    pixels = image[0].float() / max(1, int(image.max()))
    if len(pixels) <= 16:
        pixels = pixels.repeat_interleave(2, 1)
    else:
        pixels = (pixels[: len(pixels) // 2 * 2 : 2] + pixels[1::2]) / 2
    return [
        "".join(SHADES[round(value * (len(SHADES) - 1))] for value in row)
        for row in pixels.tolist()
    ]


def setting(text: str) -> tuple[str, Any]:
    """``temperature=0.5`` as a name and a value."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not FIELD=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
