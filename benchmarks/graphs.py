"""Layers on graphs, beside torch-geometric: time and memory, forward and backward.

``python benchmarks/graphs.py [--threads 1] [--repeat 5]`` prints, for each, the median time of a step and by how much
it raised the peak of the process's memory, each in a process of its own. First an epoch of graph convolution on Cora's
shape (random, 2,708 nodes, 10,556 edges, 1,433 features of which 18 a node are not zero, 16 hidden), then layers from
16 to 16 numbers on 10⁵ nodes and 10⁶ edges. Where torch-geometric isn't installed it is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from etude.layers.graphs import Features, Graph
from etude.networks.gnn import GNN, layer

PYG = {"gcn": "GCNConv", "cheb": "ChebConv", "sage": "SAGEConv", "gat": "GATConv", "gin": "GINConv"}


def drawn(nodes: int, edges: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    half = torch.randint(nodes, (2, edges // 2), generator=generator)
    return torch.cat([half, half.flip(0)], 1)


def epoch(ours: bool) -> Callable[[], None]:
    """A step of the study on Cora's shape, dropout and optimiser included; torch-geometric's features are dense."""
    torch.manual_seed(0)
    edges, words = drawn(2708, 10556), torch.randint(1433, (2708, 18))
    x = torch.zeros(2708, 1433).scatter_(1, words, 1 / 18)
    labels, told = torch.randint(7, (2708,)), torch.arange(140)
    if ours:
        net: nn.Module = GNN("gcn", 1433, [16], 7)
        inputs: tuple[Any, Any] = Features(x), Graph(edges, 2708)
    else:
        from torch_geometric.nn.models import GCN

        net, inputs = GCN(1433, 16, 2, 7, dropout=0.5), (x, edges)
    optimizer = torch.optim.Adam(net.parameters(), 0.01, fused=True)

    def step() -> None:
        loss = cross_entropy(net(*inputs)[told], labels[told])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def large(kind: Any, ours: bool) -> Callable[[], None]:
    torch.manual_seed(0)
    edges, x = drawn(100_000, 1_000_000), torch.randn(100_000, 16, requires_grad=True)
    if ours:
        net: nn.Module = layer(kind, 16, 16)
        graph: Any = Graph(edges, 100_000)
    else:
        import torch_geometric.nn as pyg

        graph = edges
        if kind == "gin":
            net = pyg.GINConv(nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16)), train_eps=True)
        else:
            net = getattr(pyg, PYG[kind])(16, 16, *([3] if kind == "cheb" else []))
    return lambda: net(x, graph).sum().backward()


def measure(make: Callable[..., Callable[[], None]], arguments: tuple[Any, ...], options: Any, answer: Any) -> None:
    torch.set_num_threads(options.threads)
    step = make(*arguments)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    seconds = []
    for _ in range(options.repeat):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    answer.put((statistics.median(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    cases: list[tuple[str, Any, tuple[Any, ...]]] = [("epoch, Cora's shape", epoch, ())]
    cases += [(f"{kind}, 10⁶ edges", large, (kind,)) for kind in PYG]
    processes = multiprocessing.get_context("spawn")
    peer = importlib.util.find_spec("torch_geometric") is not None
    for name, make, arguments in cases:
        cells = []
        for ours in (True, False) if peer else (True,):
            answer = processes.Queue()
            process = processes.Process(target=measure, args=(make, (*arguments, ours), options, answer))
            process.start()
            seconds, kilobytes = answer.get()
            process.join()
            cells.append(
                f"{'etude' if ours else 'torch-geometric'} {1e3 * seconds:7.1f} ms {kilobytes / 1024:6.0f} MiB"
            )
        print(f"{name:<20} " + "   ".join(cells))


if __name__ == "__main__":
    main()
