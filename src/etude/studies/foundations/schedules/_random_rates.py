r"""Learning with random rates: each hidden unit has a learning rate of its own, drawn at random.

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
    r"""A network with several copies of its last layer, whose predictions are mixed.

    $p(y \mid x) = \sum_j a_j \, p_j(y \mid \phi(x))$ with features $\phi$ and weights $a$ that are
    equal at first.

    Args:
        features: all layers but the last: (batch, …) → (batch, width).
        width: the number of features.
        classes: the number of classes.
        copies: the number of copies of the last layer.
    """

    log_a: Tensor

    def __init__(self, features: nn.Module, width: int, classes: int, copies: int) -> None:
        super().__init__()
        self.features = features
        self.heads = nn.Linear(width, copies * classes)
        self.shape = (-1, copies, classes)
        self.register_buffer("log_a", torch.full((copies,), -math.log(copies)))

    def forward(self, x: Tensor) -> Tensor:
        """The log-probabilities of the mixture: (batch, …) → (batch, classes)."""
        logits = self.heads(self.features(x)).view(self.shape)
        return self.mix(log_softmax(logits, 2))

    def mix(self, log_p: Tensor) -> Tensor:
        """Mix the log-probabilities of all copies: (batch, copies, classes) → (batch, classes)."""
        return torch.logsumexp(self.log_a[:, None] + log_p, 1)

    def losses(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, a scalar, and each copy's log-probability of the labels, (batch, copies).

        The features learn from the loss of the mixture, through which the copies get no gradient.
        Every copy learns from its own loss, through which the features get none.
        """
        phi = self.features(x)
        fixed = linear(phi, self.heads.weight.detach(), self.heads.bias.detach())
        mixture = self.mix(log_softmax(fixed.view(self.shape), 2))

        log_p = log_softmax(self.heads(phi.detach()).view(self.shape), 2)
        log_p = log_p[torch.arange(len(x)), :, labels]  # (batch, copies)
        return nll_loss(mixture, labels) - log_p.mean(0).sum(), log_p

    @torch.no_grad()
    def reweight(self, log_p: Tensor, share: float = 0.01) -> None:
        """Update the weights a of the copies by Bayes' rule, from the likelihood of a batch.

        Afterwards a share of the total weight is divided equally among all copies, so that a copy
        which was bad once can come back: "fixed share", Herbster & Warmuth (1998). The paper uses
        another rule for this, "switch".

        Args:
            log_p: each copy's log-probability of the labels, (batch, copies).
            share: the fraction of the weight that is divided equally.
        """
        a = (self.log_a + log_p.sum(0)).softmax(0)
        self.log_a.copy_(((1 - share) * a + share / len(a)).log())


def random_rates(net: Mixture, low: float, high: float) -> list[tuple[nn.Parameter, Tensor]]:
    """The parameters of a mixture with one hidden layer, each with the learning rates of its rows.

    All parameters of one hidden unit (its weights, its bias and its normalisation) have one rate,
    which is drawn log-uniformly from ``low`` to ``high``. The rates of the copies are spaced evenly
    on a logarithmic scale over the same range.

    Args:
        net: the mixture.
        low: the smallest rate.
        high: the largest rate.
    """
    ends = (math.log(low), math.log(high))
    _, copies, classes = net.shape
    of_features = torch.empty(net.heads.in_features).uniform_(*ends).exp()
    of_heads = torch.linspace(*ends, copies).exp().repeat_interleave(classes)
    parts = ((net.features, of_features), (net.heads, of_heads))
    pairs = [(w, rate.to(w.device)) for part, rate in parts for w in part.parameters()]
    return [(w, rate.view(-1, *[1] * (w.ndim - 1))) for w, rate in pairs]


@contextmanager
def at_rates(rates: Sequence[tuple[nn.Parameter, Tensor]]) -> Iterator[None]:
    """Multiply every change that is made inside the context, by a step of rate 1, by its rate."""
    before = [w.detach().clone() for w, _ in rates]
    yield
    with torch.no_grad():
        for (w, rate), was in zip(rates, before, strict=True):
            w.copy_(was + rate * (w - was))
