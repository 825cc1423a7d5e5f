"""The log of a run: means over short windows of steps, appended to ``metrics.jsonl``."""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from etude.runs import files, record
from etude.runs.checkpoints import disk_trouble
from etude.runs.workers import Workers

Value = float | torch.Tensor


def loggable(name: str, value: Value, known: set[str]) -> Value:
    """A metric as it can be logged, without waiting for a tensor on a GPU.

    Args:
        name: looked at once; then it is among those ``known``.
        value: looked at each time.
        known: names that were looked at.

    Raises:
        UserError: the value is not one number, or its name can't stand in a row.
    """
    if name not in known:
        known.add(record.checked_metric(name, logged=True))
    if type(value) is float:
        return value
    if isinstance(value, torch.Tensor):
        if value.numel() != 1 or value.is_complex():
            raise record.not_one_number(name, value)
        return value.detach().reshape(()) if value.ndim else value
    return record.number(name, value)


class Window:
    """Sums of what was logged since the last row.

    Tensors on a GPU are summed there, without waiting for them.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Value] = {}
        self.counts: dict[str, int] = {}

    def add(self, metrics: dict[str, Value]) -> None:
        """Take in one step's metrics."""
        sums, counts = self.sums, self.counts
        for key, value in metrics.items():
            if isinstance(value, torch.Tensor):
                value = value.detach()
                if value.device.type == "cpu":
                    value = value.item()
            sums[key] = sums[key] + value if key in sums else value
            counts[key] = counts.get(key, 0) + 1

    def means(self) -> dict[str, float]:
        """The mean of each metric; the window begins anew."""
        means = {key: float(total) / self.counts[key] for key, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def state_dict(self, workers: Workers) -> dict[str, Any]:
        """Plain numbers, for a checkpoint in the middle of a window: each process's sums, which
        all give the same names.
        """
        sums = {key: float(value) for key, value in self.sums.items()}
        each = workers.gather(list(sums.values()))
        return {
            "sums": [dict(zip(sums, numbers, strict=True)) for numbers in each],
            "counts": dict(self.counts),
        }

    def load_state_dict(self, state: dict[str, Any], workers: Workers) -> None:
        """Go on in the middle of a window; where there are other processes than before, each has
        the mean of their sums.
        """
        each = state["sums"]
        if len(each) == workers.size:
            self.sums = dict(each[workers.rank])
        else:
            self.sums = {key: sum(sums[key] for sums in each) / len(each) for key in each[0]}
        self.counts = dict(state["counts"])


class MetricsFile:
    """``metrics.jsonl``, which after a resume holds each row once.

    A resumed run is executed again from its first line. Until it reaches the checkpoint, the rows
    it gives are those that the file holds already: they are dropped (``replaying``). At the
    checkpoint the file is cut to its length then.

    Without a path it is a file that vanishes: that of a process which is not the first of its run.
    """

    def __init__(self, path: Path | None, *, replaying: bool) -> None:
        self.path = path or Path(tempfile.gettempdir())
        self.replaying = replaying
        self.written = 0  # rows, by this process
        try:
            self._file = files.appending(path) if path else tempfile.TemporaryFile()  # noqa: SIM115
            if not replaying:
                self._file.truncate(0)
        except OSError as error:
            raise disk_trouble(error, self.path) from error

    def write(self, row: dict[str, Any]) -> None:
        """Append one row; a number that is not finite becomes null."""
        if self.replaying:
            return
        clean = {
            k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()
        }
        try:
            self._file.write(json.dumps(clean, ensure_ascii=False).encode() + b"\n")
            self.written += 1
        except OSError as error:
            raise disk_trouble(error, self.path) from error

    def flush(self) -> None:
        """Hand the rows to the system, so that others see them."""
        try:
            self._file.flush()
        except OSError as error:
            raise disk_trouble(error, self.path) from error

    def sync(self) -> int:
        """Make the rows durable; returns the file's length in bytes, for the checkpoint."""
        self.flush()
        os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def go_on_at(self, length: int) -> None:
        """The checkpoint is reached: cut off what came after it, and write again."""
        if self._file.seek(0, os.SEEK_END) > length:
            self._file.truncate(length)
            self._file.seek(length)
        self.replaying = False

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()


class Log:
    """The rows of a run, each with the seconds that the run has taken, those before a stop
    included.

    Args:
        file: where they stand.
        workers: the processes over which a row is the mean.
        show: given the numbers of every row, for the person who watches.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        file: MetricsFile,
        workers: Workers,
        show: Callable[[dict[str, float]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.file = file
        self.workers = workers
        self.show = show
        self.clock = clock
        self._began = clock()
        self._seconds_before = 0.0

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return self._seconds_before + self.clock() - self._began

    def write(self, window: Window, where: dict[str, Any]) -> None:
        """One row: the window's means, if there are any, and where they were taken."""
        means = self.workers.mean(window.means())
        if means:
            self.file.write({**where, "seconds": round(self.seconds, 3), **means})
            self.file.flush()
            self.show(means)

    def state_dict(self) -> dict[str, Any]:
        """How long the file is, which is durable then, and the seconds."""
        return {"metrics_bytes": self.file.sync(), "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The checkpoint is reached: go on where the log was then."""
        self.file.go_on_at(state["metrics_bytes"])
        self._seconds_before = state["seconds"]
        self._began = self.clock()
