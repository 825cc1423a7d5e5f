"""Two carts side by side: begun as asked, pushed as asked, and each stays as it fell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from etude.studies.agents.dqn import _demo
from etude.studies.agents.dqn._demo import RULES, contest, track

pytest.importorskip("gymnasium")


def steady(s: torch.Tensor) -> torch.Tensor:
    """Q of a rule that balances the pole and comes back to the middle."""
    lean = s @ torch.tensor([0.1, 0.3, 2.0, 1.0])
    return torch.stack([-lean, lean], -1)


def test_who_balances_stands_and_who_does_not_falls() -> None:
    frames, (agent, rule), first = contest(steady, "always right", 2.0, 0.0, 10.0, 1.0)
    assert agent == 500
    assert 5 < rule < 15
    assert first == pytest.approx([-0.07, 0.07], abs=0.01), "of a pole at 2 degrees"
    assert (
        len(frames.images)
        == len(frames.captions)
        == 500 // _demo.EVERY + 1 + (500 % _demo.EVERY > 0)
    )
    assert frames.captions[0] == "0.0 s"
    assert frames.captions[-1] == "10.0 s"
    assert frames.images[0].shape == (2 * _demo.HEIGHT, _demo.WIDTH, 3)
    below = [image[_demo.HEIGHT :] for image in frames.images]
    assert np.array_equal(below[10], below[-1]), "it stays as it fell"
    assert not np.array_equal(frames.images[10][: _demo.HEIGHT], frames.images[-1][: _demo.HEIGHT])


def test_starts_and_pushes_are_the_ones_asked_for() -> None:
    def stood(**changes: float) -> int:
        given = {"angle": 0.0, "velocity": 0.0, "push": 10.0} | changes
        return contest(
            lambda s: torch.tensor([[0.0, 1.0]]), "always right", **given, longest_bar=1.0
        )[1][1]

    assert stood(angle=-10) < stood() < stood(angle=10), (
        "a push to the right turns the pole to the left"
    )
    assert stood(velocity=-60) < stood() < stood(velocity=60)
    assert stood(push=20) < stood() < stood(push=2)


@pytest.mark.parametrize("rule", [rule for rule in RULES if "coin" not in rule])
def test_a_rule_against_itself_is_a_draw(rule) -> None:
    step = iter(range(1_000))

    def values(s: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor([RULES[rule](s[0], next(step))]), 2)

    _, (agent, other), _ = contest(values, rule, 3.0, 10.0, 10.0, 1.0)
    assert agent == other


def test_a_track_shows_who_stands_and_what_is_better() -> None:
    state = np.array([0.3, 0, 0.1, 0])
    shown = track("the agent", state, 1, True, [20.0, 80.0], 100.0)
    assert shown.shape == (_demo.HEIGHT, _demo.WIDTH, 3)
    assert 0 <= shown.min() < shown.max() <= 1
    for other in (
        track("the agent", state, 0, True, [20.0, 80.0], 100.0),
        track("the agent", state, 1, False, [20.0, 80.0], 100.0),
        track("the agent", state, 1, True, [], 100.0),
        track("a coin", state, 1, True, [20.0, 80.0], 100.0),
    ):
        assert not np.array_equal(shown, other)
