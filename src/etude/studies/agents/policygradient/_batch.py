"""The steps of a rollout that a policy learns from."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor


@dataclass
class Batch:
    """Steps in any order, and what the networks gave for them before the update.

    Attributes:
        observations: (rows, numbers).
        actions: (rows,).
        log_policy: log-probabilities of all actions, (rows, actions).
        values: V, (rows,).
        advantages: standardised, (rows,).
        targets: of V, (rows,).
    """

    observations: Tensor
    actions: Tensor
    log_policy: Tensor
    values: Tensor
    advantages: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.actions)

    def __getitem__(self, rows: Tensor) -> Batch:
        """Some of the rows: a number for each, or a mask."""
        return Batch(*(getattr(self, field.name)[rows] for field in fields(self)))
