"""The running mean of a network's weights along the path of its training."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Generic, TypeVar

import torch
from torch import nn

Net = TypeVar("Net", bound=nn.Module)


class RunningMean(Generic[Net]):
    r"""A network whose weights follow $\bar\theta \leftarrow d \bar\theta + (1 - d) \theta$.

    The network that is trained never uses the mean. In the first steps d is smaller, so that the
    initial weights are soon forgotten. Buffers, such as running statistics, are copied as they are.
    Stands in ``state`` beside the network.

    Source: Polyak & Juditsky (1992), here with exponential weights; Ho, Jain & Abbeel (2020),
    appendix B.

    Args:
        net: the network, on its device already.
        decay: d, from 0 (the copy equals the network) to 1 (it never changes).

    Attributes:
        net: the copy with the mean weights.
    """

    def __init__(self, net: Net, decay: float) -> None:
        self.net: Net = deepcopy(net).requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, net: Net) -> None:
        """Move the mean towards the network's present weights."""
        decay = min(self.decay, self.updates / (self.updates + 9))
        self.updates += 1
        torch._foreach_lerp_(list(self.net.parameters()), list(net.parameters()), 1 - decay)
        for mine, other in zip(self.net.buffers(), net.buffers(), strict=True):
            mine.copy_(other)

    def state_dict(self) -> dict[str, Any]:
        """The mean weights and the number of updates."""
        return {"net": self.net.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        self.net.load_state_dict(state["net"])
        self.updates = state["updates"]
