"""What a table of runs says of each. Needs no torch."""

from __future__ import annotations

from typing import Any

from etude.errors import UserError
from etude.runs.folder import RunFolder


def describe(folder: RunFolder) -> dict[str, Any]:
    """What a program wants to know of one run; a run whose files can't be read has the state
    ``damaged``.
    """
    row: dict[str, Any] = {
        "run": folder.name,
        "path": str(folder.path),
        "study": folder.path.parent.name,
    }
    try:
        about, result, last = folder.study(), folder.result(), folder.last_row()
    except UserError as error:
        return {**row, "state": "damaged", "error": str(error)}
    claims = [claim for claim in (result or {}).get("claims", []) if isinstance(claim, dict)]
    metrics = (result or {}).get("metrics", {})
    return {
        **row,
        "study": about.get("study"),
        "scale": about.get("scale"),
        "seed": about.get("seed"),
        "changed": about.get("changed", {}),
        "state": folder.state,
        "steps": last.get("step"),
        "seconds": (result or last).get("seconds"),
        "main": main_metric(metrics, claims)
        if result
        else next((k for k in last if k.endswith("loss")), None),
        "metrics": metrics
        if result
        else {k: v for k, v in last.items() if k not in ("stage", "step", "seconds")},
        "claims": mark(claims),
    }


def main_metric(metrics: dict[str, Any], claims: list[dict[str, Any]]) -> str | None:
    """The first that is claimed; else the first that is not of training; else the first."""
    claimed = [claim.get("claim", {}).get("metric") for claim in claims]
    order = [*claimed, *[key for key in metrics if not key.startswith("train/")], *metrics]
    return next((key for key in order if key in metrics), None)


def mark(claims: list[dict[str, Any]]) -> str | None:
    """✓ all hold on this seed, ? one is suspiciously perfect, ✗ one does not hold; None: nothing is
    claimed.
    """
    if not claims:
        return None
    if any(claim.get("suspicious") for claim in claims):
        return "?"
    return "✓" if all(claim.get("holds") is True for claim in claims) else "✗"


def duration(seconds: Any) -> str:
    """``7.1 s`` or ``12.3 min``; ``–`` where nobody knows."""
    if not isinstance(seconds, int | float):
        return "–"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
