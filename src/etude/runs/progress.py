"""What a person sees of a run: a live bar on a terminal, plain lines elsewhere, nothing when asked
for quiet.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from etude.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PLAIN_SECONDS = 10.0
LIVE_SECONDS = 0.2


class Progress:
    """Lines and a bar on standard error, so that standard output stays for results."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.live = not quiet and sys.stderr.isatty()
        self._bar: RichProgress | None = None
        self._total: int | None = None
        self._words = ""
        self._began = self._drawn = 0.0
        self._began_at = 0

    def say(self, message: str) -> None:
        """One line."""
        if self.quiet:
            return
        message = printable(message, keep="\n\t")
        if self._bar is not None:
            self._bar.console.print(message, highlight=False, markup=False)
        else:
            print(message, file=sys.stderr, flush=True)

    def start(self, description: str, total: int | None, step: int = 0) -> None:
        """A loop begins at ``step`` of ``total`` (None: nobody knows)."""
        self._total, self._began_at = total, step
        self._description = description = printable(description)
        self._began = self._drawn = time.monotonic()
        self._words = ""
        if self.live:
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[words]}", markup=False),
                progress.TextColumn("{task.fields[rate]}", markup=False),
                progress.TimeRemainingColumn(),
                console=Console(file=sys.stderr),
                auto_refresh=False,  # no thread beside the training: the loop draws
            )
            self._bar.start()
            self._task = self._bar.add_task(
                description, total=total, completed=step, words="", rate=""
            )

    def show(self, values: Mapping[str, float]) -> None:
        """The newest metrics, drawn with the next update."""
        self._words = "  ".join(f"{printable(key)} {value:.4g}" for key, value in values.items())

    def update(self, step: int, *, last: bool = False) -> None:
        """``step`` steps are done; draws at most five times a second (a plain line: every ten
        seconds).
        """
        if self.quiet:
            return
        now = time.monotonic()
        if not last and now - self._drawn < (LIVE_SECONDS if self.live else PLAIN_SECONDS):
            return
        self._drawn = now
        rate = (step - self._began_at) / max(now - self._began, 1e-9)
        rate_words = f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.2g} steps/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, words=self._words, rate=rate_words)
            self._bar.refresh()
            return
        words = [self._description, f"{step:,}" + (f"/{self._total:,}" if self._total else "")]
        words += [self._words] if self._words else []
        words.append(rate_words)
        if self._total and not last:
            words.append(f"{clock((self._total - step) / max(rate, 1e-9))} left")
        print("  ".join(words), file=sys.stderr, flush=True)

    def stop(self, step: int) -> None:
        """The loop is over."""
        if self._began:
            self.update(step, last=True)
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._began = 0.0


def clock(seconds: float) -> str:
    """``0:07``, ``3:21``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
