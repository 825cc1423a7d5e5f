"""Replay: what an agent saw, kept in a ring of tensors, drawn from evenly or by how surprising it
was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from etude.training.environments import Step
from etude.training.returns import n_step


class Sample(NamedTuple):
    """Rows drawn from a replay, (rows, …) each."""

    observation: Tensor
    action: Tensor
    reward: Tensor  # discounted, of up to n steps
    discount: Tensor  # γ^m, what the value of the state reached then counts; 0 after a termination
    reached: Tensor  # the observation after these m steps
    weight: Tensor  # importance, at most 1
    rows: Tensor  # for Replay.update


class Replay:
    r"""The last steps of several environments, row by row; stands in ``state``.

    A row is drawn with a probability in proportion to $p^\alpha$, $p$ its last temporal difference
    (a new row: the largest so far). Its importance $(N P)^{-\beta}$, over the largest possible,
    takes back what this adds to the mean. With α = 0 all are drawn alike. Steps that only restarted
    an environment, and the newest n rows, whose outcome is not known yet, are never drawn. The
    observation reached is a later row's, so each is kept once.

    One draw sums all priorities up anew, as tensors: at 10⁵ rows that is faster than a tree walked
    in Python.

    Args:
        rows: transitions that are kept, of all environments together.
        steps: n of n-step returns.
        discount: γ.
        alpha: α, from 0 to 1.

    Source: Schaul, Quan, Antonoglou & Silver (2016), Prioritized experience replay, equation 1 and
    section 3.4.
    """

    def __init__(
        self, rows: int, steps: int = 1, discount: float = 0.99, alpha: float = 0.0
    ) -> None:
        self.rows, self.steps, self.γ, self.α = rows, steps, discount, alpha
        self.columns: dict[str, Tensor] = {}  # (slots, environments, …) each
        self.slot = 0  # where the next row is written
        self.largest = 1.0  # p^α of the most surprising row so far

    def add(self, observation: Tensor, action: Tensor, step: Step) -> None:
        """Take in one step of all environments.

        Args:
            observation: (environments, …), before the step.
            action: (environments, …).
            step: what it gave.
        """
        row = {"observation": observation, "action": action, **step._asdict()}
        if not self.columns:
            slots = max(self.rows // len(observation), self.steps + 2)
            self.columns = {key: value.new_zeros(slots, *value.shape) for key, value in row.items()}
            self.columns["priority"] = torch.zeros(
                slots, len(observation), dtype=torch.float64, device=action.device
            )
        for key, value in row.items():
            self.columns[key][self.slot] = value
        priority, slots = self.columns["priority"], len(self.columns["priority"])
        priority[self.slot] = 0  # not before its outcome is known
        known = (self.slot - self.steps) % slots
        priority[known] = self.largest * self.columns["valid"][known]
        self.slot = (self.slot + 1) % slots

    @property
    def probabilities(self) -> Tensor:
        """Of each row to be drawn; they add up to 1. Shape: (slots, environments)."""
        priority = self.columns["priority"]
        return priority / priority.sum()

    def sample(self, rows: int, beta: float = 1.0) -> Sample:
        """Draw rows; from each of as many equal parts of the whole probability one.

        Args:
            rows: how many.
            beta: β, from 0 (no correction) to 1 (a full one).

        Raises:
            ValueError: nothing can be drawn yet.
        """
        priority = self.columns["priority"].flatten() if self.columns else torch.zeros(1)
        sums = priority.cumsum(0)
        total = sums[-1]
        if not total > 0:
            raise ValueError(
                f"the replay holds no step whose outcome is known; add more than {self.steps} rows"
                " first"
            )
        device = priority.device
        part = (
            torch.arange(rows, device=device) + torch.rand(rows, device=device).double()
        )  # 24 bits: below 1 for sure
        drawn = torch.searchsorted(
            sums, part / rows * total, right=True
        )  # never one whose priority is 0
        probability = priority[drawn] / total
        if self.α > 0:
            least = priority[priority > 0].min() / total
            weight = (probability / least) ** -beta
        else:
            weight = torch.ones_like(probability)
        environments = self.columns["priority"].shape[1]
        slot, which = drawn // environments, drawn % environments
        window = (slot + torch.arange(self.steps, device=device)[:, None]) % len(
            self.columns["priority"]
        )  # (n, rows)
        reward, terminated, truncated = (
            self.columns[key][window, which] for key in ("reward", "terminated", "truncated")
        )
        reward, discount, m = n_step(reward, terminated, terminated | truncated, self.γ)
        reached = self.columns["observation"][(slot + m) % len(self.columns["priority"]), which]
        observation, action = (self.columns[key][slot, which] for key in ("observation", "action"))
        return Sample(observation, action, reward, discount, reached, weight.float(), drawn)

    def update(self, rows: Tensor, difference: Tensor) -> None:
        """New priorities of rows that were drawn, by their temporal differences, (rows,) each; idle
        where α = 0.
        """
        if self.α > 0:
            priority = (difference.detach().abs().double() + 1e-3) ** self.α
            self.columns["priority"].view(-1)[rows] = priority
            self.largest = max(self.largest, float(priority.max()))

    def state_dict(self) -> dict[str, Any]:
        """All that is kept."""
        return {"columns": dict(self.columns), "slot": self.slot, "largest": self.largest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        here = {key: value.device for key, value in self.columns.items()}
        self.columns = {
            key: value.to(here.get(key, value.device)).clone()
            for key, value in state["columns"].items()
        }
        self.slot, self.largest = state["slot"], state["largest"]


@torch.no_grad()
def explored(net: nn.Module, observation: Tensor, ε: float) -> Tensor:
    """The action of the highest value, or with probability ε any: (n, …) → (n,)."""
    values: Tensor = net(observation)  # (n, actions)
    anything = torch.randint(values.shape[1], (len(values),), device=values.device)
    return torch.where(
        torch.rand(len(values), device=values.device) < ε, anything, values.argmax(1)
    )


@torch.no_grad()
def follow(target: nn.Module, net: nn.Module, τ: float) -> None:
    r"""A target network goes a part τ of the way to the one that learns: $\theta^- + \tau (\theta -
    \theta^-)$.
    """
    torch._foreach_lerp_(list(target.parameters()), list(net.parameters()), τ)
