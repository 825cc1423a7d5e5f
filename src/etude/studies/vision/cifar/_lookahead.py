"""An average of a network's weights to which training returns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


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
