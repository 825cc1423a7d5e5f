"""How fast the page answers: ``etude app`` on loopback, and visitors who all ask a trained network
about their drawing.

``python benchmarks/page.py [--visitors 50] [--asks 4] [--runs FOLDER]``

Without ``--runs`` a small network of digits is trained first. Times are those of a client on this
machine. Answers that are lost, or are no answer, are counted; there should be none.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import etude
from etude.runs.folder import find_runs

ADDRESS = re.compile(r"http://([\d.]+):(\d+)/\?token=([\w-]+)")


def drawing(visitor: int) -> list[int]:
    """A seven, of another size for each visitor: 28×28 whole numbers from 0 to 255."""
    picture = [[0] * 28 for _ in range(28)]
    size = 10 + visitor % 9
    for k in range(size):
        for column, row in ((7 + k, 5), (6 + size - k // 2, 5 + k)):
            for y in (row, row + 1):
                for x in (column, column + 1):
                    picture[y][min(x, 27)] = 255
    return [level for row in picture for level in row]


def ask(host: str, port: int, token: str, visitor: int) -> tuple[float, bool]:
    """One question: the seconds until its answer was read, and whether it was an answer."""
    body = json.dumps({"drawing": drawing(visitor)})
    headers = {
        "content-type": "application/json",
        "origin": f"http://{host}:{port}",
        "cookie": f"etude-{port}={token}",
    }
    began = time.perf_counter()
    try:
        line = http.client.HTTPConnection(host, port, timeout=120)
        line.request("POST", "/studies/digits/try", body, headers)
        answer = line.getresponse()
        found = json.loads(answer.read())
        line.close()
        right = answer.status == 200 and abs(sum(found[0]["values"].values()) - 1) < 1e-3
    except (OSError, http.client.HTTPException, ValueError):
        right = False
    return time.perf_counter() - began, right


def opened(runs: Path) -> tuple[subprocess.Popen[str], tuple[str, int, str], float, float]:
    """The server, where it answers and its token, and the seconds until the catalogue's first byte
    and its last one had come.
    """
    began = time.perf_counter()
    words = [
        sys.executable,
        "-P",
        "-m",
        "etude",
        "app",
        "--port",
        "0",
        "--no-open",
        "--runs",
        str(runs),
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = ADDRESS.search(process.stdout.readline())
    assert said, "the server did not say where it is"
    host, port, token = said[1], int(said[2]), said[3]
    line = http.client.HTTPConnection(host, port, timeout=120)
    line.request("GET", "/", headers={"cookie": f"etude-{port}={token}"})
    answer = line.getresponse()
    first = time.perf_counter() - began
    assert b"Studies" in answer.read()
    return process, (host, port, token), first, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument(
        "--asks", type=int, default=4, help="questions of each, one after the other"
    )
    parser.add_argument("--runs", type=Path, help="a folder with a finished run of digits")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        runs = options.runs or Path(place)
        if not any(folder.path.parent.name == "digits" for folder in find_runs(runs)):
            etude.run("digits", root=runs, epochs=4, quiet=True)
        process, where, first, whole = opened(runs)
        try:
            load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
            print(f"{os.cpu_count()} processors{load}")
            print(
                f"from the start of the process to the catalogue      {first:8.2f} s, whole"
                f" {whole:.2f} s"
            )
            print(f"first answer of all, PyTorch and the network loaded {ask(*where, 0)[0]:8.2f} s")
            alone = [ask(*where, 0)[0] for _ in range(20)]
            print(
                "one visitor, median of 20                          "
                f" {1_000 * statistics.median(alone):8.0f} ms"
            )
            times: list[tuple[float, bool]] = []

            def visit(visitor: int) -> None:
                for _ in range(options.asks):
                    times.append(ask(*where, visitor))

            visitors = [threading.Thread(target=visit, args=(k,)) for k in range(options.visitors)]
            began = time.perf_counter()
            for visitor in visitors:
                visitor.start()
            for visitor in visitors:
                visitor.join()
            took = time.perf_counter() - began
            seconds = sorted(second for second, _ in times)
            lost = options.visitors * options.asks - sum(right for _, right in times)
            print(
                f"{options.visitors} visitors at once, {options.asks} questions each: {lost} lost, "
                f"median {1_000 * statistics.median(seconds):.0f} ms, "
                f"95th percentile {1_000 * seconds[int(0.95 * len(seconds))]:.0f} ms, "
                f"{len(seconds) / took:.0f} answers/s"
            )
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
