"""What the methods share: advantages, errors of values, log-probabilities, entropy."""

from __future__ import annotations

import torch
from torch import Tensor


def advantages(
    rewards: Tensor, values: Tensor, terminated: Tensor, ended: Tensor, γ: float, λ: float
) -> Tensor:
    r"""Generalised advantages, $A_t = \sum_k (\gamma \lambda)^k \delta_{t+k}$, within each episode.

    $\delta_t = r_t + \gamma V(s_{t+1}) - V(s_t)$ is the error of one step. With $\lambda = 0$ it is
    the advantage; with $\lambda = 1$ the values in between cancel, and the advantage is the rest of
    the return less $V(s_t)$. Rows that only restart an environment get some number, and pass none
    of it on.

    Args:
        rewards: (T, n), of T steps of n environments.
        values: V of the states before each step and after the last, (T + 1, n).
        terminated: whether nothing follows a step, (T, n).
        ended: whether a step ended an episode, by termination or truncation, (T, n).
        γ: the discount.
        λ: from 0 to 1.

    Returns:
        (T, n).

    Source: Schulman, Moritz, Levine, Jordan & Abbeel (2016), equation 16.
    """
    δ = rewards + γ * values[1:] * ~terminated - values[:-1]
    factor = γ * λ * (~ended).to(δ)  # of the next advantage; 0 where the episode ended
    A = torch.empty_like(δ)
    later = torch.zeros_like(δ[0])
    for t in reversed(range(len(δ))):
        later = torch.addcmul(δ[t], factor[t], later)  # A_t = δ_t + γλ A_{t+1}
        A[t] = later
    return A


def value_loss(value: Tensor, old: Tensor, target: Tensor, ε: float = 0.0) -> Tensor:
    """The mean squared error of values, (rows,) each; a scalar.

    With ε above 0 the error is the larger of two: of the values, and of the values held within ε of
    the old ones. This bounds each update, as in the code of PPO's authors. Andrychowicz et al.
    (2021) found that it does not help; so it is off by default.
    """
    error = (value - target).square()
    if ε > 0:
        held = old + (value - old).clamp(-ε, ε)
        error = torch.maximum(error, (held - target).square())
    return error.mean()


def log_probability(log_policy: Tensor, actions: Tensor) -> Tensor:
    """The log-probability of each action taken: of (…, actions) and (…), (…)."""
    return log_policy.gather(-1, actions[..., None]).squeeze(-1)


def entropy(log_policy: Tensor) -> Tensor:
    """The entropy of each row of log-probabilities in nats: (…, actions) → (…)."""
    return -(log_policy.exp() * log_policy).sum(-1)
