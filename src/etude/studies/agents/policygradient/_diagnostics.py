"""Numbers that tell whether a policy learns well, and a picture of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude import figures
from etude.networks.actor_critic import ActorCritic
from etude.studies.agents._environments import Environments
from etude.studies.agents._figures import Series, over_steps, thousands

from ._batch import Batch
from ._losses import entropy, log_probability


@torch.no_grad()
def diagnostics(
    net: ActorCritic, batch: Batch, envs: Environments, clip_ratio: float
) -> dict[str, Tensor]:
    """What is logged after each iteration, scalars.

    Args:
        net: policy and value after the update.
        batch: the transitions of the iteration, with what the networks gave before the update.
        envs: the environments, whose last episodes count.
        clip_ratio: ε of PPO.
    """
    log_policy = net.log_policy(batch.observations)
    return {
        "episode/return": envs.last_return.nanmean(),
        "episode/length": envs.last_length.nanmean(),
        "explained variance": explained_variance(batch.values, batch.targets),
        **policy_change(batch.log_policy, log_policy, batch.actions, clip_ratio),
    }


def divergence(log_old: Tensor, log_new: Tensor) -> Tensor:
    """KL(old | new) of each row of log-probabilities in nats: (…, actions) → (…)."""
    return (log_old.exp() * (log_old - log_new)).sum(-1)


def explained_variance(values: Tensor, targets: Tensor) -> Tensor:
    """The part of the targets' variance that the values explain; a scalar.

    It is 1 if all differences are right, 0 for a constant, and below 0 for what is worse than that.
    """
    return 1 - (targets - values).var() / targets.var().clamp_min(1e-12)


@torch.no_grad()
def policy_change(log_old: Tensor, log_new: Tensor, actions: Tensor, ε: float) -> dict[str, Tensor]:
    """How far an update moved a policy, means over rows; scalars.

    Args:
        log_old: log-probabilities before the update, (rows, actions).
        log_new: log-probabilities after it, (rows, actions).
        actions: the actions taken, (rows,).
        ε: the clip.

    Returns:
        ``KL`` from the old policy to the new one in nats, the ``entropy`` of the new one in nats,
        and ``clipped``, the fraction of actions whose ρ is outside of 1 ± ε.
    """
    ρ = (log_probability(log_new, actions) - log_probability(log_old, actions)).exp()
    return {
        "KL": divergence(log_old, log_new).mean(),
        "entropy": entropy(log_new).mean(),
        "clipped": ((ρ - 1).abs() > ε).float().mean(),
    }


def diagnostics_figure(logged: Mapping[str, Mapping[str, Series]]) -> Figure:
    """KL, entropy, explained variance and the clipped fraction over steps of the environment.

    Args:
        logged: ``{metric: {stage: (step, values)}}``, as ``RunFolder.curves`` gives.
    """
    figure, axes = figures.canvas(7.8, 4.4, rows=2, columns=2)
    for number, title in enumerate(("KL", "entropy", "explained variance", "clipped")):
        steps, values = over_steps(logged, title)[""]
        cell = axes[number]
        cell.plot(steps, values, color=figures.PALETTE[number], linewidth=1.4)
        cell.set_title(title)
        cell.xaxis.set_major_formatter(thousands)
        cell.grid(visible=True, axis="y")
    for cell in axes[-2:]:
        cell.set_xlabel("steps of the environment")
    return figure
