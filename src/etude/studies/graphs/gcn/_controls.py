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

from ._baseline import averaged_labels, propagated, smoothed_distances
from ._figures import smoothing

if TYPE_CHECKING:
    from .gcn import GraphConvolution


def compare_evidence(run: Run, study: GraphConvolution) -> None:
    """The accuracy by features alone, by edges alone and by both, on graphs that are drawn anew."""
    variants = {
        kind: partial(evidence, study=study, kind=kind) for kind in ("features", "edges", "both")
    }
    found = training.compare(run, variants, study.repeats, "test/accuracy", name="evidence")
    reached = {kind: found.mean(kind, "test/accuracy") for kind in variants}
    gain = reached["both"] - max(reached["features"], reached["edges"])
    run.result({"gain/over either alone": gain})


def evidence(run: Run, study: GraphConvolution, kind: str) -> None:
    """One classifier of one graph; that by edges alone is label propagation, and learns nothing."""
    graph = data.block_model(torch.Generator().manual_seed(run.seed))
    if kind == "edges":
        reached = accuracy(propagated(graph)[graph.test], graph.labels[graph.test])
        run.result({"test/accuracy": reached}, held_out=len(graph.test))
        return
    graph = graph if kind == "both" else without_edges(graph)
    study.evaluate(run, study.train(run, graph, "gcn", [study.width]), graph)


def compare_depths(run: Run, study: GraphConvolution, graph: LabelledGraph) -> None:
    """Graph convolutions of several depths without dropout; the deepest also with dropout, and with
    dropout on a graph without edges, where there is nothing to average.
    """
    plain = replace(study, dropout=0.0)
    variants = {}
    for n in study.depths:
        widths = [study.width] * (n - 1)
        variants[f"{n} deep"] = partial(plain.variant, graph=graph, kind="gcn", widths=widths)
    dropped = partial(study.variant, kind="gcn", widths=widths)
    variants["dropout"] = partial(dropped, graph=graph)
    variants["dropout, no edges"] = partial(dropped, graph=without_edges(graph))
    found = training.compare(run, variants, study.repeats, "test/accuracy", name="depths")
    reached = found.mean(f"{study.depths[-1]} deep", "test/accuracy")
    run.result({"deepest/test/accuracy": reached}, held_out=len(graph.test))

    steps = [2**k for k in range(8)]
    labels = graph.labels[graph.test]
    averaged = {
        "test/accuracy": [accuracy(y[graph.test], labels) for y in averaged_labels(graph, steps)],
        "distance": smoothed_distances(Graph(graph.edges, len(graph)), steps),
    }
    run.figure("smoothing", smoothing(study.depths, found.measured, steps, averaged))


def without_edges(graph: LabelledGraph) -> LabelledGraph:
    """The same nodes, of which none is joined to another."""
    return replace(graph, edges=graph.edges[:, :0])
