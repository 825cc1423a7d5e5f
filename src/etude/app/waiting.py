"""Runs that were asked for on the page and wait: as many run at once as the processor has room for.

A run takes its threads of the processor's cores. One more begins where all fit beside each other,
and one runs in any case; the others wait in the order in which they were asked for.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from etude.app import processes
from etude.errors import UserError
from etude.runs.folder import RunFolder

MOST = 100  # runs that wait
LOOK = 1.0  # seconds between two looks whether one has ended


@dataclass(frozen=True)
class Asked:
    """A run that waits.

    Attributes:
        number: by which it is taken out.
        title: what it is, in words.
        words: those of the command line behind ``etude``.
        threads: how many it will take.
        trouble: why it could not be begun; empty while it waits.
    """

    number: int
    title: str
    words: tuple[str, ...]
    threads: int
    trouble: str = ""


class Waiting:
    """All that wait, first in, first out. They live as long as the page's server.

    Args:
        root: the folder of all runs.
        cores: of the processor, that runs may share.
        launch: begins a run.
    """

    def __init__(
        self,
        root: Path,
        cores: int = 0,
        launch: Callable[[Sequence[str], Path], RunFolder] = processes.launch,
    ) -> None:
        self.root, self.launch = root, launch
        self.cores = cores or available_cores()
        self._asked: list[Asked] = []
        self._beginning: list[int] = []  # threads of those that have no folder yet
        self._number = 0
        self._lock = threading.Lock()
        self._follows = False

    def begin(self, title: str, words: Sequence[str], threads: int | None) -> RunFolder | None:
        """Begin a run, or have it wait: then None.

        Args:
            title: what it is, in words.
            words: those of the command line behind ``etude``.
            threads: how many it takes; None where nobody knows, then it has the processor alone.

        Raises:
            UserError: it ended before it began, or too many wait.
        """
        need = min(threads or self.cores, self.cores)
        with self._lock:
            if any(not each.trouble for each in self._asked) or not self._fits(need):
                if len(self._asked) >= MOST:
                    raise UserError(f"{MOST} runs wait already; take some out, or wait, too")
                self._number += 1
                self._asked.append(Asked(self._number, title, tuple(words), need))
                self._follow()
                return None
            self._beginning.append(need)
        return self._launch(words, need)

    def asked(self) -> list[Asked]:
        """Those that wait, and those that could not be begun."""
        with self._lock:
            return [*self._asked]

    def drop(self, number: int) -> None:
        """Take one out; nothing happens where it has begun."""
        with self._lock:
            self._asked = [each for each in self._asked if each.number != number]

    def _launch(self, words: Sequence[str], need: int) -> RunFolder:
        try:
            return self.launch(words, self.root)
        finally:
            with self._lock:
                self._beginning.remove(need)

    def _fits(self, need: int) -> bool:
        used = sum(self._beginning) + sum(
            min(processes.threads_of(folder) or self.cores, self.cores)
            for folder in processes.running(self.root)
        )
        return not used or used + need <= self.cores

    def _follow(self) -> None:
        """See to it that those that wait begin."""
        if not self._follows:
            self._follows = True
            threading.Thread(target=self._go_on, daemon=True).start()

    def _go_on(self) -> None:
        while True:
            with self._lock:
                first = next((each for each in self._asked if not each.trouble), None)
                if first is None:
                    self._follows = False
                    return
                if fits := self._fits(first.threads):
                    self._asked.remove(first)
                    self._beginning.append(first.threads)
            if not fits:
                time.sleep(LOOK)
                continue
            try:
                self._launch(first.words, first.threads)
            except (UserError, OSError) as error:
                with self._lock:
                    self._asked.append(replace(first, trouble=str(error)))


def available_cores() -> int:
    """How many of the processor's cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
