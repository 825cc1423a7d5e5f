"""Playing: steps of many copies of an environment, and the returns of episodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from etude.studies.agents._environments import Environments, Step

Act = Callable[[Tensor], Tensor]
"""Chooses actions, (n,), by observations, (n, …)."""


@dataclass
class Rollout:
    """T steps of n copies; the state that a step leads to stands in the next row.

    Attributes:
        observations: (T + 1, n, …); row t is what the copies showed before step t.
        actions: (T, n).
        rewards, terminated, truncated, valid: (T, n), see :class:`Step`.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    valid: Tensor

    @property
    def ended(self) -> Tensor:
        """Whether a step ended an episode, by termination or truncation: (T, n)."""
        return self.terminated | self.truncated

    @property
    def returns(self) -> Tensor:
        """The sum of the valid rewards of each copy, (n,); of whole episodes their returns."""
        return (self.rewards * self.valid).sum(0)


def play(act: Act, environments: Environments, steps: int) -> Rollout:
    """Go on for some steps in all copies by one policy."""
    observations = [environments.observation]
    actions: list[Tensor] = []
    outcomes: list[Step] = []
    for _ in range(steps):
        action = choose(act, observations[-1])
        outcomes.append(environments.step(action))
        actions.append(action)
        observations.append(environments.observation)
    return _rollout(observations, actions, outcomes)


def play_episodes(act: Act, environments: Environments) -> Rollout:
    """One whole episode in each copy, from a reset until the last episode has ended.

    A copy that has ended is stepped on until the others have, but these steps are not valid: they
    count neither in ``steps`` nor as a last episode.
    """
    environments.reset()
    before = environments.steps
    over = torch.zeros_like(environments.ended)
    observations = [environments.observation]
    actions: list[Tensor] = []
    outcomes: list[Step] = []
    while len(actions) < environments.longest and not over.all():
        action = choose(act, observations[-1])
        step = environments.step(action)
        outcomes.append(step._replace(valid=step.valid & ~over))
        over = over | environments.ended
        actions.append(action)
        observations.append(environments.observation)
    rollout = _rollout(observations, actions, outcomes)
    environments.steps = before + int(rollout.valid.sum())
    environments.last_return = rollout.returns.cpu()
    environments.last_length = rollout.valid.sum(0).float().cpu()
    return rollout


@torch.no_grad()
def choose(act: Act, observation: Tensor) -> Tensor:
    """The actions of a policy, (n,), without a gradient."""
    return act(observation)


def _rollout(observations: list[Tensor], actions: list[Tensor], outcomes: list[Step]) -> Rollout:
    columns = map(torch.stack, zip(*outcomes, strict=True))
    return Rollout(torch.stack(observations), torch.stack(actions), *columns)


def evaluate(act: Act, name: str, episodes: int, device: torch.device | str = "cpu") -> Tensor:
    """Returns of whole episodes, (episodes,), each of a new copy.

    Taking the first episodes to finish in a few copies would favour short ones.
    """
    return play_episodes(act, Environments(name, episodes, device=device)).returns


def discounted_returns(
    rewards: Tensor, values: Tensor, terminated: Tensor, ended: Tensor, γ: float
) -> Tensor:
    r"""The discounted return that followed each step: $G_t = r_t + \gamma G_{t+1}$, (T, n).

    Args:
        rewards: (T, n).
        values: of the states, (T + 1, n); they stand for the rewards after a truncation.
        terminated: whether nothing follows a step, (T, n).
        ended: whether a step ended an episode, by termination or truncation, (T, n).
        γ: the discount.
    """
    returns = torch.empty_like(rewards)
    later = values[-1]
    for t in reversed(range(len(rewards))):
        later = torch.where(ended[t], values[t + 1], later)
        later = rewards[t] + γ * later * ~terminated[t]
        returns[t] = later
    return returns
