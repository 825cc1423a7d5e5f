"""What the units learn: truth tables of two bits, and sets that a plane separates."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

BITS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
"""The four inputs of a truth table, (4, 2)."""

TABLES = {
    "and": torch.tensor([0, 0, 0, 1]),
    "or": torch.tensor([0, 1, 1, 1]),
    "nand": torch.tensor([1, 1, 1, 0]),
    "xor": torch.tensor([0, 1, 1, 0]),
}
"""Four functions of two bits: their outputs for each row of ``BITS``, (4,)."""


def signed_rows(targets: Tensor) -> Tensor:
    """The rows y (x, 1) of a truth table with y = ±1: (4,) zeros and ones → (4, 3)."""
    y = 2 * targets - 1
    x = torch.cat([BITS, torch.ones(4, 1)], 1)
    return y[:, None] * x


def separable_rows(points: int, dimensions: int, margin: float) -> tuple[Tensor, Tensor]:
    """Random signed unit rows at one distance from a plane, and the plane's unit normal.

    Returns:
        Rows a, (points, dimensions), and the normal u, (dimensions,), with a · u = margin.
    """
    u = normalize(torch.randn(dimensions), dim=0)
    across = torch.randn(points, dimensions)
    across = normalize(across - (across @ u)[:, None] * u)
    return margin * u + (1 - margin**2) ** 0.5 * across, u


def fraction_correct(outputs: Tensor, targets: Tensor) -> float:
    """The fraction of outputs that equal their targets, both (rows,) zeros and ones."""
    return (outputs == targets).double().mean().item()
