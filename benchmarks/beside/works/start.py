"""How soon something is there: what one types first."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.beside.work import Contender, Measured, Work


def _time(*words: str) -> Contender:
    def run(seed: int) -> Measured:
        command, env = [sys.executable, *words], os.environ | {"KERAS_BACKEND": "torch"}
        subprocess.run(
            command, env=env, check=False, capture_output=True
        )  # so that all files are in memory
        began = time.perf_counter()
        done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        if done.returncode:
            raise ModuleNotFoundError(name=words[-1].split()[-1])
        return Measured(seconds)

    return run


PACKAGES = ("torch", "keras", "lightning", "transformers")
WORKS = [
    Work(
        "start",
        "from nothing to an answer",
        "s",
        "≤ 0.2 s",
        {
            "etude list": _time("-m", "etude", "list"),
            "etude show digits": _time("-m", "etude", "show", "digits"),
            "etude --help": _time("-m", "etude", "--help"),
            "import etude": _time("-c", "import etude"),
            **{f"import {name}": _time("-c", f"import {name}") for name in PACKAGES},
        },
    )
]
