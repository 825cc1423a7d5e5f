"""The multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["relu", "tanh", "sigmoid", "identity"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "identity": lambda z: z,
}


class MLP(nn.Module):
    r"""Affine maps with an activation between them: $h_l = \phi(W_l h_{l-1} + b_l)$, and none after
    the last.

    Weights begin as He et al. (2015) propose for ReLU, $W \sim N(0, 2 / n_\text{in})$, or as Glorot
    & Bengio (2010) for the other activations, $N(0, 2 / (n_\text{in} + n_\text{out}))$; biases at
    zero.

    Input (batch, inputs), output (batch, outputs).
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], outputs: int, activation: Activation = "relu"
    ) -> None:
        super().__init__()
        sizes = [inputs, *hidden, outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.activation = ACTIVATIONS[activation]
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            if activation == "relu":
                nn.init.kaiming_normal_(layer.weight)
            else:
                nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs) → (batch, outputs)."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        out: Tensor = last(x)
        return out
