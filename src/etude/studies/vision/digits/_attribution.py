"""What a network computes from one image, and which pixels its prediction depends on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from etude import training


def feature_maps(net: nn.Module, layer: nn.Module, image: Tensor) -> Tensor:
    """The output of one layer for one image, (maps, height, width), on the CPU.

    Args:
        net: A network that takes a batch of images.
        layer: A module of ``net``.
        image: (channels, height, width).
    """
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.append(output.detach())

    handle = layer.register_forward_hook(keep)
    try:
        with training.evaluating(net):
            net(image[None])
    finally:
        handle.remove()
    return outputs[0][0].float().cpu()


def occlusion(net: nn.Module, image: Tensor, side: int = 3, fill: float = 0.0) -> Tensor:
    """How much the predicted class loses in probability when a square around a pixel is covered.

    Args:
        net: Maps images (n, channels, height, width) to logits (n, classes).
        image: (channels, height, width).
        side: Side of the square, an odd number of pixels.
        fill: Value of the covered pixels.

    Returns:
        The loss in probability for each pixel, (height, width): near 1 where the prediction depends
        on what is seen there, 0 or less where it does not.

    Source: Zeiler & Fergus (2014), Visualizing and understanding convolutional networks, figure 6.
    """
    _, height, width = image.shape
    border = side // 2
    covered = pad(image, (border,) * 4).repeat(height * width, 1, 1, 1)  # one copy for each pixel
    offsets = torch.arange(side)
    rows = torch.arange(height).repeat_interleave(width)[:, None, None] + offsets[:, None]
    columns = torch.arange(width).repeat(height)[:, None, None] + offsets
    copy = torch.arange(height * width)[:, None, None]
    covered[copy, :, rows, columns] = fill
    covered = covered[:, :, border : border + height, border : border + width]

    with training.evaluating(net):
        probabilities = net(image[None]).softmax(1)[0]
        remaining = net(covered).softmax(1)[:, probabilities.argmax()]
    lost: Tensor = (probabilities.max() - remaining).reshape(height, width)
    return lost
