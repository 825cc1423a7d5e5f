"""How long quick studies take with one and with more threads, alone and beside a busy process.

    python benchmarks/threads.py                        # circle, dqn, policygradient
    python benchmarks/threads.py spirals gpt --threads 1 2
    python benchmarks/threads.py --passive              # waiting threads sleep (OMP_WAIT_POLICY)

Each study is executed by ``etude run`` in a process of its own; ``--threads 0`` is the run's own
choice. The busy process counts, in one thread. The last column is what the company costs: how many
times as long the study takes beside it. Measure on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STUDIES = ("circle", "dqn", "policygradient")
MOST = 2.2  # times as long beside a busy process, at most


def main() -> int:
    """Print one row for each study and number of threads; 1 where the run's own choice is slow."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("studies", nargs="*", default=STUDIES)
    parser.add_argument("--threads", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--passive", action="store_true", help="waiting threads sleep")
    options = parser.parse_args()
    print(f"{'study':<18} {'threads':>8} {'alone':>8} {'busy':>8} {'times':>6}")
    slow = []
    for study in options.studies:
        for threads in options.threads:
            alone = seconds(study, threads, passive=options.passive)
            with busy():
                beside = seconds(study, threads, passive=options.passive)
            name = str(threads) if threads else "chosen"
            times = beside / alone
            print(f"{study:<18} {name:>8} {alone:>8.1f} {beside:>8.1f} {times:>6.2f}", flush=True)
            if threads == 0 and times > MOST:
                slow.append(study)
    if slow:
        print(f"over {MOST} times as long beside a busy process: {', '.join(slow)}")
    return bool(slow)


def seconds(study: str, threads: int, *, passive: bool) -> float:
    """How long a run of the study takes, by its own clock."""
    env = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    if passive:
        env["OMP_WAIT_POLICY"] = "passive"
    with tempfile.TemporaryDirectory() as runs:
        words = ["run", study, "--quiet", "--json", "--runs", runs, "--threads", str(threads)]
        done = subprocess.run(
            [sys.executable, "-m", "etude", *words],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
    return float(json.loads(done.stdout)["seconds"])


@contextmanager
def busy() -> Iterator[None]:
    """A process beside, which counts until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", "n = 0\nwhile True: n += 1"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    raise SystemExit(main())
