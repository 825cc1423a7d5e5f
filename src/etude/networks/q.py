"""Action values: Q(s, a) for each of some actions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from etude.networks.mlp import MLP


class QNetwork(nn.Module):
    r"""A perceptron that gives Q, or, *dueling*, a value and advantages: $Q = V + A - \bar A$.

    Since the mean of the advantages is subtracted, $V$ is the mean of Q over the actions, and Q
    determines both $V$ and the difference. What all actions share is learned in one place, from
    every step.

    Input (…, inputs), output (…, actions).

    Source: Wang et al. (2016), Dueling network architectures, equation 9.
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], actions: int, *, dueling: bool = True
    ) -> None:
        super().__init__()
        features = hidden[-1] if hidden else inputs
        self.body = MLP(inputs, hidden[:-1], features) if hidden else None
        self.advantage = nn.Linear(features, actions)
        self.value = nn.Linear(features, 1) if dueling else None

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) → (…, actions)."""
        h = x if self.body is None else torch.relu(self.body(x))  # (…, features)
        q: Tensor = self.advantage(h)
        if self.value is not None:
            q = self.value(h) + q - q.mean(-1, keepdim=True)
        return q

    def greedy(self, x: Tensor) -> Tensor:
        """The action of the highest value: (…, inputs) → (…)."""
        values: Tensor = self(x)
        return values.argmax(-1)
