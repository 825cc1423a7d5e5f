r"""The two losses of a generative adversarial network, and the gradient penalty.

A critic gives each picture a score: the higher, the more it takes the picture for a real one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

Critic = Callable[[Tensor], Tensor]  # pictures (batch, …) → scores (batch,)


class NonSaturating:
    r"""The original game, in which $D = \sigma(s)$ is the probability that a picture is real.

    The critic's loss is that of the minimax game. The generator's is not: it minimises
    $-E \log D(G(z))$, which does not saturate where D is near 0, and not
    $E \log (1 - D(G(z)))$.

    Source: Goodfellow et al. (2014), equation 1; for the generator the end of section 3.
    """

    unit = "log-odds of being real"

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        r"""$-E \log D(x) - E \log(1 - D(G(z)))$ of scores (batch,); log 4 where all D are 1/2."""
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        r"""$-E \log D(G(z))$: steep where $E \log (1 - D(G(z)))$ is flat, at a low D."""
        return softplus(-fake).mean()

    def distance(self, real: Tensor, fake: Tensor) -> Tensor:
        """A lower bound on the Jensen–Shannon divergence in nats, which is at most log 2."""
        return math.log(2) - self.critic(real, fake) / 2


class Wasserstein:
    """The difference of the mean scores of real and generated pictures.

    Source: Arjovsky, Chintala & Bottou (2017), equation 2.
    """

    unit = "score"

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """The negative difference of the mean scores, of scores (batch,)."""
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor) -> Tensor:
        """The negative mean score of generated pictures."""
        return -fake.mean()

    def distance(self, real: Tensor, fake: Tensor) -> Tensor:
        """The Wasserstein distance, if the critic is the best one of slope 1."""
        return real.mean() - fake.mean()


LOSSES: dict[str, NonSaturating | Wasserstein] = {
    "non-saturating": NonSaturating(),
    "wgan-gp": Wasserstein(),
}


def slope_penalty(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    r"""$E (\lVert \nabla_{\hat x} s(\hat x) \rVert - 1)^2$, $\hat x$ uniform on lines from fake to
    real.

    The gradient is part of the graph, so the penalty can be differentiated.

    Source: Gulrajani et al. (2017), equation 3.

    Args:
        critic: the score of a picture may depend on that picture only.
        real: real pictures, (batch, …).
        fake: generated pictures, (batch, …); no gradient goes to them.
    """
    fraction = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    between = torch.lerp(fake.detach(), real, fraction).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    slope = gradient.flatten(1).norm(dim=1)  # (batch,)
    penalty: Tensor = (slope - 1).square().mean()
    return penalty
