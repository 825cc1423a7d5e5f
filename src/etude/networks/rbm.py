"""The restricted Boltzmann machine: two layers of bits, what they cost each other, and how probable
they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from etude.errors import UserError

MOST = 20  # bits of the smaller layer, at most, whose states are all gone through
BLOCK = 1 << 14  # states at a time


class RBM(nn.Module):
    r"""Bits $v$ that are seen and $h$ that are not: $p(v, h) = e^{-E(v, h)} / Z$ with $E = -a v - b
    h - v W h$.

    Given one layer, the bits of the other are independent. Input (batch, visible) of bits, output
    their free energies, (batch,): the smaller, the more probable.

    Source: Smolensky (1986), Harmony theory; Hinton (2002).
    """

    log_z: Tensor

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__()
        self.W = nn.Parameter(0.01 * torch.randn(visible, hidden))
        self.a, self.b = nn.Parameter(torch.zeros(visible)), nn.Parameter(torch.zeros(hidden))
        self.register_buffer(
            "log_z", torch.tensor(math.nan)
        )  # whoever has measured it writes it here

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
        """log p(v) in nats, with log Z as it is in ``log_z``: (…, visible) → (…)."""
        log_p: Tensor = -self(v) - self.log_z
        return log_p

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int = 1) -> Tensor:
        """Draw h given v and v given h, so many times: (chains, visible) → (chains, visible)."""
        for _ in range(steps):
            v = self.visible(self.hidden(v).bernoulli()).bernoulli()
        return v

    @torch.no_grad()
    def statistics(self, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""The means of $v h^\top$, $v$ and $h$ with $h$ as expected: what -E has as gradients by
        W, a and b.
        """
        h = self.hidden(v)
        return v.T @ h / len(v), v.mean(0), h.mean(0)

    def climb(self, data: Tensor, model: Tensor) -> None:
        """Set the gradients, for an optimiser that goes down: the model's statistics less those of
        the data.

        Args:
            data: (batch, visible).
            model: (chains, visible).
        """
        for w, positive, negative in zip(
            (self.W, self.a, self.b), self.statistics(data), self.statistics(model), strict=True
        ):
            w.grad = negative - positive


class Chains:
    """Gibbs chains that are never started anew; they stand in ``state``, beside the network."""

    def __init__(self, v: Tensor) -> None:
        self.v = v

    def state_dict(self) -> dict[str, Any]:
        """Where they are."""
        return {"v": self.v}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put them there."""
        self.v = state["v"].to(self.v.device)


@torch.no_grad()
def log_partition(net: RBM) -> Tensor:
    """log Z, exact, in double precision: all states of the smaller layer are gone through, the
    other is a formula.

    Raises:
        UserError: the smaller layer has more than 20 bits.
    """
    W, a, b = (w.double() for w in (net.W, net.a, net.b))
    if W.shape[0] < W.shape[1]:
        W, a, b = W.T, b, a
    bits = W.shape[1]
    if bits > MOST:
        raise UserError(
            f"the partition function of a machine of {bits} bits has 2^{bits} terms; expected at"
            f" most {MOST} bits"
        )
    parts = [
        states @ b + softplus(states @ W.T + a).sum(1) for states in all_states(bits, W.device)
    ]
    return torch.cat(parts).logsumexp(0)


def all_states(bits: int, device: torch.device | str = "cpu") -> Iterator[Tensor]:
    """All states of so many bits, double (states, bits), in blocks."""
    places = torch.arange(bits, device=device)
    for numbers in torch.split(torch.arange(1 << bits, device=device), BLOCK):
        yield ((numbers[:, None] >> places) & 1).double()


@torch.no_grad()
def annealed(net: RBM, base: Tensor, temperatures: int, chains: int) -> Tensor:
    r"""The logarithms of importance weights whose mean is Z: (chains,).

    Between the distribution of independent bits with the log-odds ``base`` ($\beta = 0$) and the
    machine ($\beta = 1$) lie $p_\beta(v) \propto e^{((1-\beta)\, \mathrm{base} + \beta\, a) \cdot
    v} \prod_j (1 + e^{\beta (v W + b)_j})$. A chain is weighted by the ratio of the next to this
    one at the place where it is, and makes a Gibbs step there.

    Args:
        net: the machine.
        base: (visible,).
        temperatures: how many there are between 0 and 1.
        chains: independent of each other.

    Source: Neal (2001); Salakhutdinov & Murray (2008), equations 15 to 18.
    """
    W, a, b = net.W, net.a, net.b
    betas = schedule(temperatures, W.device)
    log_w = torch.full(
        (chains,), float(softplus(base.double()).sum()) + len(b) * math.log(2), dtype=torch.double
    )
    log_w = log_w.to(W.device)
    v = base.sigmoid().expand(chains, -1).bernoulli()
    for β, next_β in zip(betas[:-1].tolist(), betas[1:].tolist(), strict=True):
        x = v @ W + b
        log_w += (next_β - β) * (v @ (a - base)) + (softplus(next_β * x) - softplus(β * x)).sum(1)
        h = torch.bernoulli((next_β * x).sigmoid_())
        v = torch.bernoulli(((1 - next_β) * base + next_β * (h @ W.T + a)).sigmoid_())
    return log_w


def schedule(temperatures: int, device: torch.device | str = "cpu") -> Tensor:
    """β from 0 to 1, (temperatures + 1,): a quarter of the steps up to 1/2, a quarter up to 0.9,
    half beyond.
    """
    along = torch.linspace(0, 1, temperatures + 1, dtype=torch.double, device=device)
    low, middle, high = 2 * along, 0.5 + 1.6 * (along - 0.25), 0.9 + 0.2 * (along - 0.5)
    return torch.where(along < 0.25, low, torch.where(along < 0.5, middle, high))


def log_mean(log_w: Tensor, dim: int = 0) -> Tensor:
    """The logarithm of the mean weight along an axis."""
    return log_w.logsumexp(dim) - math.log(log_w.shape[dim])


def log_odds(v: Tensor) -> Tensor:
    """Of each bit, with one bit of either kind added: (rows, bits) → (bits,)."""
    return ((v.sum(0) + 1) / (len(v) + 2)).logit()
