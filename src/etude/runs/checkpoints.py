"""Checkpoints that are whole or not there.

A checkpoint is written to a temporary name, synced to the disk and renamed. Its checksum stands in
its name, so one rename publishes both: a kill at any instant leaves either no new file or a whole
one, and a file that was cut or altered afterwards no longer matches its own name.

``<stage>-<step>.<sha256>.pt`` is a step of a stage, ``<stage>-done.<sha256>.pt`` the state in which
a stage ended. Where several processes hold a network in shards, each writes its own into
``<stage>-<step>.shards/``, and the checkpoint holds their checksums.
"""

from __future__ import annotations

import errno
import hashlib
import io
import math
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from etude.errors import UserError
from etude.runs import files, shards
from etude.runs.workers import Workers

_NAME = re.compile(r"(?P<stage>\d+)-(?P<step>\d+|done)\.(?P<digest>[0-9a-f]{16})\.pt")
DONE = 10**12  # sorts after every step


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or none (:func:`etude.runs.files.write`).

    Raises:
        UserError: the disk is full or the folder can't be written, or is a link; nothing
            half-written stays behind.
    """
    try:
        files.write(path, content)
    except OSError as error:
        raise disk_trouble(error, path) from error


def disk_trouble(error: OSError, path: Path) -> UserError:
    """The sentence for a write that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            f"the disk is full: {path} could not be written; what was saved before is intact, so"
            " free some space and go on with 'etude resume'"
        )
    return UserError(
        f"{path} could not be written: {error.strerror or error}; expected a folder that you may"
        " write to"
    )


class Checkpoints:
    """The checkpoints of one run: the last two steps, and the end of every stage; the first of its
    workers writes.
    """

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None] = lambda message: None,
        workers: Workers | None = None,
    ) -> None:
        self.folder = folder
        self.say = say
        self.workers = workers or Workers()
        self._read_back: set[int] = set()  # stages of which this process has read a checkpoint back

    def save(self, stage: int, step: int, state: dict[str, Any]) -> None:
        """Write one step's state, then drop all but the last two."""
        name = f"{stage}-{step:08d}"
        state, pieces = shards.take_out(state)
        if pieces:  # the same on all processes
            shards.write(folder := self.folder / f"{name}.shards", pieces)
            self.workers.wait()
            state["shards"] = {
                "tensors": {
                    key: [list(t.shape), str(t.dtype).removeprefix("torch.")]
                    for key, t in pieces.items()
                },
                "files": {
                    path.name: _digest(files.read(path, files.TENSORS))
                    for path in sorted(folder.iterdir())
                },
            }
        if self.workers.first:
            self._write(name, self._proven(stage, state))
            for _, _, path in self._files(done=False)[:-2]:
                path.unlink(missing_ok=True)
                shutil.rmtree(_shards_of(path), ignore_errors=True)

    def prepare(self, stage: int, state: dict[str, Any]) -> Callable[[], None]:
        """Take down the state in which a stage ended; calling the result writes it, until the run
        is over.
        """
        state = shards.gather(state)
        if not self.workers.first:
            return lambda: None
        content = self._proven(stage, state)
        return lambda: self._write(f"{stage}-done", content)

    def restore(
        self, logged: float = math.inf, *, begin_again: bool = False
    ) -> tuple[Sequence[dict[str, Any]], dict[str, Any] | None]:
        """Where to go on: the final states of the stages that ended, and the last whole step of the
        one that had not. The final states are looked through here, but each is read when it is
        asked for: of many stages, together they may be more than the memory holds.

        A file that does not match its checksum is passed over, with a message, and the one before
        it is used; and so is one that was written when the log had more than the ``logged`` bytes
        that are left of it.

        Args:
            logged: the length of the log in bytes.
            begin_again: where no checkpoint can be used, begin at the first step.

        Raises:
            UserError: there are checkpoints, and none of them can be used; nothing was changed.
        """
        ended: list[Path] = []
        for stage, _, path in self._files(done=True):
            if stage == len(ended) and self._read(path, logged) is not None:
                ended.append(path)
        finished = _Ends(self, ended)
        for stage, _, path in reversed(self._files(done=False)):
            if stage == len(finished) and (state := self._read(path, logged)) is not None:
                return finished, state
        found = self._files(done=True) + self._files(done=False)
        if not found:
            self.say("no checkpoint was saved before the stop; the run begins at its first step")
        elif not finished:
            lost = f"none of its {len(found)} checkpoints can be used"
            if not begin_again:
                raise UserError(
                    f"run {self.folder.parent.name} can't go on: {lost}, and to begin again"
                    " at the first step needs your word: etude resume --begin-again, or"
                    " Run(…, begin_again=True)"
                )
            self.say(f"{lost}; as you asked, the run begins again at its first step")
        elif any(stage == len(finished) for stage, _, _ in self._files(done=False)):
            self.say(f"no step of loop {len(finished) + 1} can be used; that loop begins again")
        return finished, None

    def clear(self) -> None:
        """Remove every checkpoint: the run is over."""
        for path in self.folder.glob("*.pt"):
            path.unlink(missing_ok=True)
        files.sweep_up(self.folder)
        for path in self.folder.glob("*.shards"):
            shutil.rmtree(path, ignore_errors=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _proven(self, stage: int, state: dict[str, Any]) -> bytes:
        """A checkpoint's content, which for the first one of a stage has been read back.

        What can be written but not read would be missed only when it is needed.
        """
        content = _content(state)
        if stage not in self._read_back:
            try:
                _loaded(content)
            except Exception as error:
                raise UserError(
                    f"a checkpoint of {self.folder.parent.name} can be written but not read"
                    f" ({_reason(error)}); expected tensors, numbers, texts and plain containers"
                    " in the loop's state"
                ) from error
            self._read_back.add(stage)
        return content

    def _write(self, name: str, content: bytes) -> None:
        files.made(self.folder)
        write_atomically(self.folder / f"{name}.{_digest(content)}.pt", content)

    def _read(self, path: Path, logged: float) -> dict[str, Any] | None:
        content = files.read(path, files.TENSORS)
        if _NAME.fullmatch(path.name)["digest"] != _digest(content):  # type: ignore[index]
            self.say(
                f"checkpoint {path.name} is damaged (its checksum is wrong); using the one"
                " before it"
            )
            return None
        try:
            state = _loaded(content)
        except Exception as error:  # what is no state can fail in many ways
            self.say(
                f"checkpoint {path.name} can't be read ({_reason(error)}); using the one before it"
            )
            return None
        if not isinstance(state, dict):
            self.say(f"checkpoint {path.name} holds no state; using the one before it")
            return None
        if isinstance(length := state.get("metrics_bytes"), int) and length > logged:
            self.say(f"the log is shorter than at checkpoint {path.name}; using the one before it")
            return None
        if "shards" not in state:
            return state
        parts, folder = state.pop("shards"), _shards_of(path)
        for name, digest in parts["files"].items():
            shard = folder / Path(name).name
            if not shard.is_file() or _digest(files.read(shard, files.TENSORS)) != digest:
                self.say(
                    f"checkpoint {path.name} is damaged (in its shard {name}); using the one"
                    " before it"
                )
                return None
        whole: dict[str, Any] = shards.put_in(state, shards.read(folder, parts["tensors"]))
        return whole

    def _files(self, *, done: bool) -> list[tuple[int, int, Path]]:
        found = []
        for path in self.folder.glob("*.pt"):
            match = _NAME.fullmatch(path.name)
            if match and (match["step"] == "done") == done:
                found.append((int(match["stage"]), DONE if done else int(match["step"]), path))
        return sorted(found)


class _Ends(Sequence[dict[str, Any]]):
    """The states in which stages ended, each read when it is asked for."""

    def __init__(self, checkpoints: Checkpoints, paths: Sequence[Path]) -> None:
        self.checkpoints, self.paths = checkpoints, paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, stage: Any) -> Any:
        path = self.paths[stage]
        try:
            state = self.checkpoints._read(path, math.inf)
        except OSError:
            state = None
        if state is None:
            raise UserError(
                f"checkpoint {path.name} of {path.parent.parent.name} was whole when the run went"
                " on, and is not now; expected that nothing else writes to its folder"
            )
        return state


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _shards_of(path: Path) -> Path:
    return path.with_name(f"{path.name.partition('.')[0]}.shards")


def _content(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _loaded(content: bytes) -> Any:
    """What a checkpoint holds; to read it executes nothing."""
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
