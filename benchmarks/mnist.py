"""How soon MNIST is learned, from the start of the process: the study that users run, as they run it.

``ETUDE_DATA=… python benchmarks/mnist.py [--repeat 3]`` runs ``etude run digits --scale full`` as a whole process, as
it is and with the few epochs that are enough for 0.99, and prints accuracy, seconds and peak memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

GOALS = {"0.99": ["--epochs", "1"], "0.995": []}


def once(options: list[str], seed: int) -> tuple[float, float, float]:
    """Test accuracy, wall seconds of the whole process, peak memory in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "etude", "run", "digits", "--scale", "full", "--seed", str(seed)]
        began = time.perf_counter()
        done = subprocess.run(
            [*command, *options, "--runs", folder, "--quiet", "--json"], check=True, capture_output=True, text=True
        )
        seconds = time.perf_counter() - began
    result = json.loads(done.stdout)
    return result["metrics"]["test/accuracy"], seconds, result["peak_memory_bytes"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    for goal, options in GOALS.items():
        runs = [once(options, seed) for seed in range(repeat)]
        accuracies, seconds, memory = zip(*runs, strict=True)
        print(
            f"goal {goal}: {statistics.fmean(accuracies):.4f} ({min(accuracies):.4f} … {max(accuracies):.4f}), "
            f"median {statistics.median(seconds):.1f} s ({min(seconds):.1f} … {max(seconds):.1f}), "
            f"{max(memory) / 1e9:.2f} GB, {' '.join(options) or 'as it is'}"
        )


if __name__ == "__main__":
    main()
