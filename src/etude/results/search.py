"""The search that all workers of a sweep share: trials in a database, drawn by Optuna.

Needs the extra ``search``.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sql
from filelock import FileLock
from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from etude.errors import UserError
from etude.results.axes import Axis
from etude.results.trials import Plan
from etude.sources import changed

BEAT, GRACE = (
    10,
    60,
)  # seconds between a worker's signs of life, and without one until its trial is taken over


class Search:
    """A sweep's trials in their storage. Safe for many threads, processes and machines.

    A trial whose worker is gone, or was stopped, goes back to those that wait, with its number, its
    fields and the folder of its run; the next worker that is free takes it up.

    Args:
        plan: what is searched.
        url: of the database.
        turn: a file; who asks for a trial on this machine holds its lock, so that no two ask at
            once.
        beat: seconds between signs of life.
        grace: seconds without one until a worker counts as gone.

    Raises:
        UserError: the database does not answer, or holds another search of this name.
    """

    def __init__(
        self, plan: Plan, url: str, turn: Path, *, beat: int = BEAT, grace: int = GRACE
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings(
            "ignore", message="Heartbeat of storage"
        )  # beats are sent here, see alive()
        warnings.filterwarnings(
            "ignore", message="The reported value is ignored"
        )  # by a run that is gone on with
        self.plan, self.turn, self.beat = plan, turn, beat
        self.space = {axis.name: distribution(axis) for axis in plan.axes}
        self.title = f"{plan.entry.name}/{plan.name}"
        with FileLock(turn):
            self.storage = self._open(url, beat, grace)
        self.local = threading.local()
        attrs = self.study.user_attrs
        if "definition" not in attrs:
            self.study.set_user_attr("digests", plan.entry.digests)
            self.study.set_user_attr("definition", plan.definition)
        elif attrs["definition"] != plan.definition:
            there = attrs["definition"]
            key = next(key for key in plan.definition if there.get(key) != plan.definition[key])
            raise UserError(
                f"sweep {plan.name} is another: its {key} is {_said(there.get(key))}, not "
                f"{_said(plan.definition[key])}; give another --name"
            )
        now = plan.entry.digests
        self.changed = changed(attrs.get("digests", now), now)

    def _open(self, url: str, beat: int, grace: int) -> optuna.storages.RDBStorage:
        try:
            shown = sql.make_url(url).render_as_string(hide_password=True)
        except sql.exc.ArgumentError:
            raise UserError(
                "--storage is no address of a database; expected postgresql://USER@HOST/NAME"
            ) from None
        options: dict[str, Any] = {"pool_pre_ping": True}
        if url.startswith("sqlite"):
            options = {"connect_args": {"timeout": 120}}
        for attempt in range(6):
            try:
                storage = optuna.storages.RDBStorage(
                    url, options, heartbeat_interval=beat, grace_period=grace
                )
                optuna.create_study(
                    storage=storage,
                    study_name=self.title,
                    direction=self.plan.direction,
                    load_if_exists=True,
                )
                return storage
            except ImportError as error:
                raise UserError(
                    f"storage {shown} needs a driver ({error}): pip install 'etude[search]'"
                ) from None
            except (sql.exc.SQLAlchemyError, OptunaError) as error:
                trouble: Exception = error
                if not any(word in str(error) for word in ("exists", "duplicate", "UNIQUE")):
                    break
                time.sleep(
                    0.3 * (attempt + 1)
                )  # another machine's worker makes the same tables at this moment
        reason = str(getattr(trouble, "orig", None) or trouble).strip().splitlines()[0]
        raise UserError(f"the storage {shown} can't be used: {reason}")

    @property
    def study(self) -> optuna.Study:
        """Optuna's view of the search; one for each thread, for it holds what is being asked."""
        if not hasattr(self.local, "study"):
            pruner = optuna.pruners.MedianPruner(n_startup_trials=4)
            self.local.study = optuna.load_study(
                study_name=self.title,
                storage=self.storage,
                sampler=sampler(self.plan),
                pruner=pruner,
            )
        study: optuna.Study = self.local.study
        return study

    def trials(self) -> list[FrozenTrial]:
        """All trials, by number."""
        return self.study.get_trials(deepcopy=False)

    def take(self, total: int) -> Trial | None:
        """The next trial to carry out: one that waits, else a new one; None where ``total`` are
        begun or done.
        """
        with FileLock(self.turn):
            self._release_stale()
            trials = self.trials()
            if len(trials) >= total and not any(
                trial.state == TrialState.WAITING for trial in trials
            ):
                return None
            trial = self.study.ask(self.space)
            self.storage.record_heartbeat(trial._trial_id)
            return trial

    def over(self, total: int) -> bool:
        """Whether all trials are done."""
        trials = self.trials()
        return len(trials) >= total and all(trial.state.is_finished() for trial in trials)

    def finish(self, trial: Trial, value: float) -> None:
        """The trial's run ended well."""
        self.study.tell(trial, value, skip_if_finished=True)

    def prune(self, trial: Trial) -> None:
        """The trial was ended for its values."""
        self.study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)

    def fail(self, trial: Trial, reason: str) -> None:
        """The trial's run failed; it counts, for it would fail again."""
        with suppress(OptunaError):
            trial.set_user_attr("failure", reason)
        self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def put_back(self, trial_id: int) -> None:
        """The trial waits again, for whoever comes next."""
        with suppress(OptunaError):  # someone has finished it meanwhile
            self.storage.record_heartbeat(trial_id)  # first: else others put it back as well
            self.storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def _release_stale(self) -> None:
        for trial_id in self.storage._get_stale_trial_ids(self.study._study_id):
            self.put_back(trial_id)

    @contextmanager
    def alive(self, trial: Trial) -> Iterator[None]:
        """Give signs of life of a trial's worker."""
        over = threading.Event()

        def give() -> None:
            while not over.wait(self.beat):
                with suppress(
                    Exception
                ):  # a database that is away for a moment is no reason to stop
                    self.storage.record_heartbeat(trial._trial_id)

        thread = threading.Thread(target=give, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def importances(self) -> dict[str, float]:
        """How much of the metric's variance each field explains (fANOVA); empty where too little is
        known.
        """
        known = [trial for trial in self.trials() if trial.state == TrialState.COMPLETE]
        if len(known) < 4 or len({trial.value for trial in known}) < 2:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        try:
            return dict(optuna.importance.get_param_importances(self.study, evaluator=evaluator))
        except (ValueError, RuntimeError):
            return {}


@contextmanager
def told(search: str) -> Iterator[None]:
    """A database that goes away becomes a sentence.

    Raises:
        UserError: it has.
    """
    try:
        yield
    except sql.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise UserError(
            f"the storage of sweep {search} is lost: {reason}; the same command goes on"
        ) from error
    except optuna.exceptions.StorageInternalError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise UserError(
            f"the storage of sweep {search} is lost: {reason}; the same command goes on"
        ) from error


def distribution(axis: Axis) -> BaseDistribution:
    """An axis in Optuna's words."""
    if axis.choices:
        return CategoricalDistribution(axis.choices)
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def sampler(plan: Plan) -> BaseSampler:
    """What draws the trials' fields: for each trial anew, seeded by the plan's seed and the trial's
    number.

    So no two workers draw alike, and a search that was stopped goes on as it would have.
    """
    if plan.sampler == "grid":
        return Grid(plan.axes)

    def make(number: int) -> BaseSampler:
        seed = (plan.seed * 1_000_003 + number) % 2**32
        if plan.sampler == "random":
            return RandomSampler(seed=seed)
        if plan.sampler == "cmaes":
            return CmaEsSampler(seed=seed, warn_independent_sampling=False)
        return TPESampler(seed=seed, multivariate=True, constant_liar=True)

    return Fresh(make)


class Fresh(BaseSampler):
    """A sampler made anew for each trial, from the trial's number; what it has learned lies in the
    storage.
    """

    def __init__(self, make: Callable[[int], BaseSampler]) -> None:
        self.make = make
        self.inner = make(0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Make the trial's own."""
        self.inner = self.make(trial.number)
        self.inner.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """As the sampler within does."""
        return self.inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler within does."""
        return self.inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """As the sampler within does."""
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """As the sampler within does."""
        self.inner.after_trial(study, trial, state, values)


class Grid(BaseSampler):
    """Trial n gets the n-th point of the grid: numbers are given once, so nothing is tried twice or
    left out.
    """

    def __init__(self, axes: Sequence[Axis]) -> None:
        names = [axis.name for axis in axes]
        points = product(*(axis.choices for axis in axes))
        self.points: list[Mapping[str, CategoricalChoiceType]] = [
            dict(zip(names, p, strict=True)) for p in points
        ]

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing: each field is looked up."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The field at the trial's point."""
        return self.points[trial.number % len(self.points)][param_name]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "nothing"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "nothing"
    return str(value)
