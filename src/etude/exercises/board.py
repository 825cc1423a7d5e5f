"""The leaderboard of a challenge: graded networks, ranked by what the grader has measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from etude.errors import UserError
from etude.exercises.grading import Result, Verdict
from etude.exercises.packs import Experiment, pack


class _Record(msgspec.Struct):
    """A record of several results of one student."""

    results: list[Result]


def board(folder: Path, name: str) -> list[Result]:
    """The results that reach the goal of a challenge, the best first; of each student the best.

    Args:
        folder: with results, as JSON.
        name: of the challenge.

    Raises:
        UserError: the folder can't be read; the assignment ranks nothing.
    """
    chosen = pack(name)
    ranked = chosen.module("judge") if isinstance(chosen, Experiment) else None
    if ranked is None or not hasattr(ranked, "BOARD"):
        raise UserError(f"{name} has no board; 'extra' has one")
    measure, goal = ranked.BOARD
    best: dict[str, Result] = {}
    for result in _results(folder):
        reached = any(
            each.verdict == Verdict.PASS and each.check.partition("/")[2] == goal
            for each in result.outcomes
        )
        if result.exercise == name and result.scored and reached and measure in result.measured:
            before = best.get(result.student)
            if before is None or _order(result, measure) < _order(before, measure):
                best[result.student] = result
    return sorted(best.values(), key=lambda each: (*_order(each, measure), each.student))


def _order(result: Result, measure: str) -> tuple[float, float]:
    """By the measure; by the accuracy where it is equal."""
    return result.measured[measure], -result.measured.get("accuracy", 0.0)


def _results(folder: Path) -> Iterator[Result]:
    """What JSON files of a folder hold as results; other files are passed over."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; expected one with results as JSON")
    for path in sorted(folder.glob("*.json")):
        try:
            content = path.read_bytes()
            try:
                yield msgspec.json.decode(content, type=Result)
            except msgspec.ValidationError:
                yield from msgspec.json.decode(content, type=_Record).results
        except (OSError, msgspec.MsgspecError, RecursionError):
            continue
