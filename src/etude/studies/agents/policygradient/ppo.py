"""PPO, proximal policy optimisation: many steps on the same transitions, kept near the policy that
played them by a clip.

Source: Schulman, Wolski, Dhariwal, Radford & Klimov (2017), Proximal policy optimization
algorithms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim import Optimizer

from etude import Run
from etude.networks.actor_critic import ActorCritic
from etude.studies.agents._environments import Environments
from etude.studies.agents._rollouts import play

from ._batch import Batch
from ._losses import log_probability

if TYPE_CHECKING:
    from .policygradient import PolicyGradient


def ppo(
    study: PolicyGradient, run: Run, net: ActorCritic, optimizer: Optimizer, envs: Environments
) -> Batch:
    """Step all copies for a while, and make many steps along the clipped objective."""
    rollout = play(net.sample, envs, study.horizon)
    batch = study.batch_of(net, rollout, study.gae_lambda)

    for _ in range(study.rollout_epochs):
        for rows in torch.split(torch.randperm(len(batch)), study.batch):
            steps = batch[rows]
            log_policy = net.log_policy(steps.observations)  # (rows, actions)
            log_new = log_probability(log_policy, steps.actions)
            log_old = log_probability(steps.log_policy, steps.actions)
            objective = clipped_objective(log_new, log_old, steps.advantages, study.clip_ratio)
            losses = study.losses(net, steps, log_policy, objective)
            run.minimise(losses["loss"], optimizer, clip=study.gradient_clip)
            run.log(**losses)
    return batch


def clipped_objective(log_new: Tensor, log_old: Tensor, advantage: Tensor, ε: float) -> Tensor:
    r"""PPO's objective: $\min(\rho A, \mathrm{clip}(\rho, 1 - \epsilon, 1 + \epsilon) A)$.

    ρ is the new probability of an action over the old one. Where a good action has already become
    so much more probable, or a bad one so much less, that ρ is outside of the clip, the gradient is
    zero. The minimum leaves changes for the worse unclipped, so that they can be undone.

    Args:
        log_new: log-probabilities of the actions by the policy that learns, (rows,).
        log_old: log-probabilities by the policy that chose the actions, (rows,).
        advantage: (rows,).
        ε: the clip.

    Returns:
        What is to be raised for each action, (rows,).

    Source: Schulman, Wolski, Dhariwal, Radford & Klimov (2017), equation 7.
    """
    ρ = (log_new - log_old).exp()
    return torch.minimum(ρ * advantage, ρ.clamp(1 - ε, 1 + ε) * advantage)
