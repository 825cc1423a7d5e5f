"""Studies that are killed (SIGKILL) at random instants and resumed: the same weights, metrics and
log, bit for bit.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from etude.catalogue import Catalogue
from etude.runs.folder import find_runs
from etude.runs.run import Run
from etude.study import execute

Work = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """A study at settings at which it takes a second or two: each of its loops has so many steps,
    nothing is drawn.
    """

    study: str
    steps: int
    fields: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def whole(self) -> type:
        return Catalogue()[self.study].load()

    def __call__(
        self,
        root: Path,
        resume: Path | None = None,
        every: float = 1e-9,
        *,
        begin_again: bool = False,
    ) -> None:
        """Run it, or go on with it, to its end."""
        torch.set_num_threads(1)
        steps = Run.steps

        def few(run: Run, batches: Any, wanted: int | None = None, **options: Any) -> Any:
            if wanted is None and hasattr(batches, "__len__"):
                wanted = len(batches)
            return steps(run, batches, min(self.steps, wanted or self.steps), **options)

        Run.steps = few  # type: ignore[method-assign, assignment]
        Run.figure = Run.animation = lambda run, name, figure, **options: None  # type: ignore[method-assign, assignment]
        study = self.whole.at("quick", **self.fields)
        execute(
            study,
            root=root,
            resume=resume,
            precision="fp32",
            quiet=True,
            checkpoint_every=every,
            begin_again=begin_again,
        )


CASES = (
    Case("spirals", 120),
    Case(
        "gan",
        12,
        {"width": 4, "latent": 4, "batch": 16, "judging": 10, "ring_steps": 20, "fakes": 20},
    ),
    Case(
        "dqn",
        40,
        {
            "width": 16,
            "layers": 1,
            "copies": 4,
            "random_steps": 8,
            "memory": 500,
            "batch": 32,
            "episodes": 4,
        },
    ),
    Case("gpt", 20, {"width": 16, "heads": 2, "layers": 1, "context": 16, "length": 10}),
    Case("digits", 25, {"width": 4}),
    Case("gcn", 10, {"width": 4, "repeats": 1, "depths": (1, 2)}),
)


@dataclass
class Tally:
    """What became of one study's kills."""

    study: str
    kills: int = 0
    exact: int = 0  # kills in runs whose end is that of a run never killed
    runs: int = 0
    early: int = 0  # before there was a run to resume
    writing: int = 0  # while a file was being written
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        return not self.failed and self.exact == self.kills > 0


def start(work: Work, said: Path | None = None) -> int:
    """Do it in a process of its own, which is forked: what was imported here need not be imported
    again.
    """
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        target = (
            os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            if said
            else os.open(os.devnull, os.O_WRONLY)
        )
        os.dup2(target, 1)
        os.dup2(target, 2)
        sys.stdout = sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - whoever captures ours sees nothing
        work()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(code)  # whatever happens: never back into what the parent is doing


def wait(child: int, seconds: float | None = None) -> int | None:
    """Its exit code (that of a signal negative); None if it still runs after so many seconds."""
    until = time.monotonic() + seconds if seconds is not None else None
    while until is not None:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if (left := until - time.monotonic()) <= 0:
            return None
        time.sleep(min(left, 0.001))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def outcome(root: Path) -> tuple[dict[str, bytes], dict[str, float], list[dict[str, Any]]]:
    """Weights, metrics and log of the only finished run in a folder."""
    (folder,) = find_runs(root)
    result = folder.result()
    assert result is not None, f"the run did not finish: {folder.state}"
    rows = [
        {key: value for key, value in row.items() if key != "seconds"} for row in folder.metrics()
    ]
    return (
        {path.name: path.read_bytes() for path in folder.path.glob("*.safetensors")},
        result["metrics"],
        rows,
    )


def killed(case: Case, kills: int, place: Path, seed: int = 0, late: float = math.inf) -> Tally:
    """Kill the study so many times, one to four times a run, at instants spread evenly over the
    time a run takes.
    """
    tally, began = Tally(case.study), time.monotonic()
    chance = random.Random(f"{case.study} {seed}")
    assert case.whole  # imported before it is forked
    root = place / f"{case.study}-whole"
    since = time.monotonic()
    said = place / f"{case.study}.log"
    if wait(start(lambda: case(root), said)) != 0:
        tally.failed.append(f"never killed, it does not finish: {said.read_text()[-300:]}")
        return tally
    takes, never = time.monotonic() - since, outcome(root)
    while tally.kills < kills and (time.monotonic() < late or not tally.kills):
        root = place / f"{case.study}-{tally.runs}"
        _one_run(
            case,
            root,
            chance,
            min(chance.randint(1, 4), kills - tally.kills),
            takes,
            never,
            tally,
            said,
        )
        shutil.rmtree(root, ignore_errors=True)
    tally.seconds = time.monotonic() - began
    return tally


def _one_run(
    case: Case,
    root: Path,
    chance: random.Random,
    planned: int,
    takes: float,
    never: Any,
    tally: Tally,
    said: Path,
) -> None:
    tally.runs += 1
    every = chance.choice((1e-9, 1e-9, 0.05, 0.5))
    here = 0
    while True:
        runs = find_runs(root)
        resume = runs[0].path if runs else None
        child = start(lambda resume=resume: case(root, resume, every), said)
        if here < planned and wait(child, chance.uniform(0, takes)) is None:
            os.kill(child, signal.SIGKILL)
            wait(child)
            here += 1
            runs = find_runs(root)
            tally.early += not runs
            tally.writing += any(root.rglob(".*.part"))
            if runs and runs[0].result_json.is_file():
                break  # all was written
            continue
        if here < planned:  # it was over before it could be killed
            if here == 0:
                shutil.rmtree(root, ignore_errors=True)
                continue
        elif (code := wait(child)) != 0:
            tally.failed.append(f"resumed, it ends with code {code}: {said.read_text()[-300:]}")
        break
    tally.kills += here
    try:
        same = outcome(root) == never
    except (AssertionError, ValueError) as error:
        tally.failed.append(str(error))
        return
    if same:
        tally.exact += here
    else:
        tally.failed.append(f"other numbers after {here} kills, checkpoints every {every:g} s")
