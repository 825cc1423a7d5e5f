"""How many processor threads a run uses.

Threads pay where there is enough work to share. A step of a tiny network is shorter than the time
in which threads find together: with two of them it is no faster, and it becomes several times
slower as soon as another program runs, for a thread that waits keeps its processor busy. So a study
of a small network gets one thread, and all else what PyTorch chooses. The choice rests on the
network alone and never on a measured time: two runs with the same seed must split their sums alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import nn

from etude.errors import UserError
from etude.runs.placement import CONVOLUTIONS

MOST = 1_024  # threads; far beyond, the library that shares the work among them breaks down
SMALL = (
    20_000  # parameters; every weight of a convolution is used at many places, so they count not
)


def set_threads(number: int) -> None:
    """Have PyTorch use so many processor threads.

    Raises:
        UserError: there are none, or more than any machine makes use of.
    """
    if not 1 <= number <= MOST:
        raise UserError(f"threads is {number:,}; expected 1 to {MOST:,}")
    torch.set_num_threads(number)


def threads_for(network: Callable[[], nn.Module]) -> tuple[int, str]:
    """The number of threads for a study of this network, and the reason where it is not PyTorch's.

    A number that somebody has set, by ``OMP_NUM_THREADS`` or ``torch.set_num_threads``, stays as it
    is. The network is made without memory for its weights, and without a random number.
    """
    default = torch.get_num_threads()
    if default == 1 or "OMP_NUM_THREADS" in os.environ:
        return default, ""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            small = is_small(network())
    except Exception:  # it has none, or needs data first
        return default, ""
    return (1, "small network") if small else (default, "")


def is_small(net: nn.Module) -> bool:
    """Whether one thread is enough."""
    if any(isinstance(module, CONVOLUTIONS) for module in net.modules()):
        return False
    return sum(parameter.numel() for parameter in net.parameters()) < SMALL
