"""Graph convolutions: a karate club told apart by two labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from etude import data
from etude.claims import Claim
from etude.data.graphs import LabelledGraph
from etude.errors import UserError
from etude.figures.graphs import (
    attention_graph,
    feature_layers,
    labelled_graph,
    moving_features,
    smoothing,
)
from etude.layers.graphs import Features, Graph, Kind
from etude.networks.gnn import GNN, averaged, distance
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, OptimizerName, Positive, Study
from etude.training.best import Best
from etude.training.comparison import Variant, compare
from etude.training.evaluation import accuracy, evaluating
from etude.training.optimizers import descent
from etude.training.trail import Trail


@dataclass
class GraphConvolution(Study):
    """Label the nodes of a graph of which few are labelled, by five kinds of layers."""

    dataset: Literal["karate", "cora", "citeseer"] = (
        "karate"  # 34 members, 2 labelled; papers, 20 labelled a class
    )
    layer: Literal["gcn", "cheb", "sage", "gat", "gin"] = (
        "gcn"  # the kind of which one network is kept
    )
    layers: Count = 2  # how far one looks
    hidden: Count = 16  # numbers of a node between two layers; of gat in each head
    heads: Count = 8  # of gat, in all layers but the last
    dropout: Fraction = 0.5  # part of each layer's input
    epochs: Count = 200  # steps, each on the whole graph
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 0.01  # of all steps
    weight_decay: Amount = 5e-4  # the L2 penalty, on the first layer alone
    repeats: Count = 3  # networks of each kind and of each depth in the comparisons
    depths: tuple[Count, ...] = (1, 2, 4, 8, 16)  # layers whose effect is compared

    scales = {
        "full": {"dataset": "cora", "repeats": 10},
        "citeseer": {"dataset": "citeseer", "repeats": 10},
    }
    claims = [
        Claim("test/accuracy", at_least=0.9, source="floor of the curriculum"),
        Claim(
            "gcn/test/accuracy",
            at_least=0.81,
            scale="full",
            seeds=1,
            source="curriculum; Kipf & Welling: 0.815",
        ),
        Claim(
            "gcn/test/accuracy",
            at_least=0.70,
            scale="citeseer",
            seeds=1,
            source="Kipf & Welling: 0.703",
        ),
    ]
    courses = ["OU", "ITU", "CUHK"]

    def __call__(self, run: Run) -> None:
        graph, hidden = self.graph(), [self.hidden] * (self.layers - 1)
        net = self.train(run, graph, self.layer, hidden)
        predicted = self.judged(run, net, graph).argmax(1)
        run.figure(
            "graph",
            labelled_graph(graph.edges, predicted, graph.labels, graph.train, graph.classes),
        )

        kinds: dict[str, Variant] = {
            k: partial(self.measured, graph=graph, kind=k, hidden=hidden) for k in get_args(Kind)
        }
        compare(run, kinds, self.repeats, "test/accuracy", name="layers")
        deep = partial(self.measured, graph=graph, kind="gcn")
        depths: dict[str, Variant] = {
            f"{n} deep": partial(deep, hidden=[self.hidden] * (n - 1)) for n in self.depths
        }
        found = compare(run, depths, self.repeats, "test/accuracy", name="depths").measured.values()
        reached = [each["test/accuracy"] for each in found], [each["distance"] for each in found]
        alone = averaged(Graph(graph.edges, len(graph)), self.depths)
        run.figure("smoothing", smoothing(self.depths, *reached, alone))

        trail, attention = Trail(), self.train(run, graph, "gat", hidden, name="attention")
        narrow = self.train(run, graph, "gcn", [self.hidden, 2], name="two numbers", trail=trail)
        self.draw(run, graph, narrow, trail, attention)
        run.keep(net)

    def train(
        self,
        run: Run,
        graph: LabelledGraph,
        kind: Kind,
        hidden: Sequence[int],
        trail: Trail | None = None,
        name: str = "",
    ) -> GNN:
        """A network of a kind; where there are validation nodes, with the weights that were best on
        them.
        """
        x, edges = run.place(Features(graph.features)), run.place(Graph(graph.edges, len(graph)))
        labels, train, validation = (
            run.place(t) for t in (graph.labels, graph.train, graph.validation)
        )
        net = run.place(
            GNN(kind, graph.features.shape[1], hidden, len(graph.classes), self.dropout, self.heads)
        )
        decays = [self.weight_decay, *[0.0] * len(hidden)]  # of each layer
        groups = [
            {"params": [*at.parameters()], "weight_decay": λ}
            for at, λ in zip(net.layers, decays, strict=True)
        ]
        optimizer, best, kept = (
            descent(self.optimizer, groups, self.learning_rate),
            Best(net),
            Trail() if trail is None else trail,
        )
        for epoch in run.steps(range(self.epochs), state=(net, optimizer, best, kept), name=name):
            loss = cross_entropy(net(x, edges)[train], labels[train])
            run.minimise(loss, optimizer)
            run.log(loss=loss)
            if len(validation):
                with evaluating(net):
                    reached = accuracy(net(x, edges)[validation], labels[validation])
                run.log(**{"validation/accuracy": reached})
                best.update(reached)
            if trail is not None and epoch % max(1, self.epochs // 50) == 0:
                with evaluating(net):
                    kept.keep(net.states(x, edges)[-2])
        best.restore()
        return net

    def judged(self, run: Run, net: GNN, graph: LabelledGraph) -> Tensor:
        """Scores of all nodes, with the results on validation and test nodes."""
        with evaluating(net):
            scores: Tensor = net(
                run.place(Features(graph.features)), run.place(Graph(graph.edges, len(graph)))
            ).cpu()
        for part, nodes in (("validation", graph.validation), ("test", graph.test)):
            if len(nodes):
                run.result(
                    {f"{part}/accuracy": accuracy(scores[nodes], graph.labels[nodes])},
                    held_out=len(nodes),
                )
        return scores

    def measured(self, run: Run, graph: LabelledGraph, kind: Kind, hidden: Sequence[int]) -> None:
        """One network of a comparison: its accuracy, and how far apart it holds the nodes."""
        run.result(
            {"distance": distance(self.judged(run, self.train(run, graph, kind, hidden), graph))}
        )

    def draw(
        self, run: Run, graph: LabelledGraph, narrow: GNN, trail: Trail, attention: GNN
    ) -> None:
        """Features layer by layer and over training; where attention looks."""
        x, edges = Features(graph.features), Graph(graph.edges, len(graph))
        with evaluating(narrow), evaluating(attention):
            states, looks = narrow.cpu().states(x, edges), attention.cpu().looks(x, edges)
        panels = {
            f"layer {n + 1}: {state.shape[1]} numbers a node": state
            for n, state in enumerate(states)
        }
        run.figure("features", feature_layers(panels, graph.labels, graph.train, graph.edges))
        steps = [1 + k * max(1, self.epochs // 50) for k in range(len(trail))]
        moving = moving_features(trail.stacked(), steps, graph.labels, graph.train, graph.edges)
        run.animation("training", moving, fps=10)
        run.figure("attention", attention_graph(edges.loops(True).edges, looks, graph.labels))

    def graph(self) -> LabelledGraph:
        """The graph with its labels."""
        return data.karate_club() if self.dataset == "karate" else data.planetoid(self.dataset)

    def network(self) -> GNN:
        """A new network for the data set's nodes."""
        inputs, classes = {"karate": (34, 2), "cora": (1433, 7), "citeseer": (3703, 6)}[
            self.dataset
        ]
        return GNN(
            self.layer, inputs, [self.hidden] * (self.layers - 1), classes, self.dropout, self.heads
        )

    def example(self) -> tuple[Tensor, Tensor]:
        """Features of all members of the club, or of as many nodes as there are features, and edges
        around a ring.
        """
        n = {"karate": 34, "cora": 1433, "citeseer": 3703}[self.dataset]
        ring = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])
        return torch.eye(n), torch.cat([ring, ring.flip(0)], 1)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the classes of one node, given by its number."""
        graph = self.graph()
        try:
            node = int(input)
        except (TypeError, ValueError):
            node = -1
        if not 0 <= node < len(graph):
            raise UserError(
                f"gcn: the input is {input!r}; expected a node's number, 0 to {len(graph) - 1}"
            )
        scores = net(Features(graph.features), Graph(graph.edges, len(graph)))
        return dict(zip(graph.classes, scores[node].softmax(0).tolist(), strict=True))
