"""What this machine can do at most, and what part of it Etude's training steps do.

``python benchmarks/ceilings.py [--repeat 5]`` prints medians: floating-point operations a second of
a large matrix product and of 3×3 convolutions, forward and backward, in fp32 and in bf16; bytes a
second that are copied; and for the steps of a CNN, ResNet-18 and GPT, whole ones with batches, loss
and optimiser, their operations a second, and which part that is of the ceiling of their kind and
precision. Operations are counted by PyTorch (a product and a sum are two; element-wise ones do not
count).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy
from torch.utils.flop_counter import FlopCounterMode

import etude
from etude.networks.gpt import GPT
from etude.networks.strided import StridedCNN
from etude.runs.placement import choose_precision, has_bf16
from etude.training.batches import Batches, Windows
from etude.training.optimizers import descent

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.beside.networks import ResNet18, next_token_loss

CPU = torch.device("cpu")
Loss = Callable[[nn.Module, Any], Tensor]
Case = tuple[Callable[[], nn.Module], Callable[[], Iterable[Any]], Loss, str]


def seconds(call: Callable[[], object], repeat: int) -> float:
    """The median, after one call to warm up."""
    call()
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def counted(call: Callable[[], object]) -> int:
    """Floating-point operations."""
    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return counter.get_total_flops()


def product(dtype: torch.dtype) -> Callable[[], object]:
    """4,096³."""
    a, b = torch.randn(2, 4096, 4096, dtype=dtype)
    return lambda: a @ b


def convolution(dtype: torch.dtype) -> Callable[[], object]:
    """3×3, 64 pictures of 32 × 32 with 128 channels, channels last: the output and both
    gradients.
    """
    x = (
        torch.randn(64, 128, 32, 32, dtype=dtype)
        .to(memory_format=torch.channels_last)
        .requires_grad_()
    )
    w = (
        torch.randn(128, 128, 3, 3, dtype=dtype)
        .to(memory_format=torch.channels_last)
        .requires_grad_()
    )
    up = torch.randn(64, 128, 32, 32, dtype=dtype).to(memory_format=torch.channels_last)
    return lambda: torch.autograd.grad(conv2d(x, w, padding=1), (x, w), up)


def copied(repeat: int) -> float:
    """Bytes a second, read and written."""
    source = torch.ones(2**28 // 4)
    target = torch.empty_like(source)
    return 2 * 2**28 / seconds(lambda: target.copy_(source), repeat)


def classes(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return cross_entropy(net(batch[0]), batch[1])


def pictures(rows: int, size: int, *shape: int) -> Callable[[], Iterable[Any]]:
    return lambda: Batches((torch.rand(rows, *shape), torch.randint(10, (rows,))), size)


@contextmanager
def stepping(case: Case) -> Iterator[tuple[Callable[[], None], torch.dtype]]:
    """One more step each time it is called, within a run, and the precision that this has
    chosen.
    """
    build, batches, loss_of, rule = case
    with (
        tempfile.TemporaryDirectory() as folder,
        etude.Run("ceilings", root=folder, device="cpu", quiet=True) as run,
    ):
        net = run.place(build())
        optimizer = descent(rule, net, 1e-3)
        steps = iter(run.steps(batches(), 10**6, state=(net, optimizer)))

        def once() -> None:
            loss = loss_of(net, next(steps))
            run.minimise(loss, optimizer)
            run.log(loss=loss)

        yield once, choose_precision(net, CPU, "auto")[0]


CASES: dict[str, tuple[str, Case]] = {  # by name, of what their ceiling is
    "CNN, 28×28, batch 256": (
        "convolution",
        (lambda: StridedCNN(1, 28, 10, 24), pictures(4096, 256, 1, 28, 28), classes, "adam"),
    ),
    "ResNet-18, 32×32, batch 64": (
        "convolution",
        (ResNet18, pictures(1024, 64, 3, 32, 32), classes, "adam"),
    ),
    "GPT 4 × 128, 16 × 128 tokens": (
        "product",
        (
            lambda: GPT(256, 128, 4, 4, 128),
            lambda: Windows(torch.randint(256, (100_000,)), 129, 16),
            next_token_loss,
            "adamw",
        ),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    bf16 = "with" if has_bf16(CPU) else "without"
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {bf16} bf16 instructions,"
        f" medians of {repeat}"
    )

    ceilings: dict[tuple[str, torch.dtype], float] = {}
    for kind, work in (("product", product), ("convolution", convolution)):
        for dtype in (torch.float32, torch.bfloat16):
            call = work(dtype)
            ceilings[kind, dtype] = rate = counted(call) / seconds(call, repeat)
            print(f"{kind:<12} {str(dtype).removeprefix('torch.'):<9} {rate / 1e9:8.0f} GFLOP/s")
    print(f"{'copy':<22} {copied(repeat) / 1e9:8.1f} GB/s")

    for name, (kind, case) in CASES.items():
        with stepping(case) as (once, dtype):
            operations = counted(once)
            took = seconds(once, 4 * repeat)
        rate = operations / took
        print(
            f"{name:<30} {1e3 * took:8.1f} ms  {operations / 1e9:7.1f} GFLOP  {rate / 1e9:7.0f}"
            f" GFLOP/s, {rate / ceilings[kind, dtype]:4.0%} of the {kind} in"
            f" {str(dtype).removeprefix('torch.')}"
        )


if __name__ == "__main__":
    main()
