"""Graphs whose nodes have labels: a karate club, and papers that cite each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from etude.data.store import obtain
from etude.data.unpickling import CSR, read_value
from etude.errors import UserError

CORA = (
    "theory",
    "reinforcement learning",
    "genetic algorithms",
    "neural networks",
    "probabilistic methods",
    "case based",
    "rule learning",
)
CITESEER = (
    "artificial intelligence",
    "machine learning",
    "retrieval",
    "databases",
    "agents",
    "interaction",
)
PARTS = {
    "y": np.ndarray,
    "allx": CSR,
    "ally": np.ndarray,
    "tx": CSR,
    "ty": np.ndarray,
    "graph": dict,
}
VALIDATION = 500  # nodes behind the labelled ones


@dataclass(frozen=True, eq=False)
class LabelledGraph:
    """One graph, and which of its nodes are for what.

    Args:
        features: (nodes, features), sparse.
        edges: source and target of each, int64 (2, edges), both ways.
        labels: int64 (nodes,).
        train: numbers of the nodes whose labels are given.
        validation: of those by which choices are made.
        test: of those that are measured on.
        classes: their names.
        source: who made it.
    """

    features: Tensor
    edges: Tensor
    labels: Tensor
    train: Tensor
    validation: Tensor
    test: Tensor
    classes: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.labels)


def karate_club() -> LabelledGraph:
    """Friendships in a karate club that fell apart: 34 members, 78 friendships, two factions.

    Only the two heads of the factions are labelled, and the other 32 are the test; a node's feature
    is who it is.

    References
    ----------
    W. W. Zachary: An information flow model for conflict and fission in small groups (1977)
    """
    import networkx  # type: ignore[import-untyped]

    club = networkx.karate_club_graph()
    one_way = torch.tensor(list(club.edges())).T  # (2, 78)
    labels = torch.tensor([int(club.nodes[member]["club"] != "Mr. Hi") for member in sorted(club)])
    train = torch.tensor([0, 33])
    test = torch.tensor([member for member in sorted(club) if member not in (0, 33)])
    return LabelledGraph(
        torch.eye(len(labels)).to_sparse(),
        torch.cat([one_way, one_way.flip(0)], 1),
        labels,
        train,
        torch.empty(0, dtype=torch.long),
        test,
        ("the instructor", "the president"),
        "W. W. Zachary: karate club (1977), as in NetworkX",
    )


def block_model(generator: torch.Generator | None = None) -> LabelledGraph:
    """400 nodes of two classes, whose edges say something of the class, and whose features do too.

    Two nodes of one class are joined with 2.5 times the probability of two of different ones, and a
    node has 8 neighbours on average. The 16 features of a node are the mean of its class
    plus noise N(0, I); the means are u and -u, and u has length 1 and a random direction. Twenty
    nodes a class are labelled, and the others are the test.

    Args:
        generator: that edges and features are drawn from.

    Source: Deshpande, Montanari, Mossel & Sen (2018), Contextual stochastic block models.
    """
    nodes, neighbours, width, labelled = 400, 8, 16, 40
    labels = torch.arange(nodes) % 2
    between = 2 * neighbours / (3.5 * nodes)
    among = between * (1 + 1.5 * (labels[:, None] == labels))  # (nodes, nodes)
    joined = torch.rand(nodes, nodes, generator=generator).triu(1) > 1 - among.triu(1)
    one_way = joined.nonzero().T  # (2, edges)

    mean = normalize(torch.randn(1, width, generator=generator))
    features = (2 * labels[:, None] - 1) * mean + torch.randn(nodes, width, generator=generator)
    return LabelledGraph(
        features.to_sparse(),
        torch.cat([one_way, one_way.flip(0)], 1),
        labels,
        torch.arange(labelled),
        torch.empty(0, dtype=torch.long),
        torch.arange(labelled, nodes),
        ("one", "the other"),
        "drawn",
    )


def planetoid(name: str) -> LabelledGraph:
    """Cora (2,708 papers) or Citeseer (3,327) with the public split: 20 labels a class, 500 and
    1,000 nodes.

    A feature says whether a word occurs; rows are scaled to add up to 1. 15 papers of Citeseer have
    neither words nor a class: they are nodes with zeros as features, and in no part.

    Raises
    ------
    UserError
        if a file is missing, damaged, or of another shape

    References
    ----------
    Z. Yang, W. Cohen, R. Salakhutdinov: Revisiting semi-supervised learning
    with graph embeddings (2016)
    """
    found = obtain("planetoid")
    read = {
        part: read_value(content(path := found.paths[f"ind.{name}.{part}"]), path) for part in PARTS
    }
    for part, kind in PARTS.items():
        if not isinstance(read[part], kind):
            path = found.paths[f"ind.{name}.{part}"]
            raise UserError(
                f"{path} should hold a {kind.__name__}, and holds a {type(read[part]).__name__}"
            )
    index = found.paths[f"ind.{name}.test.index"]
    nodes, (known, width) = len(read["graph"]), read["allx"].shape
    try:
        test = torch.tensor(
            [int(line) for line in content(index).split()]
        )  # of the rows of tx, in their order
        rows, columns, values = (
            torch.cat(pair)
            for pair in zip(
                entries(read["allx"], torch.arange(known)), entries(read["tx"], test), strict=True
            )
        )
        features = torch.sparse_coo_tensor(
            torch.stack([rows, columns]), values, (nodes, width), check_invariants=True
        )
        labels = torch.zeros(nodes, dtype=torch.long)
        labels[:known], labels[test] = (
            torch.from_numpy(read[part].argmax(1)) for part in ("ally", "ty")
        )
        one_way = torch.tensor(
            [(node, other) for node, others in read["graph"].items() for other in others]
        ).T
    except (ValueError, TypeError, IndexError, RuntimeError) as error:
        raise UserError(
            f"{index.parent}: the files of {name} do not fit together ({error})"
        ) from error
    features = features.coalesce()
    total = torch.sparse.sum(features, 1).to_dense().clamp_min(1e-12)  # (nodes,)
    features.values().div_(total[features.indices()[0]])
    labelled = len(read["y"])
    return LabelledGraph(
        features,
        torch.unique(torch.cat([one_way, one_way.flip(0)], 1), dim=1),
        labels,
        torch.arange(labelled),
        torch.arange(labelled, labelled + VALIDATION),
        test.sort().values,
        CORA if name == "cora" else CITESEER,
        found.set.source,
    )


def content(path: Path) -> bytes:
    """A file whole."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def entries(matrix: CSR, nodes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Node, column and value of each entry; ``nodes`` says whose the rows are."""
    counts = torch.from_numpy(np.diff(matrix.starts).astype(np.int64))
    columns, values = matrix.columns.astype(np.int64), matrix.values.astype(np.float32)
    return nodes.repeat_interleave(counts), torch.from_numpy(columns), torch.from_numpy(values)
