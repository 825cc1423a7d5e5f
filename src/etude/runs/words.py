"""What a run says of itself as it begins and when it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from etude.claims import Verdict
from etude.runs.progress import clock
from etude.runs.workers import Workers

SHOWN = 16  # metrics that are printed at the end; the report has them all


def computed_by(device: torch.device, workers: Workers, why_threads: str) -> str:
    """By what the run is carried out, as ``cpu, 2 threads``.

    Args:
        device: of this process.
        workers: all processes of the run.
        why_threads: why there are so many threads; empty where PyTorch chose.
    """
    crew = f"{workers.size} processes ({workers.strategy}) of " if workers.many else ""
    number = torch.get_num_threads()
    why = f" ({why_threads})" if why_threads else ""
    return f"{device}, {crew}{number} thread{'s' if number > 1 else ''}{why}"


def how_to_resume(name: str, path: Path, *, study: bool, auto: bool) -> str:
    """What a person does after a stop.

    Args:
        name: of the run.
        path: its folder.
        study: whether Etude can find what was run; a plain script is started again by its user.
        auto: whether the script goes on by itself when it is started again.
    """
    if study:
        return f"go on with: etude resume {path}"
    if auto:
        return "to go on, start the script again"
    return f'to go on, start the script again with: Run("{name}", resume="auto")'


def last_lines(
    metrics: Mapping[str, float], verdicts: Sequence[Verdict], seconds: float, report: Path
) -> Iterator[str]:
    """The results where they are few, the verdict on each claim, how long it took, the report."""
    if len(metrics) <= SHOWN:
        for key, value in metrics.items():
            yield f"  {key:<24} {value:.4g}"
    for verdict in verdicts:
        yield f"{verdict.mark} {verdict.claim.name} {verdict.claim.bound}: {verdict.measured}"
    yield f"{clock(seconds)} · {report}"
