"""When a run saves itself, and when it stops: after so many seconds, and when it is asked to."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from etude.runs.workers import Workers

Clock = Callable[[], float]

CHECKPOINT_SECONDS = 30.0
SHARE_OF_SAVING = 1 / 50  # of the run's time, at most
AGREE_SECONDS = 0.5  # between two agreements of several processes
LONGEST_WAIT = 1_000.0  # steps between two agreements, at most


class SavePolicy:
    """Whether a run saves itself now, and whether it stops then.

    A checkpoint is due when ``every`` seconds have gone by since the last one; by default 30, or
    more where saving is slow, so that it takes at most 2 % of the time. It is due at once when the
    run was asked to stop.

    Args:
        every: seconds between checkpoints; None for the default.
        clock: seconds that only grow.
        stop_after: steps after which the run is asked to stop; None: never.

    Attributes:
        steps: how many were done, in all loops of the run.
        signal: the number of the signal that asks the run to stop, or None.
    """

    def __init__(
        self,
        every: float | None = None,
        clock: Clock = time.monotonic,
        stop_after: int | None = None,
    ) -> None:
        self.every = every
        self.clock = clock
        self.stop_after = stop_after
        self.steps = 0
        self.signal: int | None = None
        self.cost = 0.0  # seconds that the last saving took
        self.restart()

    def step_done(self) -> None:
        """Count a step; ask for the stop that is due after it."""
        self.steps += 1
        if self.steps == self.stop_after and self.signal is None:
            self.signal = signal.SIGINT

    def restart(self) -> None:
        """Count the seconds from now on, as if a checkpoint had just been saved."""
        self._saved_at = self.clock()

    @property
    def pause(self) -> float:
        """Seconds from one checkpoint to the next."""
        if self.every is not None:
            return self.every
        return max(CHECKPOINT_SECONDS, self.cost / SHARE_OF_SAVING)

    def due(self) -> bool:
        """Whether this process by itself would save now."""
        return self.signal is not None or self.clock() - self._saved_at >= self.pause

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around the saving: takes down how long it took, and when it was done."""
        began = self.clock()
        yield
        self._saved_at = self.clock()
        self.cost = self._saved_at - began


class Agreement:
    """How the processes of one run agree, within one stage, to save or to stop after the same step.

    They do so about twice a second, for an agreement costs what a small step does. After how many
    steps that is, the first process estimates from the pace since the last time, and tells the
    others. A process by itself needs no agreement.
    """

    def __init__(self, policy: SavePolicy, workers: Workers) -> None:
        self.policy = policy
        self.workers = workers
        self._next_step = 0  # at which they agree again
        self._last_step = 0
        self._last_time = 0.0

    def due(self, step: int) -> bool:
        """Whether all processes save after this step; a signal to one is then known to all."""
        if not self.workers.many:
            return self.policy.due()
        if step < self._next_step:
            return False
        now, first = self.policy.clock(), self.workers.first
        wait = self._wait(step, now) if first else 0.0
        save = first and self.policy.due()
        stop, save_all, wait = self.workers.highest(self.policy.signal or 0, save, wait)
        self._last_step, self._last_time = step, now
        self._next_step = step + int(wait)
        self.policy.signal = int(stop) or None
        return bool(stop or save_all)

    def _wait(self, step: int, now: float) -> float:
        """Steps until they agree again: as many as half a second takes at the present pace."""
        if not 0 < self._last_step < step:
            return 1.0
        seconds = (now - self._last_time) / (step - self._last_step)
        return min(max(AGREE_SECONDS / max(seconds, 1e-9), 1.0), LONGEST_WAIT)


class Pulse:
    """True at most once in so many seconds."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self._last = -math.inf

    def beats(self) -> bool:
        """Whether the time has come again."""
        now = self.clock()
        if now - self._last < self.seconds:
            return False
        self._last = now
        return True
