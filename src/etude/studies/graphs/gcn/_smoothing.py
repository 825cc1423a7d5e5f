"""How alike the features of a graph's nodes are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from etude.layers.graphs import Graph


def mean_distance(x: Tensor) -> Tensor:
    """The mean cosine distance of two nodes: (nodes, width) → ().

    The mean cosine of all pairs is the squared length of the mean direction.
    """
    return 1 - normalize(x).mean(0).square().sum()


def smoothed_distances(graph: Graph, steps: Sequence[int]) -> list[float]:
    """The mean distance of random features after these numbers of steps of x ← Â x."""
    graph = graph.loops(True)
    x = torch.randn(graph.shape[0], 16, dtype=torch.double)
    distances = {}
    for k in range(1, max(steps) + 1):
        x = graph.times(graph.normalised(x.dtype), x)
        distances[k] = float(mean_distance(x))
    return [distances[k] for k in steps]
