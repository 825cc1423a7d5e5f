"""The network of a diffusion: a small U-Net that is told the time and the class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu


class PixelNorm(nn.LayerNorm):
    """Mean 0 and variance 1 over the channels of each pixel, then scaled and shifted: (batch,
    channels, side, side).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, side, side) → the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Residual(nn.Module):
    """Two convolutions beside a shortcut; between them every channel is scaled and shifted by what
    is told.

    Input (batch, before, side, side) and (batch, told), output (batch, after, side, side).

    Source: Dhariwal & Nichol (2021), adaptive group normalisation.
    """

    def __init__(self, before: int, after: int, told: int) -> None:
        super().__init__()
        self.norm1 = PixelNorm(before)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.tell = nn.Linear(told, 2 * after)
        self.norm2 = PixelNorm(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        with torch.no_grad():
            self.conv2.weight.mul_(0.1)  # at first the shortcut says nearly all

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """(batch, before, side, side), (batch, told) → (batch, after, side, side)."""
        h = self.conv1(silu(self.norm1(x)))
        scale, shift = self.tell(told)[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(silu(self.norm2(h) * (1 + scale) + shift))
        out: Tensor = self.shortcut(x) + h
        return out


class Denoiser(nn.Module):
    """Down through smaller pictures and up again, with bridges between pictures of one size.

    Input: pictures (batch, channels, side, side), the time (batch,) from 0 to 1, labels (batch,),
    where ``classes``
    stands for no class. Output: as the pictures.

    Source: Ronneberger, Fischer & Brox (2015), U-Net; Ho, Jain & Abbeel (2020), appendix B.

    Args:
        channels: of the pictures.
        classes: how many there are.
        width: channels at full size, an even number.
        grow: how many times as many at each smaller size, the first at full size; each halves the
            side.
    """

    def __init__(
        self, channels: int = 1, classes: int = 10, width: int = 32, grow: Sequence[int] = (1, 2)
    ) -> None:
        super().__init__()
        told = 4 * width
        widths = [width * factor for factor in grow]
        self.frequencies = width
        self.time = nn.Sequential(nn.Linear(width, told), nn.SiLU(), nn.Linear(told, told))
        self.label = nn.Embedding(classes + 1, told)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.enlarge = nn.ModuleList(), nn.ModuleList()
        before = width
        for here in widths:
            self.down.append(Residual(before, here, told))
            before = here
        for here, below in pairwise(widths):
            self.shrink.append(nn.Conv2d(here, here, 3, stride=2, padding=1))
            self.enlarge.append(nn.Conv2d(below, here, 3, padding=1))
            self.up.append(Residual(2 * here, here, told))
        self.middle = Residual(widths[-1], widths[-1], told)
        self.norm = PixelNorm(widths[0])
        self.last = nn.Conv2d(widths[0], channels, 3, padding=1)
        with torch.no_grad():
            self.last.weight.mul_(0.1)  # the first guess is nearly nothing

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """(batch, channels, side, side), (batch,), (batch,) → (batch, channels, side, side)."""
        told = silu(self.time(waves(time, self.frequencies)) + self.label(label))
        x, bridges = self.first(x), []
        for i, block in enumerate(self.down):
            x = block(x, told)
            if i < len(self.shrink):
                bridges.append(x)
                x = self.shrink[i](x)
        x = self.middle(x, told)
        for bridge, enlarge, block in zip(
            reversed(bridges), reversed(self.enlarge), reversed(self.up), strict=True
        ):
            x = enlarge(interpolate(x, size=bridge.shape[-2:]))
            x = block(torch.cat([x, bridge], dim=1), told)
        out: Tensor = self.last(silu(self.norm(x)))
        return out


def waves(time: Tensor, size: int) -> Tensor:
    """Sines and cosines of the time, from 1 to 1,000 radians a unit: (batch,) → (batch, size)."""
    pace = torch.exp(torch.linspace(0, math.log(1_000), size // 2, device=time.device))
    angle = time[:, None] * pace
    return torch.cat([angle.sin(), angle.cos()], dim=1)
