"""Deep Q-learning: every variant learns, what it says is compared with what came, and a visitor can
play against it.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import etude
from etude.demos import Bars, Frames, Said
from etude.errors import UserError
from etude.runs.run import Run
from etude.studies.agents._environments import Environments
from etude.studies.agents.dqn._controls import without_target_network
from etude.studies.agents.dqn._replay import Replay
from etude.studies.agents.dqn.dqn import DeepQ, epsilon_greedy

pytest.importorskip("gymnasium")

SHORT = {"steps": 12, "random_steps": 8, "episodes": 3, "width": 16, "batch": 32, "copies": 4}


class Says(nn.Module):
    """Q of left and right, whatever is seen."""

    def __init__(self, left: float, right: float) -> None:
        super().__init__()
        self.q = torch.tensor([left, right])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.q.expand(*x.shape[:-1], 2)

    def greedy(self, x: torch.Tensor) -> torch.Tensor:
        return self(x).argmax(-1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"double": False},
        {"dueling": False},
        {"priority": 0.6},
        {"n_step": 1},
        {"target_rate": 1.0},
        {"memory": 60},
        {"layers": 0},
    ],
    ids=str,
)
def test_every_variant_trains(tmp_path, changes) -> None:
    torch.manual_seed(0)
    study = DeepQ(**SHORT | changes)
    before = study.network()
    with Run("t", root=tmp_path, quiet=True) as run:
        net = study.train(run)
    assert (net.value is None) == ("dueling" in changes)
    rows = list(run.folder.metrics())
    assert {"loss", "Q", "exploring", "validation/return", "episode/return"} <= set().union(*rows)
    assert rows[-1]["steps"] > 4 * (12 + 8)
    assert not torch.equal(net.advantage.weight, before.advantage.weight)


def test_double_lets_one_network_choose_and_the_other_say(tmp_path) -> None:
    """At the first step the two are one, and it makes no difference; afterwards it does."""
    losses = {}
    for double in (True, False):
        with Run("t", seed=3, root=tmp_path, quiet=True) as run:
            DeepQ(**SHORT | {"double": double, "steps": 10}).train(run)
        losses[double] = [row["loss"] for row in run.folder.metrics() if "loss" in row]
    assert losses[True][0] == losses[False][0]
    assert losses[True][-1] != losses[False][-1]


def test_one_batch_can_be_learned_by_heart() -> None:
    torch.manual_seed(0)
    study, envs, replay = DeepQ(), Environments("CartPole-v1", 4), Replay(1_000, 3)
    net = study.network()
    for _ in range(40):
        seen, action = envs.observation, epsilon_greedy(net, envs.observation, 1.0)
        replay.add(seen, action, envs.step(action))
    s = replay.sample(32)
    y = torch.randn(32)
    y = y[
        (s.rows[:, None] == s.rows).float().argmax(1)
    ]  # a row that was drawn twice has one target
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(800):
        loss = (net(s.observation).gather(1, s.action[:, None]).squeeze(1) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.02


def test_what_came_is_the_discounted_return(tmp_path) -> None:
    """A cart that is always pushed to the right loses its pole after T steps: (1 - γ^T) /
    (1 - γ).
    """
    torch.manual_seed(0)
    study = DeepQ(reward_scale=4.0, discount=0.9)
    with Run("t", root=tmp_path, quiet=True) as run:
        came, q = study.returns_and_estimates(run, Says(0.0, 2.5))
    assert (q == 10).all()
    whole = {round((1 - 0.9**left) / 0.1, 4) for left in range(1, 15)}
    assert {round(value, 4) for value in came.tolist()} <= whole
    assert came.min() == 1, "the step before the fall"
    assert 6 < came.max() < 7, "it takes nine or ten steps to fall"


def test_predictions_are_in_units_of_reward() -> None:
    study = DeepQ(reward_scale=20.0)
    assert study.predict(Says(1.0, 1.5), "0 0 0.05 0") == {"left": 20.0, "right": 30.0}
    with pytest.raises(UserError, match="expected 4 numbers: an observation"):
        study.predict(Says(1, 2), [0, 1])


def test_a_visitor_plays_against_the_agent() -> None:
    torch.manual_seed(0)
    study = DeepQ(reward_scale=20.0)
    demo = study.demo()
    given = {name: control.default for name, control in demo.inputs.items()}
    assert {name: control.read(given[name]) for name, control in demo.inputs.items()} == given
    frames, said, bars = demo.answer(Says(2.0, 1.0), **given)
    assert isinstance(frames, Frames)
    assert isinstance(said, Said)
    assert isinstance(bars, Bars)
    assert len(frames.images) == len(frames.captions)
    assert bars.values == pytest.approx({"left": 0.4, "right": 0.2}), "of 100 at most"
    assert "The agent's pole stood for 0.2 s" in said.text, "it pushes left, and nothing but left"
    with pytest.raises(
        UserError, match=r"has learned Acrobot-v1; the demo needs one of CartPole-v1"
    ):
        DeepQ(environment="Acrobot-v1").demo()


@pytest.mark.claims
def test_the_claim_holds_and_the_agent_beats_every_rule(tmp_path) -> None:
    run = etude.run("dqn", seed=0, root=tmp_path, quiet=True)
    assert run.metrics["test/return"] >= 475
    trained = etude.load(run.folder.path)
    leaning = trained.predict([0, 0, 0.1, 0.5])
    assert leaning["right"] > leaning["left"], "under the pole"
    assert all(
        0 < q < 1.3 / (1 - 0.99) and math.isfinite(q) for q in trained.predict("0 0 0 0").values()
    )


def test_q_is_measured_with_and_without_a_target_network(tmp_path) -> None:
    with Run("t", root=tmp_path, quiet=True) as run:
        without_target_network(run, DeepQ(**SHORT))
    q = {name: run.metrics[f"{name}/mean Q"] for name in ("target network", "no target network")}
    assert all(torch.tensor(value).isfinite() for value in q.values())
    double = q["target network"] - run.metrics["target network, double/mean Q"]
    assert run.metrics["gain/of double targets, in mean Q"] == pytest.approx(double)
    assert [path.stem for path in run.folder.pictures()] == ["divergence"]
