r"""What an action was worth, from the rewards that followed it: n-step returns and generalised
advantages.

Tensors have time first: (T, n) for T steps of n environments. Where an episode *terminated*,
nothing follows; where it was *truncated*, or the rollout ends, the value of the state then reached
stands for what would have followed. That state is the next row's
(:mod:`etude.training.environments`). Rows that only restart an environment get some number, and
pass none of it on.
"""

from __future__ import annotations

import torch
from torch import Tensor


def advantages(
    rewards: Tensor, values: Tensor, terminated: Tensor, ended: Tensor, γ: float, λ: float
) -> Tensor:
    r"""Generalised advantages, $A_t = \sum_k (\gamma \lambda)^k \delta_{t+k}$ within the episode.

    Shape: (T, n).

    $\delta_t = r_t + \gamma V(s_{t+1}) - V(s_t)$ is one step's surprise. With $\lambda = 0$ it is
    all; with $\lambda = 1$ the values in between cancel, and the rest of the return is left, less
    $V(s_t)$.

    Args:
        rewards: (T, n).
        values: (T + 1, n), V of the states before each step and after the last.
        terminated: (T, n), nothing follows this step.
        ended: (T, n), it ended an episode, by termination or truncation.
        γ: the discount.
        λ: from 0 to 1.

    Source: Schulman, Moritz, Levine, Jordan & Abbeel (2016), equation 16.
    """
    δ = rewards + γ * values[1:] * ~terminated - values[:-1]
    passed = γ * λ * (~ended).to(δ)
    found = torch.empty_like(δ)
    later = torch.zeros_like(δ[0])
    for t in reversed(range(len(δ))):
        later = torch.addcmul(δ[t], passed[t], later)
        found[t] = later
    return found


def n_step(
    rewards: Tensor, terminated: Tensor, ended: Tensor, γ: float
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Returns over at most n steps: $\sum_{k < m} \gamma^k r_{t+k}$, to which $\gamma^m
    V(s_{t+m})$ may be added.

    Args:
        rewards: (n, …), of n steps in a row; what comes after an episode's end is not counted.
        terminated: (n, …).
        ended: (n, …).
        γ: the discount.

    Returns:
        The sum, the factor $\gamma^m$ of the value of the state then reached (0 after a
        termination), and the number of steps m that were counted, each (…).

    Source: Sutton & Barto (2018), equation 7.1.
    """
    before = (
        torch.cat([torch.zeros_like(ended[:1]), ended[:-1]]).cumsum(0) > 0
    )  # an end came before step k
    counted = ~before
    powers = (γ ** torch.arange(len(rewards)).to(rewards)).view(-1, *[1] * (rewards.ndim - 1))
    m = counted.sum(0)
    over = (terminated & counted).any(0)
    return (rewards * powers * counted).sum(0), γ ** m.to(rewards) * ~over, m


def explained_variance(values: Tensor, targets: Tensor) -> Tensor:
    """1: the values say all that differs between the targets; 0: no more than a constant would;
    below: less. Scalar.
    """
    return 1 - (targets - values).var() / targets.var().clamp_min(1e-12)
