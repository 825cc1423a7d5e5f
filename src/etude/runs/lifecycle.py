"""The life of a run's folder: found or made, locked, told of, and left behind in good order."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from etude.errors import UserError, memory_trouble, out_of_memory
from etude.runs import files
from etude.runs.checkpoints import Checkpoints, disk_trouble, write_atomically
from etude.runs.folder import RunFolder, as_json, environment, find_runs
from etude.runs.owner import ending_signals, owner
from etude.runs.policy import Pulse
from etude.runs.workers import Workers, launch_name, lost, restarted

STATUS_SECONDS = 1.0

Handler = Callable[[int, FrameType | None], None]
Resume = RunFolder | Literal["auto"] | None


class Lifecycle:
    """One run's folder while this process writes it.

    Args:
        name: of the run.
        root: the folder of all runs.
        resume: the run to go on with; ``auto``: the last one of this name and these settings that
            is not finished, if there is one.
        settings: seed, scale and fields, as ``study.json`` holds them.
        workers: the processes that carry it out; the first one writes.

    Attributes:
        folder: the run's folder, once :meth:`open` has found it.
        resumed: whether it was there before.
    """

    folder: RunFolder

    def __init__(
        self,
        name: str,
        root: str | Path | None,
        resume: Resume,
        settings: Mapping[str, Any],
        workers: Workers,
    ) -> None:
        self.name = name
        self.root = root
        self.resume = resume
        self.settings = settings
        self.workers = workers
        self.resumed = False
        self._owner = owner(os.getpid())
        self._pulse = Pulse(STATUS_SECONDS)
        self._handlers: dict[int, Any] = {}

    # -- the beginning -----------------------------------------------------------------------------

    def open(self) -> None:
        """Make or find the folder and lock it; the first process does so, and tells the others.

        Raises:
            UserError: it can't be made, is in use, or holds a run that is finished.
        """
        if self.workers.first:
            try:
                self._open_and_lock()
            except UserError as error:
                self.workers.tell(f"not {error}")
                raise
            self.workers.tell(
                ("old " if self.resumed else "new ") + str(self.folder.path.resolve())
            )
            return
        kind, _, text = self.workers.tell("").partition(" ")
        if kind == "not":
            self.workers.leave()
            raise UserError(text)
        self.folder = RunFolder(text)
        self.resumed = kind == "old"

    def _open_and_lock(self) -> None:
        found = self._unfinished() if self.resume == "auto" else self.resume
        found = found or self._restarted()
        self.resumed = found is not None
        self.folder = found or RunFolder.create(self.name, self.root)
        if self.resumed:
            self.folder.check()
        self._lock = self.folder.lock()
        if self.resumed and self.folder.result_json.is_file():
            self._lock.release()
            complete(self.folder)
            raise UserError(f"run {self.folder.name} is finished; there is nothing to resume")
        self.folder.tell(**self._owner)

    def go_on(self) -> None:
        """What was done before can be gone on with: forget the error in which it ended."""
        if self.workers.first:
            (self.folder.path / "error.txt").unlink(missing_ok=True)
            for place in (self.folder.path, self.folder.figures, self.folder.tables):
                files.sweep_up(place)

    def _runs(self) -> list[RunFolder]:
        return [run for run in find_runs(self.root) if run.path.parent.name == self.name]

    def _unfinished(self) -> RunFolder | None:
        """The last run of this name and these settings that ended before it was finished."""
        settings = json_form(self.settings)
        for run in reversed(self._runs()):
            with suppress(UserError):  # one whose record is damaged
                about = run.study()
                alike = all(about.get(key) == value for key, value in settings.items())
                if alike and run.state not in ("finished", "running"):
                    return run
        return None

    def _restarted(self) -> RunFolder | None:
        """The run that this launch began before a fault, where torchrun or SLURM has started it
        again.
        """
        if not restarted():
            return None
        for run in reversed(self._runs()):
            with suppress(UserError):  # one whose record is damaged
                if run.study().get("launch") == launch_name() and run.state != "finished":
                    return run
        return None

    def record(self, about: Mapping[str, Any]) -> None:
        """Write ``study.json``: what is executed, how, when and on what machine."""
        launch = {"launch": launch_name()} if launch_name() else {}
        started = {"started": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        whole = {**self.settings, **launch, **started, **environment(), **about}
        write_atomically(self.folder.study_json, as_json(whole).encode())

    def handle_signals(self, handler: Handler) -> None:
        """Have Ctrl-C, SIGTERM and the terminal's end (SIGHUP, unless it is ignored, as by nohup)
        call ``handler`` until the run is over.

        A process that this one forks, a DataLoader's worker, inherits them. There nothing is to be
        saved: Ctrl-C and the terminal's end are the parent's affair, and SIGTERM ends it.
        """
        parent = os.getpid()

        def handle(number: int, frame: FrameType | None) -> None:
            if os.getpid() == parent:
                handler(number, frame)
            elif number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, *ending_signals()):
                self._handlers[number] = signal.signal(number, handle)

    # -- on the way --------------------------------------------------------------------------------

    def tell(self, stage: str, step: int, total: int | None) -> None:
        """Say how far the run is, about once a second, to those who look at its folder."""
        if self.workers.first and self._pulse.beats():
            self.folder.tell(**self._owner, stage=stage, step=step, total=total)

    def note(self, line: str) -> None:
        """Add a line to ``log.txt``."""
        if self.workers.first and hasattr(self, "folder"):
            # a full disk is told of elsewhere; half a character has no bytes
            with suppress(OSError), files.appending(self.folder.log_txt) as file:
                file.write(f"{line}\n".encode(errors="backslashreplace"))

    # -- the end -----------------------------------------------------------------------------------

    def restore_signals(self) -> None:
        """Ctrl-C and SIGTERM do again what they did before."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the report, then the result, with which the run is finished.

        Where the report fails (a full disk, say, or Ctrl-C), or a kill comes between them, the run
        is not finished, and a resumed one does all this again.
        """
        from etude.runs.report import write_report

        write_report(self.folder, json_form(result))
        write_atomically(self.folder.result_json, as_json(result).encode())

    def keep_traceback(self, error: BaseException) -> None:
        """Write ``error.txt``, unless another process is to blame."""
        if self.workers.first and not (self.workers.many and lost(error)):
            text = "".join(traceback.format_exception(error))
            with suppress(OSError):  # a full disk is told of elsewhere
                files.overwrite(self.folder.path / "error.txt", text.encode(errors="replace"))

    def explanation(self, error: BaseException, fields: Mapping[str, Any]) -> UserError | None:
        """The sentence that says in a user's words what went wrong; None where the error itself
        must.
        """
        if self.workers.many and lost(error):
            return UserError(
                f"process {self.workers.rank} of {self.workers.size} lost the others; go on with:"
                f" etude resume {self.folder.path} --devices {self.workers.size}"
            )
        if out_of_memory(error):
            return memory_trouble(error, fields)
        if (
            isinstance(error, OSError)
            and error.filename
            and self.folder.path in Path(error.filename).parents
        ):
            return disk_trouble(error, Path(error.filename))
        return None

    def close(self, *, discard: bool) -> None:
        """Let the folder go; ``discard``: the run never began, and nothing of it stays."""
        if self.workers.first:
            self._lock.release()
            with suppress(OSError):  # a folder that may no longer be written
                self.folder.status_json.unlink(missing_ok=True)
                (self.folder.path / ".lock").unlink(missing_ok=True)
            if discard and not self.resumed:
                shutil.rmtree(self.folder.path, ignore_errors=True)
        self.workers.leave()


def complete(folder: RunFolder) -> bool:
    """Do what a kill has left undone at the very end of a run that has its result: write its
    report, remove its checkpoints. Whether there was anything to do.

    Raises:
        UserError: another process is about to do it.
    """
    from etude.runs.report import write_report

    if folder.is_tidy:
        return False
    lock = folder.lock()
    try:
        if not folder.report_html.is_file():
            write_report(folder)
        Checkpoints(folder.checkpoint).clear()
        (folder.path / ".lock").unlink(missing_ok=True)
    finally:
        lock.release()
    return True


def json_form(value: Any) -> Any:
    """A value as it comes back from a JSON file: tuples are lists."""
    return json.loads(as_json(value))
