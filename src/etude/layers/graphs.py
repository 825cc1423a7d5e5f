r"""Layers on graphs: what a node computes from its neighbours.

A graph has $n$ nodes, and edges $s \to t$ along which messages go. Its adjacency matrix $A$ has an
entry in row $t$ and column $s$, so that $A x$ sums over neighbours. It is sparse, with an entry for
each edge, and all layers are made of the two products of :class:`etude.layers.sparse.Sparse`.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu

from etude.layers.sparse import Sparse

Kind = Literal["gcn", "cheb", "sage", "gat", "gin"]


class Graph(Sparse):
    """A graph's edges, sorted by target.

    Args:
        edges: source and target of each, int64 (2, edges); an edge that goes both ways is two.
        nodes: the number of nodes.
    """

    def __init__(self, edges: Tensor, nodes: int) -> None:
        super().__init__(edges.flip(0), nodes, nodes)
        self._looped: dict[bool, Graph] = {}
        self._normalised: dict[torch.dtype, Tensor] = {}
        self._ones = torch.ones(len(self), device=edges.device)

    @classmethod
    def _made(cls, places: Tensor, shape: tuple[int, int]) -> Graph:
        return cls(places.flip(0), shape[0])

    @property
    def edges(self) -> Tensor:
        """Source and target of each, sorted by target: (2, edges)."""
        return torch.stack([self.columns, self.rows])

    @property
    def degree(self) -> Tensor:
        """The number of edges that end at each node, (nodes,)."""
        return self._csr[0].diff().float()

    def loops(self, wanted: bool) -> Graph:
        """The graph with an edge of every node to itself, or without any."""
        if wanted not in self._looped:
            edges = self.edges[:, self.rows != self.columns]
            own = torch.arange(self.shape[0], device=edges.device).expand(2, -1)
            edges = torch.cat([edges, own], 1) if wanted else edges
            self._looped[wanted] = Graph(edges, self.shape[0])
        return self._looped[wanted]

    def normalised(self, dtype: torch.dtype = torch.float) -> Tensor:
        r"""$1 / \sqrt{d_t d_s}$ for each edge, where d are the degrees: (edges,)."""
        if dtype not in self._normalised:
            root = self.degree.double().rsqrt().masked_fill(self.degree == 0, 0)
            self._normalised[dtype] = (root[self.rows] * root[self.columns]).to(dtype)
        return self._normalised[dtype]

    def sum(self, x: Tensor) -> Tensor:
        """The sum over each node's neighbours: (nodes, width) → (nodes, width)."""
        return self.times(self._ones.to(x.dtype), x)

    def mean(self, x: Tensor) -> Tensor:
        """The mean over each node's neighbours, or 0 without any, of the shape of ``x``."""
        return self.sum(x) / self.degree.clamp_min(1).to(x.dtype)[:, None]


class Features:
    """Features of nodes of which most are zero: only products with them are ever taken.

    Args:
        x: (nodes, features), a dense tensor or a coalesced sparse one.
    """

    def __init__(self, x: Tensor) -> None:
        x = (x if x.is_sparse else x.to_sparse()).coalesce()
        self.places = Sparse(x.indices(), *x.shape)
        self.values = x.values()

    def __len__(self) -> int:
        return self.places.shape[0]

    def _with(self, places: Sparse, values: Tensor) -> Features:
        other = object.__new__(Features)
        other.places = places
        other.values = values
        return other

    def to(self, device: Any) -> Features:
        """The same features on a device."""
        return self._with(self.places.to(device), self.values.to(device))

    def dropout(self, p: float, training: bool) -> Features:
        """In training, each value that is not zero is set to zero with probability p."""
        return self._with(self.places, dropout(self.values, p, training))


Nodes = Tensor | Features


def node_dropout(x: Nodes, p: float, training: bool) -> Nodes:
    """Dropout of dense or sparse features, (nodes, width) → the same shape."""
    return x.dropout(p, training) if isinstance(x, Features) else dropout(x, p, training)


class Projection(nn.Module):
    """The product x W of dense or sparse x: (nodes, inputs) → (nodes, outputs).

    Source: Glorot & Bengio (2010), for the initial W.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Nodes) -> Tensor:
        """(nodes, inputs) → (nodes, outputs)."""
        return x.places.times(x.values, self.weight) if isinstance(x, Features) else x @ self.weight


class Chebyshev(nn.Module):
    r"""A polynomial of the Laplacian: $\sum_{k<K} T_k(\tilde L)\, X W_k + b$, $\tilde L = 2 L /
    \lambda_\max - I$.

    $L = I - D^{-1/2} A D^{-1/2}$, without self-loops. The sum is taken from its end by Clenshaw's
    recurrence, $B_k = X W_k + 2 \tilde L B_{k+1} - B_{k+2}$, after the projections $X W_k$.

    Input (nodes, inputs), output (nodes, outputs).

    Source: Defferrard, Bresson & Vandergheynst (2016), section 2.1; Clenshaw (1955).
    """

    def __init__(self, inputs: int, outputs: int, order: int = 3, highest: float = 2.0) -> None:
        super().__init__()
        self.projections = nn.ModuleList(Projection(inputs, outputs) for _ in range(order))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.highest = highest

    def forward(self, x: Nodes, graph: Graph) -> Tensor:
        """(nodes, inputs) → (nodes, outputs)."""
        graph = graph.loops(False)
        first, *others = (projection(x) for projection in self.projections)
        a = graph.normalised(first.dtype)
        scale = 2 / self.highest

        def laplacian(z: Tensor) -> Tensor:
            return (scale - 1) * z - scale * graph.times(a, z)

        b = torch.zeros_like(first)  # B_{k+1}
        after = torch.zeros_like(first)  # B_{k+2}
        for z in reversed(others):
            b, after = z + 2 * laplacian(b) - after, b
        out: Tensor = first + laplacian(b) - after + self.bias
        return out


class Convolution(nn.Module):
    r"""Graph convolution: $\hat A X W + b$, $\hat A = \tilde D^{-1/2} (A + I) \tilde D^{-1/2}$.

    Input (nodes, inputs), output (nodes, outputs).

    Source: Kipf & Welling (2017), equation 8.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.projection = Projection(inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Nodes, graph: Graph) -> Tensor:
        """(nodes, inputs) → (nodes, outputs)."""
        graph = graph.loops(True)
        z = self.projection(x)
        return graph.times(graph.normalised(z.dtype), z) + self.bias


class Sage(nn.Module):
    r"""Different maps of a node and of its neighbours' mean: $X W_0 + D^{-1} A X W_1 + b$.

    Input (nodes, inputs), output (nodes, outputs).

    Source: Hamilton, Ying & Leskovec (2017), algorithm 1, with the mean and without the
    normalisation of each row's length.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.own = Projection(inputs, outputs)
        self.neighbours = Projection(inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Nodes, graph: Graph) -> Tensor:
        """(nodes, inputs) → (nodes, outputs)."""
        out: Tensor = self.own(x) + graph.mean(self.neighbours(x)) + self.bias
        return out


class Attention(nn.Module):
    r"""Attention over a node's neighbours and the node itself, in several heads.

    $\alpha_{ts} = \mathrm{softmax}_s\, \mathrm{LeakyReLU}(a^\top W x_t + b^\top W x_s)$, with a
    slope of 0.2.

    Input (nodes, inputs), output (nodes, heads · outputs), or with ``averaged`` the heads' mean,
    (nodes, outputs).

    Source: Veličković et al. (2018), equations 1 to 6.
    """

    def __init__(self, inputs: int, outputs: int, heads: int = 1, averaged: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.averaged = averaged
        self.projection = Projection(inputs, heads * outputs)
        bound = math.sqrt(6 / (1 + outputs))
        self.target = nn.Parameter(torch.empty(heads, outputs).uniform_(-bound, bound))
        self.source = nn.Parameter(torch.empty(heads, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(outputs if averaged else heads * outputs))

    def weights(self, z: Tensor, graph: Graph) -> list[Tensor]:
        """The attention weights of all edges, (edges,) for each head.

        Args:
            z: projected features, (nodes, heads · outputs).
            graph: with self-loops.
        """
        z = z.view(len(z), self.heads, -1)
        to = (z * self.target).sum(2)  # (nodes, heads)
        of = (z * self.source).sum(2)
        one = torch.ones_like(to[:, 0])
        found = []
        for head in range(self.heads):  # a sum of two is an inner product: (to, 1) · (1, of)
            p = torch.stack([to[:, head], one], 1)
            q = torch.stack([one, of[:, head]], 1)
            found.append(graph.softmax(leaky_relu(graph.inner(p, q), 0.2)))
        return found

    def forward(self, x: Nodes, graph: Graph) -> Tensor:
        """(nodes, inputs) → (nodes, outputs of all heads)."""
        graph = graph.loops(True)
        z = self.projection(x)
        heads = zip(self.weights(z, graph), z.chunk(self.heads, 1), strict=True)
        means = [graph.times(w, head.contiguous()) for w, head in heads]
        return (torch.stack(means).mean(0) if self.averaged else torch.cat(means, 1)) + self.bias


class Isomorphism(nn.Module):
    r"""A perceptron of a node and its neighbours' sum.

    The output is $\mathrm{MLP}((1 + \epsilon)\, x_t + \sum_s x_s)$.
    Neither a mean nor a maximum can count. A sum can, though it does not distinguish all multisets
    of rows: {1, 3} and {2, 2} have one sum. It does so once the rows went through a map that is
    injective on sums, such as powers of a large number (lemma 5), and the perceptron of the layer
    before can learn one. Then these layers distinguish all graphs that the test of Weisfeiler &
    Leman does. The first linear map of the perceptron is applied before the sum, with which it
    commutes.

    Input (nodes, inputs), output (nodes, outputs).

    Source: Xu, Hu, Leskovec & Jegelka (2019), equation 4.1.
    """

    def __init__(self, inputs: int, outputs: int, width: int | None = None) -> None:
        super().__init__()
        width = width or outputs
        self.projection = Projection(inputs, width)
        self.epsilon = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(width))
        self.output = nn.Linear(width, outputs)

    def forward(self, x: Nodes, graph: Graph) -> Tensor:
        """(nodes, inputs) → (nodes, outputs)."""
        z = self.projection(x)
        out: Tensor = self.output(((1 + self.epsilon) * z + graph.sum(z) + self.bias).relu())
        return out
