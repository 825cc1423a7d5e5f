"""The chains of persistent contrastive divergence."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class Chains:
    """The states of Gibbs chains that go on from step to step; stands in ``state``.

    Args:
        v: visible bits, (chains, visible).
    """

    def __init__(self, v: Tensor) -> None:
        self.v = v

    def state_dict(self) -> dict[str, Any]:
        """The visible bits."""
        return {"v": self.v}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put back what ``state_dict`` gave."""
        self.v = state["v"].to(self.v.device)
