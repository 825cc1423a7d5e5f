"""A stage: one loop of a run, from ``run.steps`` to its end, with all that belongs to it alone."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import torch

from etude.errors import UserError
from etude.runs import plain, shards
from etude.runs.checkpoints import Checkpoints
from etude.runs.gradients import Gradients, Optimizers, Schedule
from etude.runs.metrics import Log, Window
from etude.runs.parts import Parts
from etude.runs.policy import Agreement, SavePolicy
from etude.runs.progress import Progress
from etude.runs.random_state import random_state, restore_random_state, seed_everything
from etude.runs.streams import Stream, sample_of, size_of
from etude.runs.workers import Workers, count_rows

T = TypeVar("T")
ROWS = 200  # rows of metrics for a loop, whatever its length; of an endless one half as many each
# time that its length doubles


KEPT = {"step", "state", "modes", "batches", "random", "short", "size", "sample", "window"}


class Interrupted(SystemExit):
    """The run was asked to stop (Ctrl-C, SIGTERM), saved itself and can be resumed; exit
    code 130.
    """

    def __init__(self, message: str) -> None:
        super().__init__(130)
        self.message = message


class Diverged(UserError):
    """The loss is NaN or infinite."""


@dataclass(frozen=True)
class Services:
    """What all stages of a run use.

    Attributes:
        run: the run's name, for messages.
        folder: the name of its folder, for messages.
        device: where it computes.
        workers: the processes that carry it out.
        checkpoints: where its states are kept.
        log: where its rows of metrics are kept.
        policy: when it saves itself.
        progress: what a person sees of it.
        tell: told the stage, the step and the number of steps after every step.
        say: says a line.
        note: says a line that the report must hold as well.
        check_turn: raises a UserError where a run within this one is under way.
        how_to_resume: what a person does to go on with it.
    """

    run: str
    folder: str
    device: torch.device
    workers: Workers
    checkpoints: Checkpoints
    log: Log
    policy: SavePolicy
    progress: Progress
    tell: Callable[[str, int, int | None], None]
    say: Callable[[str], None]
    note: Callable[[str], None]
    check_turn: Callable[[], None]
    how_to_resume: str


class Stage(Generic[T]):
    """One loop: its batches, how far it is, and what is not finished in it yet.

    Args:
        services: what it shares with the other stages of its run.
        number: its place among them, from 0.
        name: for logs and curves; empty where a run has one stage only.
        batches: what is yielded.
        steps: how many; None: all that there are.
        state: what is saved and put back.
        seed: of the run, or of its part.

    Attributes:
        step: steps done.
        total: steps to do, if that is known.
        in_body: whether the loop's body is being executed.
        is_open: whether the loop is under way, and a signal is obeyed after a step.
        weight: of this process's rows in the batch.
        window: what was logged since the last row.
        gradients: what is summed, and waits for its optimiser's step.
    """

    def __init__(
        self,
        services: Services,
        number: int,
        name: str,
        batches: Iterable[T],
        steps: int | None,
        state: Any,
        seed: int,
    ) -> None:
        self._asks_batches = steps is None  # how many steps there are
        if steps is None and isinstance(batches, Sized):
            with suppress(TypeError):  # a DataLoader of which nobody knows how long it is
                steps = len(batches)
        self.services = services
        self.number = number
        self.name = name
        self.batches = batches
        self.total = steps
        self.parts = Parts(state)
        self.seed = seed
        self.step = 0
        self.in_body = self.is_open = False
        self.weight = 1.0
        self.window = Window()
        self.gradients = Gradients(services.workers)
        self.row_due = False  # after this step, whatever its number
        self._stream = Stream(batches)
        self._size, self._sample = size_of(batches), sample_of(batches)
        self._agreement = Agreement(services.policy, services.workers)
        self._unchecked: list[tuple[int, torch.Tensor]] = []
        self._run_is_over = False
        self._short = False  # the batches ended before the steps that were asked for
        self._held: set[tuple[Optimizers, tuple[Schedule, ...]]] = set()  # known to be in the state
        self._in_a_row = 0  # stages without a name over the same batches, this one included
        self._left: dict[str, Any] | None = None  # the state in which a break left it

    def follow(self, before: Stage[Any]) -> None:
        """Say so where a stage without a name is the third in a row over the same batches."""
        self._in_a_row = before._in_a_row + 1 if before.batches is self.batches else 1
        if self._in_a_row == 3:
            self.services.say(
                "every loop over run.steps is a stage of its own; for one stage of several epochs"
                " write: for batch in run.steps(loader, epochs * len(loader))"
            )

    # -- the loop ----------------------------------------------------------------------------------

    def loop(self) -> Iterator[T]:
        """Yield the batches that are left; after each, do the book-keeping."""
        self.services.progress.start(
            f"{self.services.run} {self.name}".strip(), self.total, self.step
        )
        self.parts.state()  # what can't be kept is told now, not when it is to be kept
        self.is_open = True
        try:
            while self.total is None or self.step < self.total:
                try:
                    batch, common = self.draw()
                except StopIteration:
                    self._short = self.total is not None
                    break
                self.in_body = True
                yield batch
                self.in_body = False
                if common is not None:
                    restore_random_state(common)
                    self.weight = 1.0
                self.after_step()
        except GeneratorExit:
            # A break, which ends the stage, or an error in the loop's body: what follows tells
            # which.
            self.in_body = self.is_open = False
            if not self._run_is_over:
                self.break_off()
            return
        self.end()

    def draw(self) -> tuple[T, dict[str, Any] | None]:
        """The next batch, and the random state that all processes have in common.

        Of several processes each gets its own rows, and random numbers of its own in the loop's
        body; the common state is put back after it. None where there is nothing to put back.
        """
        self.services.check_turn()
        batch = self._stream.draw(again=self.total is not None)
        workers = self.services.workers
        if not (workers.many and count_rows(batch)):
            return batch, None
        common = random_state()
        own, self.weight = cast("tuple[T, float]", workers.share(batch))
        seed_everything(hash((self.seed, self.number, self.step, workers.rank)) % 2**63)
        return own, common

    def after_step(self) -> None:
        """Count the step; write the log, show and save what is due; stop where that was asked.

        Raises:
            Interrupted: the run was asked to stop, and has saved itself.
        """
        self.step += 1
        self.services.policy.step_done()
        if self.step == 1:
            self.services.workers.check_alike(self.parts.networks, self.services.run)
        if self.row_due or self.step % self.steps_per_row == 0:
            self.write_row()
        self.services.progress.update(self.step)
        self.services.tell(self.name, self.step, self.total)
        # half-summed gradients are not kept: a checkpoint lies between whole steps of the optimiser
        if self._agreement.due(self.step) and not self.gradients.pending:
            self.save()
            if self.services.policy.signal is not None:
                of = f" of {self.total:,}" if self.total else ""
                raise Interrupted(
                    f"stopped after step {self.step:,}{of}, all saved;"
                    f" {self.services.how_to_resume}"
                )

    @property
    def steps_per_row(self) -> int:
        """How many steps a row of the log is the mean of, at this step."""
        if self.total is not None:
            return max(1, self.total // ROWS)
        return 1 << ((self.step - 1) // ROWS).bit_length()  # twice as many after 200, 400, 800 …

    def end(self) -> None:
        """All steps are done: write what is left in the window, and keep the final state.

        Raises:
            Interrupted: the run was asked to stop, and has saved itself.
            UserError: there was no step at all.
        """
        if self.step == 0:
            raise UserError(
                f"{self.name or 'the loop'} of {self.services.run} takes no step: "
                + (
                    "it was asked for 0 steps; expected at least 1"
                    if self.total == 0 and not self._asks_batches
                    else "its batches are empty; expected at least one batch (drop_last leaves"
                    " none where a batch is larger than the data)"
                )
            )
        self._tell_if_short()
        self._drop_half_sums()
        self.write_row()
        self.services.progress.stop(self.step)
        self.services.workers.check_alike(self.parts.networks, self.services.run)
        self.services.checkpoints.prepare(self.number, self._state() | self._log_state())()
        self.is_open = False
        if self.services.workers.highest(self.services.policy.signal or 0)[0]:
            raise Interrupted(
                f"stopped at the end of this loop, all saved; {self.services.how_to_resume}"
            )

    # -- a loop that is left early -----------------------------------------------------------------

    def break_off(self) -> None:
        """Take down the state in which the loop was left, before the code goes on to change it."""
        self.weight = 1.0
        self.step += 1
        self.services.progress.stop(self.step)
        self._left = copy.deepcopy(self._state())

    def settle(self) -> None:
        """The code has gone on after the loop, which was thus left by a break: keep its state."""
        if self._left is None:
            return
        left, self._left = self._left, None
        self._drop_half_sums()
        self.write_row()
        self.services.checkpoints.prepare(self.number, left | self._log_state())()

    def run_is_over(self, error: BaseException | None) -> None:
        """The run ends here: write what is left in the window of a loop that was left early.

        After an error the losses are not looked at any more, and of several processes nobody
        averages with the others.
        """
        self._run_is_over = True
        left, self._left = self._left, None
        if left is None or (error is not None and self.services.workers.many):
            return
        if error is not None:
            self._unchecked = []
        self.write_row()

    def _tell_if_short(self) -> None:
        if self._short:
            self.services.note(
                f"{self.name or 'the loop'} took {self.step:,} of {self.total:,} steps, for its"
                " batches ended; expected batches that can begin again, as a list or a DataLoader"
                " does, or fewer steps"
            )

    def _drop_half_sums(self) -> None:
        for calls, accumulate in self.gradients.drop():
            of = "gradient was" if calls == 1 else "gradients were"
            self.services.say(
                f"{self.name or 'the loop'} ended after {self.step:,} steps, in the middle of a"
                f" sum: {calls} of {accumulate} {of} dropped; expected a multiple of {accumulate}"
            )

    # -- the log -----------------------------------------------------------------------------------

    def write_row(self) -> None:
        """Write the window's means as a row of the log; look at the losses first."""
        self.row_due = False
        self.check_losses()
        place = {"stage": self.name} if self.name else {}
        self.services.log.write(self.window, {**place, "step": self.step})

    def watch_loss(self, loss: torch.Tensor) -> None:
        """Raise :class:`Diverged` where a loss is no finite number: on a CPU at once, on a GPU with
        the next row, for to wait for it costs time.
        """
        if loss.device.type == "cpu" or not self.in_body:
            self._check_loss(self.step, loss.item())
        else:
            self._unchecked.append((self.step, loss.detach()))

    def check_held(self, optimizers: Optimizers, schedules: tuple[Schedule, ...]) -> None:
        """Raise a UserError where a step changes what this loop's state does not hold, so that a
        resumed run would have it as it was at the loop's beginning.
        """
        if not self.in_body or (optimizers, schedules) in self._held:
            return
        missing = self.parts.missing(optimizers, schedules)
        if missing is not None:
            raise UserError(
                f"{missing}, given to run.minimise, would not be resumed: no state of"
                f" {self.name or 'this loop'} holds it; expected run.steps(…, state=(network,"
                " optimizer, schedule)) with all that the loop changes"
            )
        self._held.add((optimizers, schedules))

    def check_losses(self) -> None:
        """Look at the losses that nobody has looked at yet."""
        if self._unchecked:
            losses = torch.stack([loss for _, loss in self._unchecked]).tolist()
            pending, self._unchecked = self._unchecked, []
            for (step, _), loss in zip(pending, losses, strict=True):
                self._check_loss(step, loss)

    def _check_loss(self, step: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss is {loss} at step {step + 1:,} of {self.services.run}; expected a finite"
                " number: a smaller learning rate, a warm-up or gradient clipping may help"
            )

    # -- saving and putting back -------------------------------------------------------------------

    def save(self) -> None:
        """Keep the state between two steps as a checkpoint."""
        self.check_losses()
        with self.services.policy.saving():
            self.services.checkpoints.save(
                self.number, self.step, self._state() | self._log_state()
            )

    def put_back(self, saved: dict[str, Any], *, last: bool, ended: bool = False) -> None:
        """Take the state that was saved; ``last``: the run goes on from here; ``ended``: with what
        comes after this stage.

        Raises:
            UserError: it is that of other code.
        """
        if lacks := KEPT - saved.keys():
            raise self._other_code(
                f"its checkpoint lacks {min(lacks)}, as one by another version of Etude does"
            )
        states = saved["state"]
        if len(states) != len(self.parts.parts):
            raise self._other_code(
                f"its checkpoint holds {len(states)} states, the code gives {len(self.parts.parts)}"
            )
        # The batches first: to draw them again may change what is in the state, a generator, say.
        self._stream.load_state_dict(plain.unpack(saved["batches"]), ended=ended)
        states = shards.scatter(states, self.services.workers, self.services.device)
        try:
            self.parts.put_back(states)
            self.parts.put_back_modes(saved["modes"])
        except ValueError as error:
            raise self._other_code(str(error)) from error
        if self._size != saved["size"]:
            self.services.note(
                f"{self.name or 'the loop'} has other data than when the run began:"
                f" {saved['size']} then, {self._size} now; the numbers are not those of a run never"
                " stopped"
            )
        elif self._sample != saved["sample"]:
            self.services.note(
                f"{self.name or 'the loop'} has other data than when the run began: as much, but"
                " with other values; the numbers are not those of a run never stopped"
            )
        self.step = saved["step"]
        self._short = saved["short"]
        if self.step < (self.total or 0):
            self._tell_if_short()
        restore_random_state(saved["random"])
        self.window.load_state_dict(saved["window"], self.services.workers)
        if last:
            self.services.log.load_state_dict(saved)
            self.services.policy.restart()

    def _other_code(self, why: str) -> UserError:
        return UserError(
            f"run {self.services.folder} can't be resumed: {why}; expected the code that began the"
            " run"
        )

    def _state(self) -> dict[str, Any]:
        """All that the loop changes."""
        batches = plain.pack(self._stream.state_dict(), type(self.batches).__name__)
        return {
            "step": self.step,
            "state": self.parts.state(),
            "modes": self.parts.modes(),
            "batches": batches,
            "random": random_state(),
            "short": self._short,
            "size": self._size,
            "sample": self._sample,
        }

    def _log_state(self) -> dict[str, Any]:
        """The half-filled window, each process's own, and where the log is."""
        window = self.window.state_dict(self.services.workers)
        return {"window": window, **self.services.log.state_dict()}


@dataclass(frozen=True)
class Past:
    """What a resumed run has done already: the final states of the stages that ended, and the last
    state of the one that was under way.
    """

    ended: Sequence[dict[str, Any]] = ()
    partial: dict[str, Any] | None = None

    def __bool__(self) -> bool:
        return bool(self.ended or self.partial)

    def put_back(self, stage: Stage[Any]) -> bool:
        """Put a stage back to where it was, if it had begun; whether it had ended."""
        if stage.number < len(self.ended):
            last = stage.number + 1 == len(self.ended) and self.partial is None
            stage.put_back(self.ended[stage.number], last=last, ended=True)
            return True
        if stage.number == len(self.ended) and self.partial:
            stage.put_back(self.partial, last=True)
            stage.services.say(f"resumed {stage.name or 'training'} at step {stage.step:,}")
        return False
