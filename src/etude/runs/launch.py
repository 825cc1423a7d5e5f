"""Start the processes that carry out one run together, and see to it that they end together."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from etude.errors import UserError
from etude.runs.owner import ending_signals

# seconds for the others, when one has ended in a fault, to end by themselves; then they are killed
GRACE = 10.0
LOOK = 0.1


def launched() -> bool:
    """Whether this process is one of several, started by :func:`launch`, torchrun or srun."""
    return "WORLD_SIZE" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS") or 1) > 1


def launch(words: Sequence[str], size: int, threads: int = 0) -> int:
    """``etude`` with these words in ``size`` processes of this machine; returns the exit code of
    all.

    The first process speaks; what the others say is told where one of them was the first to fail.
    Ctrl-C and SIGTERM reach all of them, and they stop together after a step.

    Raises:
        UserError: a process was killed.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    each = threads or max(1, cores // size)
    env = os.environ | {
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_port()),
        "ETUDE_LAUNCH": secrets.token_hex(8),
        "OMP_NUM_THREADS": str(each),
    }
    # -P: a random.py or torch.py in the working folder is not taken for Python's own
    command = [sys.executable, "-P", "-m", "etude", *words]
    workers: list[subprocess.Popen[bytes]] = []
    said: list[IO[bytes]] = []
    handlers = {
        number: signal.signal(number, _pass_on(workers))
        for number in (signal.SIGINT, *ending_signals())
    }
    try:
        for rank in range(size):
            said.append(tempfile.TemporaryFile())  # noqa: SIM115 - closed below
            own = env | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            quiet = None if rank == 0 else said[rank]
            workers.append(subprocess.Popen(command, env=own, stdout=quiet, stderr=quiet))
        failed = _first_to_fail(workers)
        if failed is None:
            return 0
        _end(workers)
        code = workers[failed].returncode
        if code < 0:
            raise UserError(
                f"process {failed} of {size} was killed ({signal.Signals(-code).name}), and the"
                f" others have ended; go on with 'etude resume' and --devices {size}, or any other"
                " number"
            )
        if failed:
            said[failed].seek(0)
            sys.stderr.buffer.write(said[failed].read())
        return code
    finally:
        _end(workers)
        for file in said:
            file.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _pass_on(workers: Sequence[subprocess.Popen[bytes]]):  # type: ignore[no-untyped-def]  # a signal handler
    def handler(number: int, frame: object) -> None:
        if number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty():
            return  # the terminal has sent it to all
        for worker in workers:
            with suppress(OSError):
                worker.send_signal(number)

    return handler


def _first_to_fail(workers: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Wait until all have ended well, or one has not: its number.

    One that was killed comes before those it left.
    """
    while True:
        codes = [worker.poll() for worker in workers]
        failed = [rank for rank, code in enumerate(codes) if code]
        if failed:
            time.sleep(LOOK)
            killed = [rank for rank, worker in enumerate(workers) if (worker.poll() or 0) < 0]
            return [*killed, *failed][0]
        if all(code == 0 for code in codes):
            return None
        time.sleep(LOOK)


def _end(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    until = time.monotonic() + GRACE
    while any(worker.poll() is None for worker in workers) and time.monotonic() < until:
        time.sleep(LOOK)
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait()
