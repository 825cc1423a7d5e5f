"""The network of a diffusion: a small U-Net that is conditioned on the time and the class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu


class PixelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) → the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Residual(nn.Module):
    """Two convolutions beside a shortcut; the condition scales and shifts the channels between.

    Input: (batch, inputs, side, side) and the condition (batch, size). Output: (batch, outputs,
    side, side).

    Source: Dhariwal & Nichol (2021), adaptive group normalisation.
    """

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.norm1 = PixelNorm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(size, 2 * outputs)
        self.norm2 = PixelNorm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        with torch.no_grad():
            self.conv2.weight.mul_(0.1)  # at first the block is nearly its shortcut

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(batch, inputs, side, side), (batch, size) → (batch, outputs, side, side)."""
        h = self.conv1(silu(self.norm1(x)))
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(silu(self.norm2(h) * (1 + scale) + shift))
        out: Tensor = self.shortcut(x) + h
        return out


class Denoiser(nn.Module):
    """A U-Net: down through smaller pictures and up again, with skip connections at each size.

    Input: pictures (batch, channels, side, side), the time (batch,) from 0 to 1, labels (batch,),
    where the label ``classes`` stands for no class. Output: the shape of the pictures.

    Source: Ronneberger, Fischer & Brox (2015), U-Net; Ho, Jain & Abbeel (2020), appendix B.

    Args:
        channels: of the pictures.
        classes: how many there are.
        width: channels at full size, an even number.
        grow: the factor of the channels at each size; the first is for full size, and each further
            one halves the side.
    """

    def __init__(
        self, channels: int = 1, classes: int = 10, width: int = 32, grow: Sequence[int] = (1, 2)
    ) -> None:
        super().__init__()
        size = 4 * width  # of the condition
        widths = [width * factor for factor in grow]
        self.frequencies = width
        self.time = nn.Sequential(nn.Linear(width, size), nn.SiLU(), nn.Linear(size, size))
        self.label = nn.Embedding(classes + 1, size)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.enlarge = nn.ModuleList(), nn.ModuleList()
        for before, here in pairwise([width, *widths]):
            self.down.append(Residual(before, here, size))
        for here, below in pairwise(widths):
            self.shrink.append(nn.Conv2d(here, here, 3, stride=2, padding=1))
            self.enlarge.append(nn.Conv2d(below, here, 3, padding=1))
            self.up.append(Residual(2 * here, here, size))
        self.middle = Residual(widths[-1], widths[-1], size)
        self.norm = PixelNorm(widths[0])
        self.last = nn.Conv2d(widths[0], channels, 3, padding=1)
        with torch.no_grad():
            self.last.weight.mul_(0.1)  # the first prediction is nearly 0

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """(batch, channels, side, side), (batch,), (batch,) → (batch, channels, side, side)."""
        condition = silu(self.time(time_features(time, self.frequencies)) + self.label(label))
        x = self.first(x)
        skips = []
        for i, block in enumerate(self.down):
            x = block(x, condition)
            if i < len(self.shrink):
                skips.append(x)
                x = self.shrink[i](x)
        x = self.middle(x, condition)
        levels = zip(reversed(skips), reversed(self.enlarge), reversed(self.up), strict=True)
        for skip, enlarge, block in levels:
            x = enlarge(interpolate(x, size=skip.shape[-2:]))
            x = block(torch.cat([x, skip], dim=1), condition)
        out: Tensor = self.last(silu(self.norm(x)))
        return out


def time_features(time: Tensor, size: int) -> Tensor:
    """Sines and cosines of 1 to 1,000 radians a unit of time: (batch,) → (batch, size)."""
    frequency = torch.exp(torch.linspace(0, math.log(1_000), size // 2, device=time.device))
    angle = time[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)
