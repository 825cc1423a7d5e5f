"""Tensors that are recorded while a network trains, for a figure of them afterwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class History:
    """Tensors of one shape; stands in ``state``, so that a resumed run has all of them."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []

    def keep(self, x: Tensor) -> None:
        """Add a copy of ``x``, on the CPU."""
        self.kept.append(x.detach().cpu().clone())

    def __len__(self) -> int:
        return len(self.kept)

    def stacked(self) -> Tensor:
        """All tensors as one, (length, …), in the order in which they were recorded."""
        return torch.stack(self.kept)

    def state_dict(self) -> dict[str, Any]:
        """The recorded tensors."""
        return {"kept": list(self.kept)}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Put back what ``state_dict`` gave."""
        self.kept = list(state["kept"])
