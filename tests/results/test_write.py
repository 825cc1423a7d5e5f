"""A trained network that writes, and one that is asked otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from etude import UserError
from etude.results.load import load


def test_a_network_writes_in_evaluation_mode(run: Path, place: Path) -> None:
    new = "def write(self, net, input):\n        yield str(net.training)\n\n    def predict("
    tiny.write(place, old_1="def predict(", new_1=new)
    trained = load(run)
    trained.network.train()
    assert list(trained.write("a")) == ["False"]


def test_a_study_that_writes_nothing_says_so(run: Path) -> None:
    with pytest.raises(UserError, match="study tiny writes no text"):
        load(run).write("a")


def test_the_same_network_with_other_fields(run: Path) -> None:
    trained = load(run)
    other = trained.but(rate=0.5, steps=7)
    assert (other.study.rate, other.study.steps, other.study.hidden) == (0.5, 7, 5)
    assert trained.study.rate == 0.1
    assert other.predict("1 2 3 4") == trained.predict("1 2 3 4")
    assert other.folder is trained.folder
    with pytest.raises(UserError, match="no field 'rte'; did you mean 'rate'"):
        trained.but(rte=1)
    with pytest.raises(UserError, match="do not fit"):
        trained.but(hidden=6)
