"""The partition function of a restricted Boltzmann machine, exact and estimated."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import softplus

from etude import UserError
from etude.networks.rbm import RBM

MOST = 20  # bits of the smaller layer for which Z is summed exactly
BLOCK = 1 << 14  # states at a time


@torch.no_grad()
def log_partition(net: RBM) -> Tensor:
    """log Z, exact and in double precision: a sum over all states of the smaller layer.

    For each of them the sum over the other layer is a formula.

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
    blocks = []
    for h in all_states(bits, W.device):
        blocks.append(h @ b + softplus(h @ W.T + a).sum(1))
    return torch.cat(blocks).logsumexp(0)


def all_states(bits: int, device: torch.device | str = "cpu") -> Iterator[Tensor]:
    """All 2^bits states, in blocks (states, bits) in double precision."""
    exponents = torch.arange(bits, device=device)
    for numbers in torch.split(torch.arange(1 << bits, device=device), BLOCK):
        yield ((numbers[:, None] >> exponents) & 1).double()


@torch.no_grad()
def annealed_log_weights(net: RBM, base: Tensor, temperatures: int, chains: int) -> Tensor:
    r"""Log importance weights whose mean weight estimates Z, by annealed importance sampling.

    The path leads from independent bits with log-odds ``base`` ($\beta = 0$) to the machine
    ($\beta = 1$) through $p_\beta(v) \propto e^{((1-\beta)\, \mathrm{base} + \beta\, a) \cdot v}
    \prod_j (1 + e^{\beta (v W + b)_j})$. At each $\beta$ a chain's weight is multiplied by the
    ratio of the next distribution to the present one, and then the chain makes a Gibbs step for the
    next distribution.

    Source: Neal (2001); Salakhutdinov & Murray (2008), equations 15 to 18.

    Args:
        net: the machine.
        base: the log-odds of each visible bit, (visible,).
        temperatures: steps from β = 0 to β = 1.
        chains: how many, independent of each other.

    Returns:
        (chains,), in double precision.
    """
    W, a, b = net.W, net.a, net.b
    log_z0 = float(softplus(base.double()).sum()) + len(b) * math.log(2)
    log_w = torch.full((chains,), log_z0, dtype=torch.double).to(W.device)
    v = base.sigmoid().expand(chains, -1).bernoulli()
    betas = inverse_temperatures(temperatures, W.device)
    for β, next_β in zip(betas[:-1].tolist(), betas[1:].tolist(), strict=True):
        x = v @ W + b
        log_w += (next_β - β) * (v @ (a - base)) + (softplus(next_β * x) - softplus(β * x)).sum(1)
        h = torch.bernoulli((next_β * x).sigmoid_())
        v = torch.bernoulli(((1 - next_β) * base + next_β * (h @ W.T + a)).sigmoid_())
    return log_w


def inverse_temperatures(n: int, device: torch.device | str = "cpu") -> Tensor:
    """β from 0 to 1, (n + 1,): a quarter of the steps to 1/2, a quarter to 0.9, half beyond."""
    fraction = torch.linspace(0, 1, n + 1, dtype=torch.double, device=device)
    low = 2 * fraction
    middle = 0.5 + 1.6 * (fraction - 0.25)
    high = 0.9 + 0.2 * (fraction - 0.5)
    return torch.where(fraction < 0.25, low, torch.where(fraction < 0.5, middle, high))


def log_mean(log_w: Tensor, dim: int = 0) -> Tensor:
    """The logarithm of the mean weight along an axis, of log weights."""
    return log_w.logsumexp(dim) - math.log(log_w.shape[dim])


def log_odds(v: Tensor) -> Tensor:
    """The log-odds of each bit, with one example of either kind added: (n, bits) → (bits,)."""
    return ((v.sum(0) + 1) / (len(v) + 2)).logit()
