"""Ordinary networks with ever fewer parameters, to compare the nine with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn


def convolutional(channels: Sequence[int], stride: int) -> Iterator[nn.Module]:
    """Networks of two convolutions with c and 2c filters and one linear layer, for each c.

    Args:
        channels: values of c.
        stride: of the first convolution.
    """
    for c in channels:
        yield nn.Sequential(
            nn.Conv2d(1, c, 3, stride, padding=1),
            nn.LeakyReLU(0.1),  # with so few units none may die
            nn.MaxPool2d(2),
            nn.Conv2d(c, 2 * c, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.AdaptiveMaxPool2d(2),
            nn.Flatten(),
            nn.Linear(8 * c, 10),
        )


def softmax_regression(grid: int) -> nn.Module:
    """Softmax regression on ``grid`` by ``grid`` averages of an image."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(grid), nn.Flatten(), nn.Linear(grid * grid, 10))


def parameters(net: nn.Module) -> int:
    """The number of trained parameters of a network."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
