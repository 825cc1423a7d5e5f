"""A graph neural network: layers of one kind, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, normalize, relu

from etude.layers.graphs import (
    Attention,
    Chebyshev,
    Convolution,
    Graph,
    Isomorphism,
    Kind,
    Nodes,
    Sage,
    dropped,
)


class GNN(nn.Module):
    """Layers of one kind with an activation between them; dropout before each.

    Attention has ``heads`` heads of the width of the others side by side, and one in the last
    layer, without dropout of weights; its activation is ELU, that of the others ReLU.

    Input: features (nodes, inputs), dense or :class:`Features`, and edges (2, edges), whole numbers
    or a :class:`Graph`. Output (nodes, outputs).
    """

    def __init__(
        self,
        kind: Kind,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        drop: float = 0.5,
        heads: int = 8,
    ) -> None:
        super().__init__()
        self.drop, self.activation = drop, elu if kind == "gat" else relu
        layers: list[nn.Module] = []
        for number, width in enumerate([*hidden, outputs]):
            several = heads if kind == "gat" and number < len(hidden) else 1
            layers.append(layer(kind, inputs, width, several))
            inputs = several * width
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Nodes, edges: Tensor | Graph) -> Tensor:
        """Scores, (nodes, outputs)."""
        return self.states(x, edges)[-1]

    def states(self, x: Nodes, edges: Tensor | Graph) -> list[Tensor]:
        """What each layer gives, before its activation: (nodes, width) each."""
        graph = edges if isinstance(edges, Graph) else Graph(edges, len(x))
        found: list[Tensor] = []
        for each in self.layers:
            given = self.activation(found[-1]) if found else x
            found.append(each(dropped(given, self.drop, self.training), graph))
        return found

    def looks(self, x: Nodes, graph: Graph) -> Tensor:
        """What each edge of ``graph.loops(True)`` weighs in a first layer of attention, the heads'
        mean: (edges,).
        """
        first = self.layers[0]
        assert isinstance(first, Attention)
        return torch.stack(first.weights(first.projection(x), graph.loops(True))).mean(0)


def layer(kind: Kind, inputs: int, outputs: int, heads: int = 1) -> nn.Module:
    """A new layer; only attention has heads."""
    match kind:
        case "gcn":
            return Convolution(inputs, outputs)
        case "cheb":
            return Chebyshev(inputs, outputs)
        case "sage":
            return Sage(inputs, outputs)
        case "gat":
            return Attention(inputs, outputs, heads)
        case "gin":
            return Isomorphism(inputs, outputs)


def distance(x: Tensor) -> Tensor:
    """The mean cosine distance of two nodes, (nodes, width) → (): their mean cosine is the mean
    direction, squared.
    """
    return 1 - normalize(x).mean(0).square().sum()


def averaged(graph: Graph, steps: Sequence[int]) -> list[float]:
    """The :func:`distance` of random features after so many steps of x ← Â x, as graph convolution
    has it.
    """
    graph = graph.loops(True)
    x, found = torch.randn(graph.shape[0], 16, dtype=torch.double), []
    for k in range(1, max(steps) + 1):
        x = graph.times(graph.normalised(x.dtype), x)
        found += [float(distance(x))] * (k in steps)
    return found
