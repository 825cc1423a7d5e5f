"""Advantages and returns against loops that say what they mean."""

from __future__ import annotations

import pytest
import torch

from etude.studies.agents._rollouts import discounted_returns
from etude.studies.agents.dqn._replay import n_step_return
from etude.studies.agents.policygradient._diagnostics import (
    divergence,
    explained_variance,
    policy_change,
)
from etude.studies.agents.policygradient._losses import (
    advantages,
    entropy,
    log_probability,
    value_loss,
)
from etude.studies.agents.policygradient._noise import scatter
from etude.studies.agents.policygradient.ppo import clipped_objective


def drawn(T: int = 40, n: int = 5):
    """Rewards, values, and ends of both kinds, in double precision."""
    g = torch.Generator().manual_seed(0)
    rewards, values = (
        torch.randn(T, n, generator=g).double(),
        torch.randn(T + 1, n, generator=g).double(),
    )
    u = torch.rand(T, n, generator=g)
    terminated, truncated = u < 0.08, (u > 0.08) & (u < 0.15)
    return rewards, values, terminated, terminated | truncated


def by_loops(rewards, values, terminated, ended, γ, λ):
    found = torch.zeros_like(rewards)
    T, n = rewards.shape
    for i in range(n):
        for t in range(T):
            for k in range(T - t):
                δ = rewards[t + k, i] - values[t + k, i]
                if not terminated[t + k, i]:
                    δ += γ * values[t + k + 1, i]
                found[t, i] += (γ * λ) ** k * δ
                if ended[t + k, i]:
                    break
    return found


@pytest.mark.parametrize("λ", [0.0, 0.7, 1.0])
def test_generalised_advantages_are_the_sum_of_their_definition(λ) -> None:
    case = drawn()
    torch.testing.assert_close(
        advantages(*case, 0.9, λ), by_loops(*case, 0.9, λ), rtol=0, atol=1e-12
    )


def test_at_zero_it_is_the_one_step_error_and_at_one_the_return_less_the_value() -> None:
    rewards, values, terminated, ended = drawn()
    δ = rewards + 0.9 * values[1:] * ~terminated - values[:-1]
    torch.testing.assert_close(advantages(rewards, values, terminated, ended, 0.9, 0.0), δ)
    came = torch.zeros_like(rewards)
    later = values[-1]
    for t in reversed(range(len(rewards))):
        later = torch.where(terminated[t], 0, torch.where(ended[t], values[t + 1], later))
        later = came[t] = rewards[t] + 0.9 * later
    torch.testing.assert_close(
        advantages(rewards, values, terminated, ended, 0.9, 1.0) + values[:-1], came
    )
    torch.testing.assert_close(discounted_returns(rewards, values, terminated, ended, 0.9), came)


def test_generalised_advantages_are_the_mean_of_n_step_ones() -> None:
    """With weights (1 - λ) λ^(n - 1), and what remains on the longest: Schulman et al., equation
    16.
    """
    rewards, values, *_ = drawn(T=12)
    no = torch.zeros_like(rewards, dtype=torch.bool)
    γ, λ, T = 0.9, 0.8, 12
    mean = torch.zeros_like(rewards[0])
    for n in range(1, T + 1):
        sums, factor, _ = n_step_return(rewards[:n], no[:n], no[:n], γ)
        weight = (1 - λ) * λ ** (n - 1) if n < T else λ ** (n - 1)
        mean += weight * (sums + factor * values[n] - values[0])
    torch.testing.assert_close(advantages(rewards, values, no, no, γ, λ)[0], mean)


def test_n_steps_stop_at_an_end() -> None:
    rewards = torch.tensor([[1.0, 1, 1], [2, 2, 2], [4, 4, 4]])
    terminated = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 0, 0]]).bool()
    truncated = torch.tensor([[0, 0, 1], [0, 0, 0], [0, 0, 1]]).bool()
    sums, factor, m = n_step_return(rewards, terminated, terminated | truncated, 0.5)
    assert sums.tolist() == [2, 3, 1]
    assert factor.tolist() == [0, 0.125, 0.5]
    assert m.tolist() == [2, 3, 1]


def test_explained_variance() -> None:
    targets = torch.tensor([1.0, 2, 3, 6])
    assert explained_variance(targets + 5, targets) == 1, "a constant is no variance"
    assert explained_variance(torch.full((4,), 3.0), targets) == 0
    assert explained_variance(-targets, targets) == -3


@pytest.mark.parametrize(
    ("ratio", "advantage", "value", "slope"),
    [
        (1.0, 2.0, 2.0, 2.0),
        (1.1, 2.0, 2.2, 2.2),
        (1.5, 2.0, 2.4, 0.0),  # enough
        (0.5, 2.0, 1.0, 1.0),  # a good action that became rarer: mended
        (0.5, -2.0, -1.6, 0.0),  # enough
        (1.5, -2.0, -3.0, -3.0),  # a bad action that became more frequent: mended
    ],
)
def test_the_clipped_objective_in_every_case(ratio, advantage, value, slope) -> None:
    new = torch.tensor([ratio]).log().requires_grad_()
    gain = clipped_objective(new, torch.zeros(1), torch.tensor([advantage]), 0.2)
    gain.sum().backward()
    assert gain.item() == pytest.approx(value)
    assert new.grad.item() == pytest.approx(slope), "by log ρ, whose derivative of ρ is ρ"


def test_values_are_held_near_the_old_ones_only_where_asked() -> None:
    value, old, target = torch.tensor([2.0, 0.1]), torch.zeros(2), torch.tensor([2.0, 1.0])
    assert value_loss(value, old, target).item() == pytest.approx(0.81 / 2)
    assert value_loss(value, old, target, 0.5).item() == pytest.approx((1.5**2 + 0.81) / 2)


def test_entropy_and_divergence_are_pytorchs() -> None:
    from torch.distributions import Categorical, kl_divergence

    p, q = (torch.randn(7, 4).log_softmax(1) for _ in range(2))
    torch.testing.assert_close(entropy(p), Categorical(logits=p).entropy())
    torch.testing.assert_close(
        divergence(p, q), kl_divergence(Categorical(logits=p), Categorical(logits=q))
    )
    same = policy_change(p, p, torch.zeros(7, dtype=torch.long), 0.2)
    assert same["KL"] == same["clipped"] == 0
    actions = torch.tensor([0, 1])
    old, new = (
        torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log(),
        torch.tensor([[0.7, 0.3], [0.45, 0.55]]).log(),
    )
    assert policy_change(old, new, actions, 0.2)["clipped"] == 0.5


def test_the_policy_gradient_of_a_bandit_is_that_of_finite_differences() -> None:
    r"""Two arms, means 1 and 3: $J = \pi_1 + 3 \pi_2$.

    Both arms weighed by π give the estimate's mean exactly.
    """
    θ, worth, step = (
        torch.tensor([0.3, -0.2], dtype=torch.double),
        torch.tensor([1.0, 3.0]).double(),
        1e-5,
    )

    def J(at):
        return float(at.softmax(0) @ worth)

    differences = [(J(θ + step * e) - J(θ - step * e)) / (2 * step) for e in torch.eye(2).double()]
    for baseline in (0.0, 2.2, -7.0):
        at = θ.clone().requires_grad_()
        log_policy = at.log_softmax(0).expand(2, 2)
        surrogate = log_probability(log_policy, torch.tensor([0, 1])) * (worth - baseline)
        (surrogate * θ.softmax(0)).sum().backward()
        assert at.grad.tolist() == pytest.approx(differences, abs=1e-9)


def test_a_baseline_lowers_the_noise_and_leaves_the_mean() -> None:
    torch.manual_seed(0)
    policy = torch.nn.Linear(3, 2)
    s = torch.randn(4, 2_000, 3)
    log_policy = lambda x: policy(x).log_softmax(-1)  # noqa: E731
    a = torch.multinomial(log_policy(s).exp().detach().view(-1, 2), 1).view(4, 2_000)
    worth = a * 1.0 + 0.1 * torch.randn(4, 2_000)
    found = scatter(
        log_policy,
        policy,
        s,
        a,
        {"less 0.5": worth - 0.5, "alone": worth + 5, "none": 0 * worth},
        20,
    )
    assert found["less 0.5"][1] == 0
    assert found["alone"][0] > 20 * found["less 0.5"][0]
    assert found["alone"][1] < 3 * found["alone"][0] / 20, "no further off than noise can be"
    assert found["none"] == (0, 1)
