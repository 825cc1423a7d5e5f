"""Proof for any study, of one's own above all, that it can be stopped and resumed without a trace.

It is run a second time, stopped on the way as by Ctrl-C, and resumed from its first line; what it
leaves is compared with what the first run left, bit for bit.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.errors import UserError
from etude.runs import files
from etude.runs.folder import RunFolder, find_runs

if TYPE_CHECKING:
    from etude.runs.run import Run

STOPS = 3  # on the way, so that a row of the log, an epoch and a loop are cut as it happens
LEFT = "metrics, log, weights, tables, figures"  # what is compared
SHOWN = 3  # differences of one kind that are told one by one
Perform = Callable[..., "Run"]


@dataclass
class Proof:
    """What came of it.

    Attributes:
        steps: that the run takes.
        stops: after which of them it was stopped.
        differences: what the resumed run left that differs, kind by kind.
    """

    steps: int
    stops: list[int] = field(default_factory=list)
    differences: dict[str, list[str]] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether nothing differs."""
        return not any(self.differences.values())

    def lines(self) -> Iterator[str]:
        """For a person: what was done, and what differs."""
        places = ", ".join(f"{stop:,}" for stop in self.stops)
        done = f"stopped and resumed after step {places} of {self.steps:,}"
        if self.exact:
            yield f"✓ {done}: {LEFT} are equal to the last bit"
            return
        yield f"✗ {done}: not what a run never stopped leaves"
        for kind, found in self.differences.items():
            for each in found[:SHOWN]:
                yield f"  {kind}: {each}"
            if len(found) > SHOWN:
                yield f"  {kind}: and {len(found) - SHOWN:,} more"
        yield (
            "  what changes in a loop and is not in its state is the usual cause: a number or list"
            " of one's own, a generator, a cache; run.steps(…, state=(…)) has to hold it"
        )


def prove_resume(whole: Run, perform: Perform, beside: Path | None = None) -> Proof:
    """Run a study again with stops, and compare.

    Args:
        whole: its run that was never stopped.
        perform: runs the study below a folder, ``perform(root, resume=…, stop_after=…)``, each time
            from its source anew.
        beside: the folder of a study of one's own, whose modules are imported anew as well.

    Raises:
        UserError: it takes fewer than two steps, so that there is nothing to stop.
    """
    from etude.runs.run import Interrupted

    steps = whole.steps_taken
    if steps < 2:
        raise UserError(
            f"{whole.name} takes {steps} step{'' if steps == 1 else 's'} in loops over run.steps;"
            " expected at least 2, to stop between them"
        )
    stops = sorted({max(1, steps * k // (STOPS + 1)) for k in range(1, STOPS + 1)})
    proof = Proof(steps)
    with tempfile.TemporaryDirectory(prefix="etude-proof-") as root:
        folder: RunFolder | None = None
        before = 0
        for stop in [*stops, None]:
            _forget(beside)
            more = {} if stop is None else {"stop_after": stop - before}
            resume = {} if folder is None else {"resume": folder.path}
            try:
                resumed = perform(root, **resume, **more)
            except Interrupted:
                before = stop or 0
                proof.stops.append(before)
                (folder,) = find_runs(root)
                continue
            break
        proof.differences = differences(whole.folder, resumed.folder)
    return proof


def differences(a: RunFolder, b: RunFolder) -> dict[str, list[str]]:
    """What two runs of one study left that is not the same."""
    return {
        "metric": list(_metrics(a, b)),
        "log": list(_rows(a, b)),
        "weights": list(_weights(a, b)),
        "table": list(_tables(a, b)),
        "figure": list(_figures(a, b)),
    }


def _metrics(a: RunFolder, b: RunFolder) -> Iterator[str]:
    ours, theirs = (folder.result() or {} for folder in (a, b))
    first, second = ours.get("metrics", {}), theirs.get("metrics", {})
    for name in {**first, **second}:
        if first.get(name) != second.get(name):
            yield f"{name} is {first.get(name)}, resumed {second.get(name)}"


def _rows(a: RunFolder, b: RunFolder) -> Iterator[str]:
    for number, (first, second) in enumerate(zip_longest(a.metrics(), b.metrics()), 1):
        one, other = first or {}, second or {}
        where = {**other, **one}
        place = f"step {where['step']}" if "step" in where else f"row {number}"
        place = f"{where['stage']}, {place}" if where.get("stage") else place
        if not one or not other:
            yield f"{place} is {'only in the resumed run' if other else 'not in the resumed run'}"
            continue
        for name in where:
            if name != "seconds" and one.get(name) != other.get(name):
                yield f"{place}: {name} is {one.get(name)}, resumed {other.get(name)}"


def _weights(a: RunFolder, b: RunFolder) -> Iterator[str]:
    import torch
    from safetensors.torch import load

    names = {path.name for folder in (a, b) for path in folder.path.glob("*.safetensors")}
    for name in sorted(names):
        first, second = ((folder.path / name) for folder in (a, b))
        if not (first.is_file() and second.is_file()):
            yield f"{name} is in one of the two only"
            continue
        if first.read_bytes() == second.read_bytes():
            continue
        ours, theirs = load(first.read_bytes()), load(second.read_bytes())
        for key in {**ours, **theirs}:
            one, other = ours.get(key), theirs.get(key)
            if one is None or other is None or one.shape != other.shape:
                yield f"{key} in {name} has another shape"
            elif not torch.equal(_bits(one), _bits(other)):
                apart = (one.double() - other.double()).abs().max().item()
                yield f"{key} in {name} differs by up to {apart:.3g}"


def _bits(tensor: Any) -> Any:
    import torch

    return tensor.contiguous().flatten().view(torch.uint8)


def _tables(a: RunFolder, b: RunFolder) -> Iterator[str]:
    first, second = a.tables_of(), b.tables_of()
    for name in {**first, **second}:
        if first.get(name) != second.get(name):
            yield f"{name} has other cells"


def _figures(a: RunFolder, b: RunFolder) -> Iterator[str]:
    """By their pixels, or the text of what is a drawing only: a figure's SVG has a date."""
    first, second = ({path.name: path for path in folder.pictures()} for folder in (a, b))
    for name in {**first, **second}:
        if not (name in first and name in second):
            yield f"{name} is in one of the two only"
        elif files.read(first[name], files.PICTURE) != files.read(second[name], files.PICTURE):
            yield f"{name} looks different"


def _forget(folder: Path | None) -> None:
    """Let the modules beside a study be imported anew, as in a process of its own."""
    if folder is None:
        return
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name != "__main__" and Path(file).parent == folder:
            del sys.modules[name]
