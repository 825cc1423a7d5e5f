"""What a graph gives without learning: labels that flow along its edges, and features that become
alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from etude.data import LabelledGraph
from etude.layers.graphs import Graph


def propagated(graph: LabelledGraph, steps: int = 1_000) -> Tensor:
    """Label propagation: each node gets the mean of its neighbours' classes, known labels stay.

    The result has no parameters and uses no features. Shape: (nodes, classes).

    Source: Zhu, Ghahramani & Lafferty (2003), Semi-supervised learning using Gaussian fields and
    harmonic functions.
    """
    edges = Graph(graph.edges, len(graph)).loops(False)
    given = one_hot(graph.labels[graph.train], len(graph.classes)).double()
    y = torch.zeros(len(graph), len(graph.classes), dtype=torch.double)
    for _ in range(steps):
        y[graph.train] = given
        y = edges.mean(y)
    y[graph.train] = given
    return y


def averaged_labels(graph: LabelledGraph, steps: Sequence[int]) -> list[Tensor]:
    """The known labels after these numbers of steps of y ← Â y, (nodes, classes) each."""
    y = torch.zeros(len(graph), len(graph.classes), dtype=torch.double)
    y[graph.train, graph.labels[graph.train]] = 1
    return averages(Graph(graph.edges, len(graph)), y, steps)


def smoothed_distances(graph: Graph, steps: Sequence[int]) -> list[float]:
    """The mean distance of random features after these numbers of steps of x ← Â x."""
    x = torch.randn(graph.shape[0], 16, dtype=torch.double)
    return [float(mean_distance(x)) for x in averages(graph, x, steps)]


def averages(graph: Graph, x: Tensor, steps: Sequence[int]) -> list[Tensor]:
    """Â^k x for each k in ``steps``, of the shape of ``x`` each."""
    graph = graph.loops(True)
    found = {}
    for k in range(1, max(steps) + 1):
        x = graph.times(graph.normalised(x.dtype), x)
        found[k] = x
    return [found[k] for k in steps]


def mean_distance(x: Tensor) -> Tensor:
    """The mean cosine distance of two nodes: (nodes, width) → ().

    The mean cosine of all pairs is the squared length of the mean direction.
    """
    return 1 - normalize(x).mean(0).square().sum()
