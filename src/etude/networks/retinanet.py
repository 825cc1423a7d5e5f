"""RetinaNet: scores and a box for each of the anchors on a pyramid of feature maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from etude.errors import UserError
from etude.layers.anchors import grid_anchors

PRIOR = 0.01  # the score of every anchor for every class at initialisation


class RetinaNet(nn.Module):
    """A one-stage detector: every anchor is classified and adjusted at once.

    Unlike in the source, the backbone is small and learned from scratch, the heads are shorter and
    have group normalisation, and the levels can be chosen.

    Args:
        classes: Number of classes.
        width: Channels of the backbone at stride 2; twice as many at stride 4, four times as many
            from stride 8 on.
        pyramid: Channels of each level of the pyramid, and of the heads.
        strides: Strides of the levels, from 4 on, each twice the one before.
        size: Size of the smallest anchor of a level, in strides.
        factors: Factors of that size.
        ratios: Ratios of an anchor's height to its width.
        top_down: Whether the coarser levels are added to the finer ones.

    Input: (batch, 3, height, width). Output: for each anchor its logits, then the offsets of its
    box (:func:`etude.layers.anchors.decode`), (batch, anchors, classes + 4).

    Raises:
        UserError: There is no pyramid with these strides.

    Source: Lin, Goyal, Girshick, He & Dollár (2017), figure 3.
    """

    def __init__(
        self,
        classes: int,
        width: int = 24,
        pyramid: int = 64,
        strides: Sequence[int] = (4, 8, 16),
        size: float = 3.0,
        factors: Sequence[float] = (1.0, 2**0.5),
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        *,
        top_down: bool = True,
    ) -> None:
        super().__init__()
        first = strides[0] if strides else 0
        if first < 4 or first & (first - 1) or any(b != 2 * a for a, b in pairwise(strides)):
            raise UserError(
                f"the pyramid's strides are {', '.join(map(str, strides)) or 'none'}; expected 4,"
                " 8, 16 or more, each twice the one before"
            )
        self.classes = classes
        self.strides = tuple(strides)
        self.size = size
        self.factors = factors
        self.ratios = ratios
        each = len(factors) * len(ratios)  # anchors of a cell
        self.backbone = Backbone(width, self.strides)
        self.pyramid = Pyramid(self.backbone.channels, pyramid, top_down)
        self.scores = head(pyramid, each * classes)
        self.offsets = head(pyramid, each * 4)
        nn.init.constant_(self.scores[-1].bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, height, width) → (batch, anchors, classes + 4)."""
        levels = []
        for level in self.pyramid(self.backbone(x)):
            logits = by_anchor(self.scores(level), self.classes)
            offsets = by_anchor(self.offsets(level), 4)
            levels.append(torch.cat([logits, offsets], 2))
        return torch.cat(levels, 1)

    def anchors(self, height: int, width: int) -> Tensor:
        """The anchors of a picture, in the order of the output, (anchors, 4)."""
        return grid_anchors(height, width, self.strides, self.size, self.factors, self.ratios)

    def levels(self, height: int, width: int) -> list[int]:
        """The number of anchors of each level."""
        each = len(self.factors) * len(self.ratios)
        return [-(-height // stride) * -(-width // stride) * each for stride in self.strides]


class Backbone(nn.Module):
    """Convolutions with stride 2; each but the first is followed by a residual block.

    Input: (batch, 3, height, width). Output: a feature map for each of ``strides``, finest first.
    """

    def __init__(self, width: int, strides: Sequence[int]) -> None:
        super().__init__()
        self.strides = tuple(strides)
        widths = [width, 2 * width] + [4 * width] * int(math.log2(strides[-1]) - 2)
        self.channels = [widths[int(math.log2(stride)) - 1] for stride in strides]
        self.stem = nn.Sequential(*block(3, width, stride=2))
        self.stages = nn.ModuleList(
            nn.Sequential(*block(inputs, outputs, stride=2), Residual(outputs))
            for inputs, outputs in pairwise(widths)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(batch, 3, height, width) → a list of (batch, channels, height / s, width / s)."""
        x = self.stem(x)
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if 4 * 2**index in self.strides:
                maps.append(x)
        return maps


class Residual(nn.Module):
    """The input plus two convolutions of it, with batch normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(*block(channels, channels), *block(channels, channels)[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) → the same shape."""
        return torch.relu(x + self.change(x))


class Pyramid(nn.Module):
    """Feature maps of one width at all levels; each coarser level is enlarged and added.

    Source: Lin, Dollár, Girshick, He, Hariharan & Belongie (2017), section 3.
    """

    def __init__(self, channels: Sequence[int], width: int, top_down: bool = True) -> None:
        super().__init__()
        self.across = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        self.top_down = top_down

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone → as many maps (batch, width, …)."""
        levels = [across(x) for across, x in zip(self.across, maps, strict=True)]
        if self.top_down:
            for i in reversed(range(len(levels) - 1)):
                size = levels[i].shape[-2:]
                levels[i] = levels[i] + interpolate(levels[i + 1], size, mode="nearest")
        return [smooth(x) for smooth, x in zip(self.smooth, levels, strict=True)]


def block(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """3 × 3 convolution, batch normalisation, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def head(width: int, outputs: int) -> nn.Sequential:
    """The layers that all levels share; group normalisation, as the levels' statistics differ.

    The groups have 8 channels, or fewer where 8 does not divide the width.
    """
    first = nn.Conv2d(width, width, 3, padding=1)
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(
        first, nn.GroupNorm(width // math.gcd(width, 8), width), nn.ReLU(True), last
    )


def by_anchor(x: Tensor, n: int) -> Tensor:
    """(batch, anchors of a cell · n, rows, columns) → (batch, anchors of the level, n)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, n)
