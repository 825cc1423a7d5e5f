"""The fault suite: ``python -m tests.faults`` does all of it and writes docs/reliability.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from etude.runs.folder import machine
from tests.faults import disks, grading, hostile, strangers
from tests.faults.disks import Bench, Trial
from tests.faults.formats import FORMATS
from tests.faults.fuzz import MEMORY, SECONDS, Found, fuzz
from tests.faults.kills import CASES, Tally, killed

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
RESULTS = Path(__file__).with_name("results.json")
HEAD = """# What Etude withstands

Written by `make faults`. A number here was counted by one of the commands below, on the machine
that stands with it.

"""
UNTRIED = """## What is not tried

- Power that fails: processes are killed, the machine is not. Files are synced before they get their
  names, and whether a disk keeps that promise is the disk's affair.
- Disks over a network (NFS, SMB), on which locks may not be what they are on a local one.
- Windows and macOS. What differs there (signals, locks, names of files) is written for them and not
  counted here.
- A GPU that is lost or gives wrong numbers, and memory with flipped bits.
- A study's own code: it is Python that its user has chosen to execute, with all that Python may do.
- More than two processes of one run that are killed together.
"""
Part = Tally | Trial | Found
KINDS: dict[str, type[Part]] = {
    "kills": Tally,
    "faults": Trial,
    "grading": Trial,
    "hostile": Trial,
    "formats": Found,
}


@dataclass
class Results:
    """What was counted, part by part, and by which command: so that one part can be counted
    anew.
    """

    parts: dict[str, dict[str, Part]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    commands: dict[str, dict[str, str]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )

    @classmethod
    def read(cls, path: Path) -> Results:
        results = cls()
        if path.is_file():
            for kind, parts in json.loads(path.read_text(encoding="utf-8")).items():
                for name, (command, values) in parts.items():
                    results.commands[kind][name] = command
                    results.parts[kind][name] = KINDS[kind](**values)
        return results

    def write(self, path: Path, page: Path) -> None:
        kept = {
            kind: {name: (self.commands[kind][name], asdict(part)) for name, part in parts.items()}
            for kind, parts in self.parts.items()
        }
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        page.write_text(page_of(self), encoding="utf-8")


def main() -> int:
    """Parse, do, write; 1 if anything did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="over all studies (default: 200)")
    parser.add_argument(
        "--inputs",
        type=int,
        default=10_000,
        help="malformed inputs for each format (default: 10,000)",
    )
    parser.add_argument("--tries", type=int, default=12, help="of each other fault (default: 12)")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the instants at which studies are killed"
    )
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="begin no further kill or format after so many"
    )
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        help="kills, grading, faults, hostile, fuzz, or names of formats",
    )
    parser.add_argument(
        "--record", action="store_true", help="with --only: put these parts anew into the page"
    )
    parser.add_argument(
        "--input", type=int, help="read only this input of the formats: to look at a failure"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    late = began + 60 * options.minutes if options.minutes else float("inf")
    only = set(options.only)
    whole = not only and options.input is None
    results = Results() if whole else Results.read(RESULTS)
    here, all_held = machine(), True
    command = " ".join(["python -m tests.faults", *sys.argv[1:]])
    command = (
        f"`{command}`, {time.strftime('%Y-%m-%d')}, {here['processor']}, {here['cores']} cores"
    )

    def wanted(part: str) -> bool:
        return not only or part in only

    def say(kind: str, name: str, what: str, part: Part) -> None:
        """One line as it comes, and what failed; the page as far as it is known."""
        nonlocal all_held
        all_held &= part.held
        print("✓" if part.held else "✗", what, flush=True)
        for line in part.failed[:10]:
            print("   ", line if isinstance(line, str) else f"{line[0]}: {line[1]}", flush=True)
        if whole or options.record:
            results.parts[kind][name], results.commands[kind][name] = part, command
            results.write(RESULTS, PAGE)

    place = Path(tempfile.mkdtemp(prefix="etude-faults-"))
    try:
        if wanted("hostile"):
            for attack in [*hostile.attacks(place), *strangers.attacks(place)]:
                say("hostile", attack.name, attack.name, attack)
        for each in FORMATS:
            if not only or "fuzz" in only or each.name in only:
                found = fuzz(each, options.inputs, place, options.input, late)
                say("formats", each.name, f"{each.name}: {found.inputs:,}", found)
        if wanted("faults"):
            bench = Bench(place)
            for fault in disks.FAULTS:
                since = time.monotonic()
                trial = fault(bench, options.tries)
                trial.seconds = time.monotonic() - since
                say("faults", trial.name, f"{trial.name}: {trial.tried}", trial)
        if wanted("grading"):
            trial = grading.killed(place, options.kills // 4, options.seed, late)
            say("grading", trial.name, f"{trial.name}: {trial.tried} kills", trial)
        if wanted("kills"):
            for number, case in enumerate(CASES):
                share = options.kills // len(CASES) + (number < options.kills % len(CASES))
                if share:
                    t = killed(case, share, place, options.seed, late)
                    say("kills", t.study, f"{t.study}: {t.exact} of {t.kills}", t)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(
        f"{(time.monotonic() - began) / 60:.0f}"
        f" minutes{f', {PAGE}' if whole or options.record else ''}"
    )
    return 0 if all_held else 1


def page_of(results: Results) -> str:
    """The page in Markdown."""
    tallies: list[Any] = [*results.parts["kills"].values()]
    graders: list[Any] = [*results.parts["grading"].values()]
    trials: list[Any] = [*results.parts["faults"].values()]
    attacks: list[Any] = [*results.parts["hostile"].values()]
    read: list[Any] = [
        results.parts["formats"][f.name] for f in FORMATS if f.name in results.parts["formats"]
    ]
    seconds: dict[str, float] = {}
    for kind, parts in results.parts.items():
        for name, part in parts.items():
            command = results.commands[kind][name]
            seconds[command] = seconds.get(command, 0.0) + part.seconds
    versions = ", ".join(
        f"{name} {metadata.version(name)}"
        for name in ("torch", "numpy", "pillow", "safetensors", "h5py")
    )
    what = {each.name: each.what for each in FORMATS}
    lines = [
        *(f"- {command}: {clock(took)}" for command, took in seconds.items()),
        "",
        f"Python {platform.python_version()}, {versions}.",
        "",
        "## Killed at random instants",
        "",
        (
            "A study at small settings is killed (SIGKILL) one to four times a run, at instants"
            " spread evenly over the time that a run takes, and resumed each time. A kill counts as"
            " exact if weights, metrics and log of the run are in the end those of a run never"
            " killed, bit for bit."
        ),
        "",
        *table(
            (
                "study",
                "runs",
                "kills",
                "before there was a run",
                "while a file was written",
                "exact",
                "time",
            ),
            [
                (
                    t.study,
                    t.runs,
                    t.kills,
                    t.early,
                    t.writing,
                    f"{t.exact} {mark(t.held)}",
                    clock(t.seconds),
                )
                for t in tallies
            ],
        ),
        "",
        f"Together {sum(t.exact for t in tallies)} of {sum(t.kills for t in tallies)}.",
        "",
        "## A grader killed at random instants",
        "",
        (
            "A kill holds if no record that was there is another one afterwards, and if in the end"
            " each submission has one record and one mark, the same as without kills."
        ),
        "",
        *table(
            ("what", "how", "kills", "held", "time"),
            [
                (
                    t.name,
                    t.how,
                    t.tried,
                    f"{t.tried - len(t.failed)} {mark(t.held)}",
                    clock(t.seconds),
                )
                for t in graders
            ],
        ),
        "",
        "## Faults around a run",
        "",
        (
            "A sentence and exit code 2, never a traceback; and once the fault is over, `etude"
            " resume` ends as if it had never been."
        ),
        "",
        *table(
            ("fault", "what was done", "tried", "held", "time"),
            [
                (
                    t.name,
                    t.how,
                    t.tried,
                    t.skipped or f"{max(t.tried - len(t.failed), 0)} {mark(t.held)}",
                    clock(t.seconds),
                )
                for t in trials
            ],
        ),
        "",
        "## Files made to do harm",
        "",
        (
            "Refused in one sentence that names the file, in less than 30 s of processor time and 1"
            " GiB. What is there to be read, a lesson, a report, a record on a terminal, is shown,"
            " and holds if it can do nothing: no script, request, form or escape"
            " sequence."
        ),
        "",
        *table(
            ("harm", "files", "tried", "held"),
            [
                (t.name, t.how, t.tried, f"{t.tried - len(t.failed)} {mark(t.held)}")
                for t in attacks
            ],
        ),
        "",
        "## Malformed files",
        "",
        (
            "Valid files with bits flipped, parts cut, doubled or exchanged, lengths made huge,"
            " values replaced. An input holds if it is read, or refused by a `UserError` of one"
            f" line, within {SECONDS:g} s of processor time and {MEMORY >> 30} GiB more memory than"
            " before. Etude reads no WAV."
        ),
        "",
        *table(
            ("format", "what", "inputs", "read", "refused", "failed", "longest", "most memory"),
            [
                (
                    f.name,
                    what[f.name],
                    f"{f.inputs:,}",
                    f"{f.read:,}",
                    f"{f.refused:,}",
                    f"{len(f.failed)} {mark(f.held)}",
                    f"{f.longest:.2f} s",
                    f"{f.memory / 1e6:.0f} MB",
                )
                for f in read
            ],
        ),
        "",
        (
            f"Together {sum(f.inputs for f in read):,} inputs, {sum(len(f.failed) for f in read)}"
            " failed."
        ),
        "",
    ]
    failures = [f"- {t.study}: {each}" for t in tallies for each in t.failed]
    failures += [f"- {t.name}: {each}" for t in [*graders, *trials, *attacks] for each in t.failed]
    failures += [
        f"- {f.name}, input {number}: {each}" for f in read for number, each in f.failed[:5]
    ]
    if failures:
        lines += ["## What did not hold", "", *failures, ""]
    return HEAD + "\n".join([*lines, UNTRIED])


def mark(held: bool) -> str:
    return "✓" if held else "✗"


def clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def table(heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> list[str]:
    """A table in Markdown."""
    if not rows:
        return ["Not run this time: the command was stopped before."]
    lines = [heads, tuple("---" for _ in heads), *rows]
    return [
        "| " + " | ".join(str(cell).replace("|", "/") for cell in line) + " |" for line in lines
    ]


if __name__ == "__main__":
    sys.exit(main())
