"""Graphs drawn: what their nodes are taken for, where their features lie, which edges are looked
along.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from etude.figures.animations import Film
from etude.figures.style import INK, PALETTE, QUIET, canvas

MOST = 250  # nodes that are drawn


def shown_part(edges: Tensor, nodes: int, most: int = MOST) -> Tensor:
    """The nodes to draw, rising: all, or of a large graph those nearest to the one with the most
    edges.

    Args:
        edges: (2, edges).
        nodes: of the whole graph.
        most: nodes of the part.
    """
    if nodes <= most:
        return torch.arange(nodes)
    source, target = edges
    here = torch.zeros(nodes, dtype=torch.bool)
    here[torch.bincount(target, minlength=nodes).argmax()] = True
    while True:
        reached = here.clone()
        reached[target[here[source]]] = True
        if reached.sum() > most or reached.sum() == here.sum():
            extra = (reached & ~here).nonzero().squeeze(1)[: most - int(here.sum())]
            here[extra] = True
            return here.nonzero().squeeze(1)
        here = reached


def layout(edges: Tensor, chosen: Tensor) -> np.ndarray:
    """Places of the chosen nodes, by springs along their edges: (chosen, 2); always the same."""
    import networkx  # type: ignore[import-untyped]

    graph = networkx.Graph()
    graph.add_nodes_from(chosen.tolist())
    graph.add_edges_from(among(edges, chosen).T.tolist())
    places = networkx.spring_layout(graph, seed=4, iterations=200, k=2.4 / len(chosen) ** 0.5)
    return np.array([places[node] for node in chosen.tolist()])


def among(edges: Tensor, chosen: Tensor) -> Tensor:
    """The edges between chosen nodes, (2, edges): those to oneself left out."""
    member = torch.isin(edges, chosen).all(0) & (edges[0] != edges[1])
    return edges[:, member]


def labelled_graph(
    edges: Tensor, predicted: Tensor, labels: Tensor, told: Tensor, classes: Sequence[str]
) -> Figure:
    """Nodes in the colour of what they are taken for; a ring in the true colour where that is
    wrong.

    Args:
        edges: (2, edges).
        predicted: classes, (nodes,).
        labels: the true ones, (nodes,).
        told: numbers of the nodes whose labels were told; drawn as squares.
        classes: their names.
    """
    chosen = shown_part(edges, len(labels))
    places, size = layout(edges, chosen), sizes(edges, chosen)
    figure, (axes,) = canvas(7.6, 5.6)
    axes.add_collection(
        LineCollection(
            list(segments(edges, chosen, places)), colors=QUIET, linewidths=0.7, alpha=0.45
        )
    )
    given = torch.isin(chosen, told).numpy()
    wrong = (predicted != labels)[chosen].numpy()
    colours = np.array(PALETTE)[predicted[chosen].numpy() % len(PALETTE)]
    truth = np.array(PALETTE)[labels[chosen].numpy() % len(PALETTE)]
    for mask, marker, factor in ((~given, "o", 1.0), (given, "s", 1.3)):
        axes.scatter(
            places[mask, 0],
            places[mask, 1],
            s=factor * size[mask],
            marker=marker,
            c=colours[mask],
            edgecolors="white",
            linewidths=0.9,
            zorder=3,
        )
    axes.scatter(
        places[wrong, 0],
        places[wrong, 1],
        s=2.4 * size[wrong],
        facecolors="none",
        edgecolors=truth[wrong],
        linewidths=2,
        zorder=4,
    )
    if len(chosen) <= 50:
        for node, (x, y) in zip(chosen.tolist(), places, strict=True):
            axes.annotate(
                str(node), (x, y), ha="center", va="center", fontsize=7, color="white", zorder=5
            )
    handles = [
        Line2D([], [], marker="o", linestyle="", color=PALETTE[k % len(PALETTE)], label=name)
        for k, name in enumerate(classes)
    ]
    handles.append(Line2D([], [], marker="s", linestyle="", color=INK, label="label was told"))
    if wrong.any():
        ring: dict[str, Any] = {"markerfacecolor": "none", "markeredgewidth": 2, "markersize": 11}
        handles.append(
            Line2D(
                [], [], marker="o", linestyle="", color=INK, label="wrong; ring: the truth", **ring
            )
        )
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
    bare(axes, "as predicted")
    return figure


def attention_graph(edges: Tensor, weights: Tensor, labels: Tensor) -> Figure:
    """How much each node looks at each neighbour, as the edge's width, and the same against what
    evenly would be.

    Args:
        edges: source and target, (2, edges).
        weights: of each edge; those that come into a node add up to 1.
        labels: (nodes,), for the colours.
    """
    chosen = shown_part(edges, len(labels), 120)
    places, size = layout(edges, chosen), sizes(edges, chosen)
    even = 1 / torch.bincount(edges[1], minlength=len(labels)).float()[edges[1]]
    kept = torch.isin(edges, chosen).all(0) & (edges[0] != edges[1])
    ratio = (weights / even).cpu()
    figure, (axes, right) = canvas(11.0, 5.0, columns=2)
    shown = ratio[kept].clamp(0, 4).numpy()
    colours = [PALETTE[int(k) % len(PALETTE)] for k in labels[edges[1, kept]]]
    lines = list(segments(edges[:, kept], chosen, places, bend=0.12))
    axes.add_collection(
        LineCollection(lines, colors=colours, linewidths=0.3 + 1.2 * shown, alpha=0.5)
    )
    axes.scatter(
        places[:, 0],
        places[:, 1],
        s=size,
        c=[PALETTE[int(k) % len(PALETTE)] for k in labels[chosen]],
        edgecolors="white",
        zorder=3,
    )
    bare(axes, "how much each looks at each")
    same = labels[edges[0]] == labels[edges[1]]
    own = edges[0] == edges[1]
    bins = np.linspace(float(ratio.quantile(0.005)), float(ratio.quantile(0.995)), 31)
    for mask, name, colour in (
        (same & ~own, "neighbour of the same class", PALETTE[2]),
        (~same, "of another class", PALETTE[6]),
        (own, "oneself", PALETTE[7]),
    ):
        if mask.any():
            part = np.full(int(mask.sum()), 1 / int(mask.sum()))
            right.hist(
                ratio[mask].numpy(),
                bins=list(bins),
                weights=part,
                histtype="stepfilled",
                color=colour,
                alpha=0.35,
                label=name,
            )
            right.axvline(float(ratio[mask].mean()), color=colour, linewidth=1.5)
    right.set(
        xlabel="weight over the even one; lines: means",
        ylabel="part of the edges",
        title="where the look goes",
    )
    right.legend(fontsize=9)
    return figure


def feature_layers(
    states: Mapping[str, Tensor], labels: Tensor, told: Tensor, edges: Tensor
) -> Figure:
    """One panel a layer: the nodes in the plane of their two main directions.

    Args:
        states: by layer, (nodes, width).
        labels: (nodes,).
        told: numbers of nodes; drawn as squares.
        edges: (2, edges); drawn where there are few.
    """
    figure, axes = canvas(3.7 * len(states), 3.7, columns=len(states))
    for cell, (name, state) in zip(axes, states.items(), strict=True):
        _scatter(cell, plane(state), labels, told, edges)
        cell.set(title=name, xticks=(), yticks=())
    return figure


def moving_features(
    states: Tensor, epochs: Sequence[int], labels: Tensor, told: Tensor, edges: Tensor
) -> Film:
    """Two numbers of each node, over training.

    Args:
        states: (frames, nodes, 2).
        epochs: of each frame.
        labels: (nodes,).
        told: numbers of nodes; drawn as squares.
        edges: (2, edges); drawn where there are few.
    """
    figure, (axes,) = canvas(5.0, 5.0)
    low, high = states.amin((0, 1)), states.amax((0, 1))
    room = 0.08 * (high - low) + 1e-6

    def draw(frame: int) -> None:
        axes.clear()
        _scatter(axes, states[frame].numpy(), labels, told, edges)
        axes.set(
            xlim=(float(low[0] - room[0]), float(high[0] + room[0])),
            xticks=(),
            yticks=(),
            ylim=(float(low[1] - room[1]), float(high[1] + room[1])),
            title=f"after {epochs[frame]:,} steps",
        )

    return Film(figure, draw, len(states))


def smoothing(
    depths: Sequence[int],
    accuracy: Sequence[list[float]],
    distance: Sequence[list[float]],
    alone: Sequence[float],
) -> Figure:
    """What more layers do: accuracy, and how far apart the nodes' features still are.

    Args:
        depths: numbers of layers.
        accuracy: at each depth, one a seed.
        distance: the same, of the mean cosine distance between the scores of two nodes.
        alone: that of random features after as many averages over neighbours, without weights.
    """
    figure, (left, right) = canvas(9.6, 3.5, columns=2)
    for cell, values, colour in ((left, accuracy, PALETTE[0]), (right, distance, PALETTE[1])):
        for depth, found in zip(depths, values, strict=True):
            cell.scatter([depth] * len(found), found, s=14, color=colour, alpha=0.35, linewidth=0)
        cell.plot(
            depths,
            [statistics.fmean(found) for found in values],
            "o-",
            color=colour,
            label="trained networks",
        )
        cell.set(xlabel="layers", xscale="log")
        cell.set_xticks(list(depths), [str(depth) for depth in depths])
        cell.minorticks_off()
        cell.grid(visible=True, axis="y")
    right.plot(depths, alone, "s--", color=QUIET, markersize=4, label="averages alone")
    left.set(title="test accuracy", ylim=(0, 1.03))
    right.set(title="mean cosine distance of two nodes", ylim=(-0.03, None))
    right.legend(fontsize=9)
    return figure


def plane(x: Tensor) -> np.ndarray:
    """Rows in their two main directions, (rows, width) → (rows, 2); such of two numbers stay as
    they are.
    """
    if x.shape[1] == 2:
        return np.asarray(x.cpu())
    centred = x.double().cpu() - x.double().cpu().mean(0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    return np.asarray(u[:, :2] * s[:2])


def sizes(edges: Tensor, chosen: Tensor) -> np.ndarray:
    """Areas of nodes, growing with their edges."""
    degree = torch.bincount(edges[1], minlength=int(max(chosen.max(), edges.max())) + 1)[
        chosen
    ].float()
    return np.asarray(
        (60 if len(chosen) > 50 else 170) * (0.6 + 0.4 * (degree / degree.mean()).sqrt())
    )


def segments(edges: Tensor, chosen: Tensor, places: np.ndarray, bend: float = 0.0) -> np.ndarray:
    """Lines along edges, (edges, points, 2): straight, or bent to the left of where they go."""
    start, end = (places[torch.searchsorted(chosen, ends).numpy()] for ends in among(edges, chosen))
    t = np.linspace(0, 1, 2 if bend == 0 else 9)[None, :, None]
    across = (end - start)[:, None, ::-1] * np.array([-1.0, 1.0])
    return np.asarray(start[:, None] * (1 - t) + end[:, None] * t + 4 * bend * t * (1 - t) * across)


def bare(axes: Axes, title: str) -> None:
    """No axes: places mean nothing."""
    axes.autoscale_view()
    axes.set(title=title, xticks=(), yticks=(), aspect="equal")
    axes.spines[:].set_visible(False)


def _scatter(axes: Axes, places: np.ndarray, labels: Tensor, told: Tensor, edges: Tensor) -> None:
    few = len(labels) <= MOST
    if few:
        axes.add_collection(
            LineCollection(
                list(places[edges.T.numpy()]), colors=QUIET, linewidths=0.5, alpha=0.35, zorder=1
            )
        )
    given = np.isin(np.arange(len(labels)), told.numpy())
    colours = np.array(PALETTE)[labels.numpy() % len(PALETTE)]
    for mask, marker, size in ((~given, "o", 45 if few else 7), (given, "s", 85 if few else 22)):
        axes.scatter(
            places[mask, 0],
            places[mask, 1],
            s=size,
            marker=marker,
            c=colours[mask],
            edgecolors="white",
            linewidths=0.8 if few else 0.2,
            alpha=1 if few or marker == "s" else 0.6,
            zorder=3 if marker == "s" else 2,
        )
