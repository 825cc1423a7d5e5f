"""Shapes of the learning rate that are not in test_leaves."""

from __future__ import annotations

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR, MultiStepLR

from etude.training.schedules import constant, step_decay


def test_step_decay_falls_when_a_part_is_done() -> None:
    shape = step_decay(100, at=(0.5, 0.75), factor=0.2)
    assert [shape(k) for k in (0, 49, 50, 74, 75, 99)] == pytest.approx(
        [1, 1, 0.2, 0.2, 0.04, 0.04]
    )
    assert {constant(k) for k in (0, 10, 1_000)} == {1.0}


def test_step_decay_is_pytorchs() -> None:
    ours, theirs = (torch.optim.SGD([torch.zeros(1)], 0.3) for _ in range(2))
    a = LambdaLR(ours, step_decay(40, at=(0.25, 0.5), factor=0.1))
    b = MultiStepLR(theirs, [10, 20], gamma=0.1)
    for _ in range(40):
        assert a.get_last_lr() == pytest.approx(b.get_last_lr())
        for optimizer, schedule in ((ours, a), (theirs, b)):
            optimizer.step()
            schedule.step()
