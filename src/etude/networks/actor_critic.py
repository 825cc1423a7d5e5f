"""A policy and a value function: what an actor-critic method learns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from etude.networks.mlp import MLP


class ActorCritic(nn.Module):
    r"""Two perceptrons on the same observation: $\log \pi(a \mid s)$ for each of some actions, and
    $V(s)$.

    The two share no weights, so that neither loss changes the other's features. The initial weights
    of the policy's last layer are a hundred times smaller than the others, so at first all actions
    have nearly the same probability in every state.

    Input (…, inputs), output (…, actions + 1): log-probabilities, then the value.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], actions: int) -> None:
        super().__init__()
        self.actor = MLP(inputs, hidden, actions, "tanh")
        self.critic = MLP(inputs, hidden, 1, "tanh")
        last = self.actor.layers[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(0.01)

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) → (…, actions + 1)."""
        return torch.cat([self.log_policy(x), self.value(x)[..., None]], -1)

    def log_policy(self, x: Tensor) -> Tensor:
        """Log-probabilities of the actions: (…, inputs) → (…, actions)."""
        return torch.log_softmax(self.actor(x), -1)

    def value(self, x: Tensor) -> Tensor:
        """V: (…, inputs) → (…)."""
        value: Tensor = self.critic(x)
        return value.squeeze(-1)

    def sample(self, x: Tensor) -> Tensor:
        """An action drawn from the policy: (n, inputs) → (n,)."""
        return torch.multinomial(self.actor(x).softmax(-1), 1).squeeze(1)

    def greedy(self, x: Tensor) -> Tensor:
        """The most probable action: (…, inputs) → (…)."""
        scores: Tensor = self.actor(x)
        return scores.argmax(-1)
