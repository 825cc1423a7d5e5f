"""The graph study: what its data are, and what it predicts from them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import etude
from etude import data
from etude.data.unpickling import CSR, read_value
from etude.errors import UserError

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
    names = {"attention", "depths", "features", "graph", "layers", "smoothing", "training"}
    assert {path.stem for path in run.folder.pictures()} == names
    trained = etude.load(run.folder.path)
    assert trained.predict("33")["the president"] > 0.9
    assert trained.predict(5)["the instructor"] > 0.6
    for wrong in ("34", "x", -1):
        with pytest.raises(UserError, match="expected a node's number, 0 to 33"):
            trained.predict(wrong)
