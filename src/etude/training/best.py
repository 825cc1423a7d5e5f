"""The best so far by a validation metric, and early stopping."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn


class Best:
    """Keeps a copy of a network's weights from when a metric was best; stands in ``state`` beside
    the network.

    Args:
        net: whose weights are kept.
        patience: :attr:`stale` after this many updates without a gain; None: never.
        lowest: whether less is better.
    """

    def __init__(
        self, net: nn.Module, patience: int | None = None, *, lowest: bool = False
    ) -> None:
        self.net, self.patience, self.lowest = net, patience, lowest
        self.value = math.inf if lowest else -math.inf
        self.waited = 0
        self.weights: dict[str, torch.Tensor] = {}

    def update(self, value: float) -> bool:
        """Take in a new measurement; True where it is the best so far."""
        better = value < self.value if self.lowest else value > self.value
        if better:
            self.value, self.waited = value, 0
            self.weights = {
                key: tensor.detach().clone() for key, tensor in self.net.state_dict().items()
            }
        else:
            self.waited += 1
        return better

    @property
    def stale(self) -> bool:
        """Whether patience has run out: time to stop."""
        return self.patience is not None and self.waited >= self.patience

    def restore(self) -> nn.Module:
        """Put the best weights back into the network."""
        if self.weights:
            self.net.load_state_dict(self.weights)
        return self.net

    def state_dict(self) -> dict[str, Any]:
        """Value, patience spent and weights."""
        return {"value": self.value, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        self.value, self.waited, self.weights = state["value"], state["waited"], state["weights"]
