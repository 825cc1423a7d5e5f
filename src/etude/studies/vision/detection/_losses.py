"""The focal loss of the scores, and the losses of boxes."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid, smooth_l1_loss

from etude.layers.anchors import decode, encode
from etude.layers.boxes import giou


def focal_loss(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    r"""The focal loss $-\alpha_t (1 - p_t)^\gamma \log p_t$ of each logit.

    $p_t$ is the predicted probability of the target; $\alpha_t$ is $\alpha$ for a target of 1, and
    $1 - \alpha$ for a target of 0.

    Args:
        logits: Of any shape.
        targets: 0 or 1, of the same shape.
        gamma: How strongly nearly right predictions are weighted down; 0 gives the cross-entropy.
        alpha: Weight of the targets that are 1.

    Source: Lin, Goyal, Girshick, He & Dollár (2017), equation 5.
    """
    cross_entropy = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    if not gamma:
        return weight * cross_entropy
    wrong = logsigmoid(logits * (1 - 2 * targets)).exp()  # 1 - p_t, exact where p_t is near 1
    return weight * wrong**gamma * cross_entropy


def regression_loss(offsets: Tensor, anchors: Tensor, boxes: Tensor, kind: str = "giou") -> Tensor:
    r"""The loss of each of n predicted boxes, (n,).

    ``giou`` is 1 - GIoU, from 0 to 2. ``smooth`` is the sum over the four offsets of
    $d^2 / 0.2$ for an error $|d|$ below 0.1, and of $|d| - 0.05$ otherwise.

    Args:
        offsets: Predicted offsets from the anchors, (n, 4).
        anchors: (n, 4).
        boxes: True boxes, (n, 4).
        kind: ``giou`` or ``smooth``.

    Source: Rezatofighi et al. (2019), algorithm 1; Girshick (2015), Fast R-CNN, equation 3,
    with the bend at 0.1 instead of 1.
    """
    if kind == "giou":
        return 1 - giou(decode(offsets, anchors), boxes)
    return smooth_l1_loss(offsets, encode(boxes, anchors), reduction="none", beta=0.1).sum(1)
