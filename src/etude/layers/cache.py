"""The keys and values that attention has computed, kept for the next call."""

from __future__ import annotations

from torch import Tensor, nn


class Cache:
    """Keys and values of the positions that a network has read, layer by layer: the next call
    computes only those of new positions.

    Give one cache to all calls on one batch, and with it only the next tokens. Attention to another
    sequence keeps that sequence's keys and values from the first call.
    """

    def __init__(self) -> None:
        self.stored: dict[nn.Module, Tensor] = {}  # keys and values: (batch, 2, heads, time, d)
        self.buffers: dict[nn.Module, Tensor] = {}  # longer; what is stored is their first part

    def length(self, layer: nn.Module) -> int:
        """How many positions the layer has read."""
        return self.stored[layer].shape[3] if layer in self.stored else 0

    def extend(self, layer: nn.Module, new: Tensor) -> Tensor:
        """Store new keys and values, (batch, 2, heads, time, d), and return all of the layer."""
        begin = self.length(layer)
        end = begin + new.shape[3]
        if layer not in self.buffers or self.buffers[layer].shape[3] < end:
            longer = new.new_empty(*new.shape[:3], 2 * end, new.shape[4])  # twice: few copies
            if begin:
                longer[:, :, :, :begin] = self.stored[layer]
            self.buffers[layer] = longer
        buffer = self.buffers[layer]
        buffer[:, :, :, begin:end] = new
        self.stored[layer] = buffer[:, :, :, :end]
        return self.stored[layer]

    def select(self, rows: Tensor) -> None:
        """Go on with these rows of the batch, in this order."""
        self.stored = {layer: stored[rows] for layer, stored in self.stored.items()}
        self.buffers = {}
