"""A graph neural network: layers of one kind, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, relu

from etude.layers.graphs import (
    Attention,
    Chebyshev,
    Convolution,
    Graph,
    Isomorphism,
    Kind,
    Nodes,
    Sage,
    node_dropout,
)


class GNN(nn.Module):
    """Layers of one kind with an activation between them, and dropout before each.

    Attention has ``heads`` heads side by side in each hidden layer, and one in the last layer. Its
    activation is ELU, that of the other kinds ReLU.

    Input: features (nodes, inputs), dense or :class:`Features`, and edges, int64 (2, edges) or a
    :class:`Graph`. Output: logits (nodes, outputs).

    Args:
        kind: of all layers.
        inputs: features of a node.
        widths: of each hidden layer; with attention the width of each head.
        outputs: numbers for a node in the last layer.
        dropout: the fraction of each layer's inputs that is set to zero in training.
        heads: of attention.
    """

    def __init__(
        self,
        kind: Kind,
        inputs: int,
        widths: Sequence[int],
        outputs: int,
        dropout: float = 0.5,
        heads: int = 8,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.activation = elu if kind == "gat" else relu
        layers: list[nn.Module] = []
        for width in widths:
            several = heads if kind == "gat" else 1
            layers.append(layer(kind, inputs, width, several))
            inputs = several * width
        layers.append(layer(kind, inputs, outputs))
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Nodes, edges: Tensor | Graph) -> Tensor:
        """Logits, (nodes, outputs)."""
        return self.layer_outputs(x, edges)[-1]

    def layer_outputs(self, x: Nodes, edges: Tensor | Graph) -> list[Tensor]:
        """The output of each layer before its activation, (nodes, width) each."""
        graph = edges if isinstance(edges, Graph) else Graph(edges, len(x))
        found: list[Tensor] = []
        for each in self.layers:
            inputs = self.activation(found[-1]) if found else x
            found.append(each(node_dropout(inputs, self.dropout, self.training), graph))
        return found

    def attention_weights(self, x: Nodes, graph: Graph) -> Tensor:
        """The first layer's weights, their mean over the heads: (edges,) of ``loops(True)``."""
        first = self.layers[0]
        assert isinstance(first, Attention)
        return torch.stack(first.weights(first.projection(x), graph.loops(True))).mean(0)


def layer(kind: Kind, inputs: int, outputs: int, heads: int = 1) -> nn.Module:
    """A new layer of a kind; only attention has heads."""
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
