"""Noise that becomes a picture, watched."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from etude.demos import Frames
from etude.training.diffusion import Process, lit, walked


def unmix(
    process: Process,
    net: nn.Module,
    noise: Tensor,
    label: int,
    steps: int,
    weight: float,
    nothing: int,
) -> Frames:
    """The way from one noise to a picture: what is there beside what the network thinks it will be,
    step by step.

    Args:
        process: says how to walk.
        net: takes x, time and labels.
        noise: (1, side, side).
        label: the class asked for.
        steps: of the walk.
        weight: of guidance.
        nothing: the label that stands for no class.
    """
    time, at, guess = walked(
        process, net, noise[None], torch.tensor([label]), steps, weight, nothing
    )
    gap = torch.zeros(len(time), noise.shape[1], max(1, noise.shape[2] // 8))
    ink = torch.cat([lit(at)[:, 0, 0], gap, lit(guess)[:, 0, 0]], dim=2)
    images = [(1 - picture).numpy() for picture in ink]  # black on white
    return Frames(
        "What is there, and what it guesses", images, [f"t = {t:.2f}" for t in time], width=440
    )
