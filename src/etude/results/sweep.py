"""A study's fields varied in many runs, to find which serve best on validation data; the search may
be shared by many.

Any number of workers that are started with the same command share one search: on one machine by a
file, on several by a database. A trial whose worker died is gone on with by another, exactly where
its run still lies on the machine.
"""

from __future__ import annotations

import csv
import math
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from etude.errors import UserError
from etude.results.check import interrupt
from etude.results.files import whole
from etude.results.trials import Ended, Plan, Processes, Runner, Watch, measured
from etude.runs import files
from etude.runs.folder import RunFolder, runs_root
from etude.runs.owner import ending_signals

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

    from etude.results.search import Search

TRIALS = 30
PATIENCE = 1.0  # seconds between looks at what other workers do
Say = Callable[[str], None]


@dataclass(frozen=True)
class Tried:
    """One trial: its fields, and what became of it (``complete``, ``pruned``, ``failed``,
    ``running``, ``waiting``).
    """

    number: int
    state: str
    fields: dict[str, Any]
    value: float | None = None
    seconds: float | None = None
    run: str | None = None
    failure: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **vars(self),
            "fields": {k: list(v) if isinstance(v, tuple) else v for k, v in self.fields.items()},
        }


@dataclass(frozen=True)
class Swept:
    """What a sweep found."""

    plan: Plan
    folder: Path
    trials: list[Tried]
    importances: dict[str, float]
    figures: list[Path]

    @property
    def best(self) -> list[Tried]:
        """The trials that ended well, best first."""
        found = [
            (trial.value, trial)
            for trial in self.trials
            if trial.state == "complete" and trial.value is not None
        ]
        sign = 1 if self.plan.direction == "minimize" else -1
        return [
            trial for _, trial in sorted(found, key=lambda pair: (sign * pair[0], pair[1].number))
        ]

    @property
    def command(self) -> str | None:
        """What repeats the best run."""
        return self.plan.command(self.best[0].fields) if self.best else None

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``etude sweep --json``."""
        return {
            "sweep": self.plan.name,
            "folder": str(self.folder),
            **self.plan.definition,
            "best": self.best[0].as_json() if self.best else None,
            "importances": self.importances,
            "trials": [trial.as_json() for trial in self.trials],
            "figures": [*map(str, self.figures)],
            "command": self.command,
        }


def sweep(
    plan: Plan,
    *,
    trials: int | None = None,
    storage: str = "",
    root: str | Path | None = None,
    jobs: int = 1,
    say: Say = print,
    runner: Runner | None = None,
    beat: int = 10,
    grace: int = 60,
) -> Swept:
    """Carry out trials, together with all who do the same, until as many as wanted are done; then
    draw what was found.

    Args:
        plan: what is searched.
        trials: how many in all, over all workers and all times; by default 30, or the whole grid.
        storage: a database's address, to share the search with other machines; else a file among
            the runs.
        root: the folder of all runs.
        jobs: how many trials at once here.
        say: gets a line as each trial ends.
        runner: carries a trial out; by default a run in a process of its own.
        beat: seconds between a worker's signs of life.
        grace: seconds without one until its trial is taken over.

    Raises:
        UserError: a sampler can't draw from these axes, Optuna is not installed, the storage can't
            be used.
        KeyboardInterrupt: it was asked to stop; what was under way is saved and goes on with the
            same command.
    """
    total = _total(plan, trials)
    try:
        from etude.results.search import Search, told

        if plan.sampler == "cmaes":
            import cmaes  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"a sweep needs {error.name or 'optuna'}: pip install 'etude[search]'"
        ) from None
    folder = runs_root(root) / plan.entry.name / "sweeps" / plan.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {folder} can't be made: {error.strerror or error}") from error
    files.check(folder)
    url = _driver(storage) or f"sqlite:///{(folder / 'search.db').resolve()}"
    search = Search(plan, url, folder / ".turn", beat=beat, grace=grace)
    if search.changed:
        say(
            f"changed since this sweep began: {', '.join(search.changed)}; new trials may not"
            " compare with old ones"
        )
    done = sum(trial.state.is_finished() for trial in search.trials())
    say(
        f"sweep {plan.name}: {done} of {total} trials done; {plan.metric}, {plan.direction}d →"
        f" {folder}"
    )
    with told(plan.name):
        _Workers(search, total, runner or Processes(root, jobs), say).work(jobs)
        return _report(search, folder)


def _total(plan: Plan, trials: int | None) -> int:
    if plan.sampler == "grid":
        if plan.cells is None:
            ranged = next(axis for axis in plan.axes if not axis.choices)
            raise UserError(
                f"--sampler grid needs a list for each field, as {ranged.name}=a,b,c; {ranged} is a"
                " range"
            )
        return min(trials or plan.cells, plan.cells)
    if plan.sampler == "cmaes" and sum(not axis.choices for axis in plan.axes) < 2:
        raise UserError(
            "--sampler cmaes needs at least two fields with a range, as learning_rate=log:1e-4:1e-1"
        )
    return trials or TRIALS


def _driver(storage: str) -> str:
    """The address with the driver that the extra ``search`` brings."""
    for begin in ("postgresql://", "postgres://"):
        if storage.startswith(begin):
            return f"postgresql+psycopg://{storage.removeprefix(begin)}"
    return storage


class _Workers:
    """The threads that carry out trials here."""

    def __init__(self, search: Search, total: int, runner: Runner, say: Say) -> None:
        self.search, self.total, self.runner, self.say = search, total, runner, say
        self.plan = search.plan
        self.stopping = threading.Event()
        self.lock = threading.Lock()

    def work(self, jobs: int) -> None:
        """Work until all is done, or a signal says to stop."""
        handlers = {}
        if threading.current_thread() is threading.main_thread():
            for number in ending_signals():
                handlers[number] = signal.signal(number, interrupt)
        pool = ThreadPoolExecutor(jobs)
        pending = [pool.submit(self._thread) for _ in range(jobs)]
        try:
            while wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION).not_done:
                for (
                    future
                ) in pending:  # looked at often: a signal that comes to another thread wakes none
                    if future.done():
                        future.result()
            for future in pending:
                future.result()
        except KeyboardInterrupt:
            self.say("stopping: the trials under way save themselves …")
            self._stop(pending)
            self.say("stopped; the same command goes on")
            raise
        except BaseException:
            self._stop(pending)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _stop(self, pending: Sequence[Future[None]]) -> None:
        """Ask all to stop and wait until they have; again where one asks again."""
        self.stopping.set()
        stop = getattr(self.runner, "stop", None)
        while True:
            try:
                if stop:
                    stop()
                for future in pending:
                    with suppress(Exception):
                        future.result()
                return
            except KeyboardInterrupt:
                continue

    def _thread(self) -> None:
        while not self.stopping.is_set():
            trial = self.search.take(self.total)
            if trial is not None:
                self._carry_out(trial)
            elif self.search.over(self.total):
                return
            else:
                self.stopping.wait(
                    min(PATIENCE, self.search.beat)
                )  # others are at work; one of them may die

    def _carry_out(self, trial: Trial) -> None:
        fields, before = self.plan.values(trial.params), self._before(trial)
        with self.search.alive(trial):
            ended = self.runner(self.plan, trial.number, fields, before, _Report(trial))
        if ended.folder:
            _note(trial, ended.folder)
        if ended.stopped:
            self.search.put_back(trial._trial_id)
            return
        self._settle(trial, ended)
        with self.lock:
            self._tell(trial.number, ended)

    def _settle(self, trial: Trial, ended: Ended) -> None:
        value = (
            measured(self.plan, ended.folder, ended.result)
            if ended.result and ended.folder
            else None
        )
        if ended.pruned:
            self.search.prune(trial)
        elif isinstance(value, float):
            assert ended.result
            trial.set_user_attr("seconds", ended.result.get("seconds"))
            self.search.finish(trial, value)
        else:
            self.search.fail(trial, value or ended.failure or "the run gave no result")

    def _before(self, trial: Trial) -> RunFolder | None:
        """The run that an earlier worker began for this trial, where it lies on this machine."""
        path = trial.user_attrs.get("run")
        if not path:
            return None
        folder = RunFolder(path)
        try:
            about = folder.study()
        except UserError:
            return None
        return (
            folder
            if about.get("sweep") == {"name": self.plan.name, "trial": trial.number}
            else None
        )

    def _tell(self, number: int, ended: Ended) -> None:
        trials = [tried(self.plan, trial) for trial in self.search.trials()]
        this = trials[number]
        done = sum(trial.state in ("complete", "pruned", "failed") for trial in trials)
        fields = ", ".join(f"{name} {text(value)}" for name, value in this.fields.items())
        found = Swept(self.plan, Path(), trials, {}, []).best
        best = f"; best {found[0].value:.4g} (trial {found[0].number})" if found else ""
        if this.state == "complete" and this.value is not None:
            took = f" in {this.seconds:.1f} s" if this.seconds is not None else ""
            outcome = f"{self.plan.metric} {this.value:.4g}{took}"
        else:
            outcome = f"{this.state}{f' ({this.failure})' if this.failure else ''}"
        self.say(f"{done}/{self.total} · trial {number}: {fields} → {outcome}{best}")


def _note(trial: Trial, folder: RunFolder) -> None:
    """Keep where a trial's run lies."""
    with suppress(
        Exception
    ):  # without it the trial begins again elsewhere, and no more than that is lost
        path = str(folder.path.resolve())
        if trial.user_attrs.get("run") != path:
            trial.set_user_attr("run", path)
            trial.set_user_attr("host", socket.gethostname())


class _Report(Watch):
    """Tells the search how a trial's run gets on."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.reported = 0

    def began(self, folder: RunFolder) -> None:
        """Where its run lies."""
        _note(self.trial, folder)

    def hopeless(self, logged: Sequence[float]) -> bool:
        """Whether its best value so far is worse than the median of the others' at this point."""
        new, step = logged[self.reported :], self.reported
        self.reported = len(logged)
        with suppress(Exception):  # a database that is away for a moment ends no run
            for value in new:
                self.trial.report(value, step)
                step += 1
            return bool(new) and self.trial.should_prune()
        return False


def tried(plan: Plan, trial: FrozenTrial) -> Tried:
    """A trial as its storage keeps it."""
    state = {"FAIL": "failed"}.get(trial.state.name, trial.state.name.lower())
    drawn = {axis.name for axis in plan.axes} <= {
        *trial.params
    }  # a worker may have died before it drew
    value = trial.value
    return Tried(
        trial.number,
        state,
        plan.values(trial.params) if drawn else {},
        value if value is not None and math.isfinite(value) else None,
        trial.user_attrs.get("seconds"),
        trial.user_attrs.get("run"),
        trial.user_attrs.get("failure"),
    )


def text(value: Any) -> str:
    """A field's value in few characters."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# -- what remains ----------------------------------------------------------------------------------


def _report(search: Search, folder: Path) -> Swept:
    """Write ``trials.csv`` and the figures; whoever ends last has the last word."""
    plan = search.plan
    found = [tried(plan, trial) for trial in search.trials()]
    with FileLock(folder / ".report"):
        names = [axis.name for axis in plan.axes]
        lines = StringIO(newline="")
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(["trial", "state", *names, plan.metric, "seconds", "run", "failure"])
        for trial in found:
            cells = [text(trial.fields.get(name, "")) for name in names]
            value = "" if trial.value is None else repr(trial.value)
            writer.writerow(
                [
                    trial.number,
                    trial.state,
                    *cells,
                    value,
                    trial.seconds or "",
                    trial.run or "",
                    trial.failure or "",
                ]
            )
        with whole(folder / "trials.csv") as part:
            part.write_text(lines.getvalue(), encoding="utf-8")
        swept = Swept(plan, folder, found, search.importances(), [])
        return Swept(plan, folder, found, swept.importances, _draw(swept))


def _draw(swept: Swept) -> list[Path]:
    from matplotlib import pyplot

    from etude.figures.sweeps import Line, history, importance, parallel

    plan, best = swept.plan, swept.best
    if not best:
        return []
    ended = [
        trial
        for trial in swept.trials
        if trial.state in ("complete", "pruned") and trial.value is not None
    ]
    figures = {
        "history": history(
            [(t.number, t.value, t.state == "complete") for t in ended if t.value is not None],
            plan.metric,
            lower=plan.direction == "minimize",
        ),
        "parallel": parallel(
            {
                axis.name.replace("_", " "): Line(
                    [
                        text(trial.fields[axis.name]) if axis.choices else trial.fields[axis.name]
                        for trial in best
                    ],
                    [text(axis.value(choice)) for choice in axis.choices],
                    axis.log,
                )
                for axis in plan.axes
            },
            [trial.value for trial in best if trial.value is not None],
            plan.metric,
            lower=plan.direction == "minimize",
        ),
    }
    if swept.importances:
        shares = {name.replace("_", " "): share for name, share in swept.importances.items()}
        figures["importance"] = importance(shares, plan.metric)
    paths = []
    for name, figure in figures.items():
        for ending in ("svg", "png"):
            paths.append(swept.folder / f"{name}.{ending}")
            with whole(paths[-1]) as part:
                figure.savefig(part, format=ending, dpi=150)
        pyplot.close(figure)
    return paths
