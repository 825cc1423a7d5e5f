"""How fast runs are listed where there are thousands: ``etude runs``, and what a run's page asks
for once a second.

``python benchmarks/many.py [--runs 5000]``
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from starlette.testclient import TestClient

from etude.app.guard import Access
from etude.app.server import application
from etude.catalogue import Catalogue

STUDIES = ("spirals", "digits", "gpt", "linear", "vae")


def write(root: Path, number: int) -> None:
    """Run folders as runs leave them: a lesson in each record, and a log of 200 rows."""
    catalogue = Catalogue()
    rows = "".join(
        json.dumps({"step": step, "loss": 1 / (step + 1), "seconds": step / 100}) + "\n"
        for step in range(200)
    )
    for k in range(number):
        entry = catalogue[STUDIES[k % len(STUDIES)]]
        second = f"{k // 3600 % 24:02d}-{k // 60 % 60:02d}-{k % 60:02d}"
        folder = root / entry.name / f"2026-01-01_{second}-{k:04x}"
        folder.mkdir(parents=True)
        fields = entry.defaults("quick")
        about = {
            "study": entry.name,
            "scale": "quick",
            "seed": k,
            "title": entry.title,
            "lesson": entry.lesson,
            "fields": fields,
            "changed": {"seed_of_data": k},
            "threads": 1,
        }
        result = {
            "metrics": {"test/accuracy": 0.9, "loss": 0.1},
            "claims": [{"claim": {"metric": "test/accuracy"}, "holds": True, "mean": 0.9}],
            "seconds": 7.0,
        }
        (folder / "study.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        (folder / "metrics.jsonl").write_text(rows, encoding="utf-8")
        (folder / "log.txt").write_text("a line\n" * 30, encoding="utf-8")
        if k % 10:
            (folder / "result.json").write_text(json.dumps(result, indent=2), encoding="utf-8")


def listed(root: Path, *words: str) -> tuple[float, float]:
    """Seconds of processor time, and on the clock, of a command."""
    command = [sys.executable, "-P", "-m", "etude", *words, "--runs", str(root)]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5_000)
    options = parser.parse_args()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{options.runs:,} runs; {os.cpu_count()} processors{load}")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "runs"
        write(root, options.runs)
        for words in (["runs"], ["runs"], ["runs", "--json"]):
            used, took = listed(root, *words)
            print(f"etude {' '.join(words):<14} {used:6.2f} s of processor time, {took:6.2f} s")
        page = TestClient(application(root, Access("t")), base_url="http://127.0.0.1")
        page.cookies.set("etude-80", "t")
        name = next(p for p in sorted(root.glob("*/*")) if not (p / "result.json").exists())
        live = f"/runs/{name.relative_to(root)}/live"
        size = page.get(live).json()["size"]
        for address in ("/runs", "/runs", "/", "/studies/linear", live, f"{live}?size={size}"):
            times = []
            for _ in range(3 if "live" not in address else 20):
                began = time.process_time()
                assert page.get(address).status_code == 200
                times.append(time.process_time() - began)
            print(f"{address:<55} {1_000 * sorted(times)[len(times) // 2]:8.1f} ms")


if __name__ == "__main__":
    main()
