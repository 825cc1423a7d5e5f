"""The fault suite: ``python -m tests.faults`` does all of it and writes docs/reliability.md."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from etude.runs.folder import machine
from tests.faults import disks, hostile
from tests.faults.disks import Bench, Trial
from tests.faults.formats import FORMATS
from tests.faults.fuzz import MEMORY, SECONDS, Found, fuzz
from tests.faults.kills import CASES, Tally, killed

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
HEAD = """# What Etude withstands

Written by `make faults`. A number here was counted by the command that stands with it, on the machine below.

"""


def main() -> int:
    """Parse, do, write; 1 if anything did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="over all studies (default: 200)")
    parser.add_argument("--inputs", type=int, default=10_000, help="malformed inputs for each format (default: 10,000)")
    parser.add_argument("--tries", type=int, default=12, help="of each other fault (default: 12)")
    parser.add_argument("--seed", type=int, default=0, help="of the instants at which studies are killed")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no further kill or format after so many")
    parser.add_argument("--only", nargs="*", default=[], help="kills, faults, hostile, fuzz, or names of formats")
    parser.add_argument("--input", type=int, help="read only this input of the formats: to look at a failure")
    parser.add_argument("--write", type=Path, default=PAGE, help="the page (default: docs/reliability.md)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    late = began + 60 * options.minutes if options.minutes else float("inf")
    only = set(options.only)

    def wanted(part: str) -> bool:
        return not only or part in only

    tallies: list[Tally] = []
    trials: list[Trial] = []
    attacks: list[Trial] = []
    read: list[Found] = []
    place = Path(tempfile.mkdtemp(prefix="etude-faults-"))
    whole = not only and options.input is None

    def say(what: str, held: bool, failed: list[str]) -> None:
        """One line as it comes, and what failed; the page as far as it is known."""
        print("✓" if held else "✗", what, flush=True)
        for line in failed[:10]:
            print("   ", line, flush=True)
        if whole:
            text = page(tallies, trials, attacks, read, time.monotonic() - began)
            options.write.write_text(text, encoding="utf-8")

    try:
        if wanted("hostile"):
            attacks += hostile.attacks(place)
            for trial in attacks:
                say(trial.name, trial.held, trial.failed)
        for each in FORMATS:
            if not only or "fuzz" in only or each.name in only:
                read.append(fuzz(each, options.inputs, place, options.input, late))
                say(f"{each.name}: {read[-1].inputs:,}", read[-1].held, [f"{k}: {w}" for k, w in read[-1].failed])
        if wanted("faults"):
            bench = Bench(place)
            for fault in disks.FAULTS:
                since = time.monotonic()
                trial = fault(bench, options.tries)
                trial.seconds = time.monotonic() - since
                trials.append(trial)
                say(f"{trial.name}: {trial.tried}", trial.held, trial.failed)
        if wanted("kills"):
            for number, case in enumerate(CASES):
                share = options.kills // len(CASES) + (number < options.kills % len(CASES))
                if share:
                    tallies.append(killed(case, share, place, options.seed, late))
                    t = tallies[-1]
                    say(f"{case.study}: {t.exact} of {t.kills}", t.held, t.failed)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if whole:
        print(options.write)
    held = all(each.held for each in [*tallies, *trials, *attacks, *read])
    return 0 if held else 1


def page(tallies: list[Tally], trials: list[Trial], attacks: list[Trial], read: list[Found], seconds: float) -> str:
    """The page in Markdown."""
    here = machine()
    memory = f"{(here['memory_bytes'] or 0) / 1e9:.0f} GB"
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "pillow", "safetensors", "h5py")
    )
    command = " ".join(["python -m tests.faults", *sys.argv[1:]])
    what = {each.name: each.what for each in FORMATS}
    lines = [
        f"`{command}`: {seconds / 60:.0f} minutes on {time.strftime('%Y-%m-%d')}, on {here['processor']}, "
        f"{here['cores']} cores, {memory}, {here['system']}; Python {platform.python_version()}, {versions}.", "",
        "## Killed at random instants", "",
        "A study at small settings is killed (SIGKILL) one to four times a run, at instants spread evenly over the "
        "time that a run takes, and resumed each time. A kill counts as exact if weights, metrics and log of the run "
        "are in the end those of a run never killed, bit for bit.", "",
        *table(("study", "runs", "kills", "before there was a run", "while a file was written", "exact", "time"), [
            (t.study, t.runs, t.kills, t.early, t.writing, f"{t.exact} {mark(t.held)}", clock(t.seconds))
            for t in tallies
        ]),
        "",
        f"Together {sum(t.exact for t in tallies)} of {sum(t.kills for t in tallies)}.", "",
        "## Faults around a run", "",
        "A sentence and exit code 2, never a traceback; and once the fault is over, `etude resume` ends as if it had "
        "never been.", "",
        *table(("fault", "what was done", "tried", "held", "time"), [
            (t.name, t.how, t.tried, t.skipped or f"{max(t.tried - len(t.failed), 0)} {mark(t.held)}", clock(t.seconds))
            for t in trials
        ]),
        "", "## Files made to do harm", "",
        "Refused in one sentence that names the file, in less than 5 s of processor time and 1 GiB.", "",
        *table(("harm", "files", "tried", "refused"), [
            (t.name, t.how, t.tried, f"{t.tried - len(t.failed)} {mark(t.held)}") for t in attacks
        ]),
        "", "## Malformed files", "",
        "Valid files with bits flipped, parts cut, doubled or exchanged, lengths made huge, values replaced. An input "
        f"holds if it is read, or refused by a `UserError` of one line, within {SECONDS:g} s of processor time and "
        f"{MEMORY >> 30} GiB more memory than before. Etude reads no WAV.", "",
        *table(("format", "what", "inputs", "read", "refused", "failed", "longest", "most memory"), [
            (f.name, what[f.name], f"{f.inputs:,}", f"{f.read:,}", f"{f.refused:,}", f"{len(f.failed)} {mark(f.held)}",
             f"{f.longest:.2f} s", f"{f.memory / 1e6:.0f} MB")
            for f in read
        ]),
        "", f"Together {sum(f.inputs for f in read):,} inputs, {sum(len(f.failed) for f in read)} failed.", "",
    ]  # fmt: skip
    failures = [f"- {t.study}: {each}" for t in tallies for each in t.failed]
    failures += [f"- {t.name}: {each}" for t in [*trials, *attacks] for each in t.failed]
    failures += [f"- {f.name}, input {number}: {each}" for f in read for number, each in f.failed[:5]]
    if failures:
        lines += ["## What did not hold", "", *failures, ""]
    return HEAD + "\n".join(lines)


def mark(held: bool) -> str:
    return "✓" if held else "✗"


def clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def table(heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> list[str]:
    """A table in Markdown."""
    if not rows:
        return ["Not run this time: the command was stopped before."]
    lines = [heads, tuple("---" for _ in heads), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "/") for cell in line) + " |" for line in lines]


if __name__ == "__main__":
    sys.exit(main())
