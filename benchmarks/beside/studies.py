"""A study run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from typing import Any


def study(name: str, *options: str, seed: int) -> tuple[dict[str, Any], float]:
    """``etude run NAME …`` as a process: what it says of itself, and its seconds from start to end.

    Raises:
        ModuleNotFoundError: its data is not there.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "etude", "run", name, "--seed", str(seed), *options]
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--runs", folder, "--quiet", "--json"],
            check=False,
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - began
    if done.returncode == 2 and "ETUDE_DATA" in done.stderr:
        raise ModuleNotFoundError(name="ETUDE_DATA")
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    said: dict[str, Any] = json.loads(done.stdout)
    return said, seconds
