"""A small convolutional network that shrinks its picture by striding."""

from __future__ import annotations

import math

from torch import Tensor, nn

from etude.layers.dropout import Dropout


class StridedCNN(nn.Module):
    """Four convolutions with batch normalisation, three of them strided, and one linear map.

    Striding at once instead of pooling afterwards keeps the large maps out of memory and out of the
    count: a layer at 14 × 14 takes four times as long as at 7 × 7. The first convolution strides
    only where the picture has at least 16 pixels a side: 28 → 14 → 7 → 4, and 8 → 8 → 4 → 2.

    Input (batch, channels, side, side) with values from 0 to 1, output (batch, classes).
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
        places = self.features(x).permute(
            0, 2, 3, 1
        )  # channels last, as they lie in memory: to flatten copies nothing
        out: Tensor = self.head(self.dropout(places.flatten(1)))
        return out


def block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """Convolution, batch normalisation, ReLU; the size of the picture changes by the stride
    alone.
    """
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
