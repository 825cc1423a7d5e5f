"""Every claim against what was measured, over seeds, each run in a process of its own.

Needs no torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from etude.claims import Claim, Verdict
from etude.entry import Entry
from etude.errors import UserError
from etude.runs.folder import RunFolder, find_runs
from etude.runs.owner import ending_signals

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """One study's run with one seed: its folder, or the sentence that says why there is none."""

    seed: int
    folder: RunFolder | None = None
    result: dict[str, Any] | None = None
    failure: str | None = None
    reused: bool = False

    def metric(self, name: str) -> float | None:
        """The measured value; None where the run failed or did not measure it."""
        value = (self.result or {}).get("metrics", {}).get(name)
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True)
class Judged:
    """A claim's verdict, and on how many of the seeds that it states."""

    verdict: Verdict
    seeds: int

    @property
    def claim(self) -> Claim:
        """What is claimed."""
        return self.verdict.claim

    @property
    def partial(self) -> bool:
        """Whether fewer seeds were run than the claim states: it then does not hold, nor, within
        its bounds, fail.
        """
        return self.seeds < self.claim.seeds

    @property
    def held(self) -> bool:
        """Whether the claim holds, on all the seeds that it states."""
        return self.verdict.holds and not self.partial

    @property
    def failed(self) -> bool:
        """Whether it is out of its bounds, suspicious or not measured."""
        return not self.verdict.holds

    @property
    def mark(self) -> str:
        """✓, ✗, ?, or ``1 of 3 seeds``."""
        return (
            f"{self.seeds} of {self.claim.seeds} seeds"
            if self.partial and not self.failed
            else self.verdict.mark
        )


@dataclass(frozen=True)
class Checked:
    """One study at one scale: its runs and its claims' verdicts."""

    entry: Entry
    scale: str
    outcomes: list[Outcome]
    claims: list[Judged]

    @property
    def seconds(self) -> float | None:
        """The fastest run's time: all do the same work, and what else the machine does can only add
        to it.
        """
        times = [
            o.result["seconds"]
            for o in self.outcomes
            if o.result and o.result.get("seconds") is not None
        ]
        return min(times, default=None)

    @property
    def failures(self) -> list[str]:
        """One sentence for each run that failed."""
        return [f"{self.entry.name} seed {o.seed}: {o.failure}" for o in self.outcomes if o.failure]

    @property
    def failed(self) -> bool:
        """Whether a claim failed, or a run."""
        return bool(self.failures) or any(judged.failed for judged in self.claims)

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``etude check --json``."""
        return {
            "study": self.entry.name,
            "scale": self.scale,
            "seconds": self.seconds,
            "claims": [
                {
                    "metric": judged.claim.metric,
                    "kind": judged.claim.kind,
                    "bound": judged.claim.bound,
                    "mean": judged.verdict.mean,
                    "sd": judged.verdict.sd,
                    "values": list(judged.verdict.values),
                    "seeds": judged.seeds,
                    "stated_seeds": judged.claim.seeds,
                    "mark": judged.mark,
                    "held": judged.held,
                    "failed": judged.failed,
                    "source": judged.claim.source,
                }
                for judged in self.claims
            ],
            "runs": [
                {
                    "seed": o.seed,
                    "run": o.folder and str(o.folder.path),
                    "reused": o.reused,
                    "failure": o.failure,
                }
                for o in self.outcomes
            ],
        }


def check(
    entries: Sequence[Entry],
    scale: str = "quick",
    *,
    seeds: int | None = None,
    reuse: bool = False,
    jobs: int = 1,
    root: str | Path | None = None,
    say: Say = print,
) -> list[Checked]:
    """Run the studies that claim something at ``scale``, and judge.

    Args:
        entries: the studies; one without claims at this scale is not run, and comes back without
            verdicts.
        scale: whose claims.
        seeds: run seeds 0 … seeds-1; by default each claim's own number.
        reuse: take finished, unchanged runs of the same source instead of running again.
        jobs: how many run at once; they share the processor's cores.
        root: the folder of all runs.
        say: gets a line of progress, and what a run says where one runs at a time.

    Raises:
        UserError: none of the studies claims anything at this scale.
    """
    claims = [[claim for claim in entry.claims if claim.scale == scale] for entry in entries]
    if not any(claims):
        names = ", ".join(entry.name for entry in entries)
        raise UserError(
            f"no claim at scale {scale} in {names or 'an empty catalogue'}; there is nothing to"
            " check"
        )
    work = []
    for entry, stated in zip(entries, claims, strict=True):
        most = max((seeds or claim.seeds for claim in stated), default=0)
        work += [(entry, seed, most) for seed in range(most)]

    with _Runners(scale, jobs, root, say) as runners, ThreadPoolExecutor(jobs) as pool:
        pending = [
            pool.submit(_outcome, entry, seed, of, reuse, runners) for entry, seed, of in work
        ]
        try:
            done = [future.result() for future in pending]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            runners.stop()
            raise

    checked = []
    for entry, stated in zip(entries, claims, strict=True):
        outcomes = [outcome for (of, _, _), outcome in zip(work, done, strict=True) if of is entry]
        judged = [_judge(claim, outcomes[: seeds or claim.seeds]) for claim in stated]
        checked.append(Checked(entry, scale, outcomes, judged))
    return checked


def _judge(claim: Claim, outcomes: Sequence[Outcome]) -> Judged:
    held_out = [
        (outcome.result or {}).get("held_out", {}).get(claim.metric, 0) for outcome in outcomes
    ]
    return Judged(
        claim.judge([o.metric(claim.metric) for o in outcomes], max(held_out, default=0)),
        len(outcomes),
    )


def _outcome(entry: Entry, seed: int, of: int, reuse: bool, runners: _Runners) -> Outcome:
    title = f"{entry.name} seed {seed + 1}/{of}"
    if reuse and (outcome := reusable(entry, runners.scale, seed, runners.root)):
        assert outcome.folder
        runners.say(f"{title}: {outcome.folder.path}, run before")
        return outcome
    runners.say(f"{title} …")
    outcome = runners.run(entry, seed)
    seconds = (outcome.result or {}).get("seconds", 0)
    runners.say(f"{title}: {outcome.failure or f'{seconds:.1f} s'}")
    return outcome


def reusable(entry: Entry, scale: str, seed: int, root: str | Path | None = None) -> Outcome | None:
    """The newest finished run of this very source, with the scale's own fields and the default
    precision.
    """
    digest = entry.digest  # of all files that the numbers rest on
    for folder in reversed(find_runs(root)):
        if folder.path.parent.name != entry.name or not folder.result_json.is_file():
            continue
        try:
            about, result = folder.study(), folder.result()
        except UserError:
            continue
        same = (about.get("scale"), about.get("seed"), about.get("digest")) == (scale, seed, digest)
        usual = (
            about.get("changed") == {}
            and about.get("precision") == "auto"
            and about.get("compiled") is False
        )
        if same and usual and is_whole(result):
            return Outcome(seed, folder, result, reused=True)
    return None


def is_whole(result: Any) -> bool:
    """Whether this is what a finished run says of itself."""
    return (
        isinstance(result, dict)
        and isinstance(result.get("metrics"), dict)
        and isinstance(result.get("seconds"), int | float)
    )


class _Runners:
    """Starts the processes, and stops them with this one."""

    def __init__(self, scale: str, jobs: int, root: str | Path | None, say: Say) -> None:
        self.scale, self.jobs, self.root, self.say = scale, jobs, root, say
        self.processes: set[subprocess.Popen[str]] = set()
        self.stopping = False
        self.lock = threading.Lock()
        self.handlers: dict[int, Any] = {}

    def __enter__(self) -> _Runners:
        if threading.current_thread() is threading.main_thread():
            for number in ending_signals():
                self.handlers[number] = signal.signal(number, interrupt)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def run(self, entry: Entry, seed: int) -> Outcome:
        """Run one seed to its end."""
        study = entry.name if entry.module else str(entry.path)
        words = [sys.executable, "-P", "-m", "etude", "run", study, "--json"]
        words += ["--scale", self.scale, "--seed", str(seed)]
        words += ["--runs", str(self.root)] if self.root else []
        words += (
            ["--threads", str(max(1, (os.cpu_count() or 1) // self.jobs))] if self.jobs > 1 else []
        )
        with self.lock:
            if self.stopping:
                return Outcome(seed, failure="not started")
            # a session of its own: Ctrl-C comes once, from stop(), and not also from the terminal
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            self.processes.add(process)
        with process:
            said: deque[str] = deque(maxlen=20)
            listener = threading.Thread(target=self._listen, args=(process, said), daemon=True)
            listener.start()
            assert process.stdout
            answer = process.stdout.read()
            code = process.wait()
            listener.join()
        with self.lock:
            self.processes.discard(process)
        if code != 0:
            return Outcome(seed, failure=why(code, said))
        try:
            result = json.loads(answer)
        except ValueError:
            result = None
        if not is_whole(result) or not isinstance(result.get("run"), str):
            return Outcome(seed, failure="the run ended well but gave no result")
        return Outcome(seed, RunFolder(result["run"]), result)

    def _listen(self, process: subprocess.Popen[str], said: deque[str]) -> None:
        assert process.stderr
        for line in process.stderr:
            said.append(line.rstrip())
            if self.jobs == 1:
                self.say(f"  {line.rstrip()}")

    def stop(self) -> None:
        """Ask every process to stop; each saves itself and says how to go on."""
        with self.lock:
            self.stopping = True
            for process in self.processes:
                with contextlib.suppress(ProcessLookupError, ValueError):
                    process.send_signal(signal.SIGINT)


def interrupt(number: int, frame: FrameType | None) -> None:
    """A signal that stops, treated as Ctrl-C is."""
    raise KeyboardInterrupt


def why(code: int, said: Sequence[str]) -> str:
    """Why a run's process ended with ``code``, in one sentence, from its last lines."""
    if code < 0:
        name = signal.Signals(-code).name
        return (
            "the run was killed by"
            f" {name}{', perhaps for want of memory' if name == 'SIGKILL' else ''}"
        )
    lines = [line for line in said if line.strip()]
    return (
        lines[-1].removeprefix("etude: ")
        if lines
        else f"the run ended with code {code} and said nothing"
    )


# -- the record ------------------------------------------------------------------------------------


def record_of(checked: Checked, command: str) -> dict[str, Any]:
    """What a study's ``record.json`` keeps of one scale.

    Args:
        checked: with no failed run.
        command: by which it was measured.
    """
    folders = [outcome.folder for outcome in checked.outcomes if outcome.folder]
    about = folders[0].study()
    peaks = [o.result.get("peak_memory_bytes") for o in checked.outcomes if o.result]
    machine = about.get("machine", {})
    return {
        "seconds": checked.seconds,
        "peak_memory_bytes": max((peak for peak in peaks if peak is not None), default=None),
        "machine": (
            f"{machine.get('processor')}, {machine.get('cores')} cores, {about.get('device')}"
        ),
        "versions": about.get("versions", {}),
        "date": max(str(folder.study().get("started", "")) for folder in folders)[:10],
        "command": command,
        "claims": [
            {
                "metric": judged.claim.metric,
                "kind": judged.claim.kind,
                "bound": judged.claim.bound,
                "each": judged.claim.each,
                "mean": judged.verdict.mean,
                "sd": judged.verdict.sd,
                "values": list(judged.verdict.values),
                "measured": judged.verdict.measured,
                "mark": judged.mark,
                "seeds": judged.seeds,
                "source": judged.claim.source,
            }
            for judged in checked.claims
        ],
    }


def replaces(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether a record takes the place of an older one: not if that judged the same claims on more
    seeds.
    """

    def seeds(record: dict[str, Any]) -> dict[tuple[Any, ...], int]:
        claims = record.get("claims", [])
        return {(c["metric"], c["bound"], c["each"]): c["seeds"] for c in claims}

    before = seeds(old)
    return any(before.get(claim, 0) <= count for claim, count in seeds(new).items())
