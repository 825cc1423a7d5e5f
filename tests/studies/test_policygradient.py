"""Policy gradients: three methods in one, and their advantages are those of the usual formulae."""

from __future__ import annotations

import pytest
import torch

import etude
from etude.errors import UserError
from etude.runs.run import Run
from etude.studies.agents._environments import Environments
from etude.studies.agents._rollouts import play
from etude.studies.agents.policygradient._losses import advantages, log_probability
from etude.studies.agents.policygradient.policygradient import PolicyGradient
from etude.studies.agents.policygradient.ppo import clipped_objective

pytest.importorskip("gymnasium")

SHORT = {
    "environment_steps": 600,
    "copies": 4,
    "horizon": 32,
    "width": 16,
    "rollout_epochs": 2,
    "batch": 64,
    "compared": False,
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "a2c"},
        {"method": "reinforce"},
        {"method": "reinforce", "baseline": False},
        {"clip_value": 0.2, "entropy_bonus": 0.01, "reward_scale": 10.0},
    ],
    ids=str,
)
def test_every_method_trains_until_its_steps_are_done(tmp_path, changes) -> None:
    study = PolicyGradient(**SHORT | changes)
    with Run("t", root=tmp_path, quiet=True) as run:
        torch.manual_seed(run.seed)
        before = study.network()
        net = study.train(run, study.environment_steps)
    rows = list(run.folder.metrics())
    logged = {
        "episode/return",
        "episode/length",
        "entropy",
        "KL",
        "explained variance",
        "clipped",
        "loss/value",
    }
    assert logged <= set().union(*rows)
    assert rows[-1]["steps"] >= 600
    assert all(row["steps"] < 600 for row in rows[:-1] if "steps" in row)
    assert not torch.equal(net.actor.layers[0].weight, before.actor.layers[0].weight)
    if "method" not in changes:
        assert any(row["KL"] > 0 for row in rows if "KL" in row)


def as_stable_baselines(rewards, values, last_value, starts, done, γ, λ):
    """Rollouts that restart at once: (T,) rows of real steps only, `starts` where a row is an
    episode's first.
    """
    found, later = torch.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        goes_on = 1.0 - (float(done) if t == len(rewards) - 1 else float(starts[t + 1]))
        following = last_value if t == len(rewards) - 1 else values[t + 1]
        later = rewards[t] + γ * following * goes_on - values[t] + γ * λ * goes_on * later
        found[t] = later
    return found


def test_advantages_are_those_of_stable_baselines() -> None:
    """There copies restart at once, and γ V of a truncated episode's last state is added to its
    last reward.
    """
    torch.manual_seed(0)
    γ, λ = 0.97, 0.9
    envs = Environments("CartPole-v1", 6, seed=0, longest=25)
    seen = play(lambda x: torch.randint(2, (len(x),)), envs, 150)
    V = torch.randn(151, 6).double()
    rewards = seen.rewards.double() * torch.rand(150, 6).double()
    ours = advantages(rewards, V, seen.terminated, seen.ended, γ, λ)
    assert seen.terminated.any()
    assert seen.truncated.any()
    for k in range(6):
        real = seen.valid[:, k]
        late = seen.truncated[:, k] & ~seen.terminated[:, k]
        r = (rewards[:, k] + γ * V[1:, k] * late)[real]
        ended = seen.ended[:, k][real]
        starts = torch.cat([torch.tensor([True]), ended[:-1]])
        theirs = as_stable_baselines(r, V[:-1, k][real], V[-1, k], starts, ended[-1], γ, λ)
        torch.testing.assert_close(ours[:, k][real], theirs, rtol=0, atol=1e-12)


def test_the_first_step_of_ppo_is_that_of_a2c() -> None:
    torch.manual_seed(0)
    net, s, a, A = (
        PolicyGradient().network(),
        torch.randn(64, 4),
        torch.randint(2, (64,)),
        torch.randn(64),
    )
    log_policy = log_probability(net.log_policy(s), a)
    parameters = list(net.actor.parameters())
    ppo = torch.autograd.grad(
        clipped_objective(log_policy, log_policy.detach(), A, 0.2).mean(),
        parameters,
        retain_graph=True,
    )
    a2c = torch.autograd.grad((log_policy * A).mean(), parameters)
    torch.testing.assert_close(ppo, a2c)


def test_what_was_good_becomes_what_is_done() -> None:
    """PPO's objective over both actions, each as often as the policy takes it, and the policy anew
    every four steps.
    """
    torch.manual_seed(0)
    net, s = PolicyGradient().network(), torch.randn(16, 4)
    good = (s[:, 0] + s[:, 1] > 0).long()
    both, a = s.repeat(2, 1), torch.arange(2).repeat_interleave(16)
    A = 2.0 * (a == good.repeat(2)) - 1
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(60):
        old = log_probability(net.log_policy(both), a).detach()
        for _ in range(4):
            gain = old.exp() * clipped_objective(
                log_probability(net.log_policy(both), a), old, A, 0.2
            )
            optimizer.zero_grad()
            (-gain.mean()).backward()
            optimizer.step()
    assert torch.equal(net.greedy(s), good)
    assert log_probability(net.log_policy(s), good).exp().mean() > 0.95


def test_predictions_are_probabilities_by_name() -> None:
    torch.manual_seed(0)
    study = PolicyGradient()
    found = study.predict(study.network(), "0 0 0.05 0")
    assert list(found) == ["left", "right"]
    assert sum(found.values()) == pytest.approx(1)
    with pytest.raises(UserError, match="expected 4 numbers: an observation"):
        study.predict(study.network(), [0, 0, 0])


def test_values_make_the_gradient_less_noisy_than_a_constant_does(tmp_path) -> None:
    torch.manual_seed(0)
    study = PolicyGradient(environment_steps=80_000)
    with Run("t", root=tmp_path, quiet=True) as run:
        study.measure_noise(run)
    assert run.metrics["variance with a constant over with V"] > 1
    assert run.metrics["variance without V over with"] > 1.5


@pytest.mark.claims
def test_the_claim_holds_and_the_policy_pushes_under_the_pole(tmp_path) -> None:
    run = etude.run("policygradient", seed=0, root=tmp_path, quiet=True, compared=False)
    assert run.metrics["test/return"] >= 475
    trained = etude.load(run.folder.path)
    assert trained.predict([0, 0, 0.1, 0.5])["right"] > 0.9
    assert trained.predict([0, 0, -0.1, -0.5])["left"] > 0.9
