"""A linear map of measurements in their own units."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Standardised(nn.Module):
    r"""$z = W (x - \mu) / \sigma + b$: a linear map of columns standardised to mean 0 and standard
    deviation 1.

    $\mu$ and $\sigma$ are buffers, `mean` and `scale`, both (columns,): 0 and 1 until :meth:`fill`
    sets them.

    Args:
        columns: measurements of each example.
        outputs: numbers computed for each example.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, columns: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("scale", torch.ones(columns))
        self.linear = nn.Linear(columns, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, columns) → (batch, outputs)."""
        z: Tensor = self.linear((x - self.mean) / self.scale)
        return z

    @torch.no_grad()
    def fill(self, rows: Tensor, weight: Tensor, bias: Tensor) -> None:
        """Set mean and deviation to those of examples, and the linear map to one found for them.

        Args:
            rows: examples in their own units, (n, columns).
            weight: W, (outputs, columns) or what broadcasts to it.
            bias: b, (outputs,) or what broadcasts to it.
        """
        self.mean.copy_(rows.mean(0))
        self.scale.copy_(rows.std(0, correction=0))
        self.linear.weight.copy_(weight)
        self.linear.bias.copy_(bias)
