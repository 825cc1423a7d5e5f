"""The runs that are here: state, time, main result, and whether their claims hold."""

from __future__ import annotations

import argparse
import json
from typing import Any

from etude.cli.options import add_runs
from etude.cli.tables import Column, print_table
from etude.errors import UserError, nearest
from etude.runs.folder import RunFolder, find_runs, runs_root


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude runs``."""
    parser.add_argument("--study", help="show the runs of one study")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_runs(parser)


def main(options: argparse.Namespace) -> int:
    """Print the runs, oldest first."""
    found = find_runs(options.runs)
    if options.study:
        studies = {folder.path.parent.name for folder in found}
        if options.study not in studies:
            raise UserError(
                f"no run of study '{options.study}' in {runs_root(options.runs)}{nearest(options.study, studies)}"
            )
        found = [folder for folder in found if folder.path.parent.name == options.study]
    rows = [as_json(folder) for folder in found]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    if not rows:
        print(f"no runs in {runs_root(options.runs)}; 'etude run spirals' makes one")
        return 0
    columns = [
        Column("run", accent=True), Column("scale"), Column("seed", right=True), Column("state"),
        Column("steps", right=True), Column("time", right=True), Column("result", grow=True), Column("claims"),
    ]  # fmt: skip
    print_table(columns, [cells(row) for row in rows])
    return 0


def as_json(folder: RunFolder) -> dict[str, Any]:
    """What a program wants to know of one run; a run whose files can't be read has the state ``damaged``."""
    row: dict[str, Any] = {"run": folder.name, "path": str(folder.path), "study": folder.path.parent.name}
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
        "main": main_metric(metrics, claims) if result else next((k for k in last if k.endswith("loss")), None),
        "metrics": metrics if result else {k: v for k, v in last.items() if k not in ("stage", "step", "seconds")},
        "claims": mark(claims),
    }


def main_metric(metrics: dict[str, Any], claims: list[dict[str, Any]]) -> str | None:
    """The first that is claimed; else the first that is not of training; else the first."""
    claimed = [claim.get("claim", {}).get("metric") for claim in claims]
    order = [*claimed, *[key for key in metrics if not key.startswith("train/")], *metrics]
    return next((key for key in order if key in metrics), None)


def mark(claims: list[dict[str, Any]]) -> str | None:
    """✓ all hold on this seed, ? one is suspiciously perfect, ✗ one does not hold; None: nothing is claimed."""
    if not claims:
        return None
    if any(claim.get("suspicious") for claim in claims):
        return "?"
    return "✓" if all(claim.get("holds") is True for claim in claims) else "✗"


def cells(row: dict[str, Any]) -> list[str]:
    """One row of the table."""
    if row["state"] == "damaged":
        return [row["run"], "", "", "damaged", "", "", row["error"], ""]
    value = row["metrics"].get(row["main"])
    result = f"{row['main']} {value:.4g}" if isinstance(value, int | float) else ""
    changed = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in row["changed"].items())
    steps, seconds = row["steps"], row["seconds"]
    return [
        row["run"], str(row["scale"]), str(row["seed"]), row["state"], f"{steps:,}" if isinstance(steps, int) else "–",
        duration(seconds), f"{result}  {changed}".strip(), row["claims"] or "",
    ]  # fmt: skip


def duration(seconds: Any) -> str:
    """``7.1 s`` or ``12.3 min``; ``–`` where nobody knows."""
    if not isinstance(seconds, int | float):
        return "–"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
