"""A2C, advantage actor-critic: REINFORCE's step after every few steps of many copies, for a second
network says what is still to come.

Source: Mnih et al. (2016), Asynchronous methods for deep reinforcement learning; here all copies
are stepped together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.optim import Optimizer

from etude import Run
from etude.networks.actor_critic import ActorCritic
from etude.studies.agents._environments import Environments
from etude.studies.agents._rollouts import play

from ._batch import Batch
from .reinforce import step

if TYPE_CHECKING:
    from .policygradient import PolicyGradient


def a2c(
    study: PolicyGradient, run: Run, net: ActorCritic, optimizer: Optimizer, envs: Environments
) -> Batch:
    """Step all copies for a short while, and make one step along the gradient."""
    rollout = play(net.sample, envs, study.horizon)
    batch = study.batch_of(net, rollout, study.gae_lambda)
    step(study, run, net, optimizer, batch)
    return batch
