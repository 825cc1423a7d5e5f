"""The graph study: what its data are, and what it predicts from them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import etude
from etude import data
from etude.data import LabelledGraph
from etude.data.unpickling import CSR, read_value
from etude.errors import UserError
from etude.studies.graphs.gcn._baseline import averaged_labels, propagated
from etude.studies.graphs.gcn._controls import without_edges
from etude.studies.graphs.gcn._figures_layout import coordinates
from etude.studies.graphs.gcn.gcn import GraphConvolution

PLANETOID = Path(os.environ.get("ETUDE_DATA", "")) / "planetoid"
has_planetoid = pytest.mark.skipif(
    not PLANETOID.is_dir(), reason="$ETUDE_DATA/planetoid is not there"
)


def test_the_club_is_zacharys() -> None:
    club = data.karate_club()
    assert len(club) == 34
    assert club.edges.shape == (2, 156)
    assert torch.bincount(club.labels).tolist() == [17, 17]
    assert club.train.tolist() == [0, 33]
    assert sorted(torch.cat([club.train, club.test]).tolist()) == list(range(34))
    assert club.labels[club.train].tolist() == [0, 1], "one labelled member a class"


def test_label_propagation_finds_the_sides_of_all_but_one() -> None:
    club = data.karate_club()
    wrong = propagated(club).argmax(1) != club.labels
    assert wrong.nonzero().flatten().tolist() == [8], "as the network does: nothing is learned"


def test_labels_flow_as_the_harmonic_function_says() -> None:
    club = data.karate_club()
    a = torch.zeros(34, 34, dtype=torch.double)
    a[club.edges[1], club.edges[0]] = 1
    p = a / a.sum(1, keepdim=True)
    known, others = club.train, club.test
    given = torch.eye(2, dtype=torch.double)
    away = torch.eye(32, dtype=torch.double) - p[others][:, others]
    harmonic = torch.linalg.solve(away, p[others][:, known] @ given)
    torch.testing.assert_close(propagated(club)[others], harmonic)


def believed(graph: LabelledGraph, within: float, between: float, rounds: int = 50) -> Tensor:
    r"""Belief propagation: the log-odds that each node is of the second class, from edges alone.

    Each node s tells a neighbour t what the known labels and its other neighbours say of it:
    $2 \operatorname{artanh}(\theta \tanh(c / 2))$, where $c$ is the log-odds of s without what t
    said, and $\theta = (p - q) / (p + q)$. All nodes together push back a
    little, since most of them are joined by no edge. It has no weights, but it knows $p$ and $q$,
    with which edges of a block model of two classes are drawn. Shape: (nodes,).

    Source: Decelle, Krzakala, Moore & Zdeborová (2011), Asymptotic analysis of the stochastic
    block model for modular networks and its algorithmic applications.

    Args:
        graph: of two equally likely classes; its second half of edges is the first one turned.
        within: p, the probability of an edge between two nodes of one class.
        between: q, that of an edge between two nodes of different classes.
        rounds: of messages along all edges.
    """
    source, target = graph.edges
    known = torch.zeros(len(graph), dtype=torch.double)
    known[graph.train] = 100.0 * graph.labels[graph.train].double() - 50  # as good as certain
    cavity = known[source]
    belief = known
    for _ in range(rounds):
        told = 2 * ((within - between) / (within + between) * (cavity / 2).tanh()).atanh()
        push = (within - between) * (belief / 2).tanh().sum()
        belief = (known - push).index_add(0, target, told)
        cavity = belief[source] - told.roll(len(told) // 2)  # without what the target said
    return belief


def test_the_claim_is_beyond_what_edges_alone_can_give() -> None:
    """Whatever uses them: belief propagation even knows how probable each edge was."""
    reached = []
    between = 2 * 8 / (3.5 * 400)
    for seed in range(10):
        graph = data.block_model(torch.Generator().manual_seed(seed))
        right = (believed(graph, 2.5 * between, between) > 0) == graph.labels.bool()
        reached.append(float(right[graph.test].double().mean()))
    claim = next(c for c in GraphConvolution.claims if c.metric == "both/test/accuracy")
    assert sum(reached) / 10 > 0.8
    assert not claim.allows(sum(reached) / 10)


def test_averages_of_labels_forget_them() -> None:
    club = data.karate_club()
    right = [
        int((y.argmax(1) == club.labels)[club.test].sum())
        for y in averaged_labels(club, [1, 4, 8, 32, 64])
    ]
    assert right == [29, 31, 31, 25, 16], "as the lesson says"


def test_a_block_model_has_friends_within_classes_and_no_edge_when_they_are_taken() -> None:
    graph = data.block_model(torch.Generator().manual_seed(0))
    assert len(graph) == 400
    assert 7 < graph.edges.shape[1] / 400 < 9
    same = (graph.labels[graph.edges[0]] == graph.labels[graph.edges[1]]).double().mean()
    assert 0.66 < same < 0.77, "2.5 times as probable within a class"
    assert torch.equal(graph.edges.flip(0).unique(dim=1), graph.edges.unique(dim=1)), "both ways"
    x = graph.features.to_dense()
    apart = x[graph.labels == 1].mean(0) - x[graph.labels == 0].mean(0)
    assert apart.norm().item() == pytest.approx(2, abs=0.3)
    alone = without_edges(graph)
    assert alone.edges.shape == (2, 0)
    assert len(alone) == 400


@has_planetoid
@pytest.mark.parametrize(
    ("name", "nodes", "words", "classes", "edges"),
    [("cora", 2708, 1433, 7, 5278), ("citeseer", 3327, 3703, 6, 4614)],
)
def test_the_papers_are_those_of_the_public_split(name, nodes, words, classes, edges) -> None:
    graph = data.planetoid(name)
    assert graph.features.shape == (nodes, words)
    assert len(graph.classes) == classes
    assert torch.bincount(graph.labels[graph.train]).tolist() == [20] * classes
    assert (len(graph.validation), len(graph.test)) == (500, 1000)
    parts = torch.cat([graph.train, graph.validation, graph.test])
    assert len(parts.unique()) == len(parts), "no node is in two parts"
    assert sum(s != t for s, t in graph.edges.T.tolist()) in (2 * edges, 2 * (edges - 62))
    assert len(torch.unique(graph.edges, dim=1).T) == graph.edges.shape[1]
    rows = torch.sparse.sum(graph.features, 1).to_dense()
    assert (rows[parts] - 1).abs().max() < 1e-5 or (rows[parts] == 0).sum() < 40
    same = graph.labels[graph.edges[0]] == graph.labels[graph.edges[1]]
    assert same.double().mean() > 0.7, (
        "papers mostly cite papers of their class: labels stand at their nodes"
    )


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickled_matrix_is_read_and_a_false_one_refused(protocol) -> None:
    from scipy.sparse import csr_matrix

    matrix = csr_matrix(np.array([[0, 2.0, 0], [1, 0, 3]], np.float32))
    found = read_value(pickle.dumps(matrix, protocol), "x")
    assert isinstance(found, CSR)
    assert found.shape == (2, 3)
    assert (found.starts.tolist(), found.columns.tolist(), found.values.tolist()) == (
        [0, 1, 3],
        [1, 0, 2],
        [2, 1, 3],
    )
    matrix.indices[0] = 7
    with pytest.raises(UserError, match="x is damaged"):
        read_value(pickle.dumps(matrix, protocol), "x")
    with pytest.raises(UserError, match="x is refused"):
        read_value(pickle.dumps(Path("a")), "x")


@pytest.mark.claims
def test_it_learns_the_club_and_names_a_members_party(tmp_path) -> None:
    run = etude.run("gcn", root=tmp_path, quiet=True, repeats=1, depths=(1, 2))
    assert run.metrics["test/accuracy"] >= 0.9
    assert run.held_out["test/accuracy"] == 32
    names = {
        "attention",
        "depths",
        "evidence",
        "features",
        "graph",
        "layers",
        "smoothing",
        "training",
    }
    assert {path.stem for path in run.folder.pictures()} == names
    trained = etude.load(run.folder.path)
    assert trained.predict("33")["the president"] > 0.9
    assert trained.predict(5)["the instructor"] > 0.6
    for wrong in ("34", "x", -1):
        with pytest.raises(UserError, match="expected a node's number, 0 to 33"):
            trained.predict(wrong)


def test_no_drawn_member_covers_another() -> None:
    club = data.karate_club()
    places = coordinates(club.edges, torch.arange(34))
    far = np.linalg.norm(places[:, None] - places, axis=2) + np.eye(34) * 9
    assert far.min() > 0.04 * np.ptp(places), "the square of 33 takes so much of the picture"
