"""Where the nodes of a graph are drawn."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

MOST = 250  # nodes that are drawn


def shown_nodes(edges: Tensor, nodes: int, most: int = MOST) -> Tensor:
    """The nodes to draw, in order: all, or those nearest to the node with the most edges.

    Args:
        edges: source and target, (2, edges).
        nodes: of the whole graph.
        most: nodes that are drawn.
    """
    if nodes <= most:
        return torch.arange(nodes)
    source, target = edges
    chosen = torch.zeros(nodes, dtype=torch.bool)
    chosen[torch.bincount(target, minlength=nodes).argmax()] = True
    while True:
        reached = chosen.clone()
        reached[target[chosen[source]]] = True
        if reached.sum() > most or reached.sum() == chosen.sum():
            extra = (reached & ~chosen).nonzero().squeeze(1)[: most - int(chosen.sum())]
            chosen[extra] = True
            return chosen.nonzero().squeeze(1)
        chosen = reached


def coordinates(edges: Tensor, nodes: Tensor) -> np.ndarray:
    """Places of the drawn nodes by springs along edges, always the same: (nodes, 2)."""
    import networkx  # type: ignore[import-untyped]

    graph = networkx.Graph()
    graph.add_nodes_from(nodes.tolist())
    graph.add_edges_from(edges_between(edges, nodes).T.tolist())
    places = networkx.spring_layout(graph, seed=47, iterations=200, k=4.2 / len(nodes) ** 0.5)
    return np.array([places[node] for node in nodes.tolist()])


def edges_between(edges: Tensor, nodes: Tensor) -> Tensor:
    """The edges between drawn nodes without self-loops, (2, edges)."""
    return edges[:, torch.isin(edges, nodes).all(0) & (edges[0] != edges[1])]


def areas(edges: Tensor, nodes: Tensor) -> np.ndarray:
    """The area of each drawn node, which grows with its degree: (nodes,)."""
    all_nodes = int(max(nodes.max(), edges.max())) + 1
    degree = torch.bincount(edges[1], minlength=all_nodes)[nodes].float()
    largest = 60 if len(nodes) > 50 else 130
    return np.asarray(largest * (0.6 + 0.4 * (degree / degree.mean()).sqrt()))


def segments(edges: Tensor, nodes: Tensor, places: np.ndarray, bend: float = 0.0) -> np.ndarray:
    """Lines along the drawn edges, straight or bent to their left: (edges, points, 2)."""
    ends = [torch.searchsorted(nodes, end).numpy() for end in edges_between(edges, nodes)]
    start, end = places[ends[0]], places[ends[1]]
    t = np.linspace(0, 1, 2 if bend == 0 else 9)[None, :, None]
    across = (end - start)[:, None, ::-1] * np.array([-1.0, 1.0])
    return np.asarray(start[:, None] * (1 - t) + end[:, None] * t + 4 * bend * t * (1 - t) * across)
