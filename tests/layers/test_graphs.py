"""Layers on graphs against torch-geometric's, and against the theorems about them."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from etude.errors import UserError
from etude.layers.graphs import (
    Attention,
    Chebyshev,
    Convolution,
    Features,
    Graph,
    Isomorphism,
    Kind,
    Sage,
    node_dropout,
)
from etude.layers.sparse import Sparse
from etude.networks.gnn import GNN
from etude.studies.graphs.gcn._baseline import mean_distance, smoothed_distances

NODES, INPUTS, OUTPUTS = 12, 5, 4
KINDS = get_args(Kind)


def drawn(nodes: int = NODES, seed: int = 0, directed: bool = False) -> Tensor:
    """Edges of a random graph; node 3 has none and node 4 one to itself."""
    generator = torch.Generator().manual_seed(seed)
    entries = torch.rand(nodes, nodes, generator=generator) < 0.25
    entries = entries if directed else entries | entries.T
    entries[3], entries[:, 3] = False, False
    entries.fill_diagonal_(False)
    entries[4, 4] = True
    return entries.nonzero().T.flip(0)


def dense(graph: Sparse, values: Tensor) -> Tensor:
    matrix = torch.zeros(graph.shape, dtype=values.dtype)
    return matrix.index_put((graph.rows, graph.columns), values)


def features(nodes: int = NODES, width: int = INPUTS) -> Tensor:
    return torch.randn(nodes, width, generator=torch.Generator().manual_seed(1), dtype=torch.double)


# -- the two products ------------------------------------------------------------------------------


def test_products_and_their_gradients_are_those_of_dense_matrices() -> None:
    torch.manual_seed(0)
    places = (torch.rand(7, 9) < 0.3).nonzero().T
    sparse = Sparse(places[:, torch.randperm(places.shape[1])], 7, 9)
    values = torch.randn(len(sparse), dtype=torch.double, requires_grad=True)
    x, p = (torch.randn(n, 3, dtype=torch.double, requires_grad=True) for n in (9, 7))
    torch.testing.assert_close(sparse.times(values, x), dense(sparse, values) @ x)
    torch.testing.assert_close(sparse.inner(p, x), (p @ x.T)[sparse.rows, sparse.columns])
    assert torch.autograd.gradcheck(sparse.times, (values, x))
    assert torch.autograd.gradcheck(sparse.inner, (p, x))


def test_softmax_is_that_of_each_row_even_for_large_scores() -> None:
    graph = Graph(drawn(), NODES).loops(True)
    scores = 300 * torch.randn(len(graph), dtype=torch.double, requires_grad=True)
    ours = graph.softmax(scores)
    rows = torch.full(graph.shape, -torch.inf, dtype=torch.double).index_put(
        (graph.rows, graph.columns), scores
    )
    torch.testing.assert_close(dense(graph, ours), rows.softmax(1))
    assert torch.autograd.gradcheck(graph.softmax, (scores.detach() / 300).requires_grad_())


def test_edges_are_a_set_and_nodes_are_there() -> None:
    graph = Graph(torch.tensor([[0, 1, 1, 0], [1, 0, 0, 1]]), 3)
    assert len(graph) == 2
    assert graph.degree.tolist() == [1, 1, 0]
    assert len(graph.loops(True)) == 5
    assert len(Graph(drawn(), NODES).loops(False)) == drawn().shape[1] - 1
    for wrong in (torch.tensor([[0], [3]]), torch.tensor([[-1], [0]])):
        with pytest.raises(UserError, match="expected nodes from 0 to 2"):
            Graph(wrong, 3)
    with pytest.raises(UserError, match=r"expected whole numbers \(2, edges\)"):
        Graph(torch.zeros(3, 4), 3)


def test_sparse_features_are_dense_ones_in_all_but_time() -> None:
    torch.manual_seed(0)
    x = features().relu()
    sparse, graph = Features(x), Graph(drawn(), NODES)
    for kind in KINDS:
        net = GNN(kind, INPUTS, [6], OUTPUTS).double().eval()
        torch.testing.assert_close(net(sparse, graph), net(x, graph))
    thinned = node_dropout(Features(torch.ones(400, 50)), 0.3, True)
    assert thinned.values.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert (thinned.values == 0).double().mean().item() == pytest.approx(0.3, abs=0.02)


# -- parity ----------------------------------------------------------------------------------------


def same(ours: nn.Module, theirs: nn.Module, edges: Tensor, tolerance: float = 1e-10) -> None:
    """Outputs and the gradients by the input, in double; and in single precision to 1e-6."""
    x, other = (features().requires_grad_() for _ in range(2))
    graph = Graph(edges, NODES)
    out, expected = ours.double()(x, graph), theirs.double()(other, edges)
    torch.testing.assert_close(out, expected, rtol=0, atol=tolerance)
    towards = torch.randn_like(out)
    (found,), (wanted,) = (
        torch.autograd.grad(out, x, towards),
        torch.autograd.grad(expected, other, towards),
    )
    torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance)
    x = features().float()
    out, expected = ours.float()(x, graph), theirs.float()(x, edges)
    torch.testing.assert_close(
        out, expected, rtol=0, atol=1e-6 * max(1.0, float(expected.detach().abs().max()))
    )


@torch.no_grad()
def give(pairs: dict[Tensor, Tensor]) -> None:
    """Our parameters to theirs."""
    for theirs, mine in pairs.items():
        theirs.copy_(mine)


@pytest.fixture
def pyg():
    torch.manual_seed(0)
    return pytest.importorskip("torch_geometric.nn")


@pytest.mark.parametrize("directed", [False, True])
def test_graph_convolution_is_pygs(pyg, directed) -> None:
    ours, theirs = Convolution(INPUTS, OUTPUTS), pyg.GCNConv(INPUTS, OUTPUTS)
    nn.init.normal_(ours.bias)
    give({theirs.lin.weight: ours.projection.weight.T, theirs.bias: ours.bias})
    same(ours, theirs, drawn(directed=directed))


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_chebyshev_is_pygs(pyg, order) -> None:
    ours, theirs = Chebyshev(INPUTS, OUTPUTS, order), pyg.ChebConv(INPUTS, OUTPUTS, order)
    nn.init.normal_(ours.bias)
    pairs = zip(theirs.lins, ours.projections, strict=True)
    give({theirs.bias: ours.bias} | {lin.weight: projection.weight.T for lin, projection in pairs})
    same(ours, theirs, drawn())


@pytest.mark.parametrize("directed", [False, True])
def test_sage_is_pygs(pyg, directed) -> None:
    ours, theirs = Sage(INPUTS, OUTPUTS), pyg.SAGEConv(INPUTS, OUTPUTS)
    nn.init.normal_(ours.bias)
    give({theirs.lin_l.weight: ours.neighbours.weight.T, theirs.lin_l.bias: ours.bias})
    give({theirs.lin_r.weight: ours.own.weight.T})
    same(ours, theirs, drawn(directed=directed))


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("averaged", [False, True])
def test_attention_is_pygs(pyg, averaged, directed) -> None:
    ours = Attention(INPUTS, OUTPUTS, 3, averaged)
    theirs = pyg.GATConv(INPUTS, OUTPUTS, 3, concat=not averaged)
    nn.init.normal_(ours.bias)
    give({theirs.lin.weight: ours.projection.weight.T, theirs.bias: ours.bias})
    give({theirs.att_dst: ours.target[None], theirs.att_src: ours.source[None]})
    same(ours, theirs, drawn(directed=directed))


@pytest.mark.parametrize("directed", [False, True])
def test_isomorphism_is_pygs(pyg, directed) -> None:
    ours = Isomorphism(INPUTS, OUTPUTS, 7)
    inner = nn.Sequential(nn.Linear(INPUTS, 7), nn.ReLU(), nn.Linear(7, OUTPUTS))
    theirs = pyg.GINConv(inner, eps=0.3)
    nn.init.constant_(ours.epsilon, 0.3)
    nn.init.normal_(ours.bias)
    give({inner[0].weight: ours.projection.weight.T, inner[0].bias: ours.bias})
    give({inner[2].weight: ours.output.weight, inner[2].bias: ours.output.bias})
    same(ours, theirs, drawn(directed=directed))


# -- theorems --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_nodes_in_another_order_get_the_same_in_that_order(kind) -> None:
    torch.manual_seed(0)
    net, x, edges = GNN(kind, INPUTS, [6], OUTPUTS).double().eval(), features(), drawn()
    order = torch.randperm(NODES)
    number = order.argsort()  # the old node's new number
    torch.testing.assert_close(
        net(x[order], number[edges]), net(x, edges)[order], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    ("kind", "reach"), [("gcn", 1), ("sage", 1), ("gat", 1), ("gin", 1), ("cheb", 2)]
)
def test_a_layer_reaches_so_many_edges_and_no_further(kind, reach) -> None:
    torch.manual_seed(0)
    line = torch.stack([torch.arange(8), torch.arange(8) + 1])
    net = GNN(kind, INPUTS, [], OUTPUTS).double().eval()
    x = features(9).requires_grad_()
    (g,) = torch.autograd.grad(net(x, torch.cat([line, line.flip(0)], 1))[4].sum(), x)
    touched = g.abs().sum(1).nonzero().squeeze(1)
    assert (touched - 4).abs().max() == reach


def test_chebyshev_of_full_order_is_any_filter_of_the_spectrum() -> None:
    """g(λ) = exp(-3λ) has an interpolating polynomial: at n Chebyshev points it is exact on any n
    eigenvalues' span.
    """
    torch.manual_seed(0)
    graph = Graph(drawn(), NODES).loops(False)
    laplacian = torch.eye(NODES, dtype=torch.double) - dense(graph, graph.normalised(torch.double))
    values, waves = torch.linalg.eigh(laplacian)
    assert values.min() > -1e-6
    assert values.max() < 2
    wanted = torch.exp(-3 * values)
    angles = (values - 1).clamp(-1, 1).acos()
    basis = torch.cos(torch.arange(NODES) * angles[:, None])  # T_k at each eigenvalue: (n, K)
    weights = torch.linalg.lstsq(basis, wanted[:, None], driver="gelsd").solution[:, 0]
    layer = Chebyshev(1, 1, NODES).double()
    with torch.no_grad():
        for projection, weight in zip(layer.projections, weights, strict=True):
            projection.weight.fill_(weight)
    x = features(width=1)
    spectral = waves @ (wanted[:, None] * (waves.T @ x))
    torch.testing.assert_close(layer(x, graph), spectral, rtol=0, atol=1e-8)


def test_graph_convolution_is_the_first_order_renormalised() -> None:
    """With λ_max = 2 and w0 = -w1 the Chebyshev layer is I + D^-½ A D^-½; with loops and normalised
    again it is Â.
    """
    torch.manual_seed(0)
    graph, x = Graph(drawn(), NODES).loops(False), features()
    first = Chebyshev(INPUTS, OUTPUTS, 2).double()
    convolution = Convolution(INPUTS, OUTPUTS).double()
    w = convolution.projection.weight
    with torch.no_grad():
        first.projections[0].weight.copy_(w)
        first.projections[1].weight.copy_(-w)
    a = torch.zeros(NODES, NODES, dtype=torch.double).index_put(
        (graph.rows, graph.columns), torch.ones(()).double()
    )

    def normalised(m: Tensor) -> Tensor:
        root = m.sum(1).rsqrt().nan_to_num(posinf=0)
        return root[:, None] * m * root

    one = torch.eye(NODES, dtype=torch.double)
    torch.testing.assert_close(first(x, graph), (one + normalised(a)) @ x @ w, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        convolution(x, graph), normalised(a + one) @ x @ w, rtol=0, atol=1e-12
    )
    assert torch.linalg.eigvalsh(one + normalised(a)).max() > 1.99
    assert torch.linalg.eigvalsh(normalised(a + one)).abs().max() < 1 + 1e-6


def test_the_looks_of_a_node_sum_to_one() -> None:
    torch.manual_seed(0)
    net, graph = GNN("gat", INPUTS, [6], OUTPUTS).double(), Graph(drawn(), NODES)
    looped, first = graph.loops(True), net.layers[0]
    for weights in [
        *first.weights(first.projection(features()), looped),
        net.attention_weights(features(), graph),
    ]:
        assert (weights > 0).all()
        total = torch.zeros(NODES, dtype=torch.double).index_add(0, looped.rows, weights)
        torch.testing.assert_close(total, torch.ones(NODES, dtype=torch.double))


def test_a_sum_counts_and_a_mean_does_not() -> None:
    """Two equal neighbours against one: only isomorphism's layer sees the difference."""
    torch.manual_seed(0)
    edges, x = torch.tensor([[2, 3, 4], [0, 0, 1]]), torch.ones(5, INPUTS)
    for layer, sees in ((Sage(INPUTS, OUTPUTS), False), (Isomorphism(INPUTS, OUTPUTS), True)):
        out = layer(x, Graph(edges, 5))
        assert torch.allclose(out[0], out[1]) is not sees


def test_averages_alone_make_all_nodes_alike_as_the_second_eigenvalue_says() -> None:
    torch.manual_seed(0)
    ring = torch.stack([torch.arange(9), (torch.arange(9) + 1) % 9])
    graph = Graph(torch.cat([ring, ring.flip(0)], 1), 9)
    near, far = smoothed_distances(graph, [20, 40])
    second = (1 + 2 * torch.cos(torch.tensor(2 * torch.pi / 9))) / 3
    assert far / near == pytest.approx(second.item() ** 40, rel=0.05)
    assert mean_distance(torch.tensor([[1.0, 0.0], [0.0, 2.0]])).item() == pytest.approx(0.5)


# -- learning --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_random_labels_can_be_learned_by_heart_and_every_parameter_learns(kind) -> None:
    torch.manual_seed(0)
    edges = drawn()
    x, labels = torch.eye(NODES), torch.randint(OUTPUTS, (NODES,))
    net = GNN(kind, NODES, [16], OUTPUTS, dropout=0.0)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for step in range(600):
        scores = net(x, edges)
        if (scores.argmax(1) == labels).all():
            return
        loss = torch.nn.functional.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
        optimizer.step()
    pytest.fail("not learned in 600 steps")
