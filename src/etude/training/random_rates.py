r"""All learning rates at once: every feature steps with a rate of its own, drawn at random, and
none is chosen.

Source: Blier, Wolinski & Ollivier (2019), Learning with random learning rates ("Alrao";
arXiv:1810.01322, 2018).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, log_softmax, nll_loss


class Mixture(nn.Module):
    r"""Features $\phi$, and copies of a last layer, mixed: $p(y \mid x) = \sum_j a_j \, p_j(y \mid
    \phi(x))$.

    Args:
        features: (batch, …) → (batch, width).
        width: numbers that the features give.
        classes: that are told apart.
        copies: of the last layer; a is even at first.
    """

    log_a: Tensor

    def __init__(self, features: nn.Module, width: int, classes: int, copies: int) -> None:
        super().__init__()
        self.features, self.heads = features, nn.Linear(width, copies * classes)
        self.shape = (-1, copies, classes)
        self.register_buffer("log_a", torch.full((copies,), -math.log(copies)))

    def forward(self, x: Tensor) -> Tensor:
        """The logarithms of the mixture's probabilities: (batch, …) → (batch, classes)."""
        return self.mixed(log_softmax(self.heads(self.features(x)).view(self.shape), 2))

    def mixed(self, each: Tensor) -> Tensor:
        """log p from every log p_j: (batch, copies, classes) → (batch, classes)."""
        return torch.logsumexp(self.log_a[:, None] + each, 1)

    def losses(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """What to descend on, a scalar, and log p_j of the labels, (batch, copies).

        The features learn from the mixture, with the copies held; every copy learns from its own
        loss, with the features held.
        """
        phi = self.features(x)
        held = linear(phi, self.heads.weight.detach(), self.heads.bias.detach()).view(self.shape)
        own = log_softmax(self.heads(phi.detach()).view(self.shape), 2)[
            torch.arange(len(x)), :, labels
        ]
        return nll_loss(self.mixed(log_softmax(held, 2)), labels) - own.mean(0).sum(), own

    @torch.no_grad()
    def weigh(self, own: Tensor, share: float = 0.01) -> None:
        """Bayes' rule for a: each copy by the likelihood of the batch; then a share of all is dealt
        out evenly.

        The share lets a copy come back that was bad once: fixed share, Herbster & Warmuth (1998).
        The paper's rule, "switch", is another one to the same end.

        Args:
            own: as :meth:`losses` gives.
            share: from 0 to 1.
        """
        a = (self.log_a + own.sum(0)).softmax(0)
        self.log_a.copy_(((1 - share) * a + share / len(a)).log())


def random_rates(net: Mixture, low: float, high: float) -> list[tuple[nn.Parameter, Tensor]]:
    """The parameters of a mixture whose features are one layer, each with the rates of its rows.

    All that belongs to one feature (weights into it, bias, normalisation) has one rate, its
    logarithm drawn evenly from that of ``low`` to that of ``high``. The rates of the copies are
    spread evenly over the same range.
    """
    ends = math.log(low), math.log(high)
    _, copies, classes = net.shape
    of_features = torch.empty(net.heads.in_features).uniform_(*ends).exp()
    of_heads = torch.linspace(*ends, copies).exp().repeat_interleave(classes)
    parts = ((net.features, of_features), (net.heads, of_heads))
    pairs = [(w, rate.to(w.device)) for part, rate in parts for w in part.parameters()]
    return [(w, rate.view(-1, *[1] * (w.ndim - 1))) for w, rate in pairs]


@contextmanager
def at_rates(rates: Sequence[tuple[nn.Parameter, Tensor]]) -> Iterator[None]:
    """What an optimiser of rate 1 moves inside is moved by its rate times as much."""
    before = [w.detach().clone() for w, _ in rates]
    yield
    with torch.no_grad():
        for (w, rate), was in zip(rates, before, strict=True):
            w.copy_(was + rate * (w - was))
