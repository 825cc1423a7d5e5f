"""What needs no energy and no chains: a mixture of independent bits, fitted by EM."""

from __future__ import annotations

import torch
from torch import Tensor


class BernoulliMixture:
    r"""$p(v) = \sum_k \pi_k \prod_i p_{ki}^{v_i} (1 - p_{ki})^{1 - v_i}$, with no $Z$ to estimate.

    Source: Bishop (2006), Pattern recognition and machine learning, section 9.3.3.

    Args:
        v: training rows of bits, (rows, pixels).
        components: how many.
        updates: of the EM algorithm.
    """

    def __init__(self, v: Tensor, components: int, updates: int = 40) -> None:
        generator = torch.Generator().manual_seed(0)
        rows = torch.randperm(len(v), generator=generator)[:components].to(v.device)
        mean = v.mean(0)
        self.p = 0.25 + 0.5 * v[rows]  # (components, pixels)
        self.log_pi = v.new_zeros(components).log_softmax(0)
        for _ in range(updates):
            share = self.joint(v).softmax(1)  # of each component in each row
            total = share.sum(0)
            p = (share.T @ v + mean) / (total[:, None] + 1)  # as if one mean row more were seen
            self.p = p.clamp(1e-3, 1 - 1e-3)
            self.log_pi = ((total + 1) / (total + 1).sum()).log()

    def joint(self, v: Tensor) -> Tensor:
        """log p(v, k), (rows, components)."""
        return v @ self.p.log().T + (1 - v) @ (1 - self.p).log().T + self.log_pi

    def log_likelihood(self, v: Tensor) -> Tensor:
        """log p(v) of each row, (rows,)."""
        return self.joint(v).logsumexp(1)


def best_mixture(train: Tensor, validation: Tensor) -> BernoulliMixture:
    """The mixture whose number of components is best on validation rows."""
    found = [BernoulliMixture(train, n) for n in (10, 20, 40, 80, 160)]
    return max(found, key=lambda mixture: float(mixture.log_likelihood(validation).mean()))
