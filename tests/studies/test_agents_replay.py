"""The replay: what it gives is what was put in, as often as it should be."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from etude.runs.checkpoints import _content
from etude.runs.plain import pack, unpack
from etude.studies.agents._environments import Step
from etude.studies.agents.dqn._replay import Replay
from etude.studies.agents.dqn.dqn import epsilon_greedy, move_towards


def filled(steps: int, rows: int = 1_000, n: int = 3, α: float = 0.0) -> Replay:
    """Two environments that count: the observation is the time, of the second with 1,000 more, the
    reward 2^time.
    """
    replay = Replay(rows, n, 0.5, α)
    for t in range(steps):
        restart = torch.tensor([t % 7 == 6, False])
        end = torch.tensor([t % 7 == 5, False])
        late = t % 2 == 0
        step = Step(torch.full((2,), 2.0**t) * ~restart, end & late, end & (not late), ~restart)
        replay.add(torch.tensor([[t], [1_000 + t]]).float(), torch.tensor([t % 3, t % 5]), step)
    return replay


def test_rows_are_what_was_put_in() -> None:
    replay = filled(20)
    torch.manual_seed(0)
    s = replay.sample(4_000)
    for o, a, r, d, later in zip(
        s.observation[:, 0], s.action, s.reward, s.discount, s.reached[:, 0], strict=True
    ):
        first = o < 1_000
        t = int(o) % 1_000
        assert t < 20 - 3, "its outcome is known"
        assert not (first and t % 7 == 6), "a restart is no step"
        m = min(3, 6 - t % 7) if first else 3
        assert int(a) == (t % 3 if first else t % 5)
        assert float(r) == sum(0.5**k * 2.0 ** (t + k) for k in range(m))
        assert float(later) == float(o) + m, "at an end the episode's last observation"
        ends = first and t % 7 + m == 6 and (t + m - 1) % 2 == 0
        assert float(d) == (0 if ends else 0.5**m)
    seen = set(s.observation[:, 0].tolist())
    assert len(seen) == 17 + 17 - 2


def test_old_rows_make_room() -> None:
    replay = filled(100, rows=2 * 30)
    seen = replay.sample(5_000).observation[:, 0] % 1_000
    assert seen.min() == 70
    assert seen.max() == 96
    assert (replay.probabilities > 0).sum() <= 2 * 27


@pytest.mark.parametrize("α", [0.0, 0.6, 1.0])
def test_rows_are_drawn_as_often_as_their_priorities_say(α) -> None:
    torch.manual_seed(0)
    replay = filled(30, α=α)
    known = replay.probabilities.flatten().nonzero().squeeze(1)
    difference = torch.rand(len(known)) * 3
    replay.update(known, difference)
    P = replay.probabilities.flatten()
    assert P.sum().item() == pytest.approx(1, abs=1e-12)
    expected = (difference.double() + 1e-3) ** α
    torch.testing.assert_close(P[known], expected / expected.sum(), rtol=0, atol=1e-12)
    draws = 200_000
    counts = torch.bincount(replay.sample(draws).rows, minlength=len(P)) / draws
    assert (counts - P).abs().max() < 1e-4, (
        "one from each of as many equal parts: better than independent draws"
    )
    weight = replay.sample(1_000, beta=1.0)
    torch.testing.assert_close(weight.weight, (P[known].min() / P[weight.rows]).float())
    assert weight.weight.max() <= 1


def test_importance_puts_the_mean_right() -> None:
    torch.manual_seed(0)
    replay = filled(30, α=0.7)
    known = replay.probabilities.flatten().nonzero().squeeze(1)
    replay.update(known, torch.rand(len(known)) * 3)
    s = replay.sample(100_000, beta=1.0)
    even = Replay(1_000, 3, 0.5)
    even.load_state_dict(replay.state_dict())
    even.columns["priority"] = (even.columns["priority"] > 0).double()
    value = s.observation[:, 0]
    expected = even.sample(100_000).observation.mean()
    assert float((s.weight * value).sum() / s.weight.sum() / expected) == pytest.approx(1, rel=0.01)
    assert abs(float(value.mean() / expected) - 1) > 0.01


def test_a_new_row_comes_with_the_largest_priority() -> None:
    replay = filled(10, α=1.0)
    replay.update(torch.tensor([3]), torch.tensor([41.0]))
    replay.add(
        torch.tensor([[10.0], [1_010.0]]),
        torch.tensor([0, 0]),
        Step(torch.ones(2), *torch.zeros(2, 2).bool(), torch.ones(2).bool()),
    )
    assert replay.columns["priority"][10 - 3 + 1 - 1].max() == pytest.approx(41.001)


@pytest.mark.parametrize("α", [0.0, 0.6])
def test_saved_and_loaded_it_draws_alike(α) -> None:
    replay = filled(40, rows=50, α=α)
    replay.update(torch.arange(10), torch.rand(10))
    state = unpack(
        torch.load(io.BytesIO(_content(pack(replay.state_dict(), "replay"))), weights_only=True)
    )
    other = filled(3, rows=50, α=α)
    other.load_state_dict(state)
    empty = Replay(50, 3, 0.5, α)
    empty.load_state_dict(state)
    for each in (replay, other, empty):
        step = Step(torch.ones(2), *torch.zeros(2, 2).bool(), torch.ones(2).bool())
        each.add(torch.ones(2, 1), torch.ones(2, dtype=torch.long), step)
    torch.manual_seed(0)
    expected = replay.sample(64)
    for each in (other, empty):
        torch.manual_seed(0)
        for a, b in zip(each.sample(64), expected, strict=True):
            assert torch.equal(a, b)


def test_nothing_known_nothing_drawn() -> None:
    with pytest.raises(ValueError, match="add more than 3 rows"):
        Replay(10, 3).sample(2)
    with pytest.raises(ValueError, match="add more than 3 rows"):
        filled(3).sample(2)
    assert len(filled(4).sample(2).rows) == 2


def test_a_target_follows_and_exploring_is_as_frequent_as_asked() -> None:
    torch.manual_seed(0)
    net, target = nn.Linear(2, 4), nn.Linear(2, 4)
    expected = 0.9 * target.weight.detach() + 0.1 * net.weight.detach()
    move_towards(target, net, 0.1)
    torch.testing.assert_close(target.weight.detach(), expected)
    x = torch.randn(1, 2).expand(40_000, 2)
    best = net(x[:1]).argmax()
    assert (epsilon_greedy(net, x, 0.0) == best).all()
    other = (epsilon_greedy(net, x, 0.4) != best).float().mean()
    assert other.item() == pytest.approx(0.4 * 3 / 4, abs=0.01)
