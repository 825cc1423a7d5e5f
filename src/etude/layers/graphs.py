r"""Layers on graphs: what a node computes from its neighbours.

A graph has $n$ nodes, and edges $s \to t$ along which messages go. Its adjacency matrix $A$ has an
entry in row $t$ and column $s$, so that $A x$ sums over neighbours. It is sparse: an entry for each
edge. All layers are made of two products, in which $P$ is a matrix with the value $v_e$ at edge
$e$:

$$(P x)_t = \sum_{e:\, s \to t} v_e \, x_s, \qquad
\mathrm{inner}(p, q)_e = p_t \cdot q_s \text{ for } e:\, s \to t.$$

They are each other's gradients. For $y = P x$, and $\bar y$ the loss's gradient by $y$, the one by
$v$ is $\mathrm{inner}(\bar y, x)$, and the one by $x$ is $P^\top \bar y$. Both run in the kernels
of ``torch.sparse`` on compressed rows (CSR). At 10⁶ edges and 16 numbers a node, on one CPU thread,
the product took 9 ms; ``index_add_``, ``scatter_add_`` and ``segment_reduce`` took 140 ms and more,
and need memory for a row each edge. `benchmarks/beside/works/graphs.py` measures layers.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu

from etude.errors import UserError

Kind = Literal["gcn", "cheb", "sage", "gat", "gin"]


class Sparse:
    """Where the entries of a sparse matrix stand, sorted by row and then by column, each place
    once.

    Args:
        places: rows and columns, int64 (2, entries), in any order; twice the same place is one
            entry.
        rows: of the matrix.
        columns: of the matrix.

    Raises:
        UserError: a place lies outside.
    """

    def __init__(self, places: Tensor, rows: int, columns: int) -> None:
        if places.ndim != 2 or len(places) != 2 or places.is_floating_point():
            raise UserError(
                f"edges are {places.dtype} {tuple(places.shape)}; expected whole numbers (2, edges)"
            )
        limits = places.new_tensor([[rows], [columns]])
        if (outside := (places < 0) | (places >= limits)).any():
            wrong = int(places[outside][0])
            raise UserError(
                f"an edge names node {wrong}; expected nodes from 0 to {max(rows, columns) - 1}"
            )
        self.shape = rows, columns
        self.rows, self.columns = torch.stack(
            quotients(torch.unique(places[0] * columns + places[1]), columns)
        )
        self.order = self.columns.argsort(stable=True)  # of the transpose's entries among these
        self._csr = starts(self.rows, rows), self.columns.int()
        self._transposed = starts(self.columns[self.order], columns), self.rows[self.order].int()

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: Any) -> Sparse:
        """The same on a device."""
        places = torch.stack([self.rows, self.columns])
        return (
            self
            if places.device == torch.device(device)
            else type(self)._made(places.to(device), self.shape)
        )

    @classmethod
    def _made(cls, places: Tensor, shape: tuple[int, int]) -> Sparse:
        return cls(places, *shape)

    def times(self, values: Tensor, x: Tensor) -> Tensor:
        """The sum over each row's entries of values times rows of x: (entries,), (columns, width) →
        (rows, width).
        """
        out: Tensor = _Times.apply(self, values, x.to(values.dtype))  # type: ignore[no-untyped-call]
        return out

    def inner(self, p: Tensor, q: Tensor) -> Tensor:
        """For each entry, p at its row times q at its column: (rows, d), (columns, d) →
        (entries,).
        """
        out: Tensor = _Inner.apply(self, p, q)  # type: ignore[no-untyped-call]
        return out

    def softmax(self, scores: Tensor) -> Tensor:
        """Softmax over the entries of each row: (entries,) → (entries,)."""
        bounds = self._csr[0].long()
        highest = torch.segment_reduce(scores.detach(), "max", offsets=bounds, axis=0)  # (rows,)
        e = (scores - highest[self.rows]).exp()
        total = self.times(e, e.new_ones(self.shape[1], 1))  # (rows, 1)
        return e / self.inner(total, e.new_ones(self.shape[1], 1))

    def _product(self, values: Tensor, x: Tensor) -> Tensor:
        return csr(*self._csr, values, self.shape) @ x

    def _product_of_transpose(self, values: Tensor, x: Tensor) -> Tensor:
        return csr(*self._transposed, values[self.order], self.shape[::-1]) @ x

    def _inner(self, p: Tensor, q: Tensor) -> Tensor:
        empty = csr(*self._csr, p.new_zeros(len(self)), self.shape)
        found: Tensor = torch.sparse.sampled_addmm(empty, p, q.T, beta=0.0).values()
        return found


def csr(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A CSR tensor of places that are known to be right."""
    return torch.sparse_csr_tensor(
        starts, columns, values.contiguous(), shape, check_invariants=False
    )


def starts(sorted_rows: Tensor, rows: int) -> Tensor:
    """Where each row begins among sorted entries, and the end: int32 (rows + 1,)."""
    return torch.searchsorted(sorted_rows, torch.arange(rows + 1, device=sorted_rows.device)).int()


def quotients(keys: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    """Row and column of row · columns + column."""
    return keys.div(columns, rounding_mode="floor"), keys % columns


with warnings.catch_warnings():  # "CSR support is in beta state" is said once, and here to nobody
    warnings.simplefilter("ignore")
    csr(torch.zeros(2, dtype=torch.int), torch.zeros(0, dtype=torch.int), torch.zeros(0), (1, 1))


class _Times(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, places: Sparse, values: Tensor, x: Tensor) -> Tensor:
        ctx.places = places
        ctx.save_for_backward(values, x)
        return places._product(values, x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        (g,), (values, x) = gradients, ctx.saved_tensors
        by_values = ctx.places._inner(g.contiguous(), x) if ctx.needs_input_grad[1] else None
        by_x = (
            ctx.places._product_of_transpose(values, g.contiguous())
            if ctx.needs_input_grad[2]
            else None
        )
        return None, by_values, by_x


class _Inner(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, places: Sparse, p: Tensor, q: Tensor) -> Tensor:
        ctx.places = places
        ctx.save_for_backward(p, q)
        return places._inner(p, q)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        (g,), (p, q) = gradients, ctx.saved_tensors
        by_p = ctx.places._product(g, q) if ctx.needs_input_grad[1] else None
        by_q = ctx.places._product_of_transpose(g, p) if ctx.needs_input_grad[2] else None
        return None, by_p, by_q


class Graph(Sparse):
    """A graph's edges, sorted by target.

    Args:
        edges: source and target of each, int64 (2, edges); an edge that goes both ways is two.
        nodes: how many.
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
        """How many edges come in: (nodes,)."""
        return self._csr[0].diff().float()

    def loops(self, wanted: bool) -> Graph:
        """The graph with an edge of every node to itself, or without any."""
        if wanted not in self._looped:
            edges = self.edges[:, self.rows != self.columns]
            own = torch.arange(self.shape[0], device=edges.device).expand(2, -1)
            self._looped[wanted] = Graph(
                torch.cat([edges, own], 1) if wanted else edges, self.shape[0]
            )
        return self._looped[wanted]

    def normalised(self, dtype: torch.dtype = torch.float) -> Tensor:
        r"""$1 / \sqrt{d_t d_s}$ for each edge, with the degrees d of the graph as it is:
        (edges,).
        """
        if dtype not in self._normalised:
            root = self.degree.double().rsqrt().masked_fill(self.degree == 0, 0)
            self._normalised[dtype] = (root[self.rows] * root[self.columns]).to(dtype)
        return self._normalised[dtype]

    def sum(self, x: Tensor) -> Tensor:
        """Over each node's neighbours: (nodes, width) → (nodes, width)."""
        return self.times(self._ones.to(x.dtype), x)

    def mean(self, x: Tensor) -> Tensor:
        """Over each node's neighbours, zero where there are none: (nodes, width) → (nodes,
        width).
        """
        return self.sum(x) / self.degree.clamp_min(1).to(x.dtype)[:, None]


class Features:
    """Features of nodes of which most are zero: only products with them are ever taken.

    Args:
        x: (nodes, features), a dense tensor or a coalesced sparse one.
    """

    def __init__(self, x: Tensor) -> None:
        x = (x if x.is_sparse else x.to_sparse()).coalesce()
        self.places, self.values = Sparse(x.indices(), *x.shape), x.values()

    def __len__(self) -> int:
        return self.places.shape[0]

    def to(self, device: Any) -> Features:
        """The same on a device."""
        moved = object.__new__(Features)
        moved.places, moved.values = self.places.to(device), self.values.to(device)
        return moved

    def dropped(self, p: float, training: bool) -> Features:
        """With a part p of the values that are not zero set to zero, in training."""
        thinned = object.__new__(Features)
        thinned.places, thinned.values = self.places, dropout(self.values, p, training)
        return thinned


Nodes = Tensor | Features


def dropped(x: Nodes, p: float, training: bool) -> Nodes:
    """Dropout, (nodes, width) → (nodes, width), of sparse features too."""
    return x.dropped(p, training) if isinstance(x, Features) else dropout(x, p, training)


class Projection(nn.Module):
    """x W of dense or sparse x, (nodes, inputs) → (nodes, outputs); W begins as Glorot & Bengio
    (2010) propose.
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

    $L = I - D^{-1/2} A D^{-1/2}$, without edges to oneself. The sum is taken from its end by
    Clenshaw's recurrence, $B_k = X W_k + 2 \tilde L B_{k+1} - B_{k+2}$, on rows that are projected
    already.

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

        b, after = torch.zeros_like(first), torch.zeros_like(first)  # B_{k+1} and B_{k+2}
        for z in reversed(others):
            b, after = z + 2 * laplacian(b) - after, b
        out: Tensor = first + laplacian(b) - after + self.bias
        return out


class Convolution(nn.Module):
    r"""$\hat A X W + b$ with $\hat A = \tilde D^{-1/2} (A + I) \tilde D^{-1/2}$: the renormalised
    first order.

    Input (nodes, inputs), output (nodes, outputs).

    Source: Kipf & Welling (2017), equation 8.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.projection = Projection(inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Nodes, graph: Graph) -> Tensor:
        """(nodes, inputs) → (nodes, outputs)."""
        graph, z = graph.loops(True), self.projection(x)
        return graph.times(graph.normalised(z.dtype), z) + self.bias


class Sage(nn.Module):
    r"""Oneself and the mean of one's neighbours, by different maps: $X W_0 + D^{-1} A X W_1 + b$.

    Input (nodes, inputs), output (nodes, outputs).

    Source: Hamilton, Ying & Leskovec (2017), algorithm 1 with the mean and without its
    normalisation of lengths.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.own, self.neighbours = Projection(inputs, outputs), Projection(inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Nodes, graph: Graph) -> Tensor:
        """(nodes, inputs) → (nodes, outputs)."""
        out: Tensor = self.own(x) + graph.mean(self.neighbours(x)) + self.bias
        return out


class Attention(nn.Module):
    r"""A mean over neighbours and oneself whose weights are learned, in several heads.

    $\alpha_{ts} = \mathrm{softmax}_s\, \mathrm{LeakyReLU}(a^\top W x_t + b^\top W x_s)$, with a
    slope of 0.2.

    Input (nodes, inputs), output (nodes, heads · outputs), or with ``averaged`` the heads' mean,
    (nodes, outputs).

    Source: Veličković et al. (2018), equations 1 to 6.
    """

    def __init__(
        self, inputs: int, outputs: int, heads: int = 1, averaged: bool = False, drop: float = 0.0
    ) -> None:
        super().__init__()
        self.heads, self.averaged, self.drop = heads, averaged, drop
        self.projection = Projection(inputs, heads * outputs)
        bound = math.sqrt(6 / (1 + outputs))
        self.target, self.source = (
            nn.Parameter(torch.empty(heads, outputs).uniform_(-bound, bound)) for _ in range(2)
        )
        self.bias = nn.Parameter(torch.zeros(outputs if averaged else heads * outputs))

    def weights(self, z: Tensor, graph: Graph) -> list[Tensor]:
        """Of each head, how much every edge counts: (nodes, heads · outputs) → (edges,), those of
        ``loops(True)``.
        """
        z, found = z.view(len(z), self.heads, -1), []
        to, of = (z * self.target).sum(2), (z * self.source).sum(2)  # (nodes, heads)
        one = torch.ones_like(to[:, 0])
        for head in range(self.heads):  # a sum of two is an inner product: (to, 1) · (1, of)
            scores = graph.inner(
                torch.stack([to[:, head], one], 1), torch.stack([one, of[:, head]], 1)
            )
            found.append(graph.softmax(leaky_relu(scores, 0.2)))
        return found

    def forward(self, x: Nodes, graph: Graph) -> Tensor:
        """(nodes, inputs) → (nodes, outputs of all heads)."""
        graph, z = graph.loops(True), self.projection(x)
        weights = (dropout(w, self.drop, self.training) for w in self.weights(z, graph))
        heads = z.chunk(self.heads, 1)
        seen = [graph.times(w, head.contiguous()) for w, head in zip(weights, heads, strict=True)]
        return (torch.stack(seen).mean(0) if self.averaged else torch.cat(seen, 1)) + self.bias


class Isomorphism(nn.Module):
    r"""A perceptron of oneself and the sum of one's neighbours: $\mathrm{MLP}((1 + \epsilon)\, x_t
    + \sum_s x_s)$.

    Neither a mean nor a maximum can count; a sum tells apart all multisets of rows, so this layer
    tells apart whatever graphs the test of Weisfeiler & Leman does. The perceptron's first map is
    taken before the sum: it commutes.

    Input (nodes, inputs), output (nodes, outputs).

    Source: Xu, Hu, Leskovec & Jegelka (2019), equation 4.1.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int | None = None) -> None:
        super().__init__()
        self.projection = Projection(inputs, hidden or outputs)
        self.epsilon = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(hidden or outputs))
        self.output = nn.Linear(hidden or outputs, outputs)

    def forward(self, x: Nodes, graph: Graph) -> Tensor:
        """(nodes, inputs) → (nodes, outputs)."""
        z = self.projection(x)
        out: Tensor = self.output(((1 + self.epsilon) * z + graph.sum(z) + self.bias).relu())
        return out
