"""Replay: past transitions, drawn uniformly or more often where Q was wrong about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from etude.studies.agents._environments import Step


class Sample(NamedTuple):
    """Transitions drawn from a replay; each tensor is (rows, …)."""

    observation: Tensor
    action: Tensor
    reward: Tensor  # the discounted sum of up to n steps' rewards
    discount: Tensor  # γ^m of the value of the state then reached; 0 after a termination
    reached: Tensor  # the observation after these m steps
    weight: Tensor  # importance weight, at most 1
    rows: Tensor  # where they stand, for Replay.update


class Replay:
    r"""The last transitions of several environments, in a ring of tensors.

    A transition is drawn with a probability $P$ in proportion to $p^\alpha$, where $p$ is the
    absolute value of its last temporal-difference error plus 0.001; a new one has the largest
    $p^\alpha$ so far, at least 1. Its importance weight $(N P)^{-\beta}$,
    divided by the largest possible weight, corrects the bias of these draws. With α = 0 draws
    are uniform. Steps that only restarted an environment are never drawn, nor are the newest n,
    whose outcome is not known yet. The observation reached stands in a later row, and is kept once.

    Each draw adds up all priorities anew, as tensors: with 10⁵ rows that is faster than a tree in
    Python.

    Args:
        rows: the number of transitions that are kept, of all environments together.
        steps: n, the steps of n-step returns.
        discount: γ.
        alpha: α, from 0 to 1.

    Source: Schaul, Quan, Antonoglou & Silver (2016), Prioritized experience replay, equation 1,
    sections 3.3 (one draw from each of equal parts) and 3.4 (weights), algorithm 1 (new ones).
    """

    def __init__(
        self, rows: int, steps: int = 1, discount: float = 0.99, alpha: float = 0.0
    ) -> None:
        self.rows = rows
        self.steps = steps
        self.γ = discount
        self.α = alpha
        self.columns: dict[str, Tensor] = {}  # (slots, environments, …) each
        self.slot = 0  # where the next step is written
        self.largest = 1.0  # the largest p^α so far

    def add(self, observation: Tensor, action: Tensor, step: Step) -> None:
        """Keep one step of all environments, overwriting the oldest.

        Args:
            observation: before the step, (environments, …).
            action: (environments,).
            step: the outcome.
        """
        row = {"observation": observation, "action": action, **step._asdict()}
        if not self.columns:
            slots = max(self.rows // len(observation), self.steps + 2)
            self.columns = {key: value.new_zeros(slots, *value.shape) for key, value in row.items()}
            self.columns["priority"] = torch.zeros_like(self.columns["reward"], dtype=torch.double)
        for key, value in row.items():
            self.columns[key][self.slot] = value
        priority = self.columns["priority"]
        known = (self.slot - self.steps) % len(priority)
        priority[self.slot] = 0  # until its outcome is known
        priority[known] = self.largest * self.columns["valid"][known]
        self.slot = (self.slot + 1) % len(priority)

    @property
    def probabilities(self) -> Tensor:
        """The probability with which each transition is drawn: (slots, environments)."""
        priority = self.columns["priority"]
        return priority / priority.sum()

    def sample(self, rows: int, beta: float = 1.0) -> Sample:
        """Draw transitions, one from each of as many equal parts of the whole probability.

        Args:
            rows: how many.
            beta: β, from 0 (no correction) to 1 (a full correction).

        Raises:
            ValueError: the outcome of no step is known yet.
        """
        if not self.columns or not self.columns["priority"].sum() > 0:
            raise ValueError(
                f"the replay holds no step whose outcome is known; add more than {self.steps} rows"
                " first"
            )
        priority = self.columns["priority"].flatten()
        sums = priority.cumsum(0)
        total = sums[-1]

        part = torch.arange(rows, device=priority.device)
        within = torch.rand(rows, device=priority.device).double()  # < 1 - 2^-24
        drawn = torch.searchsorted(sums, (part + within) / rows * total, right=True)

        probability = priority[drawn] / total
        weight = torch.ones_like(probability)
        if self.α > 0:
            least = priority[priority > 0].min() / total
            weight = (probability / least) ** -beta

        slots, environments = self.columns["priority"].shape
        slot = drawn // environments
        which = drawn % environments
        ahead = torch.arange(self.steps, device=priority.device)[:, None]
        window = (slot + ahead) % slots  # (n, rows)
        rewards = self.columns["reward"][window, which]
        terminated = self.columns["terminated"][window, which]
        truncated = self.columns["truncated"][window, which]
        reward, discount, m = n_step_return(rewards, terminated, terminated | truncated, self.γ)

        observation = self.columns["observation"][slot, which]
        action = self.columns["action"][slot, which]
        # Also at an episode's end: the row after its last step holds its last observation.
        reached = self.columns["observation"][(slot + m) % slots, which]
        return Sample(observation, action, reward, discount, reached, weight.float(), drawn)

    def update(self, rows: Tensor, difference: Tensor) -> None:
        """Set the priorities of drawn transitions by their temporal differences, (rows,) each."""
        if self.α > 0:
            priority = (difference.detach().abs().double() + 1e-3) ** self.α
            self.columns["priority"].view(-1)[rows] = priority
            self.largest = max(self.largest, float(priority.max()))

    def state_dict(self) -> dict[str, Any]:
        """All that is kept."""
        return {"columns": dict(self.columns), "slot": self.slot, "largest": self.largest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to a state that ``state_dict`` gave."""
        here = {key: value.device for key, value in self.columns.items()}
        self.columns = {
            key: value.to(here.get(key, value.device)).clone()
            for key, value in state["columns"].items()
        }
        self.slot = state["slot"]
        self.largest = state["largest"]


def n_step_return(
    rewards: Tensor, terminated: Tensor, ended: Tensor, γ: float
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Returns over at most n steps, without the value of the state then reached.

    Args:
        rewards: of n steps in a row, (n, …); what comes after an episode's end is not counted.
        terminated: whether nothing follows a step, (n, …).
        ended: whether a step ended the episode, by termination or truncation, (n, …).
        γ: the discount.

    Returns:
        The sum $\sum_{k < m} \gamma^k r_{t+k}$; the factor $\gamma^m$ of the value of the state
        then reached (0 after a termination); and m, the number of steps that were counted; (…)
        each.

    Source: Sutton & Barto (2018), equation 7.1.
    """
    earlier = torch.cat([torch.zeros_like(ended[:1]), ended[:-1]])
    counted = earlier.cumsum(0) == 0  # no end came before this step
    powers = γ ** torch.arange(len(rewards)).to(rewards)
    powers = powers.view(-1, *[1] * (rewards.ndim - 1))
    m = counted.sum(0)
    over = (terminated & counted).any(0)
    return (rewards * powers * counted).sum(0), γ ** m.to(rewards) * ~over, m
