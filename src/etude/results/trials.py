"""One trial of a sweep: a run of the study in a process of its own, watched while it trains.

Needs no torch.

What is searched for is told by a :class:`Plan`; who carries a trial out is any :data:`Runner`, of
which :class:`Processes` is the one for work and a function that answers at once is the one for
tests.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from etude.entry import Entry
from etude.errors import UserError
from etude.results.axes import Axis
from etude.results.check import is_whole, why
from etude.results.files import whole
from etude.runs.folder import RunFolder, as_json
from etude.runs.record import option_words
from etude.sources import tree_of

Sampler = Literal["tpe", "random", "grid", "cmaes"]
Direction = Literal["minimize", "maximize"]

LOWER = (
    "loss",
    "error",
    "bits",
    "nats",
    "perplexity",
    "rmse",
    "mse",
    "mae",
    "nll",
)  # words of what should be small
BEGAN = re.compile(r" · seed \d+ · .* → (?P<folder>.+)$")  # a run's first line
POLL = 0.3  # seconds between looks at a run


@dataclass(frozen=True)
class Plan:
    """What a sweep searches: a study at a scale, its axes, what is fixed, and by which metric it is
    judged.
    """

    entry: Entry
    axes: tuple[Axis, ...]
    metric: str
    direction: Direction
    fixed: Mapping[str, Any] = field(default_factory=dict)
    scale: str = "quick"
    seed: int = 0
    sampler: Sampler = "tpe"
    prune: bool = False
    given_name: str = ""

    @property
    def definition(self) -> dict[str, Any]:
        """What all workers of one search must agree on."""
        return {
            "study": self.entry.name,
            "scale": self.scale,
            "seed": self.seed,
            "over": [*map(str, self.axes)],
            "fixed": {key: list(v) if isinstance(v, tuple) else v for key, v in self.fixed.items()},
            "metric": self.metric,
            "direction": self.direction,
            "sampler": self.sampler,
        }

    @property
    def name(self) -> str:
        """The name given, or one that is the same wherever the same is searched."""
        if self.given_name:
            return self.given_name
        mark = hashlib.sha256(json.dumps(self.definition, sort_keys=True).encode()).hexdigest()[:6]
        return f"{'-'.join(axis.name for axis in self.axes)[:48]}-{mark}"

    @property
    def cells(self) -> int | None:
        """How many points a grid over the axes has; None where an axis is a range."""
        return (
            math.prod(len(a.choices) for a in self.axes)
            if all(a.choices for a in self.axes)
            else None
        )

    def better(self, a: float, b: float) -> bool:
        """Whether ``a`` is better than ``b``."""
        return a < b if self.direction == "minimize" else a > b

    def values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of one trial, as the study takes them."""
        return {axis.name: axis.value(drawn[axis.name]) for axis in self.axes}

    def words(self, values: Mapping[str, Any]) -> list[str]:
        """``run STUDY …`` with these fields, as one types it."""
        words = ["run", self.entry.name if self.entry.module else str(self.entry.path)]
        words += [
            *(["--scale", self.scale] if self.scale != "quick" else []),
            "--seed",
            str(self.seed),
        ]
        for name, value in {**self.fixed, **values}.items():
            words += option_words(name, value)
        return words

    def command(self, values: Mapping[str, Any]) -> str:
        """The command that repeats a trial's run."""
        return shlex.join(["etude", *self.words(values)])


def metric_of(entry: Entry, given: str = "") -> str:
    """The metric that a sweep is judged by: the one given, else the last ``validation/…`` in the
    study's source.

    Raises:
        UserError: it is one of test data, or none was given and the study names none.
    """
    if given:
        if "test" in re.split(r"[/ _-]", given.lower()):
            raise UserError(
                f"--metric {given} is measured on test data, which no choice may see; expected one"
                " of validation, as validation/accuracy"
            )
        return given
    named = metrics_in(entry)
    validated = [name for name in named if name.startswith("validation/")]
    if validated:
        return validated[-1]
    known = (
        ", ".join(dict.fromkeys([*named, *(claim.metric for claim in entry.claims)]))
        or "none that its source tells"
    )
    raise UserError(
        f"study {entry.name} names no validation metric to choose by (its metrics: {known}); if it"
        " logs one, give --metric validation/NAME"
    )


def metrics_in(entry: Entry) -> list[str]:
    """The metrics that a study's source names, in the order of their lines."""
    tree = tree_of(entry.path)
    found = [
        (node.lineno, node.col_offset, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"(train|validation|test)/[\w@.+-]+", node.value)
    ]
    return [*dict.fromkeys(name for _, _, name in sorted(found))]


def direction_of(metric: str) -> Direction:
    """Whether less of a metric is better, guessed from the words of its name."""
    words = re.split(r"[/ _.-]", metric.rpartition("/")[2].lower())
    return "minimize" if any(word in LOWER for word in words) else "maximize"


@dataclass(frozen=True)
class Ended:
    """How a trial's run ended: well, with a result; or why not."""

    folder: RunFolder | None = None
    result: dict[str, Any] | None = None
    failure: str | None = None
    stopped: bool = False  # with the sweep, to be gone on with
    pruned: bool = False


class Watch:
    """What a runner tells while a trial's run is under way; this one does not care."""

    def began(self, folder: RunFolder) -> None:
        """The run has its folder."""

    def hopeless(self, logged: Sequence[float]) -> bool:
        """Whether to end the run now, given all values of the metric that it has logged so far."""
        return False


Runner = Callable[[Plan, int, Mapping[str, Any], RunFolder | None, Watch], Ended]
"""Carries a trial out: ``(plan, number, fields, the run to go on with, watch)``."""


def logged(folder: RunFolder, metric: str) -> list[float]:
    """What a run has logged of a metric, over all its stages."""
    rows = (row.get(metric) for row in folder.metrics())
    return [float(value) for value in rows if isinstance(value, int | float)]


def measured(plan: Plan, folder: RunFolder, result: Mapping[str, Any]) -> float | str:
    """The metric of a finished run: its result, else what it logged last; or a sentence that says
    what is wrong.
    """
    metrics, name = result.get("metrics", {}), plan.metric
    value = metrics.get(name)
    if (
        isinstance(value, int | float)
        and result.get("held_out", {}).get(name)
        and not name.startswith("validation/")
    ):
        return (
            f"{name} is measured on held-out examples, as a test is; expected a metric of"
            " validation"
        )
    if not isinstance(value, int | float):
        values = logged(folder, name)
        value = values[-1] if values else None
    if value is None:
        last = [key for key in folder.last_row() if key not in ("stage", "step", "seconds")]
        known = ", ".join(dict.fromkeys([*metrics, *last])) or "none"
        return f"the run measured no {name}; its metrics: {known}"
    return float(value) if math.isfinite(value) else f"{name} is {value}"


class Processes:
    """Runs trials in processes of their own, which outlive a worker that is killed, and stop with
    one that is stopped.

    Args:
        root: the folder of all runs.
        jobs: how many trials run at once here; they share the processor's cores.
    """

    def __init__(self, root: str | Path | None = None, jobs: int = 1) -> None:
        self.root, self.jobs = root, jobs
        self.running: set[subprocess.Popen[str]] = set()
        self.stopping = threading.Event()
        self.lock = threading.Lock()

    def __call__(
        self,
        plan: Plan,
        number: int,
        values: Mapping[str, Any],
        before: RunFolder | None,
        watch: Watch,
    ) -> Ended:
        """Run a trial, or go on with its run, whatever has become of that."""
        while before and before.state == "running":  # by a process whose worker is gone
            if self.stopping.wait(POLL):
                return Ended(before, stopped=True)
        if before and before.result_json.is_file():
            return Ended(before, before.result())
        if before:
            watch.began(before)
            ended = self._process(["resume", str(before.path)], plan, number, before, watch)
            if ended.result or ended.stopped or ended.pruned:
                return ended
        return self._process([*plan.words(values), *self._place()], plan, number, None, watch)

    def stop(self) -> None:
        """Ask every process to stop; each saves itself, and is gone on with when the sweep is."""
        self.stopping.set()
        with self.lock:
            for process in self.running:
                _signal(process, signal.SIGINT)

    def _place(self) -> list[str]:
        words = ["--runs", str(self.root)] if self.root else []
        return words + (
            ["--threads", str(max(1, (os.cpu_count() or 1) // self.jobs))] if self.jobs > 1 else []
        )

    def _process(
        self, words: list[str], plan: Plan, number: int, folder: RunFolder | None, watch: Watch
    ) -> Ended:
        said: deque[str] = deque(maxlen=20)
        found: list[RunFolder] = [folder] if folder else []

        def listen() -> None:
            assert process.stderr
            for line in process.stderr:
                said.append(line.rstrip())
                if not found and (match := BEGAN.search(line.rstrip())):
                    found.append(RunFolder(match["folder"]))

        with tempfile.TemporaryFile("w+", encoding="utf-8") as answer:
            with self.lock:
                if self.stopping.is_set():
                    return Ended(folder, stopped=True)
                # a session of its own: Ctrl-C comes once, from stop(), and not also from the
                # terminal
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "etude", *words, "--json"],
                    stdin=subprocess.DEVNULL,
                    stdout=answer,
                    stderr=subprocess.PIPE,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                )
                self.running.add(process)
            listener = threading.Thread(target=listen, daemon=True)
            listener.start()
            told, pruned = bool(folder), False
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL)
                over = process.returncode is not None
                if over:
                    listener.join()
                if found and not told:
                    told = True
                    _stamp(found[0], plan, number)
                    watch.began(found[0])
                if over:
                    break
                if (
                    found
                    and plan.prune
                    and not pruned
                    and watch.hopeless(logged(found[0], plan.metric))
                ):
                    pruned = True
                    _signal(process, signal.SIGTERM)
            process.stderr and process.stderr.close()
            with self.lock:
                self.running.discard(process)
            answer.seek(0)
            text = answer.read()
        run = found[0] if found else None
        if process.returncode == 0:
            with contextlib.suppress(ValueError):
                result = json.loads(text)
                if is_whole(result) and isinstance(result.get("run"), str):
                    return Ended(RunFolder(result["run"]), result)
            return Ended(run, failure="the run ended well but gave no result")
        if process.returncode == 130 and (pruned or self.stopping.is_set()):
            return Ended(run, pruned=pruned, stopped=not pruned)
        if process.returncode == 130:
            return Ended(run, failure="the run was stopped by someone")
        return Ended(run, failure=why(process.returncode, said))


def _stamp(folder: RunFolder, plan: Plan, number: int) -> None:
    """Say in the run's record to which sweep it belongs."""
    about = folder.study()
    with whole(folder.study_json) as part:
        part.write_text(
            as_json({**about, "sweep": {"name": plan.name, "trial": number}}), encoding="utf-8"
        )


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, ValueError):
        process.send_signal(number)
