"""What several processes send one another, what they gain, and what follows for more of them:
``docs/scaling.md``.

``python benchmarks/scaling.py [--steps 20] [--write docs/scaling.md]``

Each network takes steps of its study's full scale, in one process and in two (``torchrun``), which
share the batch. Every tensor that is handed to a collective operation is counted. The plan for more
devices follows from those numbers by the formulae that the document gives; what it assumes about
devices is said there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import etude
from etude.networks.gpt import GPT
from etude.networks.strided import StridedCNN
from etude.runs.folder import machine
from etude.training.batches import Batches
from etude.training.optimizers import descent

COUNTED = 2  # first steps, whose messages are counted; the time of the others is taken
PEAK, REACHED = (
    989e12,
    0.3,
)  # of an H100: bf16 operations a second, and what part of them a step may reach
NVLINK, NETWORK = (
    450e9,
    50e9,
)  # bytes a second, each way: within a machine, and between machines for each device
LATENCY = 10e-6  # seconds for one message between two devices


def pictures(rows: int, channels: int, side: int) -> tuple[Tensor, Tensor]:
    """Random images and labels."""
    return torch.rand(rows, channels, side, side), torch.arange(rows) % 10


def texts(rows: int, context: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Random tokens and those that follow them."""
    tokens = torch.randint(vocabulary, (rows, context + 1))
    return tokens[:, :-1], tokens[:, 1:]


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, Tensor]], int]] = {
    "digits": (lambda: StridedCNN(1, 28, 10), lambda: pictures(512, 1, 28), 256),
    "gpt": (lambda: GPT(256, 192, 6, 4, 128, positions="rotary"), lambda: texts(64, 128, 256), 16),
    "GPT-2 small": (lambda: GPT(50_257, 768, 12, 12, 256), lambda: texts(8, 256, 50_257), 2),
}


def work(name: str, strategy: Any, steps: int, precision: Any) -> None:
    """Take the steps, as one of several processes or alone; the first one prints what they took and
    sent.
    """
    torch.set_num_threads(1)
    sent = Sent()
    network, data, size = CASES[name]
    with tempfile.TemporaryDirectory() as root:
        run = etude.Run("scaling", root=root, strategy=strategy, precision=precision, quiet=True)
        with run:
            net = run.place(network())
            optimizer = descent("adamw", net, 1e-3, 0.1)
            times = []
            for x, y in run.steps(Batches(data(), size), steps + COUNTED, state=(net, optimizer)):
                began = time.perf_counter()
                with sent if run.step < COUNTED else nullcontext():
                    loss = cross_entropy(net(x).flatten(0, -2), y.flatten())
                    run.minimise(loss, optimizer)
                times.append(time.perf_counter() - began)
        if run.workers.first:
            print(
                json.dumps(
                    {"seconds": statistics.median(times[COUNTED:]), "sent": sent.bytes / COUNTED}
                )
            )


class Sent(TorchDispatchMode):
    """Counts the bytes of the tensors that collective operations are about: of each the largest,
    which is the whole.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if function.namespace == "c10d":
            tensors = [
                t
                for arg in args
                for t in (arg if isinstance(arg, list) else [arg])
                if isinstance(t, Tensor)
            ]
            self.bytes += max((t.nbytes for t in tensors), default=0)
        return function(*args, **(kwargs or {}))


def measured(
    name: str, processes: int, strategy: str, steps: int, precision: str
) -> dict[str, Any]:
    """The steps of one case in so many processes."""
    own = [
        __file__,
        "--case",
        name,
        "--strategy",
        strategy,
        "--steps",
        str(steps),
        "--precision",
        precision,
    ]
    start = (
        ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        if processes > 1
        else []
    )
    done = subprocess.run(
        [sys.executable, *start, *own],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def facts(name: str) -> tuple[int, float]:
    """Parameters, and operations of a step (forward and backward) over the whole batch."""
    network, data, size = CASES[name]
    net = network()
    x, y = data()
    counter = FlopCounterMode(display=False)
    with counter:
        cross_entropy(net(x[:1]).flatten(0, -2), y[:1].flatten()).backward()
    return sum(p.numel() for p in net.parameters()), counter.get_total_flops() * size


def ring(volume: float, devices: int, bandwidth: float) -> float:
    """Seconds for a sum over devices in a ring: each sends 2 (N - 1) / N of it, in 2 (N - 1)
    messages.
    """
    return 2 * (devices - 1) / devices * volume / bandwidth + 2 * (devices - 1) * LATENCY


def plan(flops: float, volume: float, devices: int, machines: int) -> tuple[float, float]:
    """Seconds that a step computes and sends: a ring within each machine, then one over
    machines.
    """
    compute = flops / devices / (PEAK * REACHED)
    each = devices // machines
    send = ring(volume, each, NVLINK) if each > 1 else 0.0
    if machines > 1:
        send += ring(
            volume / each, machines, NETWORK
        )  # each device sums its own part over the machines
    return compute, send


def main() -> None:
    """Measure all, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--strategy", default="ddp", help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="fp32", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        work(options.case, options.strategy, options.steps, options.precision)
        return
    lines = [HEAD]
    plans = []
    for name in CASES:
        parameters, flops = facts(name)
        steps = options.steps if name != "GPT-2 small" else 3
        alone = measured(name, 1, "ddp", steps, "fp32")["seconds"]
        for strategy in ("ddp", "fsdp"):
            told = measured(name, 2, strategy, steps, "fp32")
            volume = told["sent"]
            lines.append(
                f"| {name} | {parameters / 1e6:,.2f} M | {flops / 1e9:,.1f} G | {strategy} |"
                f" {volume / 1e6:,.2f} MB | {volume / parameters:.1f} | {alone * 1e3:,.1f} ms |"
                f" {told['seconds'] * 1e3:,.1f} ms | {alone / told['seconds'] / 2:.0%} |"
            )
            print(lines[-1], flush=True)
            if strategy == "ddp":
                plans.append((name, flops, volume, CASES[name][2]))
    lines.append(
        MIDDLE.format(peak=PEAK / 1e12, reached=REACHED, nvlink=NVLINK / 1e9, network=NETWORK / 1e9)
    )
    for name, flops, volume, size in plans:
        for devices, machines in ((8, 1), (512, 64)):
            for rows in sorted({size, 32 * devices}):
                compute, send = plan(flops * rows / size, volume, devices, machines)
                lines.append(
                    f"| {name} | {machines} × {devices // machines} | {rows:,} |"
                    f" {compute * 1e6:,.1f} µs | {send * 1e6:,.1f} µs |"
                    f" {compute / (compute + send):.0%} |"
                )
    about = machine()
    tail = TAIL.format(processor=about["processor"], cores=about["cores"], torch=torch.__version__)
    text = "\n".join([*lines, tail])
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


HEAD = """# From one laptop to many machines

`etude run STUDY --devices N`, `torchrun --nproc-per-node N -m etude run STUDY`, or `srun … etude
run STUDY`: the same study in several processes. Each executes it from its first line with the same
seed; of each batch it takes its own rows. This document is written by `python benchmarks/scaling.py
--write docs/scaling.md`.

**What is sent.** With `--strategy ddp`, after `backward` the gradients are averaged over processes,
once a step, in messages of 25 MB: 4 bytes for each parameter. With `--strategy fsdp` (PyTorch's
`fully_shard`) each process holds a part of every parameter, gradient and optimiser's state; whole
parameters are gathered before they are used, forward and backward, and gradients are summed and
parted again: up to three times as much is sent, and the memory for all of it is divided by the
number of processes. Batch norms add two numbers for each channel. About twice a second the
processes agree whether to save or to stop.

**Why the gradients are averaged in `run.minimise` and not by the `DistributedDataParallel`
wrapper.** The wrapper must be what is called, once, between two optimiser's steps. A GAN calls its
critic twice and differentiates its gradient, a variational autoencoder is called by its parts, an
agent's network by its policy: the wrapper refuses them or averages the wrong thing. What it gains
is that it sends while it computes; for networks of the sizes here that is the last column's
distance from 100 %.

## Measured: two processes on one processor

Steps of the full scale, fp32, one thread each; two processes take half of the same batch each.
"Sent" is the size of all tensors handed to collective operations in a step.

| network | parameters | operations a step | strategy | sent a step | bytes a parameter | alone |\
 two | efficiency |
|---|---|---|---|---|---|---|---|---|"""

MIDDLE = """
## Plan: eight GPUs, and 64 machines with eight each

Not measured; no such machine was at hand. A step's time is taken as computing plus sending, with
nothing overlapped:

- computing: the operations counted above, divided among devices, at {reached:.0%} of {peak:,.0f}
  TFLOP/s (an H100 in bf16);
- sending: the bytes measured above, summed in a ring. N devices send 2 (N − 1) / N of them each, in
  2 (N − 1) messages of 10 µs; {nvlink:,.0f} GB/s within a machine, {network:,.0f} GB/s for each
  device between machines. Within each machine first; then each device sums its eighth over the
  machines.

| network | machines × devices | rows in a batch | computing | sending | efficiency |
|---|---|---|---|---|---|"""

TAIL = """
**What is worth it.** The small networks that most studies train are done with computing before a
message has gone round: for `digits` at its own batch, more devices make a step slower, not faster.
They gain only from a batch so large that it is another experiment. Worth spreading are networks of
the size of GPT-2, at 32 rows a device or more; there use `ddp` while everything fits on one device,
and `fsdp` when it does not. For the rest of the catalogue many devices are better used for many
runs: seeds and searches share nothing, and their efficiency is 100 %.

Measured on {processor}, {cores} cores, torch {torch}.
"""


if __name__ == "__main__":
    main()
