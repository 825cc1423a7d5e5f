"""A few of each fault around a run; ``make faults`` does many, on more studies."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.faults import disks, kills, shown, strangers
from tests.faults.disks import Bench, Trial


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    torch.set_num_threads(1)
    with (
        tempfile.TemporaryDirectory() as place
    ):  # no folder of pytest's: a user without rights looks in
        yield Bench(Path(place))


@pytest.mark.parametrize("fault", disks.FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_told_and_the_run_goes_on_exactly(
    bench: Bench, fault: Callable[[Bench, int], Trial]
) -> None:
    trial = fault(bench, 4 if fault in (disks.cut_logs, disks.no_memory) else 3)
    if trial.skipped:
        pytest.skip(trial.skipped)
    assert not trial.failed
    assert trial.tried


def test_killed_at_random_instants(tmp_path: Path) -> None:
    tally = kills.killed(kills.CASES[0], 3, tmp_path)
    assert not tally.failed
    assert tally.exact == tally.kills == 3


def test_other_numbers_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite can fail: what is compared differs where the log does."""
    whole = kills.outcome

    def other(root: Path):
        weights, metrics, rows = whole(root)
        return weights, metrics, rows if root.name.endswith("whole") else rows[:-1]

    monkeypatch.setattr(kills, "outcome", other)
    tally = kills.killed(kills.CASES[0], 1, tmp_path)
    assert not tally.held


def test_what_a_stranger_has_people_read_can_do_nothing(tmp_path: Path) -> None:
    trials = [*strangers.attacks(tmp_path, 40)]
    assert [trial.tried for trial in trials] == [40, 4, 2]
    assert [trial.failed for trial in trials] == [[], [], []]


@pytest.mark.parametrize(
    "page",
    [
        "<math><mtext><script>1</script></mtext></math>",
        "<p onclick=1>",
        "<img src=https://evil.example/x.png>",
        "<a href=javascript:1>",
        "<form>",
        "<!-- x -->",
        "<p style='background:url(//x)'>",
    ],
)
def test_harm_is_seen(page: str) -> None:
    assert shown.harm(page)
