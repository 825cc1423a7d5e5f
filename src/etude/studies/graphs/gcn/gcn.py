"""Graph convolutions: a karate club whose members are classified from two labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Fraction,
    Natural,
    OptimizerName,
    Positive,
    Run,
    Study,
    UserError,
    data,
    training,
)
from etude.data import LabelledGraph
from etude.layers.graphs import Features, Graph, Kind
from etude.networks.gnn import GNN
from etude.training import accuracy

from ._baseline import mean_distance, propagated
from ._controls import compare_depths, compare_evidence
from ._figures import attention_graph, labelled_graph, layer_features, moving_features


@dataclass
class GraphConvolution(Study):
    """Classify the nodes of a graph of which few are labelled, with five kinds of layers."""

    dataset: Literal["karate", "cora", "citeseer"] = "karate"  # 34 members; papers and citations
    layer: Literal["gcn", "cheb", "sage", "gat", "gin"] = "gcn"  # the kind of the kept network
    layers: Natural = 1  # hidden layers; the output layer is one more
    width: Count = 16  # units of each hidden layer; for gat of each head
    heads: Count = 8  # attention heads of gat in each hidden layer
    dropout: Fraction = 0.5  # fraction of each layer's inputs that is dropped in training
    steps: Count = 200  # updates, each by the whole graph
    optimizer: OptimizerName = "adam"  # the update rule; change learning_rate with it
    learning_rate: Positive = 0.01  # constant
    weight_decay: Amount = 5e-4  # strength of the L2 penalty, on the first layer only
    repeats: Count = 3  # seeds for each variant in the comparisons
    depths: tuple[Count, ...] = (2, 4, 8, 16)  # numbers of layers, the output layer included

    scales = {
        "full": {"dataset": "cora", "repeats": 10},
        "citeseer": {"dataset": "citeseer", "repeats": 10},
    }
    claims = [
        Claim("test/accuracy", at_least=0.96, source="Etude: as many as label propagation"),
        Claim("both/test/accuracy", at_least=0.87, source="Etude"),
        Control(
            "features/test/accuracy",
            at_most=0.85,
            source="Etude",
            of="both/test/accuracy",
            without="edges",
        ),
        Control(
            "edges/test/accuracy",
            at_most=0.85,
            source="Etude",
            of="both/test/accuracy",
            without="features",
        ),
        Claim("gain/over either alone", at_least=0.08, source="Etude"),
        Claim("gain/without dropout", at_least=0.2, source="Etude"),
        Claim(
            "gcn/test/accuracy",
            at_least=0.81,
            scale="full",
            seeds=1,
            source="Etude; Kipf & Welling (2017): 0.815",
        ),
        Claim(
            "gcn/test/accuracy",
            at_least=0.70,
            scale="citeseer",
            seeds=1,
            source="Kipf & Welling: 0.703",
        ),
    ]
    no_onnx = (
        "it multiplies by a sparse matrix that is made anew of each graph's edges, and ONNX has no"
        " sparse matrices"
    )
    needs = ["spirals", "logistic"]

    def __call__(self, run: Run) -> None:
        graph = self.graph()
        widths = [self.width] * self.layers
        net = self.train(run, graph, self.layer, widths)
        predicted = self.evaluate(run, net, graph).argmax(1)
        figure = labelled_graph(graph.edges, predicted, graph.labels, graph.train, graph.classes)
        run.figure("graph", figure)
        reached = accuracy(propagated(graph)[graph.test], graph.labels[graph.test])
        run.result({"baseline/label propagation": reached}, held_out=len(graph.test))

        variant = partial(self.variant, graph=graph)
        kinds = {kind: partial(variant, kind=kind, widths=widths) for kind in get_args(Kind)}
        training.compare(run, kinds, self.repeats, "test/accuracy", name="layers")
        compare_evidence(run, self)
        compare_depths(run, self, graph)

        history = training.History()
        attention = self.train(run, graph, "gat", widths, name="attention")
        narrow = self.train(
            run,
            graph,
            "gcn",
            [self.width, 2],
            name="two numbers",
            history=history,
        )
        self.draw(run, graph, narrow, history, attention)
        run.keep(net)

    def train(
        self,
        run: Run,
        graph: LabelledGraph,
        kind: Kind,
        widths: Sequence[int],
        name: str = "",
        history: training.History | None = None,
    ) -> GNN:
        """A trained network, with the weights that were best on validation nodes if there are any.

        Args:
            run: gets one more stage.
            graph: whose training nodes are learned from.
            kind: of all layers.
            widths: of each hidden layer.
            name: of the stage.
            history: gets the last hidden layer's output, 50 times during training.
        """
        x = run.place(Features(graph.features))
        edges = run.place(Graph(graph.edges, len(graph)))
        labels = run.place(graph.labels)
        known = run.place(graph.train)
        validation = run.place(graph.validation)

        net = run.place(self.new(kind, graph.features.shape[1], widths, len(graph.classes)))
        optimizer = training.descent(self.optimizer, self.groups(net), self.learning_rate)
        best = training.Best(net)
        recorded = training.History() if history is None else history
        state = (net, optimizer, best, recorded)

        for step in run.steps(range(self.steps), state=state, name=name):
            loss = cross_entropy(net(x, edges)[known], labels[known])
            run.minimise(loss, optimizer)
            run.log(loss=loss)
            if len(validation):
                with training.evaluating(net):
                    reached = accuracy(net(x, edges)[validation], labels[validation])
                run.log(**{"validation/accuracy": reached})
                best.update(reached)
            if history is not None and step % self.interval == 0:
                with training.evaluating(net):
                    recorded.keep(net.layer_outputs(x, edges)[-2])
        best.restore()
        return net

    def groups(self, net: GNN) -> list[dict[str, Any]]:
        """The parameters of each layer; only those of the first are penalised."""
        groups = [{"params": [*layer.parameters()], "weight_decay": 0.0} for layer in net.layers]
        groups[0]["weight_decay"] = self.weight_decay
        return groups

    def evaluate(self, run: Run, net: GNN, graph: LabelledGraph) -> Tensor:
        """Logits of all nodes; the accuracy on validation and test nodes becomes a result."""
        x = run.place(Features(graph.features))
        edges = run.place(Graph(graph.edges, len(graph)))
        with training.evaluating(net):
            logits: Tensor = net(x, edges).cpu()
        for part, nodes in {"validation": graph.validation, "test": graph.test}.items():
            if len(nodes):
                reached = accuracy(logits[nodes], graph.labels[nodes])
                run.result({f"{part}/accuracy": reached}, held_out=len(nodes))
        return logits

    def variant(self, run: Run, graph: LabelledGraph, kind: Kind, widths: Sequence[int]) -> None:
        """One network of a comparison: its accuracy, its loss, and the mean distance of nodes."""
        net = self.train(run, graph, kind, widths)
        logits = self.evaluate(run, net, graph)
        loss = cross_entropy(logits[graph.train], graph.labels[graph.train])
        run.result({"distance": mean_distance(logits), "train/loss": loss})

    def draw(
        self,
        run: Run,
        graph: LabelledGraph,
        narrow: GNN,
        history: training.History,
        attention: GNN,
    ) -> None:
        """Features layer by layer and over training, and attention weights."""
        x = Features(graph.features)
        edges = Graph(graph.edges, len(graph))
        with training.evaluating(narrow):
            outputs = narrow.cpu().layer_outputs(x, edges)
        with training.evaluating(attention):
            weights = attention.cpu().attention_weights(x, edges)
        drawn = graph.labels, graph.train, graph.edges
        run.figure("features", layer_features(outputs, *drawn))

        steps = [1 + k * self.interval for k in range(len(history))]
        run.animation("training", moving_features(history.stacked(), steps, *drawn), fps=10)
        looped = edges.loops(True).edges
        run.figure("attention", attention_graph(looped, weights, graph.labels))

    @property
    def interval(self) -> int:
        """Steps from one frame of the animation to the next."""
        return max(1, self.steps // 50)

    def graph(self) -> LabelledGraph:
        """The graph with its labels."""
        return data.karate_club() if self.dataset == "karate" else data.planetoid(self.dataset)

    def new(self, kind: Kind, inputs: int, widths: Sequence[int], classes: int) -> GNN:
        """A new network of a kind."""
        return GNN(kind, inputs, widths, classes, self.dropout, self.heads)

    def network(self) -> GNN:
        """A new network for the nodes of the data set."""
        sizes = {"karate": (34, 2), "cora": (1433, 7), "citeseer": (3703, 6)}
        inputs, classes = sizes[self.dataset]
        return self.new(self.layer, inputs, [self.width] * self.layers, classes)

    def example(self) -> tuple[Tensor, Tensor]:
        """As many nodes as there are features, on a ring: their features and their edges."""
        n = {"karate": 34, "cora": 1433, "citeseer": 3703}[self.dataset]
        ring = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])
        return torch.eye(n), torch.cat([ring, ring.flip(0)], 1)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The probability of each class for one node, given by its index."""
        graph = self.graph()
        try:
            node = int(input)
        except (TypeError, ValueError):
            node = -1
        if not 0 <= node < len(graph):
            raise UserError(
                f"gcn: the input is {input!r}; expected a node's number, 0 to {len(graph) - 1}"
            )
        logits = net(Features(graph.features), Graph(graph.edges, len(graph)))
        return dict(zip(graph.classes, logits[node].softmax(0).tolist(), strict=True))
