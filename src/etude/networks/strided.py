"""A small convolutional network whose maps shrink by strided convolutions, without pooling."""

from __future__ import annotations

import math

from torch import Tensor, nn

from etude.layers.dropout import Dropout


class StridedCNN(nn.Module):
    """Four convolutions with batch normalisation, three of them strided, and one linear map.

    A stride in place of a later pooling avoids the large maps: a layer at 14 × 14 takes four times
    as long as one at 7 × 7. The first convolution has a stride only if the picture has at least 16
    pixels a side: the sides are 28 → 14 → 7 → 7 → 4 or 8 → 8 → 4 → 4 → 2.

    Args:
        channels: Channels of the input.
        side: Height and width of the input, in pixels.
        classes: Number of classes.
        width: Channels of the first convolution; the others have two and four times as many.
        dropout: Fraction of the last features that is dropped in training.

    Input: (batch, channels, side, side), from 0 to 1. Output: logits, (batch, classes).
    """

    def __init__(
        self, channels: int, side: int, classes: int, width: int = 32, dropout: float = 0.0
    ) -> None:
        super().__init__()
        first = 2 if side >= 16 else 1
        end = math.ceil(side / (4 * first))
        self.features = nn.Sequential(
            *block(channels, width, kernel=5, stride=first),
            *block(width, 2 * width, stride=2),
            *block(2 * width, 4 * width),
            *block(4 * width, 4 * width, stride=2),
        )
        self.first = next(module for module in self.features if isinstance(module, nn.Conv2d))
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(4 * width * end * end, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, side, side) → (batch, classes)."""
        # Channels go last, as they already lie in memory, so that flattening copies nothing.
        features = self.features(x).permute(0, 2, 3, 1)  # (batch, end, end, 4 · width)
        logits: Tensor = self.head(self.dropout(features.flatten(1)))
        return logits


def block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """Convolution, batch normalisation, ReLU; only the stride changes the size of the maps."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
