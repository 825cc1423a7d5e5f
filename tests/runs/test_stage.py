"""A stage's state, one piece after the other: what a stop and a resume must not change.

Every test stops a run after a chosen step, without a clock and without a second process, and
compares what is resumed with what was never stopped. The loops are long enough for windows of the
log that are half full.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from etude.runs.folder import RunFolder, find_runs
from etude.runs.run import Interrupted, Run
from etude.runs.stage import Stage

STEPS = 600  # three to a row of the log
Script = Callable[[Run], None]


class Clock:
    """A second at every look."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def perform(
    script: Script, root: Path, *, resume: RunFolder | None = None, every: float | None = None
) -> Run:
    with Run("staged", root=root, resume=resume, quiet=True, checkpoint_every=every) as run:
        script(run)
    return run


def stopped(script: Script, root: Path, number: int) -> RunFolder:
    """The folder of a run that was asked to stop, as by Ctrl-C, in the ``number``-th step that it
    took to its end.
    """
    count = 0
    after = Stage.after_step

    def counting(self: Stage[Any]) -> None:
        nonlocal count
        count += 1
        if count == number:
            self.services.policy.signal = signal.SIGINT
        after(self)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Stage, "after_step", counting)
        perform(script, root)
    (folder,) = find_runs(root)
    return folder


def rows(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in run.folder.metrics()]


def assert_resumed_alike(
    script: Script, root: Path, number: int, whole: Run | None = None
) -> RunFolder:
    whole = whole or perform(script, root / "whole")
    folder = stopped(script, root / "cut", number)
    resumed = perform(script, root / "cut", resume=folder)
    assert resumed.metrics == whole.metrics
    assert rows(resumed) == rows(whole)
    return folder


def train(run: Run, steps: int = STEPS, *, name: str | None = None, stop: int = 0) -> nn.Linear:
    net = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    for _ in run.steps(range(steps), state=(net, optimizer), name=name):
        loss = (net(torch.randn(4, 2)) - 1).square().mean()
        run.minimise(loss, optimizer)
        run.log(loss=loss)
        if run.step + 1 == stop:
            break
    return net


def total(net: nn.Module) -> float:
    return sum(p.detach().double().sum().item() for p in net.parameters())


def test_a_window_that_is_half_full_is_put_back(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        run.result({"total": total(train(run))})

    whole = perform(script, tmp_path / "whole")
    for number in (1, 502, 503, 504, STEPS - 1):
        assert_resumed_alike(script, tmp_path / str(number), number, whole)


def test_seconds_before_a_stop_are_counted(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        run._services.log.clock = clock
        run._services.log._began = clock()
        train(run)

    clock = Clock()
    folder = stopped(script, tmp_path, 503)
    before = [row["seconds"] for row in folder.metrics()][-1]
    clock = Clock()
    perform(script, tmp_path, resume=folder)
    seconds = [row["seconds"] for row in folder.metrics()]
    assert seconds == sorted(seconds)
    assert seconds[167] > before
    assert seconds[-1] >= 200  # one look a row, before and after the stop


@pytest.mark.parametrize("number", [460, 900])
def test_a_stage_that_was_left_early_keeps_the_state_of_that_moment(
    tmp_path: Path, number: int
) -> None:
    """What the code does to the network after the loop is done again by the resumed run; it must
    not be in what was kept of the loop.
    """

    def script(run: Run) -> None:
        net = train(run, stop=452)
        with torch.no_grad():
            net.weight.mul_(2)
        run.log(doubled=net.weight.sum())
        run.result({"first": total(net), "second": total(train(run))})

    assert_resumed_alike(script, tmp_path, number)


def test_a_stage_that_was_left_early_counts_the_step_in_which_it_was(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        train(run, stop=455)
        run.result({"steps": run.step})
        train(run)

    whole = perform(script, tmp_path / "whole")
    assert whole.metrics["steps"] == 455
    assert [row["step"] for row in rows(whole) if "stage" not in row][-1] == 455
    assert_resumed_alike(script, tmp_path / "again", 900)


def test_what_is_logged_after_a_break_stands_behind_the_loops_last_row(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        train(run, stop=452)
        run.log(between=1.0)

    found = rows(perform(script, tmp_path))
    assert [set(row) for row in found[-2:]] == [{"step", "loss"}, {"between"}]
    assert [row.get("step") for row in found[-3:]] == [450, 452, None]


def test_what_is_logged_after_a_break_is_not_logged_again_by_a_resumed_run(tmp_path: Path) -> None:
    """The stage's end is kept before the row, so that the log is cut to what was before it."""

    def script(run: Run) -> None:
        train(run, stop=452)
        run.log(between=1.0)
        if crash:
            raise ValueError("as asked")
        run.log(after=2.0)

    crash = False
    whole = rows(perform(script, tmp_path / "whole"))
    crash = True
    with pytest.raises(ValueError, match="as asked"):
        perform(script, tmp_path / "cut")
    crash = False
    (folder,) = find_runs(tmp_path / "cut")
    assert [path.name[:6] for path in folder.checkpoint.iterdir()] == ["0-done"]
    assert rows(perform(script, tmp_path / "cut", resume=folder)) == whole


@pytest.mark.parametrize("number", [430, 470])
def test_a_part_leaves_the_runs_random_numbers_where_they_were(tmp_path: Path, number: int) -> None:
    def script(run: Run) -> None:
        before = torch.rand(())
        for k in range(2):
            with run.part(f"part #{k}", seed=k):
                run.result({"own": total(train(run, 450))})
        run.result({"drawn": before + torch.rand(())})

    run = perform(script, tmp_path / "whole")
    assert_resumed_alike(script, tmp_path, number, run)
    torch.manual_seed(0)
    assert run.metrics == {"drawn": float(torch.rand(()) + torch.rand(()))}


def test_a_loop_that_outlives_its_run_is_no_break(tmp_path: Path) -> None:
    """A generator that is collected after the run's end must touch neither folder nor log."""
    with (
        pytest.raises(ValueError, match="as asked"),
        Run("staged", root=tmp_path, quiet=True) as run,
    ):
        loop = run.steps(range(STEPS), state=nn.Linear(1, 1))
        for _ in range(452):
            next(loop)
        raise ValueError("as asked")
    before = sorted(path.name for path in run.folder.path.rglob("*"))
    taken: list[int] = []
    run._stage.break_off = lambda: taken.append(1)  # type: ignore[method-assign]
    loop.close()  # type: ignore[attr-defined]
    assert not taken
    assert sorted(path.name for path in run.folder.path.rglob("*")) == before


def accumulate(run: Run, steps: int, calls: int, **options: Any) -> nn.Linear:
    net = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    for _ in run.steps(range(steps), state=(net, optimizer), **options):
        run.minimise((net(torch.randn(4, 2)) - 1).square().mean(), optimizer, accumulate=calls)
    return net


@pytest.mark.parametrize("number", [453, 455, 457])
def test_a_checkpoint_lies_between_whole_sums_of_gradients(tmp_path: Path, number: int) -> None:
    def script(run: Run) -> None:
        run.result({"total": total(accumulate(run, 600, 4))})

    folder = assert_resumed_alike(script, tmp_path, number)
    said = folder.log_txt.read_text(encoding="utf-8")
    assert "stopped after step 456" in said or "stopped after step 460" in said


def test_half_a_sum_at_a_stages_end_is_dropped_aloud_and_stays_there(tmp_path: Path) -> None:
    """It turns off neither checkpoints nor Ctrl-C in the stages that follow."""

    def script(run: Run) -> None:
        first = accumulate(run, 455, 4, name="first")
        assert first.weight.grad is None
        run.result({"first": total(first), "second": total(accumulate(run, 600, 1))})

    folder = assert_resumed_alike(script, tmp_path, 460)
    said = folder.log_txt.read_text(encoding="utf-8")
    assert "first ended after 455 steps, in the middle of a sum: 3 of 4 gradients were" in said
    assert "stopped after step 5 of 600" in said


def test_half_a_sum_takes_no_step(tmp_path: Path) -> None:
    """Five batches at two to a step are two steps, those of four batches."""

    def script(run: Run) -> None:
        run.result({"total": total(accumulate(run, 5, 2))})

    def even(run: Run) -> None:
        run.result({"total": total(accumulate(run, 4, 2))})

    assert perform(script, tmp_path / "a").metrics == perform(even, tmp_path / "b").metrics


def test_several_optimisers_take_a_step_on_one_loss(tmp_path: Path) -> None:
    a, b = nn.Linear(1, 1), nn.Linear(1, 1)
    both = nn.ModuleList([a, b])
    together = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
    together.load_state_dict(both.state_dict())
    several = [torch.optim.SGD(net.parameters(), 0.1) for net in (a, b)]
    one = torch.optim.SGD(together.parameters(), 0.1)
    schedules = [torch.optim.lr_scheduler.ExponentialLR(each, 0.5) for each in several]

    def script(run: Run) -> None:
        for _ in run.steps(range(4), state=(both, *several, *schedules)):
            loss = (b(a(torch.ones(1, 1))) - 3).square().sum()
            run.minimise(loss, several, schedules, clip=0.5, accumulate=2)
        schedule = torch.optim.lr_scheduler.ExponentialLR(one, 0.5)
        for _ in run.steps(range(4), state=(together, one, schedule)):
            loss = (together[1](together[0](torch.ones(1, 1))) - 3).square().sum()
            run.minimise(loss, one, schedule, clip=0.5, accumulate=2)

    perform(script, tmp_path)
    for ours, theirs in zip(both.parameters(), together.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_an_average_of_one_process_is_its_own_gradient(tmp_path: Path) -> None:
    net = nn.Linear(2, 1)

    def script(run: Run) -> None:
        for _ in run.steps(range(1)):
            net(torch.ones(1, 2)).sum().backward()
            run.average(net.parameters())

    perform(script, tmp_path)
    assert net.weight.grad is not None
    assert torch.equal(net.weight.grad, torch.ones(1, 2))


def test_a_loop_around_loops_is_told_how_to_be_one_stage(tmp_path: Path) -> None:
    loader, other = [1, 2], [3]

    def script(run: Run) -> None:
        for _ in range(5):
            for _ in run.steps(loader):
                pass
        for batches in (other, loader, other, loader):
            list(run.steps(batches))

    said = perform(script, tmp_path).folder.log_txt.read_text(encoding="utf-8")
    assert said.count("run.steps(loader, epochs * len(loader))") == 1
