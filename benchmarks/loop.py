"""What the loop costs: a study's steps under ``run.steps``, ``minimise`` and ``log`` against the
same steps by hand.

``python benchmarks/loop.py [--repeat 5]`` prints, for an MLP of about 500 µs a step and the network
of ``digits``, the median time of a step both ways, interleaved, and the difference.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import etude
from etude.networks.mlp import MLP
from etude.networks.strided import StridedCNN
from etude.runs.placement import choose_precision
from etude.training.batches import Batches
from etude.training.optimizers import descent

Case = tuple[Callable[[], nn.Module], tuple[Tensor, Tensor], int, int]


def by_hand(case: Case) -> float:
    """Seconds a step in a bare loop, with the batches, precision and layout that the run would
    choose.
    """
    network, data, size, steps = case
    torch.manual_seed(0)
    net = network()
    dtype, _ = choose_precision(net, torch.device("cpu"), "auto")
    pictures = data[0].ndim == 4
    if pictures:
        net.to(memory_format=torch.channels_last)
    optimizer = descent("adamw", net, 1e-3, 1e-2)
    batches = iter(Batches(data, size))
    began = time.perf_counter()
    for _ in range(steps):
        x, y = next(batches)
        if pictures:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype) if dtype != torch.float32 else nullcontext():
            scores = net(x)
        loss = cross_entropy(scores.float(), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - began) / steps


def by_etude(case: Case) -> float:
    """Seconds a step in the loop that studies use, logging the loss."""
    network, data, size, steps = case
    with (
        tempfile.TemporaryDirectory() as folder,
        etude.Run("bench", root=folder, quiet=True) as run,
    ):
        net = run.place(network())
        optimizer = descent("adamw", net, 1e-3, 1e-2)
        began = time.perf_counter()
        for x, y in run.steps(Batches(data, size), steps, state=(net, optimizer)):
            loss = cross_entropy(net(x), y)
            run.minimise(loss, optimizer)
            run.log(loss=loss)
        seconds = (time.perf_counter() - began) / steps
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    labels = torch.randint(10, (4096,))
    cases: dict[str, Case] = {
        "MLP 2-64-64-10, batch 256": (
            lambda: MLP(2, [64, 64], 10),
            (torch.randn(4096, 2), labels),
            256,
            3_000,
        ),
        "digits (28×28), batch 256": (
            lambda: StridedCNN(1, 28, 10),
            (torch.rand(4096, 1, 28, 28), labels),
            256,
            60,
        ),
    }
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, {options.repeat} pairs,"
        " medians"
    )
    for name, case in cases.items():
        by_hand(case), by_etude(case)  # warm up
        pairs = [(by_hand(case), by_etude(case)) for _ in range(options.repeat)]
        hand, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(
            f"{name:<28} by hand {hand * 1e6:9.1f} µs   etude {ours * 1e6:9.1f} µs  "
            f" {100 * (ratio - 1):+.1f} %"
        )


if __name__ == "__main__":
    main()
