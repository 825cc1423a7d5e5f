r"""What two players of a game of forgery pay: the losses of critic and generator, and the gradient
penalty.

A critic gives each picture a score, high where it takes it for real.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from etude.training.evaluation import evaluating

Score = Callable[[Tensor], Tensor]


class Minimax:
    r"""Goodfellow's game: $D = \sigma(s)$ is the probability that a picture is real.

    Source: Goodfellow et al. (2014), equation 1; the generator's loss as in their section 3, after
    it.
    """

    unit = "log-odds of being real"

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        r"""$-E \log D(x) - E \log(1 - D(G(z)))$ from scores (batch,); log 4 where the critic can't
        tell.
        """
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        r"""$-E \log D(G(z))$: steep where the critic is sure, where $E \log (1 - D(G(z)))$
        is flat.
        """
        return softplus(-fake).mean()

    def distance(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the critic's loss says of the Jensen–Shannon divergence, in nats: no more than it
        is, at most log 2.
        """
        return math.log(2) - self.critic(real, fake) / 2


class Wasserstein:
    """The critic's mean score of real pictures, less that of generated ones, over all critics of
    slope at most 1.

    Source: Arjovsky, Chintala & Bottou (2017), equation 2.
    """

    unit = "score"

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """The negative difference of the mean scores."""
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor) -> Tensor:
        """The negative mean score."""
        return -fake.mean()

    def distance(self, real: Tensor, fake: Tensor) -> Tensor:
        """The Wasserstein distance, if the critic is the best of slope 1: in the pictures'
        Euclidean length.
        """
        return real.mean() - fake.mean()


GAMES: dict[str, Minimax | Wasserstein] = {"dcgan": Minimax(), "wgan-gp": Wasserstein()}


def gradient_penalty(critic: Score, real: Tensor, fake: Tensor) -> Tensor:
    r"""$E (|\nabla_{\hat x} s(\hat x)| - 1)^2$ at points drawn evenly on lines from fakes to real
    pictures.

    It can be differentiated: the gradient is part of the graph.

    Args:
        critic: pictures (batch, …) → scores (batch,), each of its own picture only.
        real: (batch, …).
        fake: (batch, …).

    Source: Gulrajani et al. (2017), equation 3.
    """
    part = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    between = torch.lerp(fake.detach(), real, part).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty: Tensor = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def made(generator: nn.Module, z: Tensor, labels: Tensor) -> Tensor:
    """What a generator makes of codes, in evaluation mode: (n, latent), (n,) → (n, 1, side,
    side).
    """
    with evaluating(generator):
        return torch.cat(
            [
                generator(*pair)
                for pair in zip(torch.split(z, 500), torch.split(labels, 500), strict=True)
            ]
        )


def at_modes(points: Tensor, centres: Tensor, reach: float) -> Tensor:
    """The share of points that lie near each centre: (n, d), (modes, d) → (modes,); those near none
    count for none.
    """
    distance, mode = torch.cdist(points, centres).min(1)
    return mode[distance < reach].bincount(minlength=len(centres)) / len(points)


class Film:
    """Pictures taken on the way, with the steps at which they were; stands in ``state``."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.pictures: list[Tensor] = []

    def take(self, step: int, picture: Tensor) -> None:
        """One more."""
        self.steps.append(step)
        self.pictures.append(picture.detach().cpu().clone())

    def state_dict(self) -> dict[str, Any]:
        """All so far."""
        return {"steps": list(self.steps), "pictures": list(self.pictures)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        self.steps, self.pictures = list(state["steps"]), list(state["pictures"])
