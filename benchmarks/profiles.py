"""Where the time goes: operators of a training step, and stages of a whole command.

``python benchmarks/profiles.py [--write]`` prints, for the steps of ``ceilings.py``, the operators
that take longest (their own time, without what they call; under the profiler, which adds some), and
for ``etude run digits --scale brief`` what passes before its loop, in it, and behind it.
``--write`` keeps all of it in ``benchmarks/profiles.md``. Set ``ETUDE_DATA`` for the command;
without MNIST it is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.beside.__main__ import here
from benchmarks.ceilings import CASES, Case, stepping

STEPS, SHOWN, REPEAT = 20, 12, 3
COMMAND = ["run", "digits", "--scale", "brief"]
Row = tuple[str, ...]


def operators(case: Case) -> list[Row]:
    """Name, own milliseconds a step, their part, calls a step; the longest first."""
    with stepping(case) as (once, _):
        for _ in range(5):
            once()
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            for _ in range(STEPS):
                once()
    found = sorted(profiled.key_averages(), key=lambda each: -each.self_cpu_time_total)
    total = sum(each.self_cpu_time_total for each in found)  # µs
    rows = [
        (
            f"`{each.key}`",
            f"{each.self_cpu_time_total / STEPS / 1e3:.2f}",
            f"{each.self_cpu_time_total / total:.0%}",
            f"{each.count / STEPS:.0f}",
        )
        for each in found[:SHOWN]
    ]
    return [*rows, ("all", f"{total / STEPS / 1e3:.2f}", "", "")]


def stages() -> list[Row]:
    """Of the command, seconds from the run's own records, each the median of some: (stage,
    seconds).
    """
    taken = []
    for seed in range(REPEAT):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-m",
                "etude",
                *COMMAND,
                "--seed",
                str(seed),
                "--runs",
                folder,
                "--quiet",
                "--json",
            ]
            began = time.perf_counter()
            said = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout
            )
            whole = time.perf_counter() - began
            rows = [
                json.loads(line)
                for line in (Path(said["run"]) / "metrics.jsonl").read_text().splitlines()
            ]
        at = [row["seconds"] for row in rows if "loss" in row]
        step = (at[-1] - at[0]) / (len(at) - 1)  # of a row, which is some steps
        taken.append(
            [
                whole - said["seconds"],
                at[0] - step,
                at[-1] - at[0] + step,
                said["seconds"] - at[-1],
                whole,
            ]
        )
    names = ("imports, options", "data, network", "the loop", "test, figures, report", "all")
    middle = [sorted(each)[REPEAT // 2] for each in zip(*taken, strict=True)]
    return [(name, f"{seconds:.2f}") for name, seconds in zip(names, middle, strict=True)]


def table(head: Row, rows: list[Row]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="keep it in benchmarks/profiles.md")
    write = parser.parse_args().write
    parts = [
        "# Where the time goes\n\nWritten by `python benchmarks/profiles.py --write`, on "
        f"{here()}; torch {torch.__version__}, {torch.get_num_threads()} threads.\n"
    ]
    for name, (_, case) in CASES.items():
        head = "operator", "own ms a step", "part", "calls a step"
        parts.append(f"\n## A step: {name}\n\n{table(head, operators(case))}")
    if (Path(os.environ.get("ETUDE_DATA", "")) / "mnist").is_dir():
        parts.append(f"\n## `etude {' '.join(COMMAND)}`\n\n{table(('stage', 'seconds'), stages())}")
    text = "".join(parts)
    print(text)
    if write:
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
