"""The run: the loop, the log, exact resume, results and figures of one execution."""

from __future__ import annotations

import copy
import math
import os
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import torch
from torch import nn

from etude.claims import Claim, Verdict
from etude.errors import UserError, memory_trouble, out_of_memory
from etude.runs import keeping, placement
from etude.runs.checkpoints import Checkpoints, disk_trouble, write_atomically
from etude.runs.folder import RunFolder, as_json, environment, find_runs, peak_memory
from etude.runs.metrics import MetricsFile, Value, Window
from etude.runs.progress import Progress, clock
from etude.runs.random_state import random_state, restore_random_state, seed_everything
from etude.runs.shards import load as load_state
from etude.runs.shards import scatter
from etude.runs.streams import Stateful, Stream
from etude.runs.workers import Strategy, Workers, count_rows, launch_name, lost, restarted, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from etude.figures.animations import Film

T = TypeVar("T")
CHECKPOINT_SECONDS = 30.0
STATUS_SECONDS = 1.0
TALK_SECONDS = 0.5
ROWS = 200  # rows of metrics for a loop, whatever its length
SHOWN = 16  # metrics that are printed at the end; the report has them all


class Interrupted(SystemExit):
    """The run was asked to stop (Ctrl-C, SIGTERM), saved itself and can be resumed; exit
    code 130.
    """

    def __init__(self, message: str) -> None:
        super().__init__(130)
        self.message = message


class Diverged(UserError):
    """The loss is NaN or infinite."""


class Run:
    """One execution: ``with Run("mine") as run:`` gives any PyTorch script the loop, the log and
    exact resume.

    A run is a durable function. When it is resumed, the script (or study) is executed again from
    its first line with the same seed; :meth:`steps` finds the last checkpoint, puts back everything
    in ``state``, the batches and the random generators, and goes on at the next step. The numbers
    are those of a run that was never stopped, bit for bit.

    Args:
        name: the study, or any name for a script of your own.
        seed: seeds Python's, NumPy's and PyTorch's generators.
        scale: the named setting, for the record.
        fields: the hyper-parameters, for the record.
        claims: judged on the results when the run ends.
        about: more for ``study.json``: title, lesson, source file.
        root: the folder of all runs (else ``$ETUDE_RUNS``, else ``runs``).
        resume: a run's folder or name, to go on with it.
        device: ``cpu``, ``cuda``, ``cuda:1`` …; the fastest one by default.
        precision: ``auto`` (see :mod:`etude.runs.placement`), ``fp32`` or ``bf16``.
        compiled: compile what is placed; pays only for long runs.
        checkpoint_every: seconds between checkpoints; by default 30, or more where saving is slow.
        quiet: print nothing.
        strategy: where several processes carry out the run (see :mod:`etude.runs.workers`), what
            each of them holds: ``ddp``, the whole network, or ``fsdp``, a shard of it.

    Raises:
        UserError: the folder can't be made or is in use, the device is not there.
    """

    def __init__(
        self,
        name: str,
        *,
        seed: int = 0,
        scale: str = "quick",
        fields: Mapping[str, Any] | None = None,
        claims: Sequence[Claim] = (),
        about: Mapping[str, Any] | None = None,
        root: str | Path | None = None,
        resume: str | Path | RunFolder | None = None,
        device: str | None = None,
        precision: placement.Precision = "auto",
        compiled: bool = False,
        checkpoint_every: float | None = None,
        quiet: bool = False,
        strategy: Strategy = "ddp",
    ) -> None:
        if not 0 <= seed < 2**63:
            raise UserError(f"the seed is {seed}; expected a whole number from 0 to 2^63 - 1")
        self.workers = Workers.here(strategy)
        self.name, self.seed, self.scale = name, seed, scale
        self.fields = dict(fields or {})
        self.claims = list(claims)
        self.device = placement.choose_device(
            device, self.workers.local if self.workers.many else None
        )
        self.precision: placement.Precision = precision
        self.compiled = compiled
        self.verdicts: list[Verdict] = []
        self.metrics: dict[str, float] = {}
        self._about = dict(about or {})
        self._root = root
        self._resume = (
            resume if isinstance(resume, RunFolder | None) else RunFolder.open(resume, root)
        )
        self._checkpoint_every = checkpoint_every
        self._held_out: dict[str, int] = {}
        self._progress = Progress(quiet or not self.workers.first)
        self._part = ""
        self._fold: tuple[int, int] | None = None
        self._stage = self._step = self._stages_here = 0
        self._total: int | None = None
        self._in_step = self._in_loop = self._over = self._flush_now = False
        self._broken_off: Callable[[], None] | None = None
        self._signal: int | None = None
        self._micro: dict[int, int] = {}
        self._weight = 1.0  # of this process's rows in the batch
        self._talk_at = 0
        self._talked = (0, 0.0)
        self._unchecked: list[tuple[int, torch.Tensor]] = []
        self._notes: list[str] = []
        self._cover = ""
        self._seconds_before = 0.0

    # -- entering and leaving ----------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.workers.join(self.device)
        self._open_folder()
        self._told = 0.0
        self._checkpoints = Checkpoints(self.folder.checkpoint, self.say, self.workers)
        self._finished, self._partial = self._restored() if self._resume else ([], None)
        if self._resume:
            recorded = self.folder.study()
            self.seed = recorded["seed"]
            if recorded.get("devices", 1) == self.workers.size:
                torch.set_num_threads(
                    recorded["threads"]
                )  # sums are split among threads: the same number, equal bits
            (self.folder.path / "error.txt").unlink(missing_ok=True)
        elif self.workers.first:
            self._record()
        replaying = bool(self._finished or self._partial)
        self._file = MetricsFile(
            self.folder.metrics_jsonl if self.workers.first else None, replaying=replaying
        )
        self._window = Window()
        self._handlers: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._on_signal)
        seed_everything(self.seed)
        torch.backends.cudnn.deterministic = True
        placement.keep_memory()
        self._began = self._saved = time.monotonic()
        self._save_cost = 0.0
        crew = (
            f"{self.workers.size} processes ({self.workers.strategy}) of "
            if self.workers.many
            else ""
        )
        self.say(
            f"{self.name} · {self.scale} · seed {self.seed} · {self.device},"
            f" {crew}{torch.get_num_threads()} threads → {self.folder.path}"
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        self._progress.stop(self._step)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        try:
            if self._broken_off is not None and (error is None or not self.workers.many):
                self._unchecked = self._unchecked if error is None else []
                self._flush()
            self._file.close()
            if error is None:
                self._finish()
            elif isinstance(error, KeyboardInterrupt | Interrupted):
                self.say(
                    getattr(error, "message", "")
                    or f"stopped; start again with: etude resume {self.folder.path}"
                )
            elif self.workers.many and lost(error):
                raise UserError(
                    f"process {self.workers.rank} of {self.workers.size} lost the others; go on"
                    f" with: etude resume {self.folder.path} --devices {self.workers.size}"
                ) from error
            elif self.workers.first:
                text = "".join(traceback.format_exception(kind, error, trace))
                with suppress(OSError):  # a full disk is told else
                    (self.folder.path / "error.txt").write_text(text, encoding="utf-8")
            if error is not None and out_of_memory(error):
                raise memory_trouble(error, self.fields) from error
            if (
                isinstance(error, OSError)
                and error.filename
                and self.folder.path in Path(error.filename).parents
            ):
                raise disk_trouble(error, Path(error.filename)) from error
        finally:
            if self.workers.first:
                self._lock.release()
                with suppress(OSError):  # a folder that may no longer be written
                    self.folder.status_json.unlink(missing_ok=True)
                    (self.folder.path / ".lock").unlink(missing_ok=True)
                if isinstance(error, UserError) and not self._stage and not self._resume:
                    shutil.rmtree(
                        self.folder.path, ignore_errors=True
                    )  # it never began: missing data, say
            self.workers.leave()

    def _restored(self) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Where to go on: not after rows that the log has lost, for they must be written again."""
        log = self.folder.metrics_jsonl
        return self._checkpoints.restore(log.stat().st_size if log.is_file() else 0)

    def _open_folder(self) -> None:
        """Make or find the run's folder and lock it; the first process does so, and tells the
        others.
        """
        told = ""
        if self.workers.first:
            try:
                self._resume = self._resume or self._restarted()
                self.folder = self._resume or RunFolder.create(self.name, self._root)
                self._lock = self.folder.lock()
                if self._resume and self.folder.result_json.is_file():
                    self._lock.release()
                    raise UserError(
                        f"run {self.folder.name} is finished; there is nothing to resume"
                    )
                self.folder.tell(pid=os.getpid())
                told = ("old " if self._resume else "new ") + str(self.folder.path.resolve())
            except UserError as error:
                self.workers.tell(f"not {error}")
                raise
        kind, _, text = self.workers.tell(told).partition(" ")
        if self.workers.first:
            return
        if kind == "not":
            self.workers.leave()
            raise UserError(text)
        self.folder = RunFolder(text)
        self._resume = self.folder if kind == "old" else None

    def _restarted(self) -> RunFolder | None:
        """The run that this launch began before a fault, where torchrun or SLURM has started it
        again.
        """
        if not restarted():
            return None
        began = [run for run in find_runs(self._root) if run.path.parent.name == self.name]
        own = [
            run
            for run in began
            if run.study().get("launch") == launch_name() and run.state != "finished"
        ]
        return own[-1] if own else None

    def say(self, message: str) -> None:
        """One line to the person who watches, and to those who look later: it stands in the run's
        ``log.txt``.
        """
        self._progress.say(message)
        if hasattr(self, "folder") and self.workers.first:
            with (
                suppress(OSError),
                self.folder.log_txt.open("a", encoding="utf-8") as file,
            ):  # a full disk is told else
                file.write(message + "\n")

    # -- the loop ----------------------------------------------------------------------------------

    def place(self, net: T) -> T:
        """Put a network, a tensor or ragged rows where this run computes: device, memory layout,
        precision.

        A network is changed in place and returned. It runs under autocast where bf16 pays, and
        gives back fp32.
        """
        if isinstance(net, nn.Module):
            note = (
                f"{type(net).__name__}:"
                f" {placement.place(net, self.device, self.precision, self.compiled)}"
            )
            self.workers.spread(
                net, placement.choose_precision(net, self.device, self.precision)[0]
            )
            if note not in self._notes:
                self._notes.append(note)
                self.say(note)
            return net
        return cast(T, net.to(self.device)) if hasattr(net, "to") else net

    def steps(
        self,
        batches: Iterable[T],
        steps: int | None = None,
        *,
        state: Stateful | Sequence[Stateful | torch.Generator] = (),
        name: str | None = None,
    ) -> Iterator[T]:
        """The training loop: yields ``steps`` batches, and around each does the book-keeping.

        Args:
            batches: any iterable; one that ends is started again until ``steps`` are done. One with
                a ``state_dict`` is resumed by it; any other is drawn from again, from the random
                state in which its pass began.
            steps: how many; by default one pass.
            state: everything that changes in the loop and has a ``state_dict``. What is left out is
                not resumed.
            name: of the stage, for logs and curves, where a run has several.

        Loops may follow one another (stages), not nest. ``break`` ends a stage early. Of several
        processes each gets its own rows of the batch, and random numbers of its own in the loop's
        body; a batch without rows goes to all.
        """
        if self._in_step:
            raise RuntimeError("run.steps inside run.steps: loops may follow one another, not nest")
        self._settle()
        parts = list(state) if isinstance(state, Sequence) else [state]
        stage, self._stage = self._stage, self._stage + 1
        self._stages_here += 1
        name = name or (f"stage {self._stages_here}" if self._stages_here > 1 else "")
        self._stage_name = " · ".join(filter(None, (self._part, name)))
        if steps is None and isinstance(batches, Sized):
            steps = len(batches)
        self._total = steps
        self._every_row = max(1, (steps or 0) // ROWS)
        stream = Stream(batches)
        self._step = 0
        if stage < len(self._finished):
            last = stage + 1 == len(self._finished) and self._partial is None
            self._put_back(self._finished[stage], parts, stream, last=last)
            return
        if stage == len(self._finished) and self._partial:
            self._put_back(self._partial, parts, stream, last=True)
            self.say(f"resumed {self._stage_name or 'training'} at step {self._step:,}")
            self._partial = None
        label = f"{self.name} {self._stage_name}".strip()
        self._progress.start(label, steps, self._step)
        self._talk_at, self._talked = 0, (0, 0.0)
        self._in_loop = True
        try:
            while steps is None or self._step < steps:
                try:
                    batch = stream.draw(again=steps is not None)
                except StopIteration:
                    break
                self._in_step = True
                if self.workers.many and count_rows(batch):
                    batch, common = self._own_rows(batch, stage)
                    yield batch
                    restore_random_state(common)
                    self._weight = 1.0
                else:
                    yield batch
                self._in_step = False
                self._after_step(stage, parts, stream)
        except GeneratorExit:
            # A break, which ends the stage, or an error in the loop's body: what follows tells
            # which.
            self._in_step = self._in_loop = False
            if self._over:
                return
            self._weight = 1.0
            self._step += 1
            self._progress.stop(self._step)
            self._broken_off = self._break_off(stage, copy.deepcopy(self._taken(parts, stream)))
            return
        self._flush()
        self._progress.stop(self._step)
        self.workers.check_alike([part for part in parts if isinstance(part, nn.Module)], self.name)
        self._checkpoints.prepare(stage, self._snapshot(parts, stream))()
        self._in_loop = False
        if self.workers.highest(self._signal or 0)[0]:
            raise Interrupted(
                "stopped at the end of this loop, all saved; go on with: etude resume"
                f" {self.folder.path}"
            )

    def minimise(
        self,
        loss: torch.Tensor,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
        *,
        clip: float | None = None,
        accumulate: int = 1,
    ) -> None:
        """One step of gradient descent on ``loss`` (a scalar): zero, backward, clip, step.

        Args:
            loss: of this batch.
            optimizer: its parameters get the step.
            schedule: stepped after the optimiser.
            clip: the largest allowed norm of the gradient of all the optimiser's parameters
                together.
            accumulate: step only every so many calls, on the mean of their gradients.

        Raises:
            Diverged: the loss is NaN or infinite; nothing was changed, and the last checkpoint is
                from before.
        """
        if loss.device.type == "cpu":
            self._check(self._step, loss.item())
        else:
            self._unchecked.append(
                (self._step, loss.detach())
            )  # looked at with the next row: waiting costs time
        micro = self._micro.get(id(optimizer), 0)
        if micro == 0:
            optimizer.zero_grad(set_to_none=True)
        weight = self._weight / accumulate
        (loss * weight if weight != 1 else loss).backward()  # type: ignore[no-untyped-call]
        if micro + 1 < accumulate:
            self._micro[id(optimizer)] = micro + 1
            return
        self._micro[id(optimizer)] = 0
        if clip is not None or self.workers.many:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            self.workers.average(parameters)
            if clip is not None:
                nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        if schedule is not None:
            schedule.step()

    def every(self, steps: int) -> bool:
        """True on every ``steps``-th step, and on the last; what is logged then stands at that very
        step.
        """
        due = (self._step + 1) % max(steps, 1) == 0 or self._step + 1 == self._total
        self._flush_now |= due
        return due

    @property
    def step(self) -> int:
        """Steps done in this loop."""
        return self._step

    @property
    def progress(self) -> float:
        """The part of this loop's steps that is done, from 0 to 1."""
        return self._step / self._total if self._total else 0.0

    def log(self, **metrics: Value) -> None:
        """Log numbers or scalar tensors; inside a loop a row holds the means over a short window of
        steps.
        """
        if self._weight != 1:
            metrics = {key: value * self._weight for key, value in metrics.items()}
        if not self._in_step:
            self._settle()
        self._window.add(metrics)
        if not self._in_step:
            self._write_row({})

    @contextmanager
    def part(
        self, name: str, *, seed: int, fold: tuple[int, int] | None = None
    ) -> Iterator[dict[str, float]]:
        """A run within the run: one variant of a comparison, one fold of a cross-validation.

        Inside, ``run.seed`` and the random generators are the part's own, and afterwards what they
        were. Its loops are stages of this run, and resume as such. ``run.result`` fills the mapping
        that this gives; figures and networks of a part are not kept.

        Args:
            name: for logs and curves; what stands before `` #`` is drawn in one colour.
            seed: of the part.
            fold: (k, K): it validates on part k of K of the training data
                (:func:`etude.training.validation.split`).
        """
        outer = (
            self.seed,
            self.metrics,
            self._held_out,
            self._part,
            self._fold,
            self._stages_here,
            random_state(),
        )
        self.seed, self.metrics, self._held_out = seed, {}, {}
        self._part, self._fold, self._stages_here = name, fold, 0
        seed_everything(seed)
        try:
            yield self.metrics
        finally:
            (
                self.seed,
                self.metrics,
                self._held_out,
                self._part,
                self._fold,
                self._stages_here,
                drawn,
            ) = outer
            restore_random_state(drawn)

    @property
    def fold(self) -> tuple[int, int] | None:
        """(k, K) while fold k of K is under way."""
        return self._fold

    @property
    def held_out(self) -> dict[str, int]:
        """On how many held-out examples each result was measured."""
        return {key: n for key, n in self._held_out.items() if n}

    # -- what remains ------------------------------------------------------------------------------

    def result(self, metrics: Mapping[str, float | torch.Tensor], *, held_out: int = 0) -> None:
        """Final metrics. ``held_out``: on how many examples that training never saw they
        were measured.
        """
        for key, value in metrics.items():
            self.metrics[key] = float(value.detach() if isinstance(value, torch.Tensor) else value)
            self._held_out[key] = held_out

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table and keep it as ``tables/<name>.csv``; the report shows it.

        Cells are texts or numbers.
        """
        if not self._silent:
            for line in keeping.table(self.folder, name, columns, rows):
                self.say(f"  {line}")

    def figure(self, name: str, figure: Figure, *, cover: bool = False) -> None:
        """Keep a Matplotlib figure as ``figures/<name>.svg`` and ``.png``, and close it.

        ``cover``: it stands for the run where one small picture is shown; else the first one does.
        """
        self._cover = name if cover else self._cover
        keeping.figure(None if self._silent else self.folder, name, figure)

    def drawing(self, name: str, svg: str) -> None:
        """Keep a picture that is SVG already, as ``figures/<name>.svg``."""
        if not self._silent:
            keeping.drawing(self.folder, name, svg)

    def animation(self, name: str, film: Film, *, fps: int = 20, cover: bool = False) -> None:
        """Keep a film as ``figures/<name>.gif``, and its last frame as a figure for paper."""
        self._cover = name if cover else self._cover
        keeping.animation(None if self._silent else self.folder, name, film, fps)

    def keep(self, net: nn.Module, name: str = "network") -> None:
        """Keep the weights as ``<name>.safetensors``: tensors only, safe to load from anyone."""
        state = whole(net.state_dict())  # all processes have a part in it
        if not self._silent:
            keeping.weights(self.folder, name, state)

    # -- inside ------------------------------------------------------------------------------------

    @property
    def _silent(self) -> bool:
        """Whether figures, tables and networks are not to be kept: in a part, and by processes
        after the first.
        """
        return bool(self._part) or not self.workers.first

    def _own_rows(self, batch: T, stage: int) -> tuple[T, dict[str, Any]]:
        """A batch's rows for this process; the random state that all have in common is put aside
        for its own.
        """
        common = random_state()
        own, self._weight = cast("tuple[T, float]", self.workers.share(batch))
        seed_everything(hash((self.seed, stage, self._step, self.workers.rank)) % 2**63)
        return own, common

    def _record(self) -> None:
        about = {
            "study": self.name,
            "scale": self.scale,
            "seed": self.seed,
            "fields": self.fields,
            "device": str(self.device),
            "precision": self.precision,
            "compiled": self.compiled,
            "threads": torch.get_num_threads(),
            **(
                {"devices": self.workers.size, "strategy": self.workers.strategy}
                if self.workers.many
                else {}
            ),
            **({"launch": launch_name()} if launch_name() else {}),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **environment(),
            **self._about,
        }
        write_atomically(self.folder.study_json, as_json(about).encode())

    def _after_step(self, stage: int, parts: list[Any], stream: Stream[Any]) -> None:
        self._step += 1
        if self._flush_now or self._step % self._every_row == 0:
            self._flush()
        self._progress.update(self._step)
        now = time.monotonic()
        if now - self._told >= STATUS_SECONDS and self.workers.first:
            self._told = now
            self.folder.tell(
                pid=os.getpid(), stage=self._stage_name, step=self._step, total=self._total
            )
        pause = self._checkpoint_every
        if pause is None:
            pause = max(
                CHECKPOINT_SECONDS, 50 * self._save_cost
            )  # saving takes at most 2 % of the time
        due = now - self._saved >= pause or self._signal is not None
        if self.workers.many:
            due = self._agree(due, now)
        if due and not any(
            self._micro.values()
        ):  # between whole steps: half-summed gradients are not kept
            self._check_all()
            self._checkpoints.save(stage, self._step, self._snapshot(parts, stream))
            self._saved = time.monotonic()
            self._save_cost = self._saved - now
            if self._signal is not None:
                of = f" of {self._total:,}" if self._total else ""
                raise Interrupted(
                    f"stopped after step {self._step:,}{of}, all saved; go on with: etude resume"
                    f" {self.folder.path}"
                )

    def _agree(self, due: bool, now: float) -> bool:
        """Whether all save after this step. They talk about twice a second: a word costs
        what a small step does.
        """
        if self._step < self._talk_at:
            return False
        step, at = self._talked
        seconds = (now - at) / max(self._step - step, 1) if 0 < step < self._step else math.inf
        pause = min(max(TALK_SECONDS / seconds, 1.0), 1_000.0) if self.workers.first else 0.0
        stop, save, ahead = self.workers.highest(
            self._signal or 0, due and self.workers.first, pause
        )
        self._talked, self._talk_at = (self._step, now), self._step + int(ahead)
        self._signal = int(stop) or None
        return bool(stop or save)

    def _break_off(self, stage: int, taken: dict[str, Any]) -> Callable[[], None]:
        """What is due when it is known that a stage ended by a break; after an error nobody talks
        to the others.
        """

        def end() -> None:
            self._flush()
            self._checkpoints.prepare(stage, taken | self._logged())()

        return end

    def _settle(self) -> None:
        """A stage that was left early was left by a break, for the code goes on."""
        if self._broken_off is not None:
            end, self._broken_off = self._broken_off, None
            end()

    def _snapshot(self, parts: list[Any], stream: Stream[Any]) -> dict[str, Any]:
        return self._taken(parts, stream) | self._logged()

    def _taken(self, parts: list[Any], stream: Stream[Any]) -> dict[str, Any]:
        return {
            "step": self._step,
            "state": [
                p.get_state() if isinstance(p, torch.Generator) else p.state_dict() for p in parts
            ],
            "batches": stream.state_dict(),
            "random": random_state(),
        }

    def _logged(self) -> dict[str, Any]:
        window = self._window.state_dict()
        window["sums"] = self.workers.mean(window["sums"])
        return {"window": window, "metrics_bytes": self._file.sync(), "seconds": self._seconds()}

    def _put_back(
        self, saved: dict[str, Any], parts: list[Any], stream: Stream[Any], *, last: bool
    ) -> None:
        if len(saved["state"]) != len(parts):
            raise UserError(
                f"run {self.folder.name} can't be resumed: its checkpoint holds"
                f" {len(saved['state'])} states, the code gives {len(parts)}; expected the code"
                " that began the run"
            )
        states = scatter(saved["state"], self.workers, self.device)
        for part, state in zip(parts, states, strict=True):
            if isinstance(part, torch.Generator):
                part.set_state(state)
                continue
            try:
                load_state(part, state)
            except (RuntimeError, ValueError, KeyError) as error:
                raise UserError(
                    f"run {self.folder.name} can't be resumed: the state of its"
                    f" {type(part).__name__} does not fit ({str(error).splitlines()[0]}); expected"
                    " the code that began the run"
                ) from error
        self._step = saved["step"]
        stream.load_state_dict(saved["batches"])
        restore_random_state(saved["random"])
        self._window.load_state_dict(saved["window"])
        if last:
            self._file.go_on_at(saved["metrics_bytes"])
            self._seconds_before = saved["seconds"]
            self._began = self._saved = time.monotonic()

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._began

    def _flush(self) -> None:
        self._flush_now = False
        self._check_all()
        place = {"stage": self._stage_name} if self._stage_name else {}
        self._write_row({**place, "step": self._step})

    def _write_row(self, where: dict[str, Any]) -> None:
        means = self.workers.mean(self._window.means())
        if means:
            self._file.write({**where, "seconds": round(self._seconds(), 3), **means})
            self._file.flush()
            self._progress.show(means)

    def _check(self, step: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss is {loss} at step {step + 1:,} of {self.name}; expected a finite number:"
                " a smaller learning rate, a warm-up or gradient clipping may help"
            )

    def _check_all(self) -> None:
        if self._unchecked:
            losses = torch.stack([loss for _, loss in self._unchecked]).tolist()
            pending, self._unchecked = self._unchecked, []
            for (step, _), loss in zip(pending, losses, strict=True):
                self._check(step, loss)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._in_loop and self._signal is None:
            self._signal = number
            self.say("stopping after this step (once more: at once) …")
        else:
            raise Interrupted(f"stopped; go on with: etude resume {self.folder.path}")

    def _finish(self) -> None:
        self.verdicts = [
            claim.judge([self.metrics.get(claim.metric)], self._held_out.get(claim.metric, 0))
            for claim in self.claims
            if claim.scale == self.scale
        ]
        if not self.workers.first:
            return
        seconds = self._seconds()
        if self.workers.sent:
            self._notes.append(
                f"{self.workers.sent / 1e6:,.1f} MB of gradients averaged over {self.workers.size}"
                " processes"
            )
        result = {
            "metrics": self.metrics,
            "held_out": self.held_out,
            "claims": [verdict.as_json() for verdict in self.verdicts],
            "seconds": round(seconds, 3),
            "peak_memory_bytes": peak_memory(),
            "notes": self._notes,
            **({"cover": self._cover} if self._cover else {}),
        }
        write_atomically(self.folder.result_json, as_json(result).encode())
        from etude.runs.report import write_report

        try:
            write_report(self.folder)
        except (
            BaseException
        ):  # a full disk, say, or Ctrl-C: it is not finished, and a resumed run does all this again
            self.folder.result_json.unlink(missing_ok=True)
            raise
        self._checkpoints.clear()
        if len(self.metrics) <= SHOWN:
            for key, value in self.metrics.items():
                self.say(f"  {key:<24} {value:.4g}")
        for verdict in self.verdicts:
            self.say(
                f"{verdict.mark} {verdict.claim.metric} {verdict.claim.bound}: {verdict.measured}"
            )
        self.say(f"{clock(seconds)} · {self.folder.report_html}")
