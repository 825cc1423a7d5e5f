"""Questions on graph convolutions: normalised edges, reach, sums and means, known labels."""

from __future__ import annotations

from functools import cache
from random import Random

import torch

from etude.layers.graphs import Chebyshev, Convolution, Graph, Sage
from etude.questions import (
    Count,
    Number,
    Predict,
    TrueFalse,
    Wrong,
    apart,
    measured,
    question,
    written,
)

from ._baseline import averages

Edges = tuple[tuple[int, int], ...]


def graph(edges: Edges, nodes: int) -> Graph:
    """A graph whose edges go both ways."""
    both = [*edges, *((t, s) for s, t in edges)]
    return Graph(torch.tensor(both).T, nodes)


def star_with_a_tail(leaves: int, tail: int) -> tuple[Graph, int]:
    """Node 0 with some leaves and a path behind the last leaf; and how many nodes there are."""
    edges = [(0, leaf) for leaf in range(1, leaves + 1)]
    edges += [(node, node + 1) for node in range(leaves, leaves + tail)]
    return graph(tuple(edges), leaves + tail + 1), leaves + tail + 1


@question
def weight_of_an_edge(rng: Random) -> Number:
    """An entry of the normalised adjacency matrix."""
    leaves = rng.randint(2, 16)
    tail = rng.choice([1, 2])
    net, nodes = star_with_a_tail(leaves, tail)
    looped = net.loops(True)
    dense = torch.zeros(nodes, nodes).double()
    dense[looped.rows, looped.columns] = looped.normalised(torch.double)
    target = rng.choice([1, leaves])
    found = float(dense[target, 0])
    own, other = leaves, 1 if target == 1 else 2
    return Number(
        prompt=(
            f"In a graph, node $s$ has {own} neighbours, and its neighbour $t$ has {other}. Which"
            " weight"
            " does the edge between them have in $\\hat A = \\tilde D^{-1/2} (A + I) \\tilde"
            " D^{-1/2}$?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                (own * other) ** -0.5,
                "the edges to oneself were forgotten",
                "$\\tilde A = A + I$: each node is its own neighbour, and its degree grows by one.",
            ),
            Wrong(
                1 / ((own + 1) * (other + 1)),
                "the root was forgotten",
                "$1 / \\sqrt{\\tilde d_s \\tilde d_t}$: each end takes half of the normalisation.",
            ),
            Wrong(
                1 / (other + 1),
                "the mean over the neighbours was taken",
                "That is $\\tilde D^{-1} \\tilde A$, which is not symmetric.",
            ),
            Wrong(
                1 / (own + 1),
                "only the degree of s was taken",
                "Both ends count.",
            ),
            Wrong(1.0, "nothing was normalised", "Features would grow from layer to layer."),
            within=0.03,
        ),
        why=f"1/√({own + 1} · {other + 1}) = {written(found)}.",
        see="The first order",
    )


@question
def reach_of_layers(rng: Random) -> Count:
    """How many nodes of a path a node depends on."""
    layers = rng.randint(1, 7)
    nodes = 40
    path = graph(tuple((node, node + 1) for node in range(nodes - 1)), nodes)
    cheb = rng.random() < 0.4
    end = rng.random() < 0.4
    node = 0 if end else nodes // 2
    start = torch.zeros(nodes, 1).double()
    start[node] = 1
    if cheb:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            layer = Chebyshev(1, 1, layers + 1).double()
            found = int(layer(start, path).abs().gt(1e-9).sum())
    else:
        found = int(averages(path, start, [layers])[0].abs().gt(0).sum())
    where = "at the end of a long path" if end else "in the middle of a long path"
    told = (
        f"One Chebyshev layer with $K$ = {layers + 1} polynomials is"
        if cheb
        else f"{layers} graph convolution{'s are' if layers > 1 else ' is'}"
    )
    return Count(
        prompt=(
            f"{told} applied to the nodes of a path, where each node has an edge to the next. On"
            " how many"
            f" nodes does the result at a node {where} depend, itself included?"
        ),
        answer=found,
        unit="nodes",
        wrong=apart(
            found,
            Wrong(
                2 * layers + 1 if end else layers + 1,
                "both sides were counted" if end else "one side was counted",
                "From a node at the end there is one direction only; from the middle there are"
                " two.",
            ),
            Wrong(
                found + (1 if end else 2),
                "one step too many was made",
                "Each convolution reaches one edge farther; $K$ polynomials reach $K - 1$ edges.",
            ),
            Wrong(
                found - 1,
                "the node itself was forgotten",
                "It is its own neighbour.",
            ),
            Wrong(
                2**layers,
                "reach was thought to double",
                "On a path each layer adds one node at either side.",
            ),
            Wrong(
                nodes,
                "all nodes were thought to be reached",
                "Only those at most so many edges away.",
            ),
        ),
        why=f"{layers} edge{'s' * (layers > 1)} away in each direction that there is: {found}.",
        see="Chebyshev polynomials",
    )


@cache
def _parameters(kind: str, inputs: int, outputs: int) -> int:
    layer = {"a graph convolution": Convolution, "sage": Sage}[kind]
    with torch.random.fork_rng(devices=[]):
        net = layer(inputs, outputs)
    return sum(parameter.numel() for parameter in net.parameters())


@question
def parameters_of_a_graph_layer(rng: Random) -> Count:
    """How many parameters a layer on a graph has."""
    kind = rng.choice(["a graph convolution", "sage"])
    inputs = rng.choice([16, 34, 64, 100])
    outputs = rng.choice([2, 4, 7, 16, 32])
    nodes = rng.choice([34, 400, 2_708])
    found = _parameters(kind, inputs, outputs)
    other = _parameters("sage" if kind != "sage" else "a graph convolution", inputs, outputs)
    return Count(
        prompt=(
            f"A layer on a graph of {nodes:,} nodes takes {inputs} features to {outputs}, with a"
            " bias. It"
            f" is {kind}. How many parameters has it?"
        ),
        answer=found,
        unit="parameters",
        wrong=apart(
            found,
            Wrong(
                other,
                "the node's own weights were misjudged",
                "*sage* has a matrix for the node itself and one for its neighbours; a graph"
                " convolution"
                " has one for both.",
            ),
            Wrong(
                found - outputs,
                "the bias was forgotten",
                f"There are {outputs} of them.",
            ),
            Wrong(
                nodes * outputs + outputs,
                "each node was given its own weights",
                "All nodes share the weights, as all pixels share a filter.",
            ),
            Wrong(
                found * nodes,
                "the layer was counted for each node",
                "The number of nodes does not matter.",
            ),
        ),
        why=(
            f"{'Two matrices' if kind == 'sage' else 'One matrix'} of {inputs} × {outputs} and"
            f" {outputs}"
            f" biases: {found}, for any graph."
        ),
        see="Other layers",
    )


@cache
def taken(how: str, values: tuple[float, ...]) -> float:
    """What a node takes from neighbours with these features."""
    star = graph(tuple((0, leaf) for leaf in range(1, len(values) + 1)), len(values) + 1)
    x = torch.tensor([0.0, *values])[:, None]
    return float((star.sum(x) if how == "sum" else star.mean(x))[0])


@question
def can_it_tell_them_apart(rng: Random) -> TrueFalse:
    """Whether a sum or a mean tells neighbourhoods apart."""
    first = [rng.choice([1.0, 2.0, 4.0]) for _ in range(rng.choice([1, 2]))]
    times = rng.choice([2, 3])
    second = first * times if rng.random() < 0.6 else [*first, rng.choice([1.0, 2.0, 4.0, 8.0])]
    how = rng.choice(["sum", "mean"])

    values = [taken(how, tuple(each)) for each in (first, second)]
    apart_ = abs(values[0] - values[1]) > 1e-6
    added = "The neighbours' features add up to different numbers."
    meant = "The neighbours' features have different means."
    same = "Both give the same number, so what follows can't differ."
    counts = "The two nodes have different numbers of neighbours, and every layer sees that."
    right = (added if how == "sum" else meant) if apart_ else same
    says = {
        added: (
            "a sum was taken where there is a mean" if how == "mean" else "the sums were misjudged",
            "What is taken from the neighbours is their mean."
            if how == "mean"
            else "The sums are equal here.",
        ),
        meant: (
            "a mean was taken where there is a sum" if how == "sum" else "the means were misjudged",
            "What is taken from the neighbours is their sum."
            if how == "sum"
            else "The means are equal here.",
        ),
        same: ("the numbers were misjudged", "They differ here."),
        counts: (
            "a count was thought to be seen",
            "A mean does not know over how many it was taken; a sum may be the same for different"
            " numbers.",
        ),
    }
    told = [", ".join(map(written, each)) for each in (first, second)]
    return TrueFalse(
        prompt=(
            f"Two nodes with the same feature have neighbours with the features {told[0]}, and"
            f" {told[1]}."
            f" A layer takes the *{how}* over the neighbours. *It can tell the two nodes apart.*"
        ),
        holds=apart_,
        answer=right,
        wrong=tuple(Wrong(each, *said) for each, said in says.items() if each != right),
        why=f"The {how}s are {written(values[0])} and {written(values[1])}.",
        see="gin",
    )


@cache
def share_of_the_first(between: int) -> tuple[float, ...]:
    """Label propagation along a path whose first node has 1 and whose last one 0."""
    nodes = between + 2
    path = graph(tuple((node, node + 1) for node in range(nodes - 1)), nodes)
    y = torch.zeros(nodes, 1).double()
    for _ in range(300):  # until it rests
        y[0] = 1
        y[-1] = 0
        y = path.mean(y)
    return (1.0, *(float(each) for each in y[1:-1]), 0.0)


@question
def between_two_labels(rng: Random) -> Number:
    """What label propagation gives between two known nodes."""
    between = rng.choice([2, 3, 4, 5, 7])
    place = rng.randint(1, between)
    low, high = rng.choice([(0.0, 1.0), (1.0, 0.0), (0.2, 1.0), (0.0, 0.6)])
    found = (
        low * share_of_the_first(between)[place] + high * share_of_the_first(between)[-1 - place]
    )
    return Number(
        prompt=(
            f"Two known nodes, with the values {low:g} and {high:g}, are the ends of a path with"
            f" {between} unknown nodes between them. Label propagation goes on until nothing"
            " changes."
            f" Which value has the unknown node that is {place} edge{'s' * (place > 1)} from the"
            " first"
            " one?"
        ),
        answer=found,
        tolerance=0.02,
        wrong=apart(
            found,
            Wrong(
                (low + high) / 2,
                "the mean of the known ones was taken",
                "Each node is the mean of its *neighbours*, so the nearer end counts more.",
            ),
            Wrong(
                low + (high - low) * place / between,
                "edges and nodes were confused",
                f"The path has {between + 1} edges.",
            ),
            Wrong(
                high + (low - high) * place / (between + 1),
                "the ends were exchanged",
                "It is counted from the first one.",
            ),
            Wrong(
                low + (high - low) * 0.5**place,
                "each step was halved",
                "A node is the mean of *both* its neighbours; at rest the values lie on a line.",
            ),
            within=0.06,
        ),
        why=(
            "At rest each unknown node is the mean of its neighbours, so along a path the values"
            " lie on a"
            f" line: {written(found)}."
        ),
        see="Is learning needed?",
    )


@question(cites={"both/test/accuracy": 0.8985, "features/test/accuracy": 0.797})
def what_edges_add(rng: Random) -> Predict:
    """What edges add to noisy features."""
    found = measured(__file__)
    both = found["both/test/accuracy"]
    features = found["features/test/accuracy"]
    assert both > features + 0.05
    return Predict(
        prompt=(
            "In drawn graphs of two classes, friends are 2.5 times as probable within a class as"
            " between classes, and each node has 16 noisy numbers. On the numbers alone a network"
            f" is right on {written(features, 2)} of the nodes. What if it may also see the edges?"
        ),
        answer="It is right on clearly more",
        wrong=(
            Wrong(
                "Nothing changes, for the numbers say all that there is",
                "features were thought to hold everything",
                "They are noisy, and the mean over a neighbourhood takes noise away.",
            ),
            Wrong(
                "It is right on fewer, for edges between the classes mix them",
                "averaging was thought to mix the classes",
                "Two edges of seven lead to the other class; the rest say something about this"
                " one.",
            ),
            Wrong(
                "It is right on all of them",
                "edges were thought to decide",
                "Edges are drawn, too: some nodes have more friends in the other class.",
            ),
        ),
        why=f"{written(both, 3)} with both (mean of three seeds).",
        see="Is learning needed?",
        run="etude run gcn",
    )
