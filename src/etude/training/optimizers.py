"""Fused optimisers with the grouping of parameters that is usual."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def adamw(net: nn.Module, learning_rate: float, weight_decay: float = 0.0, **options: Any) -> torch.optim.AdamW:
    """Fused AdamW; decays the weights (matrices, kernels) and leaves biases, norms and other vectors alone.

    Source: Loshchilov & Hutter (2019), Decoupled weight decay regularization.
    """
    learned = [p for p in net.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in learned if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], learning_rate, fused=True, **options)
