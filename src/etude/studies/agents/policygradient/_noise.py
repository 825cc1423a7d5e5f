"""How noisy estimates of the policy gradient are, and how biased."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from etude import Run, figures
from etude.networks.actor_critic import ActorCritic
from etude.studies.agents._environments import Environments
from etude.studies.agents._rollouts import Rollout, play_episodes

from ._losses import advantages, log_probability

GROUPS = 32  # of episodes, each with an estimate of the gradient of its own


def measure_noise(
    run: Run, net: ActorCritic, environment: str, discount: float, reward_scale: float
) -> None:
    """How much V(s), and a constant in its place, take from the variance of a policy's gradient.

    The policy stays as it is while V learns more of it, from other episodes.

    Args:
        run: gets the quotients of the variances, and a figure.
        net: policy and value.
        environment: its name.
        discount: γ.
        reward_scale: what rewards are divided by.
    """
    envs = Environments(environment, 256, device=run.device)
    learn_values(net, play_episodes(net.sample, envs), discount, reward_scale)
    noise = gradient_noise(net, play_episodes(net.sample, envs), discount, reward_scale)
    alone, constant, V = (
        noise[f"returns {name}"][0] for name in ("alone", "less a constant", "less V")
    )
    run.result({"variance without V over with": alone / V})
    run.result({"variance with a constant over with V": constant / V})
    run.figure("noise", noise_bars(noise))


def learn_values(
    net: ActorCritic, rollout: Rollout, discount: float, reward_scale: float, updates: int = 500
) -> None:
    """Teach V the returns of a policy that does not change.

    Args:
        net: policy and value; only the value network learns.
        rollout: whole episodes, played by the policy.
        discount: γ.
        reward_scale: what rewards are divided by.
        updates: by Adam, each on 512 steps of the rollout.
    """
    rewards = rollout.rewards / reward_scale
    none = torch.zeros_like(rollout.observations[..., 0])
    returns = advantages(rewards, none, rollout.terminated, rollout.ended, discount, 1.0)
    seen = rollout.observations[:-1][rollout.valid]  # (rows, numbers)
    targets = returns[rollout.valid]
    optimizer = torch.optim.Adam(net.critic.parameters(), 3e-3)
    for _ in range(updates):
        rows = torch.randint(len(seen), (512,), device=seen.device)
        loss = mse_loss(net.value(seen[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def gradient_noise(
    net: ActorCritic, rollout: Rollout, discount: float, reward_scale: float
) -> dict[str, tuple[float, float]]:
    """Variance and squared bias of the policy gradient, by the advantages that it is made with.

    Args:
        net: policy and value.
        rollout: whole episodes, played by the policy.
        discount: γ.
        reward_scale: what rewards are divided by.

    Returns:
        ``{name: (variance, squared bias)}``, as :func:`scatter` gives.
    """
    observations = rollout.observations[:-1]
    with torch.no_grad():
        V = net.value(rollout.observations)  # (T + 1, n)

    def estimate(V: Tensor, λ: float) -> Tensor:
        rewards = rollout.rewards / reward_scale
        A = advantages(rewards, V, rollout.terminated, rollout.ended, discount, λ)
        return A * rollout.valid

    returns = estimate(torch.zeros_like(V), 1.0)
    constant = returns.sum() / rollout.valid.sum()
    estimates = {"returns less V": estimate(V, 1.0)}  # λ = 1
    estimates["returns less a constant"] = (returns - constant) * rollout.valid
    estimates["returns alone"] = returns
    for λ in (0.99, 0.95, 0.9, 0.5, 0.0):
        estimates[f"λ = {λ:g}"] = estimate(V, λ)
    return scatter(net.log_policy, net.actor, observations, rollout.actions, estimates, GROUPS)


def scatter(
    log_policy: Callable[[Tensor], Tensor],
    policy: nn.Module,
    observations: Tensor,
    actions: Tensor,
    estimates: Mapping[str, Tensor],
    groups: int,
) -> dict[str, tuple[float, float]]:
    r"""Variance and bias of estimates of the policy gradient, over groups of episodes.

    An estimate is the sum over an episode of $\nabla \log \pi(a_t | s_t)\, A_t$, in the mean over a
    group's episodes.

    Args:
        log_policy: gives log-probabilities, (…, actions), for observations, (…, numbers).
        policy: the network whose parameters they depend on.
        observations: (T, n, numbers), of n episodes.
        actions: (T, n).
        estimates: ``{name: A}``, (T, n), 0 in rows that are no steps; the first one is unbiased.
        groups: the number of groups, of n / groups episodes each.

    Returns:
        For each estimate the variance of a group's gradient (all parameters together), and the
        squared distance of its mean from the first one's mean, both over the squared length of the
        first one's mean.
    """
    parameters = list(policy.parameters())
    gradients: dict[str, list[Tensor]] = {name: [] for name in estimates}
    for part in torch.arange(observations.shape[1], device=observations.device).chunk(groups):
        logs = log_probability(log_policy(observations[:, part]), actions[:, part])  # (T, episodes)
        for name, A in estimates.items():
            weights = A[:, part] / len(part)
            gradient = torch.autograd.grad(logs, parameters, weights, retain_graph=True)
            gradients[name].append(torch.cat([each.flatten() for each in gradient]))

    by_group = {name: torch.stack(each) for name, each in gradients.items()}  # (groups, parameters)
    unbiased = by_group[next(iter(by_group))].mean(0)
    scale = unbiased.square().sum()
    noise = {}
    for name, g in by_group.items():
        variance = g.var(0).sum() / scale
        squared_bias = (g.mean(0) - unbiased).square().sum() / scale
        noise[name] = (float(variance), float(squared_bias))
    return noise


def noise_bars(noise: Mapping[str, tuple[float, float]]) -> Figure:
    """Variance and squared bias of each estimate, as bars.

    Args:
        noise: ``{name: (variance, squared bias)}``, as :func:`gradient_noise` gives.
    """
    figure, axes = figures.canvas(7.4, 0.34 * len(noise) + 1.2, columns=2)
    names = list(noise)
    for cell, column, title in zip(axes, (0, 1), ("variance", "squared bias"), strict=True):
        values = [noise[name][column] for name in names]
        bars = cell.barh(names, values, color=figures.PALETTE[column], height=0.65)
        cell.bar_label(bars, [f"{value:.2g}" for value in values], padding=4, fontsize=8)
        cell.set(title=title, xlim=(0, 1.18 * max([*values, 1e-9])))
        cell.invert_yaxis()
        cell.tick_params(axis="y", length=0)
    axes[1].set_yticklabels([])
    return figure
