"""Many copies of one environment, stepped together as tensors.

An episode ends in one of two ways. *Termination* is the task's own end: the pole has fallen, and no
rewards follow. *Truncation* is a time limit: the episode is cut off, and a value network estimates
the rewards that would have followed.

Copies restart by themselves, one step later. Where an episode ended at step t, row t + 1 of the
observations is its last one, the action at t + 1 is ignored, and row t + 2 is the first of the next
episode. The step in between is no transition: :attr:`Step.valid` is False, and nothing may be
learned from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from etude import UserError, data
from etude.studies.agents._gymnasium import make, make_copies, specification

GOALS = {"CartPole-v1": 475.0, "LunarLander-v3": 200.0}
"""Mean returns at which Gymnasium calls an environment solved."""

ACTIONS = {
    "CartPole-v1": ("left", "right"),
    "LunarLander-v3": ("nothing", "left engine", "main engine", "right engine"),
}

ANGLES = {"CartPole-v1": (2, 3, 0.2, 1.0), "LunarLander-v3": (4, 5, 1.0, 1.0)}
"""Where an angle and its velocity stand in an observation, and up to which values to draw them."""


class Step(NamedTuple):
    """The outcome of one step of n copies; each tensor is (n,)."""

    reward: Tensor
    terminated: Tensor  # the episode ended by itself
    truncated: Tensor  # the time limit cut the episode off
    valid: Tensor  # False: this step only restarted the copy


class Environments:
    """Copies of a Gymnasium environment; its ``state_dict`` holds worlds and random generators.

    Args:
        name: Gymnasium's name, such as ``CartPole-v1``.
        count: the number of copies.
        seed: of the copies' generators; by default drawn from PyTorch's generator.
        device: the device of the tensors.
        longest: the steps after which an episode is truncated, instead of the environment's own.

    Attributes:
        observation: the current observations, (count, …).
        ended: whether the last step of each copy ended an episode, (count,).
        steps: transitions so far, of all copies together, without restarts.
        last_return, last_length: of the last finished episode of each copy, (count,); NaN before.

    Raises:
        UserError: gymnasium is not installed, or there is no such environment.
    """

    def __init__(
        self,
        name: str,
        count: int,
        *,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        longest: int | None = None,
    ) -> None:
        self.name = name
        self.count = count
        self.device = torch.device(device)
        self.longest = longest or specification(name).max_episode_steps
        seed = int(torch.randint(2**31, ())) if seed is None else seed
        self._copies = make_copies(name, count, seed, self.longest)
        self.steps = 0
        self.last_return, self.last_length = torch.full((2, count), torch.nan)
        self.reset()

    def reset(self) -> None:
        """Start a new episode in every copy."""
        self.observation = self._to_tensor(self._copies.reset())
        self.ended = torch.zeros(self.count, dtype=torch.bool, device=self.device)
        self._return, self._length = torch.zeros(2, self.count)

    def step(self, actions: Tensor) -> Step:
        """One step of every copy; one whose episode had ended restarts instead.

        Args:
            actions: whole numbers, (count,).
        """
        valid = ~self.ended
        observation, *outcome = self._copies.step(actions.cpu().numpy(), self.ended.cpu().numpy())
        reward, terminated, truncated = (torch.from_numpy(x).to(self.device) for x in outcome)
        self.observation = self._to_tensor(observation)
        self.ended = terminated | truncated

        real = valid.cpu()
        ended = self.ended.cpu()
        self.steps += int(real.sum())
        self._return = self._return * real + reward.cpu()
        self._length = self._length * real + real
        self.last_return = torch.where(ended, self._return, self.last_return)
        self.last_length = torch.where(ended, self._length, self.last_length)
        return Step(reward, terminated, truncated, valid)

    def state_dict(self) -> dict[str, Any]:
        """All that changes."""
        tensors = {key: getattr(self, key) for key in _TENSORS}
        return {"copies": self._copies.state_dict(), "steps": self.steps, **tensors}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to a state that ``state_dict`` gave.

        Raises:
            RuntimeError: the environment, played again, shows another observation.
        """
        self._copies.load_state_dict(state["copies"])
        self.steps = state["steps"]
        for key in _TENSORS:
            setattr(self, key, state[key].to(getattr(self, key).device))
        if not np.array_equal(self._copies.observations(), self.observation.cpu().numpy()):
            raise RuntimeError(f"{self.name} does not show again what it showed")

    def _to_tensor(self, observation: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(observation, np.float32)).to(self.device)


_TENSORS = ("observation", "ended", "last_return", "last_length", "_return", "_length")


def spaces(name: str) -> tuple[int, int]:
    """The numbers of an observation, and the number of actions to choose from.

    Raises:
        UserError: there is no such environment, or its actions are continuous.
    """
    environment = make(name)
    if not hasattr(environment.action_space, "n"):
        raise UserError(
            f"the actions of {name} are continuous; expected an environment with discrete actions"
        )
    return int(np.prod(environment.observation_space.shape)), int(environment.action_space.n)


def action_names(name: str) -> tuple[str, ...]:
    """The names of the actions; their numbers where they have no names."""
    return ACTIONS.get(name) or tuple(map(str, range(spaces(name)[1])))


def read_observation(name: str, input: Any) -> Tensor:
    """One observation from numbers, or from a text like ``0 0 0.05 0``. Shape: (1, numbers).

    Raises:
        UserError: it has not as many numbers as an observation of the environment.
    """
    return data.read_numbers(input, spaces(name)[0], f"an observation of {name}")
