"""Measuring a network on data: in evaluation mode, without gradients, in large batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards the mode is what it was."""
    was = net.training
    asleep = not any(
        module.training for module in net.modules()
    )  # as for each token of a text: nothing to change
    if not asleep:
        net.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if not asleep:
            net.train(was)


def outputs(net: nn.Module, inputs: Any, batch: int = 1_000) -> Tensor:
    """``net``'s outputs for all rows of ``inputs``, batch by batch. Shape: (rows, …)."""
    rows = torch.arange(len(inputs))
    with evaluating(net):
        return torch.cat([net(inputs[part]) for part in torch.split(rows, batch)])


def accuracy(scores: Tensor, labels: Tensor, top: int = 1) -> float:
    """The part of rows whose label is among the ``top`` highest scores, from 0 to 1.

    One column of scores is a binary decision: class 1 where the score (a logit) is above 0.

    Args:
        scores: (rows, classes), (rows, 1) or (rows,).
        labels: (rows,), whole numbers.
        top: how many of the highest scores count.
    """
    if scores.ndim == 1 or scores.shape[1] == 1:
        return ((scores.flatten() > 0).long() == labels).double().mean().item()
    best = scores.topk(top, dim=1).indices
    return (best == labels[:, None]).any(1).double().mean().item()


def independent(train: Tensor, test: Tensor, n: int) -> Tensor:
    """log p(x) of test rows where every pixel has a histogram of its own: (rows, pixels), (rows,
    pixels) → (rows,).
    """
    seen = torch.stack([(train == count).sum(0) for count in range(n + 1)], 1)  # (pixels, n + 1)
    smooth = seen + 1 / (
        n + 1
    )  # one image more, spread over all values, so that none is impossible
    log_p: Tensor = (smooth / smooth.sum(1, keepdim=True)).log()
    return log_p.gather(1, test.long().T).sum(0)


def psnr(pictures: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture, in decibels: -10 log₁₀ of its mean squared error,
    (n, …) → (n,).

    Args:
        pictures: values from 0 to 1.
        truth: the same shape.
    """
    return -10 * (pictures - truth).square().flatten(1).mean(1).log10()
