"""A run is exact, or says what it can't be: nothing is lost, left out or begun again in silence."""

from __future__ import annotations

import datetime
import decimal
import enum
import random
import re
import weakref
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from etude.errors import UserError
from etude.runs import checkpoints, plain
from etude.runs.checkpoints import Checkpoints
from etude.runs.folder import RunFolder, find_runs
from etude.runs.metrics import Window
from etude.runs.run import Run
from etude.runs.workers import Workers
from etude.training.batches import Batches
from runs.test_stage import assert_resumed_alike, perform, rows, stopped, total, train

Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    """Of no use."""

    RED = 1


@dataclass
class Pair:
    """Of no use either."""

    x: float = 0.0


class Odd(torch.Tensor):
    """Of a class of its own."""


class Kept:
    """Whatever it is given, as a part of a loop's state."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def state_dict(self) -> dict[str, Any]:
        """The value."""
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put it back."""
        self.value = state["value"]


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without curves, which take longer to draw than all the rest."""
    monkeypatch.setattr("etude.runs.report._curves", lambda folder: None)


def few(run: Run, *state: Any, steps: int = 6) -> Iterator[int]:
    return run.steps(range(steps), state=state)


# -- what a state may hold -------------------------------------------------------------------------

KEPT: list[Any] = [
    np.float64(0.1),
    np.float32(0.1),
    np.int64(-3),
    np.bool_(True),
    np.str_("a"),
    np.arange(6.0).reshape(2, 3).T,
    np.array(["a", "bc"]),
    np.datetime64("2025-01-31"),
    deque([1, np.float64(2)], maxlen=3),
    (np.zeros(2), [np.float32(1)]),
    {("a", 1): {np.int64(3): "x"}},
    OrderedDict(b=1, a=2),
    Counter("abca"),
    defaultdict(list, {"a": [1.5]}),
    {1, 2},
    frozenset("ab"),
    range(2, 9, 3),
    slice(1, None, 2),
    Path("a/b"),
    datetime.datetime(2025, 1, 31, 12, 30, 1, 5, tzinfo=datetime.UTC),
    datetime.date(2025, 1, 31),
    datetime.timedelta(days=-1, microseconds=3),
    decimal.Decimal("0.10"),
    Fraction(1, 3),
    bytearray(b"ab"),
    torch.Size([2, 3]),
    torch.float16,
    torch.device("cpu"),
    float("-inf"),
    2 + 3j,
    None,
]


@pytest.mark.parametrize("value", KEPT, ids=lambda value: type(value).__name__)
def test_what_a_state_holds_comes_back_as_it_was(tmp_path: Path, value: Any) -> None:
    said: list[str] = []
    kept = Checkpoints(tmp_path / "checkpoint", said.append)
    kept.save(0, 1, {"state": plain.pack(value, "Kept")})
    _, saved = kept.restore()
    assert saved is not None, said
    back = plain.unpack(saved["state"])
    assert type(back) is type(value)
    assert repr(back) == repr(value)
    if isinstance(value, np.ndarray):
        assert back.dtype == value.dtype
        assert back.strides == value.strides, "sums are taken in the order of memory"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (Point(1, 2), "holds a tests.runs.test_exact.Point as value.best.last"),
        (Pair(), "holds a tests.runs.test_exact.Pair as value.best.last"),
        (Colour.RED, "holds a tests.runs.test_exact.Colour as value.best.last"),
        (np.array([{}]), "holds an array of objects as value.best.last"),
        ([1, {2: object()}], r"holds an object as value.best.last\[1\].2"),
        (defaultdict(lambda: 3), "holds a collections.defaultdict as value.best.last"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_no_checkpoint_can_hold_is_named_before_the_first_step(
    tmp_path: Path, value: Any, word: str
) -> None:
    taken = []
    with (
        pytest.raises(UserError, match=f"the state of Kept {word}, which a checkpoint can't hold"),
        Run("unit", root=tmp_path, quiet=True) as run,
    ):
        for step in few(run, Kept({"best": {"last": value}})):
            taken.append(step)
    assert not taken
    assert not find_runs(tmp_path), "a run that never began leaves nothing"


def test_what_a_loop_adds_to_its_state_is_named_when_it_is_saved(tmp_path: Path) -> None:
    """Nothing that can't be read is written: what was saved before stays the last checkpoint."""
    part = Kept(1.0)
    with (
        pytest.raises(UserError, match="the state of Kept holds a tests.runs.test_exact.Point"),
        Run("unit", root=tmp_path, quiet=True, checkpoint_every=1e-9) as run,
    ):
        for step in few(run, part):
            part.value = Point(1, 2) if step == 3 else np.float64(step)
    (folder,) = find_runs(tmp_path)
    assert folder.state == "failed"
    assert sorted(path.name[:10] for path in folder.checkpoint.iterdir()) == [
        "0-00000002",
        "0-00000003",
    ]


def test_the_first_checkpoint_of_a_stage_is_read_back(tmp_path: Path) -> None:
    """Of a kind that nobody has foreseen: a class of tensors that is not PyTorch's own."""
    odd = torch.ones(2).as_subclass(Odd)
    with pytest.raises(UserError, match="can be written but not read"):
        Checkpoints(tmp_path / "checkpoint").save(0, 1, {"state": [odd]})
    assert not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize(
    "state", [{"net": nn.Linear(1, 1)}, torch.ones(1), [nn.Linear(1, 1), 3], "net", {1}]
)
def test_a_state_without_a_state_is_told_at_the_first_line(tmp_path: Path, state: Any) -> None:
    with (
        pytest.raises(UserError, match="state holds a (dict|Tensor|int|str|set); expected net"),
        Run("unit", root=tmp_path, quiet=True) as run,
    ):
        list(run.steps(range(3), state=state))


def test_generators_of_every_kind_are_parts_of_a_state(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        parts = (
            np.random.default_rng(1),
            np.random.RandomState(2),
            random.Random(3),
            torch.Generator().manual_seed(4),
        )
        a, b, c, d = parts
        for _ in few(run, *parts):
            run.log(a=a.random(), b=b.rand(), c=c.random(), d=torch.rand((), generator=d))
            b.randn()  # keeps a second number

    assert_resumed_alike(script, tmp_path, 3)


# -- beginning again -------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["all checkpoints", "the log"])
def test_a_run_begins_again_only_when_told(tmp_path: Path, damage: str) -> None:
    def script(run: Run) -> None:
        train(run, 8)

    whole = perform(script, tmp_path / "whole")
    folder = stopped(script, tmp_path / "cut", 5)
    if damage == "the log":
        folder.metrics_jsonl.write_bytes(b"")
    for path in folder.checkpoint.iterdir() if damage != "the log" else ():
        path.write_bytes(b"no checkpoint")
    before = {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    with pytest.raises(UserError, match=r"none of its 1 checkpoints can be used.*--begin-again"):
        perform(script, tmp_path / "cut", resume=folder)
    after = {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    assert folder.state == "stopped"
    assert {**after, "log.txt": b""} == {**before, "log.txt": b""}
    with Run("staged", root=tmp_path, resume=folder, quiet=True, begin_again=True) as run:
        script(run)
    assert rows(run) == rows(whole)
    assert "the run begins again at its first step" in folder.log_txt.read_text(encoding="utf-8")


def test_a_run_without_a_checkpoint_says_that_it_begins_at_its_first_step(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="as asked"), Run("staged", root=tmp_path) as run:
        for _ in few(run, nn.Linear(1, 1)):
            raise ValueError("as asked")
    perform(lambda run: None, tmp_path, resume=run.folder)
    assert "begins at its first step" in run.folder.log_txt.read_text(encoding="utf-8")


def test_a_checkpoint_of_another_version_is_one_sentence(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        train(run, 6)

    folder = stopped(script, tmp_path, 3)
    kept = Checkpoints(folder.checkpoint)
    _, state = kept.restore()
    assert state is not None
    del state["modes"]
    kept.save(0, 4, state)
    with pytest.raises(UserError, match="can't be resumed: its checkpoint lacks modes"):
        perform(script, tmp_path, resume=folder)


def loops(run: Run) -> None:
    """Six loops that end, each with a network of its own, and one that is stopped."""
    for stage in range(7):
        net = nn.Linear(8, 8)
        for _ in few(run, net, steps=2):
            with torch.no_grad():
                net.weight.add_(stage)


def test_of_the_states_in_which_loops_ended_one_is_in_memory_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stopped(loops, tmp_path, 13)
    assert len(list(folder.checkpoint.glob("*-done.*.pt"))) == 6
    alive: list[weakref.ref[dict[str, Any]]] = []
    most = 0
    load = checkpoints._loaded

    def watched(content: bytes) -> Any:
        nonlocal most
        state = Watched(load(content))
        alive.append(weakref.ref(state))
        most = max(most, sum(each() is not None for each in alive))
        return state

    monkeypatch.setattr(checkpoints, "_loaded", watched)
    perform(loops, tmp_path, resume=folder)
    assert len(alive) >= 12, "each is looked through, and read again when it is its loop's turn"
    assert most <= 2


class Watched(dict[str, Any]):
    """A dictionary of which one can see that it is gone."""


def test_an_end_that_is_lost_under_way_is_one_sentence(tmp_path: Path) -> None:
    folder = stopped(loops, tmp_path, 13)
    ended, _ = Checkpoints(folder.checkpoint).restore()
    assert len(ended) == 6
    next(folder.checkpoint.glob("3-done.*.pt")).unlink()
    assert ended[2]
    with pytest.raises(UserError, match=r"3-done.*was whole when the run went on"):
        ended[3]


# -- what a state lacks ----------------------------------------------------------------------------


def lacking(tmp_path: Path, given: Callable[..., tuple[Any, ...]], **options: Any) -> None:
    net = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    with Run("unit", root=tmp_path, quiet=True) as run:
        for _ in few(run, *given(net, optimizer, schedule)):
            run.minimise(net(torch.ones(1, 2)).sum(), optimizer, schedule)


class Trainer:
    """Holds what it needs, and gives copies."""

    def __init__(self, *parts: Any) -> None:
        self.inner = {"parts": list(parts)}

    def state_dict(self) -> dict[str, Any]:
        """Copies."""
        states = [part.state_dict() for part in self.inner["parts"]]
        return {"0": {k: v.numpy().copy() for k, v in states[0].items()}, "rest": states[1:]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (lambda net, optimizer, schedule: (net, schedule), "the optimiser SGD"),
        (lambda net, optimizer, schedule: (net, optimizer), "the schedule StepLR"),
        (lambda net, optimizer, schedule: (optimizer, schedule), r"4 parameters.*shape \(1, 2\)"),
        (lambda net, optimizer, schedule: (net[1], optimizer, schedule), "2 parameters"),
        (lambda net, optimizer, schedule: (), "the optimiser SGD"),
    ],
)
def test_what_a_step_changes_and_no_state_holds_is_an_error(
    tmp_path: Path, given: Any, missing: str
) -> None:
    with pytest.raises(UserError, match=f"{missing}.*would not be resumed.*expected run.steps"):
        lacking(tmp_path, given)
    assert not find_runs(tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        lambda net, optimizer, schedule: (nn.ModuleList([net]), optimizer, schedule),
        lambda net, optimizer, schedule: (Trainer(net, optimizer, schedule),),
        lambda net, optimizer, schedule: (*net, optimizer, Kept(schedule.state_dict()), schedule),
    ],
)
def test_a_state_that_holds_all_in_its_own_way_is_none(tmp_path: Path, given: Any) -> None:
    lacking(tmp_path, given)


def test_modes_of_a_network_are_kept(tmp_path: Path) -> None:
    """Also those of a loop that had ended, and a buffer that no state holds."""

    class Net(nn.Module):
        count: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.linear, self.dropout = nn.Linear(2, 1), nn.Dropout(0.5)
            self.register_buffer("count", torch.zeros(1), persistent=False)
            self.register_buffer("fixed", torch.zeros(1000), persistent=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.count += 1
            return self.linear(self.dropout(x)) + self.count / 10

    def script(run: Run) -> None:
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for stage in range(2):
            for _ in few(run, net, optimizer, steps=8):
                if stage == 0 and run.step == 3:
                    net.eval()
                    net.linear.bias.requires_grad_(False)
                loss = (net(torch.randn(4, 2)) - 1).square().mean()
                run.minimise(loss, optimizer)
                run.log(loss=loss)
        run.result({"total": total(net)})

    whole = perform(script, tmp_path / "whole")
    for number in (2, 5, 12):
        folder = assert_resumed_alike(script, tmp_path / str(number), number, whole)
        assert folder.result()


# -- batches ---------------------------------------------------------------------------------------


class Noisy(Dataset[torch.Tensor]):
    """Items with noise from a generator of its own."""

    def __init__(self) -> None:
        self.chance = np.random.default_rng(3)

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor(index + float(self.chance.random()))


@pytest.mark.parametrize("kept", [False, True])
def test_a_loader_with_generators_of_its_own_is_resumed(tmp_path: Path, kept: bool) -> None:
    def script(run: Run) -> None:
        draws = torch.Generator().manual_seed(1)
        loader = DataLoader(Noisy(), batch_size=2, shuffle=True, generator=draws)
        for _ in range(2):
            for batch in run.steps(loader, 8, state=[draws] if kept else []):
                run.log(first=batch[0], last=batch[-1])
        run.result({"after": torch.rand((), generator=draws)})

    whole = perform(script, tmp_path / "whole")
    for number in (3, 6, 14):
        assert_resumed_alike(script, tmp_path / str(number), number, whole)


class Counted(Dataset[torch.Tensor]):
    """Items that are counted as they are read."""

    def __init__(self) -> None:
        self.read = 0

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> torch.Tensor:
        self.read += 1
        return torch.tensor(float(index))


def test_what_a_loop_that_ended_has_read_is_not_read_again(tmp_path: Path) -> None:
    read = []

    def script(run: Run) -> None:
        first, second = Counted(), Counted()
        for items in (first, second):
            for batch in run.steps(DataLoader(items, batch_size=2, shuffle=True), 5):
                run.log(first=batch[0], chance=torch.rand(()))
            read.append(items.read)
        run.result({"after": torch.rand(())})

    whole = perform(script, tmp_path / "whole")
    assert read == [10, 10]
    read.clear()
    assert_resumed_alike(script, tmp_path / "cut", 8, whole)
    assert read[-2:] == [0, 10]


def test_workers_that_outlive_a_pass_are_refused(tmp_path: Path) -> None:
    loader = DataLoader(Noisy(), num_workers=1, persistent_workers=True)
    with (
        pytest.raises(UserError, match="expected persistent_workers=False"),
        Run("unit", root=tmp_path, quiet=True) as run,
    ):
        list(run.steps(loader))


class Endless(IterableDataset[int]):
    """Three numbers; nobody knows how many."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(3))


def test_a_loader_of_unknown_length_is_one_pass(tmp_path: Path) -> None:
    with Run("unit", root=tmp_path, quiet=True) as run:
        assert len(list(run.steps(DataLoader(Endless())))) == 3


def test_a_loop_that_gets_fewer_steps_says_so_in_the_report_too(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        run.result({"steps": len(list(run.steps((k for k in range(7)), 100, name="first")))})
        train(run, 6)

    said = "first took 7 of 100 steps, for its batches ended"
    whole = perform(script, tmp_path / "whole")
    folder = stopped(script, tmp_path / "cut", 10)
    for run in (whole, perform(script, tmp_path / "cut", resume=folder)):
        assert said in run.folder.log_txt.read_text(encoding="utf-8")
        assert said in run.folder.report_html.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("batches", "steps", "why"),
    [
        ([], None, "its batches are empty"),
        ([], 5, "its batches are empty"),
        (iter(()), None, "its batches are empty"),
        (DataLoader(Noisy(), batch_size=11, drop_last=True), 9, "drop_last"),
        ([1], 0, "it was asked for 0 steps; expected at least 1"),
    ],
)
def test_a_loop_without_a_step_is_an_error(
    tmp_path: Path, batches: Any, steps: int | None, why: str
) -> None:
    with (
        pytest.raises(UserError, match=f"the loop of unit takes no step: .*{why}"),
        Run("unit", root=tmp_path, quiet=True) as run,
    ):
        list(run.steps(batches, steps))
    assert not find_runs(tmp_path)


def test_an_endless_loop_logs_a_bounded_number_of_rows(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        for k in run.steps(iter(int, 1), state=nn.Linear(1, 1)):
            run.log(value=float(k + run.step))
            if run.step == 1_700:
                break

    whole = rows(perform(script, tmp_path))
    steps = [row["step"] for row in whole]
    assert steps[199:203] == [200, 202, 204, 206]
    assert len(steps) < 550
    assert sum(row["value"] for row in whole[:200]) == sum(range(200)), "all steps are in"


class Two(Workers):
    """One of two processes that never meet."""

    def __init__(self, rank: int) -> None:
        super().__init__(rank, 2)

    def gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """What this one gives, and what the other one would."""
        return [list(numbers), [2 * number for number in numbers]]


def test_each_process_gets_its_own_half_of_a_window_back() -> None:
    """And a process that was not there the mean of all."""
    window = Window()
    window.add({"loss": 0.1})
    window.add({"loss": 0.2})
    saved = window.state_dict(Two(0))
    for workers, factor in ((Two(0), 1), (Two(1), 2), (Workers(), 1.5)):
        back = Window()
        back.load_state_dict(saved, workers)
        assert back.sums == {"loss": (0.1 + 0.2) * factor}
        assert back.counts == {"loss": 2}


# -- the log, and runs within runs -----------------------------------------------------------------


def test_a_figure_after_a_break_sees_the_last_row(tmp_path: Path) -> None:
    seen: list[Any] = []

    def script(run: Run) -> None:
        train(run, 8, stop=5)
        seen.append(run.folder.curves()["loss"][""][0])
        train(run, 8, stop=5)
        run.result({"x": 1.0})
        seen.append(RunFolder(run._life.folder.path).curves()["loss"]["stage 2"][0])

    whole = perform(script, tmp_path / "whole")
    assert seen == [[1, 2, 3, 4, 5]] * 2
    folder = stopped(script, tmp_path / "cut", 6)
    seen.clear()
    assert rows(perform(script, tmp_path / "cut", resume=folder)) == rows(whole)
    assert seen == [[1, 2, 3, 4, 5]] * 2


def test_a_run_within_a_run_leaves_its_random_numbers_alone(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        for _ in few(run):
            run.log(value=torch.rand(()))
            if inner:
                perform(lambda inner: train(inner, 2) and None, tmp_path / f"{run.step}")

    inner = False
    whole = rows(perform(script, tmp_path / "alone"))
    inner = True
    assert rows(perform(script, tmp_path / "around")) == whole


def test_two_runs_take_no_steps_by_turns(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"run a is asked for a step while b is under way"),
        Run("a", root=tmp_path, quiet=True) as a,
    ):
        loop = few(a)
        next(loop)
        with Run("b", root=tmp_path, quiet=True):
            next(loop)
    perform(lambda run: None, tmp_path)  # neither is in the way of a third


def test_a_run_in_another_thread_is_refused(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with Run("a", root=tmp_path, quiet=True), ThreadPoolExecutor(1) as pool:
        task = pool.submit(perform, lambda run: None, tmp_path)
        with pytest.raises(UserError, match="run a is under way in another thread"):
            task.result()
    assert [folder.path.parent.name for folder in find_runs(tmp_path)] == ["a"]


def test_a_run_that_was_not_entered_says_how(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run a has not begun; expected: with etude.Run"):
        list(Run("a", root=tmp_path).steps(range(3)))


def test_other_data_is_told_when_a_run_is_resumed(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        net = nn.Linear(1, 1)
        for batches in (Batches((torch.ones(rows),), 2), [1] * rows, DataLoader([1] * rows)):
            list(run.steps(batches, 4, state=net))

    rows = 4
    folder = stopped(script, tmp_path, 11)
    rows = 5
    perform(script, tmp_path, resume=folder)
    said = folder.log_txt.read_text(encoding="utf-8")
    assert "the loop has other data than when the run began: 4 rows then, 5 rows now" in said
    assert "stage 2 has other data than when the run began: 4 batches then, 5 batches now" in said
    assert "stage 3 has other data than when the run began: 4 items then, 5 items now" in said


def test_other_values_are_told_when_a_run_is_resumed(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        net = nn.Linear(1, 1)
        data = TensorDataset(torch.full((100, 2), value, dtype=torch.bfloat16))
        for batches in (
            Batches((torch.ones(100), torch.arange(100) * value), 2),
            [(value, torch.tensor(1.0))] * 4,
            DataLoader(data, 50),
            [(np.full(3, value), f"{value}")] * 4,
            Batches((torch.ones(100),), 2),
            [(torch.eye(2).to_sparse(), value)] * 4,  # which has no bytes in a row
        ):
            list(run.steps(batches, 4, state=net))

    value = 1
    folder = stopped(script, tmp_path, 23)
    value = 2
    perform(script, tmp_path, resume=folder)
    said = folder.log_txt.read_text(encoding="utf-8")
    assert re.findall(r"(the loop|stage \d) has other data .* other values", said) == [
        "the loop",
        *["stage 2", "stage 3", "stage 4"],
    ]


@pytest.mark.parametrize("name", ["step", "stage", "seconds"])
def test_a_metric_hides_nothing_of_its_row(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(UserError, match=f"a metric is called '{name}', as each row"),
        Run("unit", root=tmp_path, quiet=True) as run,
    ):
        run.log(**{name: 1.0})


def test_what_is_not_as_it_was_is_told_when_a_run_is_resumed(tmp_path: Path) -> None:
    import json

    def script(run: Run) -> None:
        train(run, 6)

    folder = stopped(script, tmp_path, 3)
    about = json.loads(folder.study_json.read_text(encoding="utf-8"))
    about["versions"]["torch"] = "1.0"
    about["fields"] = {"rate": 0.1}
    about["machine"]["processor"] = "Z80"
    folder.study_json.write_text(json.dumps(about), encoding="utf-8")
    with Run("other", seed=5, fields={"rate": 0.2}, root=tmp_path, resume=folder) as run:
        script(run)
    result = folder.result()
    assert result
    notes = " ".join(result["notes"])
    assert "the run began with seed 0 and goes on with it; seed 5 is passed over" in notes
    assert "rate was 0.1 when the run began and is 0.2 now" in notes
    assert "this is a run of staged, resumed as one of other" in notes
    assert f"torch 1.0, now {torch.__version__}; Z80, now " in notes
    assert notes in " ".join(folder.log_txt.read_text(encoding="utf-8").splitlines())


# -- the end ---------------------------------------------------------------------------------------


def finished(root: Path) -> RunFolder:
    return perform(lambda run: run.result({"x": 1.0}), root).folder


def test_what_a_kill_left_undone_after_the_result_is_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from etude.cli import main

    folder = finished(tmp_path)
    report = folder.report_html.read_bytes()
    folder.report_html.unlink()
    Checkpoints(folder.checkpoint).save(0, 1, {"step": 1})
    assert main(["resume", str(folder.path)]) == 0
    assert "had its result already" in capsys.readouterr().err
    assert folder.report_html.read_bytes() == report
    assert not folder.checkpoint.exists()
    assert not (folder.path / ".lock").exists()
    assert main(["resume", str(folder.path)]) == 2
    assert "there is nothing to resume" in capsys.readouterr().err


def test_a_kill_between_report_and_result_leaves_a_run_that_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is written last: so a run that has one has all."""
    seen: list[bool] = []
    clear = Checkpoints.clear

    def look(self: Checkpoints) -> None:
        folder = RunFolder(self.folder.parent)
        seen.extend([folder.result_json.is_file(), folder.report_html.is_file()])
        clear(self)

    def report(folder: RunFolder, result: Any) -> None:
        seen.append(folder.result_json.is_file())
        folder.report_html.write_text("x")

    monkeypatch.setattr(Checkpoints, "clear", look)
    monkeypatch.setattr("etude.runs.report.write_report", report)
    finished(tmp_path)
    assert seen == [False, True, True]
