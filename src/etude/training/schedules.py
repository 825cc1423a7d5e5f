"""Shapes of the learning rate over a run, for ``torch.optim.lr_scheduler.LambdaLR``: step → factor
of the base rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Shape = Callable[[int], float]


def constant(step: int) -> float:
    """1 at every step."""
    return 1.0


def step_decay(steps: int, at: Sequence[float] = (0.5, 0.75), factor: float = 0.2) -> Shape:
    """1 at first, and times ``factor`` each time that one of the parts ``at`` of the steps
    is done.
    """
    return lambda step: factor ** sum(step >= part * steps for part in at)


def one_cycle(steps: int, warmup: float = 0.3, start: float = 0.1, end: float = 0.0) -> Shape:
    """Linear up to 1 over the first ``warmup`` part of the steps, then linear down to ``end``.

    Source: Smith & Topin (2018), Super-convergence; with straight lines, as in Page (2018).
    """
    peak = max(1, round(steps * warmup))

    def shape(step: int) -> float:
        if step < peak:
            return start + (1 - start) * step / peak
        return 1 + (end - 1) * min(1.0, (step - peak) / max(1, steps - peak))

    return shape


def cosine(steps: int, warmup: int = 0, end: float = 0.0) -> Shape:
    """Linear warm-up over ``warmup`` steps, then half a cosine from 1 down to ``end``.

    Source: Loshchilov & Hutter (2017), SGDR, equation 5, without restarts.
    """

    def shape(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        along = min(1.0, (step - warmup) / max(1, steps - warmup))
        return end + (1 - end) * (1 + math.cos(math.pi * along)) / 2

    return shape
