"""A demonstration: noise becomes the digit that was asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from etude.demos import Frames

from ._sampling import Process, sampling_path


def denoising(
    process: Process, net: nn.Module, noise: Tensor, label: int, steps: int, weight: float
) -> Frames:
    """For each reverse step, x_t beside the guess of x_0.

    Args:
        process: what is reversed.
        net: takes x_t, the time and labels.
        noise: where the path begins, (1, side, side).
        label: the class that is asked for.
        steps: of the reverse process.
        weight: of guidance.
    """
    labels = torch.tensor([label])
    times, x, guess = sampling_path(process, net, noise[None], labels, steps, weight)
    gap = torch.zeros(len(times), noise.shape[1], max(1, noise.shape[2] // 8))
    ink = torch.cat([x[:, 0, 0], gap, guess[:, 0, 0]], dim=2)  # (steps + 1, side, 2 side + gap)
    captions = [f"t = {t:.2f}" for t in times]
    images = [(1 - picture).numpy() for picture in ink]  # black on white
    return Frames("What is there, and what it guesses", images, captions, width=440)
