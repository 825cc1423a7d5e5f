"""What was seen along the way, for a picture of it afterwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Trail:
    """Tensors of one shape, kept one after the other; stands in ``state``, so that a resumed run
    has them all.
    """

    def __init__(self) -> None:
        self.kept: list[Tensor] = []

    def keep(self, x: Tensor) -> None:
        """Keep a copy, on the CPU."""
        self.kept.append(x.detach().cpu().clone())

    def __len__(self) -> int:
        return len(self.kept)

    def stacked(self) -> Tensor:
        """All in a row: (kept, …)."""
        return torch.stack(self.kept)

    def state_dict(self) -> dict[str, Any]:
        """What was kept."""
        return {"kept": list(self.kept)}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Go on from there."""
        self.kept = list(state["kept"])
