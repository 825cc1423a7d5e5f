r"""Penalties, which are added to a loss to keep a network simple.

Each is a scalar, to be multiplied by its strength $\lambda$.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def l2(weights: Iterable[Tensor]) -> Tensor:
    r"""The L2 penalty $\frac{1}{2} \sum w^2$ of tensors of any shape, with gradient $w$.

    Source: Hoerl & Kennard (1970), ridge regression.
    """
    return torch.stack([w.square().sum() for w in weights]).sum() / 2


@torch.no_grad()
def soft_threshold(weights: Iterable[Tensor], amount: float) -> None:
    r"""Move every weight towards 0 by an amount, but not beyond 0, in place.

    This is the proximal step of L1, $\arg\min_v \frac{1}{2} (v - w)^2 + \text{amount} \, |v|$.

    Source: Donoho (1995), soft-thresholding; in descent, Daubechies, Defrise & De Mol (2004).

    Args:
        weights: tensors of any shape.
        amount: the distance, at least 0.
    """
    for w in weights:
        w.copy_(w.sign() * (w.abs() - amount).clamp_min(0))


def nuclear_norm(weights: Iterable[Tensor]) -> Tensor:
    r"""The sum of the singular values of all matrices, each (outputs, inputs).

    Its gradient is $U V^\top$ where $W = U \Sigma V^\top$.

    Source: Fazel, Hindi & Boyd (2001), where it is the convex envelope of the rank.
    """
    return torch.stack([torch.linalg.svdvals(w).sum() for w in weights]).sum()


def negative_entropy(logits: Tensor) -> Tensor:
    """The mean negative entropy of the predicted classes, from logits (rows, classes).

    Source: Pereyra et al. (2017), Regularizing neural networks by penalizing confident output
    distributions.
    """
    log_p = logits.log_softmax(1)
    return (log_p.exp() * log_p).sum(1).mean()


class HardConcrete(nn.Module):
    r"""A random gate from 0 to 1 for each weight, whose probability to be open is learned.

    The gate is $s = \sigma((\log u - \log(1 - u) + \log \alpha) / \beta)$ with $u$ uniform
    from 0 to 1, stretched to $(\gamma, \zeta) = (-0.1, 1.1)$ and clipped to 0 and 1. So it is
    exactly 0 or exactly 1 with a positive probability. In evaluation mode
    $s = \sigma(\log \alpha)$.
    ``parametrize.register_parametrization(layer, "weight", gate)`` applies it to the weights of a
    layer.

    Source: Louizos, Welling & Kingma (2018), Learning sparse neural networks through L0
    regularization.

    Args:
        shape: the shape of the weights.
        start: the initial log α of every gate.
    """

    BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1

    def __init__(self, shape: torch.Size, start: float = 1.0) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.full(shape, start))

    def forward(self, weight: Tensor) -> Tensor:
        """The weights multiplied by their gates, of the same shape."""
        s = self.log_alpha.sigmoid()
        if self.training:
            u = torch.rand_like(self.log_alpha).clamp(1e-6, 1 - 1e-6)
            s = ((u.logit() + self.log_alpha) / self.BETA).sigmoid()
        return weight * (s * (self.ZETA - self.GAMMA) + self.GAMMA).clamp(0, 1)

    def expected_open(self) -> Tensor:
        """The expected number of gates that are not 0, a scalar: the penalty of L0."""
        shift = self.BETA * math.log(-self.GAMMA / self.ZETA)
        return (self.log_alpha - shift).sigmoid().sum()
