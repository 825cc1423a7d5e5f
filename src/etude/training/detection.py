"""What a detector loses."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid


def focal_loss(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    r"""$-\alpha_t (1 - p_t)^\gamma \log p_t$ of every number, where $p_t$ is the probability given
    to what is true.

    Args:
        logits: of any shape.
        targets: 0 or 1, of the same shape.
        gamma: how much less is lost where the answer is nearly right; 0 gives the cross-entropy.
        alpha: the weight of ones; zeros weigh 1 - alpha.

    Source: Lin, Goyal, Girshick, He & Dollár (2017), equation 5.
    """
    cross_entropy = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    if not gamma:
        return weight * cross_entropy
    wrong = logsigmoid(logits * (1 - 2 * targets)).exp()  # 1 - p_t
    return weight * wrong**gamma * cross_entropy
