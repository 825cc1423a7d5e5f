"""The run: the loop, the log, exact resume, results and figures of one execution."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np
import torch
from torch import nn

from etude.claims import Claim, Verdict, check_controls
from etude.errors import UserError
from etude.runs import keeping, placement, record
from etude.runs.checkpoints import Checkpoints
from etude.runs.differences import differences
from etude.runs.folder import RunFolder, check_record, peak_memory
from etude.runs.gradients import Schedule
from etude.runs.lifecycle import Lifecycle
from etude.runs.metrics import Log, MetricsFile, Value, Window, loggable
from etude.runs.policy import SavePolicy
from etude.runs.progress import Progress
from etude.runs.random_state import random_state, restore_random_state, seed_everything
from etude.runs.stage import Diverged, Interrupted, Past, Services, Stage
from etude.runs.streams import Stateful
from etude.runs.threads import set_threads
from etude.runs.turns import Turn
from etude.runs.words import computed_by, how_to_resume, last_lines
from etude.runs.workers import Strategy, Workers, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from etude.figures.animations import Film

__all__ = ["Diverged", "Interrupted", "Run"]

T = TypeVar("T")
Changing = Stateful | torch.Generator | np.random.Generator | np.random.RandomState | random.Random


@dataclass
class Part:
    """What is one's own in a run within the run; the run itself is the outermost part."""

    seed: int
    name: str = ""
    fold: tuple[int, int] | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    held_out: dict[str, int] = field(default_factory=dict)
    stages: int = 0  # so far


class Run:
    """One execution: ``with Run("mine") as run:`` gives any PyTorch script the loop, the log and
    exact resume.

    A run is a durable function. When it is resumed, the script (or study) is executed again from
    its first line with the same seed; :meth:`steps` finds the last checkpoint, puts back everything
    in ``state``, the batches and the random generators, and goes on at the next step. The numbers
    are those of a run that was never stopped, bit for bit.

    Args:
        name: the study, or any name for a script of your own that a folder can have.
        seed: seeds Python's, NumPy's and PyTorch's generators; by default 0. A resumed run has that
            with which it began.
        scale: the named setting, for the record.
        fields: the hyper-parameters, for the record; ``vars(args)`` of argparse will do. Numbers of
            NumPy, paths, devices and the like are written by their values and names.
        claims: judged on the results when the run ends.
        about: more for ``study.json``: title, lesson, source file.
        root: the folder of all runs (else ``$ETUDE_RUNS``, else ``runs``).
        resume: a run's folder or name, to go on with it. ``auto`` goes on with the last run of this
            name, seed, scale and fields that is not finished, and begins a new one where there is
            none: so a script is started and resumed by the same line.
        device: ``cpu``, ``cuda``, ``cuda:1`` …, ``mps``; ``cuda`` by default where there is one.
        precision: ``auto`` (see :mod:`etude.runs.placement`), ``fp32`` or ``bf16``.
        compiled: compile what is placed; pays only for long runs.
        checkpoint_every: seconds between checkpoints; by default 30, or more where saving is slow.
        quiet: print nothing.
        threads: processor threads, and in words the reason for that number; PyTorch's by default.
            A resumed run has those with which it began.
        strategy: where several processes carry out the run (see :mod:`etude.runs.workers`), what
            each of them holds: ``ddp``, the whole network, or ``fsdp``, a shard of it.
        begin_again: where a run is resumed and none of its checkpoints can be used, begin at its
            first step; else that is an error.
        stop_after: stop after so many steps, counted over all loops, and save, as by Ctrl-C.

    Runs may follow one another in one process. One that is begun within another leaves the random
    numbers of the outer one where they were; meanwhile the outer one takes no step.

    Raises:
        UserError: the folder can't be made or is in use, the device is not there, a run is under
            way in another thread of this process, or a name or a field can't be recorded: all that
            is recorded is checked here, by the code that reads it later.
    """

    def __init__(
        self,
        name: str,
        *,
        seed: int | None = None,
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
        threads: int | tuple[int, str] | None = None,
        strategy: Strategy = "ddp",
        begin_again: bool = False,
        stop_after: int | None = None,
    ) -> None:
        name = record.checked_file_name("the run's name", name)
        seeds = "a whole number from 0 to 2^63 - 1"
        self._asked_seed = seed
        seed = 0 if seed is None else record.whole_number("the seed", seed, seeds)
        if not 0 <= seed < 2**63:
            raise UserError(f"the seed is {seed}; expected {seeds}")
        self.workers = Workers.here(strategy)
        self.name = name
        self.scale = scale
        self.fields = record.plain_fields(fields or {})
        self.claims = _claims(claims)
        self.device = placement.choose_device(
            device, self.workers.local if self.workers.many else None
        )
        self.precision: placement.Precision = precision
        self.compiled = compiled
        self.verdicts: list[Verdict] = []
        self._about = {key: record.plain(key, value) for key, value in (about or {}).items()}
        settings = {"study": name, "scale": scale, "seed": seed, "fields": self.fields}
        verdicts = [claim.judge([None]).as_json() for claim in self.claims]
        check_record(settings | self._about, verdicts)
        self._part = Part(seed)
        self._threads, self._why_threads = threads if isinstance(threads, tuple) else (threads, "")
        self._life = Lifecycle(
            name,
            root,
            "auto" if resume == "auto" else _opened(resume, root),
            settings,
            self.workers,
        )
        self._begin_again = begin_again
        self._policy = SavePolicy(checkpoint_every, stop_after=stop_after)
        self._progress = Progress(quiet or not self.workers.first)
        self._stages = 0  # so far
        self._turn = Turn(name)
        self._notes: list[str] = []
        self._cover = ""
        self._logged: set[str] = set()  # metrics whose names were looked at
        self._names = keeping.Names()

    # -- entering and leaving ----------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._turn.take()
        self.workers.join(self.device)
        try:
            self._life.open()
        except BaseException:
            self._turn.give_back()
            raise
        self._threads_before = torch.get_num_threads()
        try:
            set_threads(self._threads or self._threads_before)
            self._begin()
        except BaseException:
            self._life.restore_signals()
            torch.set_num_threads(self._threads_before)
            self._life.close(discard=True)
            self._turn.give_back()
            raise
        return self

    def _begin(self) -> None:
        """Find out what was done before, if anything, and get ready for the first step."""
        checkpoints = Checkpoints(self.folder.checkpoint, self.say, self.workers)
        self._past = Past()
        if self._life.resumed:
            self._take_over(self.folder.study())
            log = self.folder.metrics_jsonl  # rows that it has lost must be written again
            length = log.stat().st_size if log.is_file() else 0
            self._past = Past(*checkpoints.restore(length, begin_again=self._begin_again))
            self._life.go_on()
        elif self.workers.first:
            self._life.record(self._how() | self._about)
        file = MetricsFile(
            self.folder.metrics_jsonl if self.workers.first else None, replaying=bool(self._past)
        )
        self._policy.restart()
        self._services = Services(
            run=self.name,
            folder=self.folder.name,
            device=self.device,
            workers=self.workers,
            checkpoints=checkpoints,
            log=Log(file, self.workers, self._progress.show),
            policy=self._policy,
            progress=self._progress,
            tell=self._life.tell,
            say=self.say,
            note=self._note,
            check_turn=self._turn.check,
            how_to_resume=how_to_resume(
                self.name,
                self.folder.path,
                study="source" in self._about,
                auto=self._life.resume == "auto",
            ),
        )
        self._current = Stage[Any](self._services, -1, "", (), None, (), self.seed)
        self._life.handle_signals(self._on_signal)
        seed_everything(self.seed)
        torch.backends.cudnn.deterministic = True
        placement.keep_memory()
        why = self._why_threads if torch.get_num_threads() == self._threads else ""
        by = computed_by(self.device, self.workers, why)
        self.say(f"{self.name} · {self.scale} · seed {self.seed} · {by} → {self.folder.path}")
        if self.device.type == "mps":
            self.say(placement.MPS_PROMISE)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop(self.step)
        self._life.restore_signals()
        # a mistake that is told before the first step is done leaves nothing
        never_began = (
            isinstance(error, UserError)
            and not self._past
            and self._policy.steps == 0
            and not self._services.log.file.written
        )
        try:
            self._stage.run_is_over(error)
            self._services.log.file.close()
            if error is None:
                self._finish()
            elif isinstance(error, KeyboardInterrupt | Interrupted):
                self.say(getattr(error, "message", f"stopped; {self._services.how_to_resume}"))
            else:
                self._life.keep_traceback(error)
                explanation = self._life.explanation(error, self.fields)
                if explanation is not None:
                    raise explanation from error
        finally:
            torch.set_num_threads(self._threads_before)
            self._life.close(discard=never_began)
            self._turn.give_back()

    @property
    def _stage(self) -> Stage[Any]:
        """The loop that is under way, or was last.

        Raises:
            UserError: the run has not been entered.
        """
        try:
            return self._current
        except AttributeError:
            raise UserError(
                f"run {self.name} has not begun; expected: with etude.Run(…) as run:"
            ) from None

    @property
    def folder(self) -> RunFolder:
        """Where all that the run leaves is kept.

        The log of a loop that was left by ``break`` is whole there; of several processes it is once
        all have called :meth:`curves`.
        """
        if hasattr(self, "_current") and not self.workers.many:
            self._current.settle()
        return self._life.folder

    def curves(self) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
        """What was logged so far: ``{metric: {stage: (steps, values)}}``.

        Where several processes carry out the run, all of them ask for it together, for each has a
        part in the last row.
        """
        self._stage.settle()
        self.workers.wait()  # until the first one has written the row
        return self._life.folder.curves()

    @property
    def seed(self) -> int:
        """Of the run, or of the part of it that is under way."""
        return self._part.seed

    @property
    def metrics(self) -> dict[str, float]:
        """The results so far, of the run or of the part of it that is under way."""
        return self._part.metrics

    def say(self, message: str) -> None:
        """One line to the person who watches, and to those who look later: it stands in the run's
        ``log.txt``.
        """
        self._progress.say(message)
        self._life.note(message)

    def _note(self, message: str) -> None:
        """A line that stands in the report as well."""
        self.say(message)
        self._notes.append(message)

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
        state: Changing | Sequence[Changing] = (),
        name: str | None = None,
    ) -> Iterator[T]:
        """The training loop: yields ``steps`` batches, and around each does the book-keeping.

        Args:
            batches: any iterable; one that ends is started again until ``steps`` are done. One with
                a ``state_dict`` is resumed by it; any other is drawn from again, from the random
                state in which its pass began.
            steps: how many; by default one pass. Where the batches end before, the run says so, and
                its report too; a loop without any step is an error. One loop over several epochs is
                ``run.steps(loader, epochs * len(loader))``: a loop around ``run.steps`` would make
                a stage, and a curve, of every epoch.
            state: everything that changes in the loop and has a ``state_dict``, and random
                generators of one's own. What is left out is not resumed; what
                :meth:`minimise` changes and is left out is an error. A network's modes (``train``,
                ``eval``) and ``requires_grad`` are kept with it.
            name: of the stage, for logs and curves, where a run has several.

        Loops may follow one another (stages), not nest. ``break`` ends a stage early. Of several
        processes each gets its own rows of the batch, and random numbers of its own in the loop's
        body; a batch without rows goes to all.

        Raises:
            UserError: something in ``state`` can't be kept, or there is no step to take.
        """
        if name is not None and name != "":
            record.checked_name("a stage's name", name)
        if self._stage.in_body:
            raise RuntimeError("run.steps inside run.steps: loops may follow one another, not nest")
        self._stage.settle()
        self._part.stages += 1
        count = self._part.stages
        shown = name or (f"stage {count}" if count > 1 else "")
        shown = " · ".join(filter(None, (self._part.name, shown)))
        number, self._stages = self._stages, self._stages + 1
        stage = Stage(self._services, number, shown, batches, steps, state, self.seed)
        if name is None:
            stage.follow(self._stage)
        self._current = stage
        if not self._past.put_back(stage):
            yield from stage.loop()

    def minimise(
        self,
        loss: torch.Tensor,
        optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer],
        schedule: Schedule | Sequence[Schedule] | None = None,
        *,
        clip: float | None = None,
        accumulate: int = 1,
    ) -> None:
        """One step of gradient descent on ``loss`` (a scalar): zero, backward, clip, step.

        Args:
            loss: of this batch.
            optimizer: its parameters get the step; or several, which all take one on this loss.
            schedule: stepped after the optimiser; or several.
            clip: the largest allowed norm of the gradient of all these optimisers' parameters
                together.
            accumulate: step only every so many calls, on the mean of their gradients. A sum that is
                not complete where its loop ends is dropped, and the run says so.

        Raises:
            Diverged: the loss is NaN or infinite; nothing was changed, and the last checkpoint is
                from before.
            UserError: the loop's ``state`` lacks an optimiser, a schedule or parameters.
        """
        optimizers, schedules = _several(optimizer), _several(schedule or ())
        self._stage.check_held(optimizers, schedules)
        self._stage.watch_loss(loss)
        self._stage.gradients.minimise(
            loss,
            optimizers,
            schedules,
            weight=self._stage.weight,
            clip=clip,
            accumulate=accumulate,
        )

    def average(self, parameters: Iterable[torch.Tensor]) -> None:
        """The mean of each parameter's gradient over all processes of the run, in place.

        For a loop that takes its steps by hand, between ``loss.backward()`` and
        ``optimizer.step()``; :meth:`minimise` does so itself. Each process's gradients are weighed
        by its rows of the batch, so that the mean is that of the whole batch. A run of one process
        is left as it is.
        """
        self._stage.gradients.average(parameters, self._stage.weight)

    def every(self, steps: int) -> bool:
        """True on every ``steps``-th step, and on the last; what is logged then stands at that very
        step.
        """
        number = self.step + 1
        due = number % max(steps, 1) == 0 or number == self._stage.total
        self._stage.row_due |= due
        return due

    @property
    def step(self) -> int:
        """Steps done in this loop."""
        return self._stage.step

    @property
    def steps_taken(self) -> int:
        """Steps done by this process, in all loops."""
        return self._policy.steps

    @property
    def progress(self) -> float:
        """The fraction of this loop's steps that is done."""
        return self.step / self._stage.total if self._stage.total else 0.0

    def log(self, **metrics: Value) -> None:
        """Log numbers or scalar tensors; inside a loop a row holds the means over a short window of
        steps.

        Raises:
            UserError: a value is not one number, or its name can't stand in a row; which one.
        """
        metrics = {key: loggable(key, value, self._logged) for key, value in metrics.items()}
        stage = self._stage
        if stage.weight != 1:
            metrics = {key: value * stage.weight for key, value in metrics.items()}
        if stage.in_body:
            stage.window.add(metrics)
            return
        stage.settle()
        window = Window()
        window.add(metrics)
        self._services.log.write(window, {})

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
        record.checked_name("a part's name", name)
        outer, state = self._part, random_state()
        self._part = Part(seed, name, fold)
        seed_everything(seed)
        try:
            yield self._part.metrics
        finally:
            self._part = outer
            restore_random_state(state)

    @property
    def fold(self) -> tuple[int, int] | None:
        """(k, K) while fold k of K is under way."""
        return self._part.fold

    @property
    def held_out(self) -> dict[str, int]:
        """On how many held-out examples each result was measured."""
        return {key: n for key, n in self._part.held_out.items() if n}

    # -- what remains ------------------------------------------------------------------------------

    def result(self, metrics: Mapping[str, float | torch.Tensor], *, held_out: int = 0) -> None:
        """Final metrics. ``held_out``: on how many examples that training never saw they
        were measured.

        Raises:
            UserError: a value is not one number, or its name no text of one line; which one.
        """
        self._stage.settle()
        if not isinstance(metrics, Mapping):
            raise UserError(f"a result is {record.short(metrics)}; expected names and numbers")
        count = record.whole_number("held_out", held_out, "a whole number of examples")
        found = {
            record.checked_metric(key): record.number(key, value) for key, value in metrics.items()
        }
        self.metrics.update(found)
        self._part.held_out.update(dict.fromkeys(found, count))

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table and keep it as ``tables/<name>.csv``; the report shows it.

        Cells are texts or numbers. In this and the following, a name may have slashes, as metrics
        do: the file of ``train/loss`` is called ``train-loss``.

        Raises:
            UserError: no file may have this name, or a row has another number of cells.
        """
        self._stage.settle()
        name = self._names.file("table", name)
        if not self._silent:
            for line in keeping.table(self.folder, name, columns, rows):
                self.say(f"  {line}")

    def figure(self, name: str, figure: Figure, *, cover: bool = False) -> None:
        """Keep a Matplotlib figure as ``figures/<name>.svg`` and ``.png``, and close it.

        ``cover``: it stands for the run where one small picture is shown; else the first one does.
        """
        self._stage.settle()
        name = self._names.file("figure", name)
        self._cover = name if cover else self._cover
        keeping.figure(None if self._silent else self.folder, name, figure)

    def drawing(self, name: str, svg: str) -> None:
        """Keep a picture that is SVG already, as ``figures/<name>.svg``."""
        self._stage.settle()
        name = self._names.file("figure", name)
        if not self._silent:
            keeping.drawing(self.folder, name, svg)

    def animation(self, name: str, film: Film, *, fps: int = 20, cover: bool = False) -> None:
        """Keep a film as ``figures/<name>.gif``, and its last frame as a figure for paper."""
        self._stage.settle()
        name = self._names.file("figure", name)
        self._cover = name if cover else self._cover
        keeping.animation(None if self._silent else self.folder, name, film, fps)

    def keep(self, net: nn.Module, name: str = "network") -> None:
        """Keep the weights as ``<name>.safetensors``: tensors only, safe to load from anyone."""
        self._stage.settle()
        name = self._names.file("network", name)
        if not isinstance(net, nn.Module):
            raise UserError(
                f"what is kept as '{name}' is a {type(net).__name__}; expected a network, a module"
                " of PyTorch"
            )
        state = whole(net.state_dict())  # all processes have a part in it
        if not self._silent:
            keeping.weights(self.folder, name, state)

    # -- inside ------------------------------------------------------------------------------------

    @property
    def _silent(self) -> bool:
        """Whether figures, tables and networks are not to be kept: in a part, and by processes
        after the first.
        """
        return bool(self._part.name) or not self.workers.first

    def _how(self) -> dict[str, Any]:
        """How the run is carried out, for ``study.json``."""
        workers = {"devices": self.workers.size, "strategy": self.workers.strategy}
        return {
            "device": str(self.device),
            "precision": self.precision,
            "compiled": self.compiled,
            "threads": torch.get_num_threads(),
            **(workers if self.workers.many else {}),
        }

    def _take_over(self, recorded: Mapping[str, Any]) -> None:
        """Go on with the seed and the threads with which the run began, and say what is not as it
        was then.

        Sums are split among threads: the same number, equal bits.
        """
        self._part.seed = recorded["seed"]
        if recorded.get("devices", 1) == self.workers.size:
            set_threads(recorded["threads"])
        for each in differences(recorded, self.name, self._asked_seed, self.fields):
            self._note(each)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Stop after this step; the second signal stops at once."""
        if number == getattr(signal, "SIGHUP", None) and self._policy.signal is not None:
            return  # a terminal that goes away says so more than once
        if self._stage.is_open and self._policy.signal is None:
            self._policy.signal = number
            self.say("stopping after this step (once more: at once) …")
        else:
            raise Interrupted(f"stopped; {self._services.how_to_resume}")

    def _finish(self) -> None:
        """Judge the claims, write result and report, say what was reached."""
        self.verdicts = [
            claim.judge([self.metrics.get(claim.metric)], self.held_out.get(claim.metric, 0))
            for claim in self.claims
            if claim.scale == self.scale
        ]
        if not self.workers.first:
            return
        seconds = self._services.log.seconds
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
        self._life.finish(result)
        self._services.checkpoints.clear()
        for line in last_lines(self.metrics, self.verdicts, seconds, self.folder.report_html):
            self.say(line)


def _opened(resume: str | Path | RunFolder | None, root: str | Path | None) -> RunFolder | None:
    return resume if isinstance(resume, RunFolder | None) else RunFolder.open(resume, root)


def _claims(claims: Sequence[Claim]) -> list[Claim]:
    for claim in claims:
        if not isinstance(claim, Claim):
            raise UserError(
                f"a claim is {record.short(claim)}; expected etude.Claim(…) or etude.Control(…)"
            )
    try:
        check_controls(claims)
    except ValueError as error:
        raise UserError(str(error)) from None
    return list(claims)


def _several(given: T | Sequence[T]) -> tuple[T, ...]:
    """One or several, as several."""
    return tuple(given) if isinstance(given, list | tuple) else (cast(T, given),)
