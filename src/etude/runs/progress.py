"""What a person sees of a run: a live bar on a terminal, plain lines elsewhere, nothing when asked
for quiet.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from etude.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PLAIN_SECONDS = 10.0
LIVE_SECONDS = 0.2
WIDE = 100  # columns of a terminal that has room for a bar beside the words


class Progress:
    """Lines and a bar on standard error, so that standard output stays for results.

    Nobody may be there to read: no standard error at all, a pipe whose reader has gone, a terminal
    that was closed, a full disk behind it. Then it falls silent, and the run goes on.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet or sys.stderr is None
        self.live = False
        self._bar: RichProgress | None = None
        self._guarded(self._look)
        self._total: int | None = None
        self._words = ""
        self._began = self._drawn = 0.0
        self._began_at = 0

    def say(self, message: str) -> None:
        """One line."""
        self._guarded(lambda: self._say(message))

    def start(self, description: str, total: int | None, step: int = 0) -> None:
        """A loop begins at ``step`` of ``total`` (None: nobody knows)."""
        self._total, self._began_at = total, step
        self._description = description = printable(description)
        self._began = self._drawn = time.monotonic()
        self._words = ""
        if self.live:
            self._guarded(self._draw_bar)

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
        self._guarded(lambda: self._update(step, now, last))

    def stop(self, step: int) -> None:
        """The loop is over."""
        if self._began:
            self.update(step, last=True)
        if (bar := self._bar) is not None:
            self._guarded(bar.stop)
            self._bar = None
        self._began = 0.0

    # -- what may fail -----------------------------------------------------------------------------

    def _guarded(self, write: Callable[[], object]) -> None:
        """Write, if there is anybody to read; the first failure is the last."""
        if self.quiet:
            return
        try:
            write()
        except (OSError, ValueError):  # ValueError: the file is closed
            bar, self._bar = self._bar, None
            self.quiet, self.live = True, False
            if bar is not None:
                with suppress(OSError, ValueError):
                    bar.stop()  # gives back what it had taken: standard output and error

    def _look(self) -> None:
        self.live = sys.stderr.isatty()

    def _say(self, message: str) -> None:
        message = printable(message, keep="\n\t")
        if self._bar is not None:
            self._bar.console.print(_writable(message), highlight=False, markup=False)
        else:
            print(_writable(message), file=sys.stderr, flush=True)

    def _draw_bar(self) -> None:
        from rich import progress
        from rich.console import Console

        class Terminal(Console):
            def on_broken_pipe(self) -> None:
                raise BrokenPipeError  # rich would end the process

        columns = shutil.get_terminal_size().columns
        width = columns if os.environ.get("COLUMNS") else None
        bar = [progress.BarColumn()] if columns >= WIDE else []  # the words say more
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            *bar,
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[words]}", markup=False),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
            console=Terminal(file=sys.stderr, width=width),
            auto_refresh=False,  # no thread beside the training: the loop draws
        )
        self._bar.start()
        self._task = self._bar.add_task(
            _writable(self._description),
            total=self._total,
            completed=self._began_at,
            words="",
            rate="",
        )

    def _update(self, step: int, now: float, last: bool) -> None:
        rate = (step - self._began_at) / max(now - self._began, 1e-9)
        rate_words = f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.2g} steps/s"
        if self._bar is not None:
            self._bar.update(
                self._task, completed=step, words=_writable(self._words), rate=rate_words
            )
            self._bar.refresh()
            return
        words = [self._description, f"{step:,}" + (f"/{self._total:,}" if self._total else "")]
        words += [self._words] if self._words else []
        words.append(rate_words)
        if self._total and not last:
            words.append(f"{clock((self._total - step) / max(rate, 1e-9))} left")
        self._say("  ".join(words))


def _writable(text: str) -> str:
    """A text in the signs that standard error can show."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    try:
        return text.encode(encoding, "replace").decode(encoding)
    except LookupError:
        return ascii(text)


def clock(seconds: float) -> str:
    """``0:07``, ``3:21``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
