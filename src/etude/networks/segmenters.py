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
    """Scores at every level of an encoder; the coarse ones are enlarged twofold and added to the
    finer ones.

    Differs from its source in that the encoder is small and that skips reach up to the input's own
    resolution.

    Args:
        channels: of the input.
        classes: of each pixel.
        width: channels of the first level; every further one halves the sides and has twice as
            many.
        levels: of the encoder.
        skips: whether the finer levels' scores are added; without them the last level's are only
            enlarged.
        up: how scores are enlarged: by transposed convolutions that begin as bilinear
            interpolation, or by that.

    Input (batch, channels, height, width), output (batch, classes, height, width), logits; any
    height and width.

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
        scores: Tensor = self.scores[-1](maps[-1])
        for level in reversed(range(len(maps) - 1)):
            scores = enlarged(scores, maps[level].shape[-2:], self.ups[level] if self.ups else None)
            if self.skips:
                scores = scores + self.scores[level](maps[level])
        return scores


class UNet(nn.Module):
    """An encoder and its mirror image: at each level the decoder sees the encoder's map of that
    size beside its own.

    Differs from its source in that convolutions are padded, so that output and input are of one
    size, and normalised.

    Args: as of :class:`FCN`; without skips the decoder sees its own maps alone.

    Input (batch, channels, height, width), output (batch, classes, height, width), logits; any
    height and width.

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
            transposed = isinstance(up, nn.ConvTranspose2d)
            y = enlarged(
                y if transposed else up(y), maps[level].shape[-2:], up if transposed else None
            )
            y = self.decoder[level](torch.cat([maps[level], y], 1) if self.skips else y)
        scores: Tensor = self.scores(y)
        return scores


class Encoder(nn.Module):
    """Two convolutions a level, and between levels the largest of each 2 × 2 pixels.

    Input (batch, channels, height, width); output one map a level, (batch, widths[i], height / 2^i,
    width / 2^i).

    Raises:
        UserError: the last level would have no pixels.
    """

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        inputs = [channels, *widths[:-1]]
        self.levels = nn.ModuleList(double(i, o) for i, o in zip(inputs, widths, strict=True))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps of all levels, the finest first."""
        if min(x.shape[-2:]) < (least := 2 ** (len(self.levels) - 1)):
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
    """Twice: convolution, batch normalisation, ReLU; the size of the picture stays."""
    layers: list[nn.Module] = []
    for i in (inputs, outputs):
        layers += [
            nn.Conv2d(i, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def bilinear_kernel(channels: int) -> nn.ConvTranspose2d:
    """A transposed convolution with stride 2, each channel for itself, that begins as bilinear
    interpolation.

    Its 4 × 4 kernel is the outer product of (¼, ¾, ¾, ¼): a pixel of the output lies a quarter of a
    step from one pixel of the input and three quarters from the next.
    """
    up = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, groups=channels, bias=False)
    side = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        up.weight.copy_((side[:, None] * side).expand_as(up.weight))
    return up


def enlarged(x: Tensor, size: Sequence[int], up: nn.Module | None) -> Tensor:
    """Twofold by ``up``, or else bilinearly; then cut or filled to ``size`` where a side
    was odd.
    """
    if up is None:
        return interpolate(x, tuple(size), mode="bilinear", align_corners=False)
    x = up(x)
    return (
        x
        if x.shape[-2:] == tuple(size)
        else nn.functional.pad(
            x, (0, size[1] - x.shape[-1], 0, size[0] - x.shape[-2]), mode="replicate"
        )
    )
