"""The restricted Boltzmann machine: visible and hidden bits, and the energy of each pair."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class RBM(nn.Module):
    r"""Visible bits $v$ and hidden bits $h$: $p(v, h) = e^{-E(v, h)} / Z$.

    The energy is $E = -a \cdot v - b \cdot h - v^\top W h$. Given one layer, the bits of the other
    are independent. Input: (batch, visible) of bits. Output: their free energies, (batch,).

    Source: Smolensky (1986), Harmony theory; Hinton (2002).

    Args:
        visible: the number of visible bits.
        hidden: the number of hidden bits.

    Attributes:
        log_z: log Z, NaN until an estimate is written here.
    """

    log_z: Tensor

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__()
        self.W = nn.Parameter(0.01 * torch.randn(visible, hidden))
        self.a = nn.Parameter(torch.zeros(visible))
        self.b = nn.Parameter(torch.zeros(hidden))
        self.register_buffer("log_z", torch.tensor(math.nan))

    def hidden(self, v: Tensor) -> Tensor:
        """p(h = 1 | v): (…, visible) → (…, hidden)."""
        return (v @ self.W + self.b).sigmoid()

    def visible(self, h: Tensor) -> Tensor:
        """p(v = 1 | h): (…, hidden) → (…, visible)."""
        return (h @ self.W.T + self.a).sigmoid()

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h): (…, visible), (…, hidden) → (…)."""
        return -(v @ self.a) - h @ self.b - ((v @ self.W) * h).sum(-1)

    def forward(self, v: Tensor) -> Tensor:
        """The free energy -log Σ_h exp(-E(v, h)): (…, visible) → (…)."""
        free: Tensor = -(v @ self.a) - softplus(v @ self.W + self.b).sum(-1)
        return free

    def log_likelihood(self, v: Tensor) -> Tensor:
        """log p(v) in nats, by the value of ``log_z``: (…, visible) → (…)."""
        log_p: Tensor = -self(v) - self.log_z
        return log_p

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int = 1) -> Tensor:
        """Steps of Gibbs sampling, h given v and then v given h: (chains, visible) → the same."""
        for _ in range(steps):
            h = self.hidden(v).bernoulli()
            v = self.visible(h).bernoulli()
        return v

    @torch.no_grad()
    def statistics(self, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""The means of $v h^\top$, $v$ and the expected $h$ over examples (batch, visible).

        They are the gradients of -E by W, a and b.
        """
        h = self.hidden(v)
        return v.T @ h / len(v), v.mean(0), h.mean(0)

    def set_gradients(self, data: Tensor, model: Tensor) -> None:
        """Set the gradients of -log p: the statistics of the model less those of the data.

        Args:
            data: training examples, (batch, visible).
            model: draws from the model, (chains, visible).
        """
        weights = (self.W, self.a, self.b)
        means = zip(weights, self.statistics(data), self.statistics(model), strict=True)
        for weight, of_data, of_model in means:
            weight.grad = of_model - of_data
