"""RetinaNet: a pyramid of maps, and at every cell of every map a few anchors, each with scores and
a box.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from etude.errors import UserError
from etude.layers.boxes import grid_anchors

PRIOR = 0.01  # the score of every anchor for every class at the start


class RetinaNet(nn.Module):
    """A detector in one stage.

    Differs from its source in that the backbone is small and learned from scratch, that heads are
    shorter and have group normalisation, and that the levels are as told.

    Args:
        classes: that are told apart.
        width: channels of the backbone at stride 2; twice as many at stride 4, four times from
            stride 8 on.
        pyramid: channels of every level of the pyramid, and of the heads.
        strides: of the levels, each twice the one before, from 4 on.
        size: of the smallest anchor of a level, in strides.
        scales: factors of that size.
        ratios: of an anchor's height to its width.
        depth: 3 × 3 convolutions in each head, before the last.
        top_down: whether coarser levels reach the finer ones.

    Input (batch, 3, height, width); output (batch, anchors, classes + 4): of every anchor its
    logits, then the offsets of its box (:func:`etude.layers.boxes.decode`).

    Raises:
        UserError: strides that no pyramid has.

    Source: Lin, Goyal, Girshick, He & Dollár (2017), figure 3.
    """

    def __init__(
        self,
        classes: int,
        width: int = 24,
        pyramid: int = 64,
        strides: Sequence[int] = (4, 8, 16),
        size: float = 3.0,
        scales: Sequence[float] = (1.0, 2**0.5),
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        depth: int = 1,
        *,
        top_down: bool = True,
    ) -> None:
        super().__init__()
        first = strides[0] if strides else 0
        if first < 4 or first & (first - 1) or any(b != 2 * a for a, b in pairwise(strides)):
            said = ", ".join(map(str, strides)) or "none"
            raise UserError(
                f"the pyramid's strides are {said}; expected 4, 8, 16 or more, each twice the one"
                " before"
            )
        self.classes, self.strides, self.size, self.scales, self.ratios = (
            classes,
            tuple(strides),
            size,
            scales,
            ratios,
        )
        each = len(scales) * len(ratios)
        self.backbone = Backbone(width, self.strides)
        self.pyramid = Pyramid(self.backbone.channels, pyramid, top_down)
        self.scores = head(pyramid, depth, each * classes)
        self.offsets = head(pyramid, depth, each * 4)
        nn.init.constant_(self.scores[-1].bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, height, width) → (batch, anchors, classes + 4)."""
        levels = []
        for level in self.pyramid(self.backbone(x)):
            scores, offsets = (
                y.permute(0, 2, 3, 1).reshape(
                    len(x), -1, n
                )  # (batch, rows · columns · anchors of a cell, n)
                for y, n in ((self.scores(level), self.classes), (self.offsets(level), 4))
            )
            levels.append(torch.cat([scores, offsets], 2))
        return torch.cat(levels, 1)

    def anchors(self, height: int, width: int) -> Tensor:
        """The anchors of a picture, in the order of the output: (anchors, 4)."""
        return grid_anchors(height, width, self.strides, self.size, self.scales, self.ratios)

    def levels(self, height: int, width: int) -> list[int]:
        """How many of them each level has."""
        each = len(self.scales) * len(self.ratios)
        return [-(-height // stride) * -(-width // stride) * each for stride in self.strides]


class Backbone(nn.Module):
    """Convolutions with stride 2, and behind each a residual block; gives the maps at
    ``strides``.
    """

    def __init__(self, width: int, strides: Sequence[int]) -> None:
        super().__init__()
        self.strides = tuple(strides)
        widths = [width, 2 * width] + [4 * width] * int(math.log2(strides[-1]) - 2)
        self.channels = [widths[int(math.log2(stride)) - 1] for stride in strides]
        self.stem = nn.Sequential(*normed(3, width, stride=2))
        self.stages = nn.ModuleList(
            nn.Sequential(*normed(i, o, stride=2), Residual(o)) for i, o in pairwise(widths)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(batch, 3, height, width) → one map a level, the finest first."""
        x, maps = self.stem(x), []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if 4 * 2**index in self.strides:
                maps.append(x)
        return maps


class Residual(nn.Module):
    """x plus two convolutions of it, each with batch normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(*normed(channels, channels), *normed(channels, channels)[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) → the same shape."""
        return torch.relu(x + self.change(x))


class Pyramid(nn.Module):
    """Maps of one width at all levels: each is its backbone's map, and the coarser level's,
    enlarged, added to it.

    Source: Lin, Dollár, Girshick, He, Hariharan & Belongie (2017), section 3.
    """

    def __init__(self, channels: Sequence[int], width: int, top_down: bool = True) -> None:
        super().__init__()
        self.across = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        self.top_down = top_down

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """The backbone's maps → as many of (batch, width, …)."""
        levels = [across(x) for across, x in zip(self.across, maps, strict=True)]
        if self.top_down:
            for i in reversed(range(len(levels) - 1)):
                levels[i] = levels[i] + interpolate(
                    levels[i + 1], levels[i].shape[-2:], mode="nearest"
                )
        return [smooth(x) for smooth, x in zip(self.smooth, levels, strict=True)]


def normed(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """3 × 3 convolution, batch normalisation, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def head(width: int, depth: int, outputs: int) -> nn.Sequential:
    """What every level shares; group normalisation, as the levels' statistics differ.

    The last layer begins small.
    """
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(max(1, width // 8), width),
            nn.ReLU(True),
        ]
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers, last)
