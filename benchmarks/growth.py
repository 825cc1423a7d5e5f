"""How time and memory grow with the size of the work, and by which power: ``docs/growth.md``.

``python benchmarks/growth.py [--seconds 1] [--write docs/growth.md]`` takes each size in a process
of its own: the median time of a step, and by how much it raised the peak of the process's memory.
The exponent is the slope of a line through the logarithms of the last three sizes, where what is
the same at every size no longer counts for much.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

import etude
from etude.layers.graphs import Graph
from etude.networks.gnn import layer
from etude.networks.gpt import GPT
from etude.networks.mlp import MLP
from etude.networks.strided import StridedCNN
from etude.runs.folder import machine
from etude.studies.language.gpt._sampling import sample
from etude.training.batches import Batches
from etude.training.optimizers import descent

Step = Callable[[], object]
HEAD = """# Growth

How time and memory grow with the size of the work. Written by `python benchmarks/growth.py --write
docs/growth.md`: each size in a process of its own, the median time of a step, and by how much the
first step raised the peak of the process's memory. The exponent p in time ~ sizeᵖ comes from the
last three sizes.

![Time and memory by size, both axes logarithmic](growth.webp)

"""


@dataclass(frozen=True)
class Case:
    """What grows, from which sizes, and by which power it should."""

    title: str
    sizes: tuple[int, ...]
    expected: str
    make: Callable[[int, Any], Step]


def classifier(net: Any, columns: tuple[Any, Any], batch: int, run: Any) -> Step:
    """A step in Etude's loop."""
    net = run.place(net)
    optimizer = descent("adamw", net, 1e-3)
    steps = iter(run.steps(Batches(columns, batch), 10**6, state=(net, optimizer)))

    def step() -> None:
        x, y = next(steps)
        run.minimise(cross_entropy(net(x), y), optimizer)

    return step


def by_batch(size: int, run: Any) -> Step:
    columns = torch.rand(2_048, 1, 28, 28), torch.randint(10, (2_048,))
    return classifier(StridedCNN(1, 28, 10, 24), columns, size, run)


def by_width(size: int, run: Any) -> Step:
    columns = torch.rand(2_048, 64), torch.randint(10, (2_048,))
    return classifier(MLP(64, [size, size], 10), columns, 256, run)


def by_rows(size: int, run: Any) -> Step:
    """Only the batches: their cost must not grow with the data."""
    batches = iter(Batches((torch.zeros(size, 64), torch.zeros(size)), 256, seed=0))
    return lambda: next(batches)


def by_context(size: int, run: Any) -> Step:
    net = run.place(GPT(256, 128, 4, 4, size, positions="rotary"))
    optimizer, rows = descent("adamw", net, 1e-3), torch.randint(256, (4, size + 1))

    def step() -> None:
        loss = cross_entropy(net(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def by_tokens(size: int, run: Any) -> Step:
    net = GPT(256, 128, 4, 4, size + 1, positions="rotary").eval()
    return lambda: list(sample(net, torch.tensor([0]), size))


def by_edges(size: int, run: Any) -> Step:
    half = torch.randint(size // 10, (2, size // 2))
    graph, net = Graph(torch.cat([half, half.flip(0)], 1), size // 10), layer("gcn", 16, 16)
    x = torch.randn(size // 10, 16, requires_grad=True)
    return lambda: net(x, graph).sum().backward()


CASES = [
    Case("a step of the CNN of `digits`, by its batch", (64, 128, 256, 512, 1_024), "1", by_batch),
    Case(
        "a step of an MLP of two hidden layers, by their width",
        (128, 256, 512, 1_024, 2_048),
        "2",
        by_width,
    ),
    Case(
        "a batch of 256 rows, by the rows of the data",
        (10**4, 10**5, 10**6, 4 * 10**6),
        "0",
        by_rows,
    ),
    Case(
        "a step of a GPT, 4 layers, by its context",
        (64, 128, 256, 512, 1_024),
        "1 to 2",
        by_context,
    ),
    Case("a text with a cache, by its tokens", (64, 128, 256, 512), "1", by_tokens),
    Case(
        "a graph convolution, by its edges, ten a node",
        (10**4, 10**5, 10**6, 3 * 10**6),
        "1",
        by_edges,
    ),
]


def measure(number: int, size: int, seconds: float, answer: Any) -> None:
    torch.manual_seed(0)
    with (
        tempfile.TemporaryDirectory() as folder,
        etude.Run("growth", root=folder, quiet=True) as run,
    ):
        step = CASES[number].make(size, run)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        step()
        raised = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        step()
        times: list[float] = []
        while sum(times) < seconds or len(times) < 3:
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
    answer.put((statistics.median(times), raised / 1024))


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """The slope of the least-squares line through the logarithms."""
    x, y = [math.log(s) for s in sizes], [math.log(s) for s in seconds]
    return statistics.linear_regression(x, y).slope


def picture(path: Path, cases: list[tuple[Case, list[tuple[float, float]], float]]) -> None:
    """Milliseconds and megabytes by size, and the line whose slope is the exponent."""
    from etude.figures.style import INK, PALETTE, canvas  # not in the processes that measure memory

    figure, axes = canvas(11, 6, 2, 3)
    for panel, (case, found, power) in zip(axes, cases, strict=True):
        times = [1e3 * took for took, _ in found]
        panel.loglog(case.sizes, times, "o-", color=PALETTE[0], label="ms")
        panel.loglog(
            case.sizes,
            [memory for _, memory in found],
            "s:",
            color=PALETTE[1],
            label="MB",
            markersize=4,
        )
        last = case.sizes[-3:]
        middle = statistics.fmean(map(math.log, times[-3:])) - power * statistics.fmean(
            map(math.log, last)
        )
        panel.loglog(
            last, [math.exp(middle) * size**power for size in last], "--", color=INK, linewidth=1
        )
        panel.set_xticks(case.sizes, [f"{size:,}" for size in case.sizes], fontsize=7)
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("")
        panel.xaxis.set_minor_formatter("")
        panel.set_title(
            f"{case.title}\ntime ~ size^{power:.2f}, expected {case.expected}", fontsize=9
        )
    axes[0].legend()
    figure.savefig(path, dpi=120, pil_kwargs={"quality": 80, "method": 6})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="to measure each size for")
    parser.add_argument("--write", type=Path, help="the page to write, with a picture beside it")
    options = parser.parse_args()
    processes = multiprocessing.get_context("spawn")
    cases = []
    rows = ["| what grows | size: milliseconds, MB | exponent | expected |\n|---|---|---|---|"]
    for number, case in enumerate(CASES):
        found: list[tuple[float, float]] = []
        for size in case.sizes:
            answer = processes.Queue()
            process = processes.Process(
                target=measure, args=(number, size, options.seconds, answer)
            )
            process.start()
            found.append(answer.get())
            process.join()
        power = exponent(list(case.sizes[-3:]), [took for took, _ in found[-3:]])
        cells = [
            f"{s:,}: {1e3 * took:.3g}, {mb:.0f}"
            for s, (took, mb) in zip(case.sizes, found, strict=True)
        ]
        rows.append(f"| {case.title} | {'<br>'.join(cells)} | {power:.2f} | {case.expected} |")
        print(rows[-1], flush=True)
        cases.append((case, found, power))
    if options.write:
        on = "{processor}, {cores} cores".format(**machine())
        end = (
            f"\n\nMeasured on {on}, torch {torch.__version__}, {torch.get_num_threads()} threads.\n"
        )
        options.write.write_text(HEAD + "\n".join(rows) + end, encoding="utf-8")
        picture(options.write.with_suffix(".webp"), cases)


if __name__ == "__main__":
    main()
