"""Looking into a network: what its layers make of one image, and which parts of the image its
answer hangs on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from etude.training.evaluation import evaluating


def feature_maps(net: nn.Module, layer: nn.Module, image: Tensor) -> Tensor:
    """What ``layer``, a part of ``net``, gives for one image (channels, height, width): (maps, h,
    w), on the CPU.
    """
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(
        lambda module, inputs, output: seen.append(output.detach())
    )
    try:
        with evaluating(net):
            net(image[None])
    finally:
        handle.remove()
    return seen[0][0].float().cpu()


def occlusion(net: nn.Module, image: Tensor, side: int = 3, fill: float = 0.0) -> Tensor:
    """How much less probable the answer becomes when a square around each pixel is covered (Zeiler
    & Fergus, 2014).

    Args:
        net: images (n, channels, height, width) to scores (n, classes).
        image: (channels, height, width).
        side: of the square, an odd number of pixels.
        fill: what covers it.

    Returns:
        (height, width); near 1 where the answer hangs on what is seen there, 0 or less where it
    does not.
    """
    _, height, width = image.shape
    covered = pad(image, (side // 2,) * 4).repeat(height * width, 1, 1, 1)  # (pixels, channels, …)
    rows = (
        torch.arange(height).repeat_interleave(width)[:, None, None] + torch.arange(side)[:, None]
    )
    columns = torch.arange(width).repeat(height)[:, None, None] + torch.arange(side)
    which = torch.arange(height * width)[:, None, None]
    covered[which, :, rows, columns] = fill
    inner = covered[:, :, side // 2 : side // 2 + height, side // 2 : side // 2 + width]
    with evaluating(net):
        whole = net(image[None]).softmax(1)[0]
        without = net(inner).softmax(1)[:, whole.argmax()]
    lost: Tensor = (whole.max() - without).reshape(height, width)
    return lost
