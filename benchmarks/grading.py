"""How long a folder of submissions takes to be graded, and how much memory.

``python benchmarks/grading.py [--submissions 200] [--workers 4] [--exercise classifiers]``

Submissions are right, wrong in one function, wrong in all, and the starter, in turn, each a text of
its own. ``etude grade`` grades them in a process of its own; its memory is looked at meanwhile: of
each worker, with its sandbox, the proportional set size. Beside it stands how slow the processor
is: the processor's time that a loop takes, and how often 0.9 s, its time on a laptop. Where other
programs are at work, the clock says little and the processor's time says more.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from etude.exercises.packs import Pack, pack
from etude.exercises.queue import read_index

TICKS = os.sysconf("SC_CLK_TCK")  # in which Linux counts a second of a processor
LOOP, LAPTOP = "for i in range(3*10**7): pass", 0.9  # seconds that it takes on a laptop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--exercise", default="classifiers")
    options = parser.parse_args()
    chosen = pack(options.exercise)
    before = slowness()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        hand_in(chosen, place / "handed", options.submissions)
        words = ["grade", "handed", "--assignment", chosen.name, "--json"]
        words += ["--workers", str(options.workers)]
        since, used = time.monotonic(), processor_time()
        with (place / "said.json").open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "etude", *words],
                cwd=place,
                stdout=out,
                stderr=subprocess.DEVNULL,
            )
            first, workers, sandboxes, torch = watched(process)
        seconds, used = time.monotonic() - since, processor_time() - used + sandboxes
        found = json.loads((place / "said.json").read_bytes())
        records = read_index(place / "handed-graded")[1]
    scores = [each["points"]["earned"] for each in found["submissions"]]
    slow = (before + slowness()) / 2
    took = [sum(result.seconds for result in record.results) for record in records]
    count, of_each = len(records), used / len(records)
    print(
        f"{chosen.name}: {len(chosen.regions)} functions, {len(chosen.checks)} checks; {count}"
        f" submissions, {options.workers} workers, tier {found['tier']}, scores {min(scores)} to"
        f" {max(scores)} of {chosen.points}"
    )
    print(f"this processor is {slow:.1f} times as slow as a laptop's")
    print(
        f"by the clock: {seconds:.0f} s; a submission, beside others, median"
        f" {statistics.median(took):.1f} s, longest {max(took):.1f} s"
    )
    print(
        f"of the processor: {used:.0f} s, {of_each:.2f} s a submission; on a laptop"
        f" {of_each / slow:.2f} s a submission, {used / slow / 2:.0f} s on two cores"
    )
    print(
        f"memory: first process {first / 1e6:.0f} MB, a worker with its sandbox at most"
        f" {workers / 1e6:.0f} MB; torch is {'' if torch else 'not '}loaded"
    )


def hand_in(chosen: Pack, folder: Path, count: int) -> None:
    """Make submissions."""
    folder.mkdir()
    right = chosen.source
    one = right.replace("return ", "return -1 * ", 1)
    texts = (right, one, right.replace("return ", "return -1 * "), chosen.starter)
    for number in range(count):
        text = f"# submission {number}\n{texts[number % len(texts)]}"
        (folder / f"s{number:04}.py").write_text(text, encoding="utf-8")


def watched(process: subprocess.Popen[bytes]) -> tuple[int, int, float, bool]:
    """The most memory, in bytes, of the first process and of a worker with all that it has started;
    seconds of a processor that sandboxes have used, which are killed in the end and so are missing
    in what their parents are told; and whether any process has loaded PyTorch.
    """
    first, most, torch = 0, 0, False
    boxed: dict[int, float] = {}
    while process.poll() is None:
        children = defaultdict(list)
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
                parent, number = int(fields[1]), int(path.parent.name)
                if Path(f"/proc/{parent}/comm").read_text() == "bwrap\n":  # the worker; its copies'
                    boxed[number] = sum(map(int, fields[11:15])) / TICKS  # time becomes its own
            except (OSError, ValueError):
                continue
            children[parent].append(number)
        first = max(first, size(process.pid)[0])
        for worker in children[process.pid]:
            waiting, total = [worker], 0
            while waiting:
                each = waiting.pop()
                waiting += children[each]
                used, has_torch = size(each)
                total += used
                torch |= has_torch
            most = max(most, total)
        time.sleep(0.2)
    return first, most, sum(boxed.values()), torch


def size(number: int) -> tuple[int, bool]:
    """The proportional set size of a process in bytes, and whether it has loaded PyTorch."""
    try:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
        maps = Path(f"/proc/{number}/maps").read_text()
    except OSError:
        return 0, False
    pss = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return pss * 1024, "libtorch" in maps


def processor_time() -> float:
    """Seconds of a processor that ended children, and theirs, have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def slowness() -> float:
    """How many times as long as on a laptop a loop keeps the processor."""
    before = processor_time()
    subprocess.run([sys.executable, "-c", LOOP], check=True)
    return (processor_time() - before) / LAPTOP


if __name__ == "__main__":
    main()
