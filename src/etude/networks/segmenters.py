"""Networks that give every pixel a class: a fully convolutional one and a U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from etude.errors import UserError

Up = Literal["transposed", "bilinear"]


class FCN(nn.Module):
    """A fully convolutional network: a linear classifier at every level of an encoder.

    Logits of a coarse level are enlarged twofold and added to those of the next finer level. Unlike
    in the source, the encoder is small, and skip connections reach up to the resolution of the
    input.

    Args:
        channels: Channels of the input.
        classes: Number of classes.
        width: Channels of the first level; each further level has twice as many channels and half
            the height and width.
        levels: Levels of the encoder.
        skips: Whether the logits of the finer levels are added; otherwise those of the last level
            are only enlarged.
        up: How logits are enlarged: by transposed convolutions that are initialised to bilinear
            interpolation, or by bilinear interpolation.

    Input: (batch, channels, height, width). Output: logits, (batch, classes, height, width).

    Source: Long, Shelhamer & Darrell (2015), section 3.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 16,
        levels: int = 4,
        *,
        skips: bool = True,
        up: Up = "transposed",
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        self.encoder = Encoder(channels, widths)
        self.scores = nn.ModuleList(
            nn.Conv2d(w, classes, 1) for w in (widths if skips else widths[-1:])
        )
        self.ups = nn.ModuleList(bilinear_kernel(classes) for _ in widths[1:] if up == "transposed")
        self.skips = skips

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) → (batch, classes, height, width)."""
        maps = self.encoder(x)
        logits: Tensor = self.scores[-1](maps[-1])
        for level in reversed(range(len(maps) - 1)):
            up = self.ups[level] if self.ups else None
            logits = enlarge(logits, maps[level].shape[-2:], up)
            if self.skips:
                logits = logits + self.scores[level](maps[level])
        return logits


class UNet(nn.Module):
    """An encoder and a decoder, which joins the encoder's map to its own at each level.

    Unlike in the source, convolutions are padded, so that the output is as large as the input, and
    are followed by batch normalisation.

    Args:
        channels: Channels of the input.
        classes: Number of classes.
        width: Channels of the first level; each further level has twice as many channels and half
            the height and width.
        levels: Levels of the encoder and of the decoder.
        skips: Whether the encoder's maps are joined to those of the decoder.
        up: How maps are enlarged: by transposed convolutions, or by bilinear interpolation.

    Input: (batch, channels, height, width). Output: logits, (batch, classes, height, width).

    Source: Ronneberger, Fischer & Brox (2015), figure 1.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 16,
        levels: int = 4,
        *,
        skips: bool = True,
        up: Up = "transposed",
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        self.encoder = Encoder(channels, widths)
        self.ups = nn.ModuleList(
            (
                nn.ConvTranspose2d(2 * w, w, 2, stride=2)
                if up == "transposed"
                else nn.Conv2d(2 * w, w, 1)
            )
            for w in widths[:-1]
        )
        self.decoder = nn.ModuleList(double(2 * w if skips else w, w) for w in widths[:-1])
        self.scores = nn.Conv2d(width, classes, 1)
        self.skips = skips

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) → (batch, classes, height, width)."""
        maps = self.encoder(x)
        y = maps[-1]
        for level in reversed(range(len(maps) - 1)):
            up = self.ups[level]
            size = maps[level].shape[-2:]
            if isinstance(up, nn.ConvTranspose2d):
                y = enlarge(y, size, up)
            else:
                y = enlarge(up(y), size, None)
            if self.skips:
                y = torch.cat([maps[level], y], 1)
            y = self.decoder[level](y)
        logits: Tensor = self.scores(y)
        return logits


class Encoder(nn.Module):
    """Two convolutions in each level, and maximum pooling of 2 × 2 pixels between levels.

    Args:
        channels: Channels of the input.
        widths: Channels of each level.

    Input: (batch, channels, height, width). Output: a map for each level i, of shape (batch,
    widths[i], height / 2^i, width / 2^i).

    Raises:
        UserError: The last level would have no pixels.
    """

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        inputs = [channels, *widths[:-1]]
        self.levels = nn.ModuleList(double(i, o) for i, o in zip(inputs, widths, strict=True))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps of all levels, the finest first."""
        least = 2 ** (len(self.levels) - 1)
        if min(x.shape[-2:]) < least:
            sides = "×".join(map(str, x.shape[-2:]))
            raise UserError(
                f"pictures are {sides} pixels; {len(self.levels)} levels need sides of at least"
                f" {least}"
            )
        maps: list[Tensor] = []
        for level in self.levels:
            maps.append(level(self.pool(maps[-1]) if maps else x))
        return maps


def double(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, batch normalisation and ReLU, twice; the size of the map does not change."""
    layers: list[nn.Module] = []
    for i in (inputs, outputs):
        layers += [
            nn.Conv2d(i, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def bilinear_kernel(channels: int) -> nn.ConvTranspose2d:
    """A transposed convolution of each channel, stride 2, initialised to bilinear interpolation.

    Its 4 × 4 kernel is the outer product of (¼, ¾, ¾, ¼) with itself: a pixel of the output lies a
    quarter of a step from one pixel of the input, and three quarters from the next.
    """
    up = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, groups=channels, bias=False)
    side = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        up.weight.copy_((side[:, None] * side).expand_as(up.weight))
    return up


def enlarge(x: Tensor, size: Sequence[int], up: nn.Module | None) -> Tensor:
    """Enlarge maps twofold, to (batch, channels, *size).

    Args:
        x: (batch, channels, height, width).
        size: The new height and width; twice the old ones, or one more.
        up: A layer that doubles height and width; without one, bilinear interpolation is used.
    """
    if up is None:
        return interpolate(x, tuple(size), mode="bilinear", align_corners=False)
    x = up(x)
    below = size[0] - x.shape[-2]
    right = size[1] - x.shape[-1]
    if below or right:
        x = nn.functional.pad(x, (0, right, 0, below), mode="replicate")
    return x
