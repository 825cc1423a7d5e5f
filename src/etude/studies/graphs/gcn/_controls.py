"""What features and edges say of a node, together and apart; and what depth does, with dropout and
without.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from etude import Run, data, training
from etude.data import LabelledGraph
from etude.layers.graphs import Graph
from etude.training import accuracy

from ._baseline import averaged_labels, smoothed_distances
from ._figures import smoothing

if TYPE_CHECKING:
    from .gcn import GraphConvolution


def compare_evidence(run: Run, study: GraphConvolution) -> None:
    """The accuracy by features alone, by edges alone and by both, on graphs that are drawn anew.

    The gain is over the better of the same network on one of the two.
    """
    kinds = ("features", "edges", "both")
    variants = {kind: partial(evidence, study=study, kind=kind) for kind in kinds}
    found = training.compare(run, variants, study.repeats, "test/accuracy", name="evidence")
    reached = {kind: found.mean(kind, "test/accuracy") for kind in variants}
    alone = max(value for kind, value in reached.items() if kind != "both")
    run.result({"gain/over either alone": reached["both"] - alone})


def evidence(run: Run, study: GraphConvolution, kind: str) -> None:
    """The same network on one graph, whose edges or features may be taken away."""
    graph = data.block_model(torch.Generator().manual_seed(run.seed))
    change = {"features": without_edges, "edges": without_features}.get(kind)
    graph = change(graph) if change else graph
    study.evaluate(run, study.train(run, graph, "gcn", [study.width]), graph)


def compare_depths(run: Run, study: GraphConvolution, graph: LabelledGraph) -> None:
    """Graph convolutions of several depths without dropout; the deepest also with dropout, and both
    with and without it on a graph without edges, where there is nothing to average.
    """
    plain = replace(study, dropout=0.0)
    variants = {}
    for n in study.depths:
        widths = [study.width] * (n - 1)
        variants[f"{n} deep"] = partial(plain.variant, graph=graph, kind="gcn", widths=widths)
    dropped = partial(study.variant, kind="gcn", widths=widths)
    variants["dropout"] = partial(dropped, graph=graph)
    variants["dropout, no edges"] = partial(dropped, graph=without_edges(graph))
    alone = partial(plain.variant, kind="gcn", widths=widths)
    variants["no edges"] = partial(alone, graph=without_edges(graph))
    found = training.compare(run, variants, study.repeats, "test/accuracy", name="depths")
    reached = found.mean(f"{study.depths[-1]} deep", "test/accuracy")
    gain = reached - found.mean("dropout", "test/accuracy")
    metrics = {"deepest/test/accuracy": reached, "gain/without dropout": gain}
    run.result(metrics, held_out=len(graph.test))

    steps = [2**k for k in range(8)]
    labels = graph.labels[graph.test]
    averaged = {
        "test/accuracy": [accuracy(y[graph.test], labels) for y in averaged_labels(graph, steps)],
        "distance": smoothed_distances(Graph(graph.edges, len(graph)), steps),
    }
    run.figure("smoothing", smoothing(study.depths, found.measured, steps, averaged))


def without_features(graph: LabelledGraph) -> LabelledGraph:
    """The same graph, where the features of a node say only who it is, as in the club."""
    return replace(graph, features=torch.eye(len(graph)).to_sparse())


def without_edges(graph: LabelledGraph) -> LabelledGraph:
    """The same nodes, of which none is joined to another."""
    return replace(graph, edges=graph.edges[:, :0])
