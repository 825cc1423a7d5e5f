r"""Penalties: what is added to a loss so that a network stays simple, each a few lines.

Weights are matrices, (outputs, inputs), or any tensors; a penalty is a scalar, to be multiplied by
its strength $\lambda$.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def l2(weights: Iterable[Tensor]) -> Tensor:
    r"""$\frac{1}{2} \sum w^2$, of gradient $w$. Source: Hoerl & Kennard (1970), ridge
    regression.
    """
    return torch.stack([w.square().sum() for w in weights]).sum() / 2


@torch.no_grad()
def soften(weights: Iterable[Tensor], amount: float) -> None:
    r"""Bring every weight nearer to 0 by ``amount``, and no further than 0, in place: the proximal
    step of L1.

    $\arg\min_v \frac{1}{2} (v - w)^2 + \text{amount} \, |v|$. Source: Donoho (1995),
    soft-thresholding; in descent, Daubechies, Defrise & De Mol (2004).
    """
    for w in weights:
        w.copy_(w.sign() * (w.abs() - amount).clamp_min(0))


def nuclear_norm(weights: Iterable[Tensor]) -> Tensor:
    r"""The sum of the singular values of each matrix, of gradient $U V^\top$ where $W = U \Sigma
    V^\top$.

    Source: Fazel, Hindi & Boyd (2001): the convex envelope of the rank.
    """
    return torch.stack([torch.linalg.svdvals(w).sum() for w in weights]).sum()


def confidence(scores: Tensor) -> Tensor:
    """The mean negative entropy of the predicted classes: (rows, classes), logits.

    Source: Pereyra et al. (2017), Regularizing neural networks by penalizing confident output
    distributions.
    """
    log_p = scores.log_softmax(1)
    return (log_p.exp() * log_p).sum(1).mean()


class HardConcrete(nn.Module):
    r"""A gate from 0 to 1 for each weight, open or shut at random, whose chance to be open is
    learned.

    $s = \sigma((\log u - \log(1 - u) + \log \alpha) / \beta)$ with $u$ drawn evenly from 0 to 1,
    stretched to $(\gamma, \zeta) = (-0.1, 1.1)$ and cut off at 0 and 1, both of which it therefore
    is with some probability. In evaluation mode $s = \sigma(\log \alpha)$.
    ``parametrize.register_parametrization(layer, "weight", gate)`` puts it between a layer and its
    weights.

    Source: Louizos, Welling & Kingma (2018), Learning sparse neural networks through L0
    regularization.

    Args:
        shape: of the weights.
        start: log α of every gate at first.
    """

    BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1

    def __init__(self, shape: torch.Size, start: float = 1.0) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.full(shape, start))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight behind its gate: the same shape."""
        s = self.log_alpha.sigmoid()
        if self.training:
            u = torch.rand_like(self.log_alpha).clamp(1e-6, 1 - 1e-6)
            s = ((u.logit() + self.log_alpha) / self.BETA).sigmoid()
        return weight * (s * (self.ZETA - self.GAMMA) + self.GAMMA).clamp(0, 1)

    def open(self) -> Tensor:
        """How many gates are expected not to be 0: the penalty, in place of the number of weights
        that are not 0.
        """
        return (self.log_alpha - self.BETA * math.log(-self.GAMMA / self.ZETA)).sigmoid().sum()
