"""REINFORCE: play whole episodes, and follow the gradient of the expected return.

Source: Williams (1992), Simple statistical gradient-following algorithms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.optim import Optimizer

from etude import Run
from etude.networks.actor_critic import ActorCritic
from etude.studies.agents._environments import Environments
from etude.studies.agents._rollouts import play_episodes

from ._batch import Batch
from ._losses import log_probability

if TYPE_CHECKING:
    from .policygradient import PolicyGradient


def reinforce(
    study: PolicyGradient, run: Run, net: ActorCritic, optimizer: Optimizer, envs: Environments
) -> Batch:
    """Play whole episodes, and make one step along the gradient of the expected return."""
    rollout = play_episodes(net.sample, envs)
    batch = study.batch_of(net, rollout, λ=1.0)
    step(study, run, net, optimizer, batch)
    return batch


def step(
    study: PolicyGradient, run: Run, net: ActorCritic, optimizer: Optimizer, batch: Batch
) -> None:
    """One step along the policy gradient: raise log π(a|s) A of the actions that were taken."""
    steps = batch[torch.randperm(len(batch))]
    log_policy = net.log_policy(steps.observations)  # (rows, actions)
    objective = log_probability(log_policy, steps.actions) * steps.advantages
    losses = study.losses(net, steps, log_policy, objective)
    run.minimise(losses["loss"], optimizer, clip=study.gradient_clip)
    run.log(**losses)
