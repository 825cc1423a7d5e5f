"""Averages of a network's weights along its path."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)


class Lookahead:
    r"""Slow weights that follow the fast ones, and to which the fast ones return.

    At each ``update``, $\phi \leftarrow d\,\phi + (1 - d)\,\theta$ and $\theta \leftarrow \phi$,
    for parameters and the running statistics of normalisation alike. Stands in ``state`` beside the
    network.

    Source: Zhang, Lucas, Hinton & Ba (2019), Lookahead optimizer, algorithm 1.
    """

    def __init__(self, net: nn.Module) -> None:
        self.fast = [t for t in net.state_dict().values() if t.is_floating_point()]
        self.slow = [t.clone() for t in self.fast]

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """One step of the slow weights; ``decay`` d from 0 (they jump to the fast ones) to 1 (they
        stay).
        """
        torch._foreach_lerp_(self.slow, self.fast, 1 - decay)
        torch._foreach_copy_(self.fast, self.slow)

    def state_dict(self) -> dict[str, Any]:
        """The slow weights, in the order of the network's."""
        return {"slow": self.slow}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Put back what ``state_dict`` gave."""
        for mine, saved in zip(self.slow, state["slow"], strict=True):
            mine.copy_(saved)


class RunningMean(Generic[Net]):
    r"""A copy of a network, ``net``, with the running mean of its weights: $\bar\theta \leftarrow d
    \bar\theta + (1 - d) \theta$.

    It never goes back to the network that is trained. In the first steps d is smaller, so that the
    weights of the very beginning are soon forgotten. What the network counts or keeps beside its
    weights (running statistics) is copied. Stands in ``state`` beside the network.

    Source: Polyak & Juditsky (1992), with the weights of the past falling off; Ho, Jain & Abbeel
    (2020), appendix B.

    Args:
        net: placed already.
        decay: d, from 0 (the copy is the network) to 1 (it stays what it was).
    """

    def __init__(self, net: Net, decay: float) -> None:
        self.net: Net = deepcopy(net).requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, net: Net) -> None:
        """One step towards the network's weights."""
        decay = min(self.decay, self.updates / (self.updates + 9))
        self.updates += 1
        torch._foreach_lerp_(list(self.net.parameters()), list(net.parameters()), 1 - decay)
        for mine, other in zip(self.net.buffers(), net.buffers(), strict=True):
            mine.copy_(other)

    def state_dict(self) -> dict[str, Any]:
        """The mean, and of how many updates."""
        return {"net": self.net.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        self.net.load_state_dict(state["net"])
        self.updates = state["updates"]
