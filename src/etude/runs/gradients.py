"""A step of gradient descent: gradients summed over batches, averaged over processes, clipped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from etude.runs.workers import Workers

Optimizers = tuple[torch.optim.Optimizer, ...]
Schedule = torch.optim.lr_scheduler.LRScheduler


class Gradients:
    """The gradients of one stage, some of which are summed over several batches before a step."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self._calls: dict[Optimizers, tuple[int, int]] = {}  # (so far, to a step) of half a sum

    @property
    def pending(self) -> bool:
        """Whether some optimisers have a sum that is not complete."""
        return bool(self._calls)

    def minimise(
        self,
        loss: Tensor,
        optimizers: Optimizers,
        schedules: Sequence[Schedule],
        *,
        weight: float,
        clip: float | None,
        accumulate: int,
    ) -> None:
        """Add the gradient of ``weight * loss / accumulate``; step at every ``accumulate``-th call.

        The weight is that of this process's rows in the batch.
        """
        calls, _ = self._calls.pop(optimizers, (0, 0))
        if calls == 0:
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
        factor = weight / accumulate
        (loss * factor if factor != 1 else loss).backward()  # type: ignore[no-untyped-call]
        if calls + 1 < accumulate:
            self._calls[optimizers] = (calls + 1, accumulate)
            return
        if clip is not None or self.workers.many:
            parameters = [
                parameter
                for optimizer in optimizers
                for group in optimizer.param_groups
                for parameter in group["params"]
            ]
            self.workers.average(parameters)
            if clip is not None:
                nn.utils.clip_grad_norm_(parameters, clip)
        for optimizer in optimizers:
            optimizer.step()
        for schedule in schedules:
            schedule.step()

    def average(self, parameters: Iterable[Tensor], weight: float) -> None:
        """The mean over processes of gradients to which this process's rows gave ``weight``."""
        parameters = list(parameters)
        if weight != 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(weight)
        self.workers.average(parameters)

    def drop(self) -> list[tuple[int, int]]:
        """Forget the sums that are not complete, gradients too; gives (calls so far, calls to a
        step) of each.
        """
        dropped, self._calls = self._calls, {}
        for optimizers in dropped:
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
        return list(dropped.values())
