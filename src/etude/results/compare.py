"""Runs side by side: the fields that differ, what they reached, and their curves in one figure.

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.errors import UserError
from etude.results.files import whole
from etude.runs.folder import RunFolder

FORMATS = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Comparison:
    """One list entry for each run, in the order in which they were given; None: that run
    has none.
    """

    runs: list[str]
    differing: dict[
        str, list[Any]
    ]  # study, scale, seed, device, versions and fields, where not all are equal
    metrics: dict[str, list[float | None]]
    seconds: list[float | None]
    states: list[str]


def compare(folders: Sequence[RunFolder]) -> Comparison:
    """What differs between runs.

    Raises:
        UserError: there are fewer than two of them, or one is damaged.
    """
    if len(folders) < 2:
        raise UserError("comparing takes at least two runs; 'etude runs' shows those there are")
    recorded = [_settings(folder) for folder in folders]
    results = [folder.result() or {} for folder in folders]
    keys = dict.fromkeys(key for settings in recorded for key in settings)
    values = {key: [settings.get(key) for settings in recorded] for key in keys}
    metrics = dict.fromkeys(key for result in results for key in result.get("metrics", {}))
    return Comparison(
        runs=[folder.name for folder in folders],
        differing={
            key: row for key, row in values.items() if any(value != row[0] for value in row)
        },
        metrics={
            key: [result.get("metrics", {}).get(key) for result in results] for key in metrics
        },
        seconds=[result.get("seconds") for result in results],
        states=[folder.state for folder in folders],
    )


def draw(folders: Sequence[RunFolder], labels: Sequence[str], path: Path) -> bool:
    """Draw the curves of all the runs, one panel a metric, to ``path``; False where nothing was
    logged.

    Raises:
        UserError: the ending is none of .svg, .png and .pdf, or the file can't be written.
    """
    if path.suffix not in FORMATS:
        raise UserError(
            f"--figure {path}: the ending says the format; expected one of {', '.join(FORMATS)}"
        )
    curves = {label: folder.curves() for label, folder in zip(labels, folders, strict=True)}
    if not any(curves.values()):
        return False
    from matplotlib import pyplot

    from etude.figures.curves import compared

    figure = compared(curves)
    try:
        with whole(path) as part:
            figure.savefig(part, format=path.suffix[1:], dpi=150)
    finally:
        pyplot.close(figure)
    return True


def _settings(folder: RunFolder) -> dict[str, Any]:
    about = folder.study()
    versions, fields = about.get("versions"), about.get("fields")
    plain = {
        key: about.get(key) for key in ("study", "scale", "seed", "device", "precision", "threads")
    }
    versions = (
        {f"{k} version": v for k, v in versions.items()} if isinstance(versions, dict) else {}
    )
    return {**plain, **versions, **(fields if isinstance(fields, dict) else {})}
