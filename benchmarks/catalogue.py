"""How long ``etude list`` takes as the catalogue grows.

    python benchmarks/catalogue.py

In a temporary copy of Etude, copies of its own studies under other names stand beside them until
there are as many as asked for. Whole processes are timed, in turn with an interpreter that does
nothing: that line shows how fast the machine is just now. Where other work goes on beside it, only
the processor's seconds mean something.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import etude

PACKAGE = Path(etude.__file__).parent


def main() -> None:
    """Print the seconds of each number of studies."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, nargs="+", default=[100], help="beside today's")
    parser.add_argument("--repeat", type=int, default=10, help="processes of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folders = {}
        for count in [0, *options.studies]:
            folder = Path(place, str(count))
            folders[grow(folder, count)] = folder
        commands = {"python -c pass": ([sys.executable, "-c", "pass"], PACKAGE.parent)}
        for count, folder in folders.items():
            command = [sys.executable, "-m", "etude", "list"]
            commands[f"etude list, {count} studies"] = (command, folder)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for number in range(options.repeat + 1):
            for name, (command, path) in commands.items():
                taken = timed(command, path)
                if number:  # the first one writes the bytecode
                    found[name].append(taken)
    for name, pairs in found.items():
        wall, cpu = (statistics.median(each) for each in zip(*pairs, strict=True))
        print(f"{name:<30} {wall:.3f} s, of the processor {cpu:.3f} s (medians)")


def grow(folder: Path, count: int) -> int:
    """A copy of Etude in ``folder`` with copies of its studies until there are ``count``; returns
    how many there are.
    """
    shutil.copytree(PACKAGE, folder / "etude", ignore=shutil.ignore_patterns("__pycache__"))
    studies = sorted(
        path.parent
        for path in (folder / "etude" / "studies").glob("*/*/*.py")
        if path.stem == path.parent.name
    )
    for number in range(max(0, count - len(studies))):
        study = studies[number % len(studies)]
        copy = study.with_name(f"{study.name}_{number}")
        shutil.copytree(study, copy)
        (copy / f"{study.name}.py").rename(copy / f"{copy.name}.py")
    return max(count, len(studies))


def timed(command: list[str], path: Path) -> tuple[float, float]:
    """Seconds of one whole process that finds Etude at ``path``, and those of the processor."""
    environment = {key: v for key, v in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(path)
    before, began = used(), time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began, used() - before


def used() -> float:
    """The processor's seconds of all processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
