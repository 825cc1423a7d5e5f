"""Do the works, in turn, and write the table.

``make bench`` installs the peers into an environment of the benchmark's and does all of them. By
hand::

    .venv-bench/bin/python -m benchmarks.beside [WORK …] [--repeat N] [--list]

Each contender does each work in a process of its own, one after the other, and then all again: what
slows the machine down for a while slows all of them. What was measured is kept in
``benchmarks/beside/results.json``, by machine and work, and ``docs/benchmarks.md`` and its picture
are made from it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from benchmarks.beside.chart import draw
from benchmarks.beside.table import write
from benchmarks.beside.work import Work, works

from etude.runs.folder import machine

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
DOCS = HERE.parents[1] / "docs"
PEERS = (
    "torch",
    "numpy",
    "keras",
    "lightning",
    "skorch",
    "transformers",
    "accelerate",
    "stable-baselines3",
    "gymnasium",
    "torch-geometric",
    "scikit-learn",
    "diffusers",
    "autograd",
    "gradio",
)


def once(
    work: Work, contender: str, seed: int, limit: float | None = None
) -> dict[str, Any] | None:
    """Value and what was reached; None where a package is missing, or it failed, which is said.

    Whoever is not done after ``limit`` seconds is stopped, with all processes that it has begun.
    """
    command = [sys.executable, "-m", "benchmarks.beside.one", work.name, contender, str(seed)]
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=HERE.parents[1],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            out, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, errors = process.communicate()
            process.returncode = 0
        except BaseException:  # Ctrl-C, which a process of a session of its own does not get
            os.killpg(process.pid, signal.SIGKILL)
            raise
    seconds = time.perf_counter() - began
    if process.returncode:
        print(
            f"{errors[-3_000:]}\n  {contender}: left out, for it failed with exit code"
            f" {process.returncode}",
            flush=True,
        )
        return None
    lines = [line for line in out.splitlines() if line.startswith("{")]
    said: dict[str, Any] = json.loads(lines[-1]) if lines else {"so far": {}}
    if "missing" in said:
        print(f"  {contender}: left out, for {said['missing']} is not installed", flush=True)
        return None
    if "so far" in said:
        said = {"value": limit, "reached": said["so far"], "stopped": True}
    elif said["value"] is None:
        said["value"] = seconds
    reached = "".join(f", {key} {value:.4g}" for key, value in said["reached"].items())
    stopped = "stopped after " if "stopped" in said else ""
    print(f"  {contender:<28} {stopped}{said['value']:.4g} {work.unit}{reached}", flush=True)
    return said


def measure(work: Work, repeat: int) -> dict[str, Any]:
    """All contenders in turn, so often. Ctrl-C ends it, and what was measured until then stays."""
    print(f"{work.title} ({work.name})", flush=True)
    taken: dict[str, dict[str, Any]] = {
        name: {"values": [], "reached": {}} for name in work.contenders
    }
    own = next(iter(work.contenders))
    with suppress(KeyboardInterrupt):
        for seed in range(repeat):
            for name in list(taken):
                limit = None
                if work.patience is not None and not name.startswith("etude") and own in taken:
                    limit = work.patience * statistics.median(taken[own]["values"])
                if (said := once(work, name, seed, limit)) is None:
                    del taken[name]
                    continue
                taken[name]["values"].append(said["value"])
                for key, value in said["reached"].items():
                    taken[name]["reached"].setdefault(key, []).append(value)
    taken = {name: each for name, each in taken.items() if each["values"]}
    return {
        "date": time.strftime("%Y-%m-%d"),
        "command": f"python -m benchmarks.beside {work.name} --repeat {repeat}",
        "versions": {"python": platform.python_version(), **_versions()},
        "contenders": taken,
    }


def here() -> str:
    """The machine in words, with what makes products in bf16 several times as fast on it."""
    processor, cores = machine()["processor"], machine()["cores"]
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)  # private, but the only way to ask
    return f"{processor}, {cores} cores{', AMX' if amx and amx() else ''}"


def _versions() -> dict[str, str]:
    versions = {}
    for name in PEERS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", nargs="*", help="names; all by default")
    parser.add_argument(
        "--repeat", type=int, help="how often each contender does it; else as the work says"
    )
    parser.add_argument("--list", action="store_true", help="name the works and end")
    options = parser.parse_args()
    known = works()
    if unknown := [name for name in options.work if name not in known]:
        parser.error(f"no work '{unknown[0]}'; expected some of {', '.join(known)}")
    if options.list:
        for work in known.values():
            print(f"{work.name:<20} {work.title}: {', '.join(work.contenders)}")
        return
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results[here()] = results.pop(here(), {})  # who measures last stands last
    for name in options.work or known:
        results[here()][name] = measure(known[name], options.repeat or known[name].repeat)
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        write(DOCS / "benchmarks.md", known, results)
        draw(DOCS / "benchmarks.webp", known, results[here()], here())


if __name__ == "__main__":
    main()
