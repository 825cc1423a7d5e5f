"""How many threads a run gets, says, records and is resumed with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from etude.catalogue import Catalogue
from etude.errors import UserError
from etude.runs.folder import RunFolder, find_runs
from etude.runs.run import Interrupted, Run
from etude.runs.stage import Stage
from etude.runs.threads import threads_for


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_no_machine_has_so_many(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="threads is 100,000; expected 1 to 1,024"),
        Run("unit", root=tmp_path, threads=100_000, quiet=True),
    ):
        raise AssertionError
    assert not find_runs(tmp_path)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("name", ["circle", "dqn", "policygradient", "spirals"])
def test_small_networks_get_one_thread(name: str) -> None:
    assert threads_for(Catalogue()[name].load().at("quick").network)[0] == 1


@pytest.mark.parametrize("name", ["gpt", "digits", "vae", "transformer"])
def test_others_get_what_pytorch_chooses(name: str) -> None:
    assert threads_for(Catalogue()[name].load().at("quick").network) == (2, "")


def test_a_convolution_is_not_small() -> None:
    assert threads_for(lambda: nn.Conv2d(1, 2, 3)) == (2, "")


def test_what_somebody_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert threads_for(lambda: nn.Linear(1, 1)) == (2, "")


def test_the_choice_draws_no_random_number() -> None:
    torch.manual_seed(0)
    expected = torch.rand(())
    torch.manual_seed(0)
    assert threads_for(lambda: nn.Linear(1, 1))[0] == 1
    assert torch.equal(torch.rand(()), expected)


def test_a_study_without_a_network_is_left_to_pytorch() -> None:
    def none() -> nn.Module:
        raise UserError("no network")

    assert threads_for(none) == (2, "")


def script(root: Path, *, threads: int | tuple[int, str], resume: RunFolder | None = None) -> Run:
    with Run("threaded", root=root, threads=threads, resume=resume, quiet=True) as run:
        net = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for _ in run.steps(range(10), state=(net, optimizer)):
            run.minimise((net(torch.randn(8, 3)) - 1).square().mean(), optimizer)
        run.result({"threads": torch.get_num_threads()})
    return run


def test_the_number_is_said_recorded_and_given_back(tmp_path: Path) -> None:
    run = script(tmp_path, threads=(1, "small network"))
    assert run.metrics == {"threads": 1}
    assert run.folder.study()["threads"] == 1
    assert "cpu, 1 thread (small network) →" in run.folder.log_txt.read_text(encoding="utf-8")
    assert torch.get_num_threads() == 2, "the process is as it was"


def test_a_resumed_run_has_the_threads_with_which_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = Stage.after_step

    def stop(self: Stage[object]) -> None:
        self.services.policy.signal = 2
        after(self)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Stage, "after_step", stop)
        script(tmp_path, threads=1)
    (folder,) = find_runs(tmp_path)
    assert script(tmp_path, threads=2, resume=folder).metrics == {"threads": 1}
