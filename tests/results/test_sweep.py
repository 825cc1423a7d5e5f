from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from etude.catalogue import Catalogue
from etude.entry import Entry
from etude.errors import UserError
from etude.results.axes import Axis, axes_of, parse_axis
from etude.results.trials import Ended, Plan, Watch, direction_of, measured, metric_of
from etude.runs.folder import RunFolder, find_runs

pytest.importorskip("optuna", reason="sweeps need the extra 'search'")

from etude.results.search import Search
from etude.results.sweep import sweep, tried

LOG = "            run.log(loss=loss)"
RESULT = '        run.result({"train/seen": self.steps})'


def validating(folder: Path) -> Entry:
    """The tiny study, with a metric of validation."""
    path = tiny.write(
        folder,
        old_1=LOG,
        new_1=f'{LOG}\n            run.log(**{{"validation/loss": loss}})',
        old_2=RESULT,
        new_2=f'{RESULT}\n        run.result({{"validation/loss": loss}})',
    )
    return Catalogue()[str(path)]


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return validating(tmp_path)


def plan_of(entry: Entry, *over: str, **changes: Any) -> Plan:
    return Plan(entry, axes_of(entry, over), "validation/loss", "minimize", **changes)


class Fake:
    """Answers at once: the value is what ``value(fields)`` says, its log falls towards it."""

    def __init__(
        self, root: Path, value: Callable[[Mapping[str, Any]], float | Ended], pause: float = 0
    ) -> None:
        self.root, self.value, self.pause = root, value, pause
        self.begun: list[tuple[int, dict[str, Any], RunFolder | None]] = []

    def __call__(
        self,
        plan: Plan,
        number: int,
        values: Mapping[str, Any],
        before: RunFolder | None,
        watch: Watch,
    ) -> Ended:
        self.begun.append((number, dict(values), before))
        folder = before or RunFolder(self.root / "fakes" / f"{os.getpid()}-{number}")
        folder.path.mkdir(parents=True, exist_ok=True)
        record = {"study": "tiny", "sweep": {"name": plan.name, "trial": number}}
        folder.study_json.write_text(json.dumps(record))
        watch.began(folder)
        answer = self.value(values)
        if isinstance(answer, Ended):
            return replace(answer, folder=folder)
        logged: list[float] = []
        for step in range(5):
            logged.append(answer + 1 / (1 + step))
            time.sleep(self.pause / 5)
            if plan.prune and watch.hopeless(logged):
                return Ended(folder, pruned=True)
        return Ended(folder, {"metrics": {plan.metric: answer}, "seconds": 0.5})


def bowl(values: Mapping[str, Any]) -> float:
    return (math.log10(values.get("rate", 0.1)) + 1.5) ** 2 + values.get("hidden", 0) / 100


# -- what is varied --------------------------------------------------------------------------------


def test_axes_are_typed_by_their_fields(entry: Entry) -> None:
    assert parse_axis(entry, "hidden=2,4,8,4") == Axis("hidden", (2, 4, 8), whole=True)
    assert parse_axis(entry, "hidden=2:64") == Axis("hidden", low=2, high=64, whole=True)
    assert parse_axis(entry, "rate=log:1e-4:1e-1") == Axis("rate", low=1e-4, high=1e-1, log=True)
    more = parse_axis(entry, "more=8 8,16")
    assert [more.value(choice) for choice in more.choices] == [(8, 8), (16,)]
    digits = Catalogue()["digits"]
    assert parse_axis(digits, "learning-rate=0.1:0.2").name == "learning_rate"
    assert parse_axis(digits, "optimizer=sgd,adam").choices == ("sgd", "adam")


def test_drawn_numbers_can_be_typed() -> None:
    assert Axis("rate", low=1e-4, high=0.1, log=True).value(0.0123456789) == 0.01235
    assert Axis("rate", low=0.12344, high=1).value(0.12344) == 0.12344  # never beyond the range


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("hiden=1,2", "study tiny has no field 'hiden'; did you mean 'hidden'?"),
        (
            "hidden",
            (
                "--over hidden can't be read; expected FIELD=a,b,c or FIELD=low:high or"
                " FIELD=log:low:high"
            ),
        ),
        ("hidden=", "--over hidden= can't be read"),
        (
            "hidden=4",
            (
                "--over hidden=4 has one value, and there is nothing to search; fix it with"
                " --hidden instead"
            ),
        ),
        ("hidden=4,4", "has one value"),
        ("hidden=8:2", "--over hidden=8:2 is an empty range; expected the lower end first"),
        ("hidden=2:2", "is an empty range"),
        ("hidden=0:2", "tiny: hidden is 0; expected a whole number of at least 1"),
        ("hidden=1.5:2", "expected hidden=low:high or hidden=log:low:high, whole numbers"),
        ("hidden=2,x", "tiny: hidden can't be 'x'; expected a whole number of at least 1"),
        ("hidden=2,-1", "tiny: hidden is -1; expected a whole number of at least 1"),
        (
            "rate=log:0:1",
            "--over rate=log:0:1 begins at 0, which has no logarithm; expected a lower end above 0",
        ),
        ("rate=1:2:3", "can't be read"),
        ("rate=nan:1", "is an empty range"),
        ("more=8,0 8", "tiny: more is (0, 8)"),
    ],
)
def test_wrong_axes_get_a_sentence(entry: Entry, word: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        axes_of(entry, [word])
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_sweep_has_axes_each_once(entry: Entry) -> None:
    with pytest.raises(UserError, match="give --over, as in --over rate=log:0.01:1"):
        axes_of(entry, [])
    with pytest.raises(UserError, match="--over hidden is given twice"):
        axes_of(entry, ["hidden=1,2", "hidden=3,4"])


# -- by what it is judged --------------------------------------------------------------------------


def test_the_metric_is_one_of_validation(entry: Entry, tmp_path: Path) -> None:
    assert metric_of(entry) == "validation/loss"
    assert metric_of(Catalogue()["digits"]) == "validation/accuracy"
    assert metric_of(entry, "train/seen") == "train/seen"
    for asked in ("test/accuracy", "best/test/loss", "test-loss"):
        with pytest.raises(UserError, match="is measured on test data, which no choice may see"):
            metric_of(entry, asked)
    (tmp_path / "plain").mkdir()
    plain = Catalogue()[str(tiny.write(tmp_path / "plain"))]
    with pytest.raises(
        UserError, match=r"names no validation metric .*test/accuracy, test/loss, train/seen"
    ):
        metric_of(plain)


def test_a_direction_is_told_by_the_name() -> None:
    for name in (
        "validation/loss",
        "validation/error",
        "validation/bits_per_letter",
        "validation/RMSE",
        "perplexity",
    ):
        assert direction_of(name) == "minimize"
    for name in (
        "validation/accuracy",
        "validation/return",
        "validation/log-likelihood",
        "loss/accuracy",
    ):
        assert direction_of(name) == "maximize"


def test_a_metric_is_read_from_the_result_else_from_the_log(entry: Entry, tmp_path: Path) -> None:
    plan, folder = plan_of(entry, "hidden=2,4"), RunFolder(tmp_path)
    assert measured(plan, folder, {"metrics": {"validation/loss": 0.5}}) == 0.5
    sentence = measured(plan, folder, {"metrics": {"test/loss": 0.5}})
    assert sentence == "the run measured no validation/loss; its metrics: test/loss"
    folder.metrics_jsonl.write_text(
        '{"step": 1, "validation/loss": 3}\n{"step": 2, "validation/loss": 2}\n'
    )
    assert measured(plan, folder, {"metrics": {}}) == 2.0
    assert (
        measured(plan, folder, {"metrics": {"validation/loss": math.inf}})
        == "validation/loss is inf"
    )
    hidden = measured(
        replace(plan, metric="score"), folder, {"metrics": {"score": 1}, "held_out": {"score": 100}}
    )  # a test by another name
    assert "measured on held-out examples, as a test is" in str(hidden)


# -- the search ------------------------------------------------------------------------------------


def test_a_grid_covers_all(entry: Entry, tmp_path: Path) -> None:
    plan = plan_of(
        entry, "hidden=2,4,8", "rate=0.01,0.1", "more=8 8,16", sampler="grid", fixed={"steps": 5}
    )
    fake = Fake(tmp_path, bowl)
    swept = sweep(plan, root=tmp_path / "runs", jobs=2, runner=fake, say=lambda line: None)
    points = {(v["hidden"], v["rate"], v["more"]) for _, v, _ in fake.begun}
    assert len(points) == len(fake.begun) == len(swept.trials) == 12
    assert swept.best[0].fields == {"hidden": 2, "rate": 0.01, "more": (8, 8)}
    words = shlex.split(swept.command or "")
    assert words[1:3] == ["run", str(entry.path)]
    assert words[3:] == [
        "--seed",
        "0",
        "--steps",
        "5",
        "--hidden",
        "2",
        "--rate",
        "0.01",
        "--more",
        "8",
        "8",
    ]
    with pytest.raises(
        UserError, match=r"--sampler grid needs a list for each field, as rate=a,b,c; rate=0.1:1 is"
    ):
        sweep(plan_of(entry, "rate=0.1:1", sampler="grid"), root=tmp_path)
    with pytest.raises(UserError, match="cmaes needs at least two fields with a range"):
        sweep(plan_of(entry, "rate=0.1:1", "hidden=1,2", sampler="cmaes"), root=tmp_path)


def test_what_is_found_is_drawn_and_kept(entry: Entry, tmp_path: Path) -> None:
    said: list[str] = []
    plan = plan_of(entry, "rate=log:1e-4:1", "hidden=2,64", "more=8 8,16", seed=3)
    swept = sweep(
        plan, trials=14, root=tmp_path / "runs", runner=Fake(tmp_path, bowl), say=said.append
    )
    assert swept.folder == tmp_path / "runs" / "tiny" / "sweeps" / plan.name
    assert {p.name for p in swept.folder.glob("*.*")} >= {
        "history.svg",
        "history.png",
        "importance.svg",
        "importance.png",
        "parallel.svg",
        "parallel.png",
        "trials.csv",
        "search.db",
    }
    assert sum(swept.importances.values()) == pytest.approx(1)
    assert max(swept.importances, key=lambda name: swept.importances[name]) == "rate"
    values = [trial.value for trial in swept.best]
    assert values == sorted(values)
    assert len((swept.folder / "trials.csv").read_text().splitlines()) == 15
    assert f"1/14 · trial 0: rate {swept.trials[0].fields['rate']:.4g}, hidden" in said[1]
    assert said[-1].endswith(f"best {values[0]:.4g} (trial {swept.best[0].number})")
    json.dumps(swept.as_json())
    assert find_runs(tmp_path / "runs") == []  # a sweep's folder is no run

    again: list[
        str
    ] = []  # the same command goes on: nothing is left to do, and then four trials more
    fake = Fake(tmp_path, bowl)
    assert (
        sweep(plan, trials=14, root=tmp_path / "runs", runner=fake, say=again.append).best
        == swept.best
    )
    assert fake.begun == []
    assert (
        len(sweep(plan, trials=16, root=tmp_path / "runs", runner=fake, say=again.append).trials)
        == 16
    )
    whole = sweep(
        plan, trials=16, root=tmp_path / "other", runner=Fake(tmp_path, bowl), say=again.append
    )
    assert [t.fields for t in whole.trials[:14]] == [
        t.fields for t in swept.trials
    ]  # seeded, stopped or not
    assert [v for _, v, _ in fake.begun] == [t.fields for t in whole.trials[14:]]


def test_cmaes_and_random_draw_within_the_axes(entry: Entry, tmp_path: Path) -> None:
    pytest.importorskip("cmaes")
    for sampler in ("cmaes", "random"):
        plan = plan_of(entry, "rate=log:1e-3:1", "hidden=1:9", sampler=sampler)
        swept = sweep(
            plan,
            trials=6,
            root=tmp_path / sampler,
            runner=Fake(tmp_path, bowl),
            say=lambda line: None,
        )
        assert len({t.fields["rate"] for t in swept.trials}) == 6
        assert all(
            1e-3 <= t.fields["rate"] <= 1 and t.fields["hidden"] in range(1, 10)
            for t in swept.trials
        )


def test_a_failed_trial_counts_and_is_told(entry: Entry, tmp_path: Path) -> None:
    said: list[str] = []

    def value(values: Mapping[str, Any]) -> float | Ended:
        return Ended(failure="the loss is nan") if values["hidden"] == 4 else bowl(values)

    plan = plan_of(entry, "hidden=2,4,8", sampler="grid")
    swept = sweep(plan, root=tmp_path / "runs", runner=Fake(tmp_path, value), say=said.append)
    assert [trial.state for trial in swept.trials] == ["complete", "failed", "complete"]
    assert swept.trials[1].failure == "the loss is nan"
    assert any("hidden 4 → failed (the loss is nan)" in line for line in said)


def test_what_is_hopeless_is_pruned(entry: Entry, tmp_path: Path) -> None:
    plan = plan_of(entry, "hidden=1:100", sampler="random", prune=True)
    swept = sweep(
        plan, trials=12, root=tmp_path / "runs", runner=Fake(tmp_path, bowl), say=lambda line: None
    )
    states = [trial.state for trial in swept.trials]
    assert states[:4] == ["complete"] * 4  # too early to tell
    pruned = [trial.fields["hidden"] for trial in swept.trials if trial.state == "pruned"]
    first = sorted(trial.fields["hidden"] for trial in swept.trials[:4])
    assert pruned
    assert min(pruned) > first[1]
    assert all(trial.state == "complete" for trial in swept.best)


def test_another_search_of_the_same_name_is_refused(entry: Entry, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "root": tmp_path,
        "runner": Fake(tmp_path, bowl),
        "say": lambda line: None,
    }
    sweep(plan_of(entry, "hidden=2,4", given_name="mine"), trials=1, **options)
    with pytest.raises(
        UserError,
        match=r"sweep mine is another: its over is hidden=2,4, not hidden=2,5; give another",
    ):
        sweep(plan_of(entry, "hidden=2,5", given_name="mine"), trials=1, **options)
    assert plan_of(entry, "hidden=2,4").name != plan_of(entry, "hidden=2,5").name
    assert plan_of(entry, "hidden=2,4").name == plan_of(entry, "hidden=2,4").name


def test_a_storage_that_is_none_gets_a_sentence(entry: Entry, tmp_path: Path) -> None:
    plan = plan_of(entry, "hidden=2,4")
    for storage, sentence in (
        ("nowhere", "--storage is no address of a database"),
        ("postgresql://etude:secret@127.0.0.1:9/x", "can't be used"),
        (f"sqlite:///{tmp_path}/no/folder/x.db", "can't be used"),
    ):
        with pytest.raises(UserError) as error:
            sweep(plan, storage=storage, root=tmp_path, runner=Fake(tmp_path, bowl))
        assert sentence in str(error.value)
        assert "secret" not in str(error.value)


# -- many workers ----------------------------------------------------------------------------------


def test_the_total_is_that_of_all_workers(entry: Entry, tmp_path: Path) -> None:
    plan = plan_of(entry, "rate=log:1e-4:1")
    fakes = [Fake(tmp_path, bowl, pause=0.05) for _ in range(2)]

    def work(fake: Fake) -> int:
        swept = sweep(
            plan, trials=9, root=tmp_path / "runs", runner=fake, say=lambda line: None, jobs=2
        )
        return len(swept.trials)

    with ThreadPoolExecutor(2) as pool:
        assert [*pool.map(work, fakes)] == [9, 9]
    begun = [number for fake in fakes for number, _, _ in fake.begun]
    assert sorted(begun) == [*range(9)]
    assert (
        len({fields["rate"] for fake in fakes for _, fields, _ in fake.begun}) == 9
    )  # no two draw alike


def test_a_stopped_sweep_goes_on(
    entry: Entry, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    was = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run behind
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, was))
    plan = plan_of(entry, "rate=log:1e-4:1")

    def stop(values: Mapping[str, Any]) -> float | Ended:
        if len(fake.begun) == 3:
            raise KeyboardInterrupt
        return bowl(values)

    asked = threading.Event()

    class Stopped(Fake):
        def stop(self) -> None:
            asked.set()

        def __call__(self, *arguments: Any) -> Ended:
            try:
                return super().__call__(*arguments)
            except KeyboardInterrupt:
                os.kill(
                    os.getpid(), signal.SIGINT
                )  # as the terminal does: to the process, not to this thread
                assert asked.wait(30)
                return Ended(RunFolder(self.root / "fakes" / f"{os.getpid()}-2"), stopped=True)

    said: list[str] = []
    fake = Stopped(tmp_path, stop)
    with pytest.raises(KeyboardInterrupt):
        sweep(plan, trials=5, root=tmp_path / "runs", runner=fake, say=said.append)
    assert said[-1] == "stopped; the same command goes on"
    after = Fake(tmp_path, bowl)
    swept = sweep(plan, trials=5, root=tmp_path / "runs", runner=after, say=said.append)
    assert [number for number, _, _ in after.begun] == [2, 3, 4]
    assert after.begun[0][1] == fake.begun[2][1]
    assert after.begun[0][2] is not None  # with the run that was under way
    assert [trial.state for trial in swept.trials] == ["complete"] * 5


def test_the_trial_of_a_dead_worker_is_taken_over(entry: Entry, tmp_path: Path) -> None:
    plan = plan_of(entry, "rate=log:1e-4:1")
    folder = tmp_path / "runs" / "tiny" / "sweeps" / plan.name
    folder.mkdir(parents=True)
    search = Search(plan, f"sqlite:///{folder / 'search.db'}", folder / ".turn", beat=1, grace=1)
    dead = search.take(3)  # and nothing more is ever heard of it
    assert dead is not None
    lost = RunFolder(tmp_path / "lost")
    lost.path.mkdir()
    lost.study_json.write_text(json.dumps({"sweep": {"name": plan.name, "trial": 0}}))
    dead.set_user_attr("run", str(lost.path))
    fake = Fake(tmp_path, bowl)
    swept = sweep(
        plan, trials=3, root=tmp_path / "runs", runner=fake, say=lambda line: None, beat=1, grace=1
    )  # waits until the worker counts as dead
    assert sorted(number for number, _, _ in fake.begun) == [0, 1, 2]
    ((_, fields, before),) = [each for each in fake.begun if each[0] == 0]
    assert fields == plan.values(dead.params)
    assert before
    assert before.path == lost.path
    assert [trial.state for trial in swept.trials] == ["complete"] * 3


def test_a_living_worker_keeps_its_trial(entry: Entry, tmp_path: Path) -> None:
    plan = plan_of(entry, "rate=log:1e-4:1")
    search = Search(
        plan, f"sqlite:///{tmp_path / 'search.db'}", tmp_path / ".turn", beat=1, grace=2
    )
    mine = search.take(1)
    assert mine is not None
    with search.alive(mine):
        for _ in range(10):
            time.sleep(0.4)
            assert search.take(1) is None
    search.put_back(mine._trial_id)
    again = search.take(1)
    assert again is not None
    assert (again.number, again.params) == (mine.number, mine.params)
    search.finish(again, 1.0)
    search.finish(mine, 2.0)  # too late, and no harm
    assert [tried(plan, trial).value for trial in search.trials()] == [1.0]
    assert search.over(1)


# -- real processes --------------------------------------------------------------------------------


def command(place: Path, *words: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "etude",
        "sweep",
        "./tiny.py",
        "--runs",
        str(place / "runs"),
        *words,
    ]


def wait_for(found: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    patience = time.monotonic() + 400
    while not (there := found()) and time.monotonic() < patience and process.poll() is None:
        time.sleep(0.1)
    return there


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_worker_is_followed_by_another(tmp_path: Path) -> None:
    entry = validating(tmp_path)
    plan = plan_of(entry, "hidden=4,8", sampler="grid", fixed={"steps": 1_500})
    words = command(tmp_path, "--over", "hidden=4,8", "--sampler", "grid", "--steps", "1500")
    process = subprocess.Popen(
        words, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, text=True
    )

    def running() -> list[RunFolder]:
        runs = find_runs(tmp_path / "runs")
        return [
            run for run in runs if "sweep" in run.study() and run.last_row().get("step", 0) > 20
        ]

    (run,) = wait_for(running, process)
    process.kill()
    process.wait()
    os.kill(run.status()["pid"], signal.SIGKILL)
    swept = sweep(plan, root=tmp_path / "runs", say=lambda line: None, beat=1, grace=1)
    assert [trial.state for trial in swept.trials] == ["complete", "complete"]
    assert Path(swept.trials[0].run or "") == run.path.resolve()  # the same run, gone on with
    assert len(find_runs(tmp_path / "runs")) == 2
    assert run.study()["sweep"] == {"name": plan.name, "trial": 0}
    whole = tiny.run(entry.path, tmp_path / "whole", hidden=4, steps=1_500)
    assert run.result()["metrics"] == whole.metrics  # type: ignore[index]
    assert swept.trials[0].value == whole.metrics["validation/loss"]


WORKER = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from results.test_sweep import Fake, bowl, plan_of, validating
from etude.results.sweep import sweep
place = Path(sys.argv[1])
fake = Fake(place, bowl, pause=0.2)
plan = plan_of(validating(place), "rate=log:1e-4:1")
quiet = {{"say": lambda line: None, "beat": 1, "grace": 5}}
sweep(plan, trials=8, storage=sys.argv[2], root=place / "runs", runner=fake, **quiet)
print(len(fake.begun))
"""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The address of a server that lives as long as this module's tests."""
    tools = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not tools:
        pytest.skip("PostgreSQL is not installed")
    root = os.name == "posix" and os.geteuid() == 0
    if root and not shutil.which("runuser"):
        pytest.skip("PostgreSQL does not start as root, and there is no runuser")
    user = ["runuser", "-u", "postgres", "--"] if root else []
    place = Path(tempfile.mkdtemp(prefix="etude-pg-"))
    if root:
        shutil.chown(place, "postgres", "postgres")

    def call(*words: str | Path) -> None:
        done = subprocess.run(
            [*user, *map(str, words)], cwd="/", capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, done.stdout + done.stderr

    data, bin_ = place / "data", tools[-1]
    call(bin_ / "initdb", "-D", data, "-A", "trust", "-U", "etude", "-N")
    options = f"-k {place} -c listen_addresses='' -c fsync=off"
    call(bin_ / "pg_ctl", "-D", data, "-w", "-l", place / "log", "-o", options, "start")
    try:
        yield f"postgresql:///postgres?host={place}&user=etude"
    finally:
        call(bin_ / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(place, ignore_errors=True)


def test_two_workers_share_a_postgresql(postgresql: str, tmp_path: Path) -> None:
    path = [str(Path(__file__).parents[1])]
    places = [tmp_path / "one", tmp_path / "two"]  # two machines, as far as files tell
    for place in places:
        place.mkdir()
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER.format(path=path), str(place), postgresql],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for place in places
    ]
    said: Sequence[tuple[str, str]] = [worker.communicate(timeout=400) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    counts = [int(out) for out, _ in said]
    assert 8 <= sum(counts) <= 9  # no more than one beyond, for each other worker that runs
    plan = plan_of(validating(tmp_path), "rate=log:1e-4:1")
    swept = sweep(
        plan, trials=8, storage=postgresql, root=tmp_path / "three", say=lambda line: None
    )
    assert len(swept.trials) == sum(counts)
    assert {trial.state for trial in swept.trials} == {"complete"}
    assert len({trial.fields["rate"] for trial in swept.trials}) == len(swept.trials)
