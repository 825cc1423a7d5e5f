"""Drawings of a graph, its nodes' features and its attention."""

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

from etude import figures
from etude.figures import INK, PALETTE, QUIET

from ._figures_layout import MOST, areas, coordinates, segments, shown_nodes

SMOOTHED = {
    "test/accuracy": "test accuracy",
    "train/loss": "loss on the known labels",
    "distance": "mean cosine distance of two nodes",
}
"""Metrics over the number of layers, and the titles of their panels."""


def labelled_graph(
    edges: Tensor, predicted: Tensor, labels: Tensor, known: Tensor, classes: Sequence[str]
) -> Figure:
    """Nodes in the colour of the predicted class; wrong ones have a ring in the colour of theirs.

    Args:
        edges: source and target, (2, edges).
        predicted: classes, (nodes,).
        labels: the true classes, (nodes,).
        known: indices of the nodes whose labels the network was given; drawn as squares.
        classes: their names.
    """
    nodes = shown_nodes(edges, len(labels))
    places = coordinates(edges, nodes)
    figure, (axes,) = figures.canvas(7.6, 5.6)
    lines = list(segments(edges, nodes, places))
    axes.add_collection(LineCollection(lines, colors=QUIET, linewidths=0.7, alpha=0.45))
    scatter(axes, places, predicted[nodes], torch.isin(nodes, known), areas(edges, nodes))

    wrong = (predicted != labels)[nodes].numpy()
    ring: dict[str, Any] = {"facecolors": "none", "linewidths": 2, "zorder": 4}
    ring["edgecolors"] = colours(labels[nodes])[wrong]
    axes.scatter(places[wrong, 0], places[wrong, 1], s=2.4 * areas(edges, nodes)[wrong], **ring)
    if len(nodes) <= 50:
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "color": "white"}
        for node, place in zip(nodes.tolist(), places, strict=True):
            axes.annotate(str(node), place, zorder=5, **style)

    shapes = [("o", PALETTE[k % len(PALETTE)], name) for k, name in enumerate(classes)]
    shapes.append(("s", INK, "known label"))
    if wrong.any():
        shapes.append(("$\\bigcirc$", INK, "wrong; ring: the true class"))
    handles = [
        Line2D([], [], marker=marker, linestyle="", color=colour, label=name)
        for marker, colour, name in shapes
    ]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
    hide_axes(axes, "as predicted")
    return figure


def attention_graph(edges: Tensor, weights: Tensor, labels: Tensor) -> Figure:
    """Attention weights as the widths of edges, and their distribution.

    Args:
        edges: source and target, (2, edges), self-loops among them.
        weights: of each edge; those of the edges that end at one node sum to 1.
        labels: classes, (nodes,).
    """
    nodes = shown_nodes(edges, len(labels), 120)
    places = coordinates(edges, nodes)
    even = 1 / torch.bincount(edges[1], minlength=len(labels)).float()[edges[1]]
    ratio = (weights / even).cpu()  # 1 where a node weights all its neighbours alike
    own = edges[0] == edges[1]
    shown = torch.isin(edges, nodes).all(0) & ~own

    figure, (left, right) = figures.canvas(11.0, 5.0, columns=2)
    lines = list(segments(edges[:, shown], nodes, places, bend=0.12))
    widths = 0.3 + 1.2 * ratio[shown].clamp(0, 4).numpy()
    of_target = colours(labels[edges[1, shown]])
    left.add_collection(LineCollection(lines, colors=of_target, linewidths=widths, alpha=0.5))
    none = torch.zeros(len(nodes), dtype=torch.bool)
    scatter(left, places, labels[nodes], none, areas(edges, nodes))
    hide_axes(left, "attention weight of each edge")

    same = labels[edges[0]] == labels[edges[1]]
    bins = np.linspace(float(ratio.quantile(0.005)), float(ratio.quantile(0.995)), 31)
    for mask, name, colour in (
        (same & ~own, "neighbour of the same class", PALETTE[2]),
        (~same, "neighbour of another class", PALETTE[6]),
        (own, "the node itself", PALETTE[7]),
    ):
        if mask.any():
            n = int(mask.sum())
            right.hist(
                ratio[mask].numpy(),
                bins=list(bins),
                weights=np.full(n, 1 / n),
                histtype="stepfilled",
                color=colour,
                alpha=0.35,
                label=name,
            )
            right.axvline(float(ratio[mask].mean()), color=colour, linewidth=1.5)
    right.set(xlabel="weight over that of a plain mean; lines: means", ylabel="fraction of edges")
    right.legend(fontsize=9)
    return figure


def layer_features(
    outputs: Sequence[Tensor], labels: Tensor, known: Tensor, edges: Tensor
) -> Figure:
    """The nodes in the plane of the two principal components, a panel for each layer.

    Args:
        outputs: of each layer, (nodes, width).
        labels: classes, (nodes,).
        known: indices of the nodes whose labels the network was given; drawn as squares.
        edges: source and target, (2, edges); drawn where there are few nodes.
    """
    figure, axes = figures.canvas(3.7 * len(outputs), 3.7, columns=len(outputs))
    for n, (cell, x) in enumerate(zip(axes, outputs, strict=True), start=1):
        plane_scatter(cell, principal_plane(x), labels, known, edges)
        cell.set(title=f"layer {n}: {x.shape[1]} numbers a node", xticks=(), yticks=())
    return figure


def moving_features(
    features: Tensor, steps: Sequence[int], labels: Tensor, known: Tensor, edges: Tensor
) -> figures.Film:
    """Two features of each node, over training.

    Args:
        features: (frames, nodes, 2).
        steps: of each frame.
        labels: classes, (nodes,).
        known: indices of the nodes whose labels the network was given; drawn as squares.
        edges: source and target, (2, edges); drawn where there are few nodes.
    """
    figure, (axes,) = figures.canvas(5.0, 5.0)
    low = features.amin((0, 1))
    high = features.amax((0, 1))
    margin = 0.08 * (high - low) + 1e-6
    left, bottom = (low - margin).tolist()
    right, top = (high + margin).tolist()

    def draw(frame: int) -> None:
        axes.clear()
        plane_scatter(axes, features[frame].numpy(), labels, known, edges)
        axes.set(xlim=(left, right), ylim=(bottom, top), xticks=(), yticks=())
        axes.set_title(f"after {steps[frame]:,} steps")

    return figures.Film(figure, draw, len(features))


def smoothing(
    depths: Sequence[int],
    measured: Mapping[str, Mapping[str, list[float]]],
    steps: Sequence[int],
    averaged: Mapping[str, list[float]],
) -> Figure:
    """Accuracy, loss, and the distance between the nodes' outputs, over the number of layers.

    Args:
        depths: numbers of layers.
        measured: of each depth, in this order, and then of the deepest network's variants: each
            metric, one value a seed.
        steps: numbers of averages.
        averaged: metrics after so many averages without any weights.
    """
    figure, axes = figures.canvas(11.6, 3.5, columns=3)
    depth = depths[-1]
    for cell, (metric, title) in zip(axes, SMOOTHED.items(), strict=True):
        found = [values[metric] for values in measured.values()]
        means = [statistics.fmean(values) for values in found[: len(depths)]]
        cell.plot(depths, means, "o-", color=PALETTE[0], label="trained without dropout")
        for name, values, look in zip(
            [*measured][len(depths) :],
            found[len(depths) :],
            ((1, "D", 1.15), (2, "^", 1.35), (3, "v", 1.6)),
            strict=True,
        ):
            colour, marker, aside = look
            cell.scatter(
                [depth * aside] * len(values),
                values,
                s=28,
                color=PALETTE[colour],
                marker=marker,
                label=name,
            )
        if metric in averaged:
            cell.plot(
                steps,
                averaged[metric],
                "s--",
                color=QUIET,
                markersize=4,
                label="averages alone, untrained",
            )
        cell.set(title=title, xlabel="layers, or averages", xscale="log", ylim=(-0.03, None))
        cell.set_xticks(steps, [str(step) for step in steps])
        cell.minorticks_off()
        cell.grid(visible=True, axis="y")
    axes[0].set_ylim(0, 1.03)
    axes[0].legend(fontsize=8, loc="lower left")
    return figure


def principal_plane(x: Tensor) -> np.ndarray:
    """Rows by their first two principal components, (n, width) → (n, 2); unchanged if two wide."""
    if x.shape[1] == 2:
        return np.asarray(x.cpu())
    centred = x.double().cpu() - x.double().cpu().mean(0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    return np.asarray(u[:, :2] * s[:2])


def plane_scatter(
    axes: Axes, places: np.ndarray, labels: Tensor, known: Tensor, edges: Tensor
) -> None:
    """Draw all nodes at (nodes, 2), and the edges if there are few."""
    few = len(labels) <= MOST
    if few:
        lines = list(places[edges.T.numpy()])
        axes.add_collection(LineCollection(lines, colors=QUIET, linewidths=0.5, alpha=0.35))
    square = torch.isin(torch.arange(len(labels)), known)
    scatter(axes, places, labels, square, np.full(len(labels), 45.0 if few else 7.0))


def scatter(
    axes: Axes, places: np.ndarray, labels: Tensor, known: Tensor, area: np.ndarray
) -> None:
    """Draw nodes at (nodes, 2) in the colour of their class; those that are known as squares."""
    for mask, marker, factor, above in ((~known, "o", 1.0, 3), (known, "s", 1.2, 4)):
        chosen = mask.numpy()
        axes.scatter(
            places[chosen, 0],
            places[chosen, 1],
            s=factor * area[chosen],
            marker=marker,
            c=colours(labels)[chosen],
            edgecolors="white",
            linewidths=0.8,
            zorder=above,
        )


def colours(labels: Tensor) -> np.ndarray:
    """The colour of each class in (n,)."""
    return np.asarray(np.array(PALETTE)[labels.numpy() % len(PALETTE)])


def hide_axes(axes: Axes, title: str) -> None:
    """Fit the view, and draw no axes, since coordinates have no meaning."""
    axes.autoscale_view()
    axes.set(title=title, xticks=(), yticks=(), aspect="equal")
    axes.spines[:].set_visible(False)
