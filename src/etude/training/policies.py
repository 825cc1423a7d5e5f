"""Losses of policies and of their critics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


def clipped(log_new: Tensor, log_old: Tensor, advantage: Tensor, ε: float) -> Tensor:
    r"""PPO's objective of each action, to be raised: $\min(\rho A, \mathrm{clip}(\rho, 1 -
    \epsilon, 1 + \epsilon) A)$.

    ρ is the new probability over the old. Where an action has already become so much more probable
    (or, if it was bad, less) that ρ is beyond the clip, nothing is gained by going on, and the
    gradient is zero. The minimum sees to it that a change for the worse is never clipped. All are
    (rows,).

    Source: Schulman, Wolski, Dhariwal, Radford & Klimov (2017), equation 7.
    """
    ratio = (log_new - log_old).exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - ε, 1 + ε) * advantage)


def value_loss(value: Tensor, old: Tensor, target: Tensor, ε: float = 0.0) -> Tensor:
    """Mean squared error of values, (rows,) each; a scalar.

    With ε above 0 also of the values held within ε of the old ones, whichever error is larger: a
    bound on each update, as the authors' code of PPO has it. Andrychowicz et al. (2021) found that
    it does not help; so it is off by default.
    """
    error = (value - target).square()
    if ε > 0:
        held = old + (value - old).clamp(-ε, ε)
        error = torch.maximum(error, (held - target).square())
    return error.mean()


def entropy(log_policy: Tensor) -> Tensor:
    """In nats, of each row of log-probabilities: (…, actions) → (…)."""
    return -(log_policy.exp() * log_policy).sum(-1)


def divergence(log_old: Tensor, log_new: Tensor) -> Tensor:
    """KL(old | new) in nats, of each row of log-probabilities: (…, actions) → (…)."""
    return (log_old.exp() * (log_old - log_new)).sum(-1)


def probability_of(log_policy: Tensor, actions: Tensor) -> Tensor:
    """The logarithm of what each action was chosen with: (…, actions) and (…) → (…)."""
    return log_policy.gather(-1, actions[..., None]).squeeze(-1)


@torch.no_grad()
def changes(log_old: Tensor, log_new: Tensor, actions: Tensor, ε: float) -> dict[str, Tensor]:
    """How far an update moved a policy: ``KL`` from the old to the new in nats, the new one's
    ``entropy`` in nats, and ``clipped``, the part of the actions taken whose ρ is beyond 1 ± ε.
    Means over rows, scalars.
    """
    ratio = (probability_of(log_new, actions) - probability_of(log_old, actions)).exp()
    return {
        "KL": divergence(log_old, log_new).mean(),
        "entropy": entropy(log_new).mean(),
        "clipped": ((ratio - 1).abs() > ε).float().mean(),
    }


def gradient_noise(
    log_policy: Callable[[Tensor], Tensor],
    policy: nn.Module,
    observations: Tensor,
    actions: Tensor,
    estimates: Mapping[str, Tensor],
    groups: int,
) -> dict[str, tuple[float, float]]:
    r"""How estimates of the policy gradient scatter from one group of episodes to another, and how
    far off they are.

    An estimate is the sum over an episode of $\nabla \log \pi(a_t | s_t)\, A_t$, in the mean over a
    group's episodes.

    Args:
        log_policy: observations (…, width) → log-probabilities (…, actions).
        policy: whose parameters they depend on.
        observations: (T, n, width), of n episodes.
        actions: (T, n).
        estimates: name → A, (T, n), 0 in rows that are no steps; the first is the one that is right
            on average.
        groups: of n / groups episodes each.

    Returns:
        For each the variance (of a group's gradient, all parameters together) and the squared
        distance of its mean from the first one's mean, both over the squared length of the first
        one's mean.
    """
    parameters = list(policy.parameters())
    gradients: dict[str, list[Tensor]] = {name: [] for name in estimates}
    for part in torch.arange(observations.shape[1], device=observations.device).chunk(groups):
        taken = probability_of(log_policy(observations[:, part]), actions[:, part])  # (T, episodes)
        for name, A in estimates.items():
            found = torch.autograd.grad(
                taken, parameters, A[:, part] / len(part), retain_graph=True
            )
            gradients[name].append(torch.cat([each.flatten() for each in found]))
    stacked = {
        name: torch.stack(found) for name, found in gradients.items()
    }  # (groups, parameters)
    right = stacked[next(iter(stacked))].mean(0)
    length = right.square().sum()
    return {
        name: (float(g.var(0).sum() / length), float((g.mean(0) - right).square().sum() / length))
        for name, g in stacked.items()
    }
