"""The layout of a directed graph: boxes in layers, every edge pointing downwards.

Four steps, after Sugiyama, Tagawa & Toda (1981): each node gets the layer of the longest path that
leads to it; an edge that passes several layers gets a point in each; the layers are ordered so that
few edges cross; then everything gets its place, after Brandes & Köpf (2001), so that the longest
path and long edges are straight lines. ``layers.py`` has the algorithms; a group is laid out by
itself and then stands in its layer like a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from etude.drawing.graph import Edge, Group, Node, nodes_in
from etude.drawing.layers import Link, Network, Spot, ranks
from etude.drawing.text import LARGE, LEADING, font_sizes, text_width

PADDING = 10.0  # pixels around the text of a box
FRAME = 15.0  # pixels between a frame and what it holds
LAYER_GAP = 22.0  # pixels between layers


@dataclass
class Item(Spot):
    """A node, a group or a port in a layer.

    Attributes:
        node: the node, if it is one.
        group: the group with its own layout, if it is one.
        entries: where an edge from the node of that key enters, from ``x``.
        exits: where an edge from the node of that key leaves, from ``x``.
    """

    node: Node | None = None
    group: tuple[Group, Level] | None = None
    entries: dict[str, float] = field(default_factory=dict)
    exits: dict[str, float] = field(default_factory=dict)


class Level:
    """The members of a group, or of the whole picture, laid out.

    Args:
        members: nodes and groups; where nothing else decides, earlier is further left.
        edges: all edges of the picture; those with an end outside run to the border.

    Attributes:
        items: what stands in the layers; ``x`` runs from ``left`` to ``right``, ``y`` from 0 to
            ``height``.
        paths: of each edge its vertical runs (x, from, to), and whether it ends in an arrow.
        entries: where edges from outside enter, by the key of their node, relative to ``middle``.
        exits: where edges to outside leave, likewise.
        middle: the x at which the most important edge enters, or leaves.
    """

    def __init__(self, members: Sequence[Node | Group], edges: Sequence[Edge]) -> None:
        owner = {
            node.key: place for place, member in enumerate(members) for node in nodes_in([member])
        }
        self.items = [item_of(member, edges) for member in members]
        entries: dict[str, int] = {}  # by the key of the outer node that an edge comes from
        exits: dict[str, int] = {}  # by the key of the inner node that an edge comes from
        links: dict[Link, None] = {}

        def point(where: dict[str, int], key: str) -> int:
            if key not in where:
                where[key] = len(self.items)
                self.items.append(Item())
            return where[key]

        for edge in edges:
            start, end = owner.get(edge.start), owner.get(edge.end)
            if (start is None and end is None) or (
                start == end and isinstance(members[start or 0], Group)
            ):
                continue
            if start is None:
                start = point(entries, edge.start)
            elif end is None:
                end = point(exits, edge.start)
            elif edge.label:
                self.items.append(item_of(Node("", tuple(edge.label.split("\n")), "label"), ()))
                links[Link(start, len(self.items) - 1, edge.start)] = None
                start = len(self.items) - 1
            assert end is not None
            links[Link(start, end, edge.start)] = None
        self.links = list(links)
        self._place(list(entries.values()), list(exits.values()))

        ports = (entries or exits).values()
        main = max(ports, key=self._weight.__getitem__, default=None)
        self.middle = (self.left + self.right) / 2 if main is None else self.items[main].x
        self.entries = {key: self.items[place].x - self.middle for key, place in entries.items()}
        self.exits = {key: self.items[place].x - self.middle for key, place in exits.items()}

    def _place(self, first: list[int], last: list[int]) -> None:
        items = self.items
        links = self.links
        rank, depth, height = ranks(len(items), links, first, last)
        # the longest path through each item
        self._weight = [d + h for d, h in zip(depth, height, strict=True)]
        importance = [depth[link.start] + height[link.end] for link in links]

        size = len(items)
        chains = []  # of each link: the points it goes through, from item to item
        segments: dict[tuple[int, int], int] = {}  # with the longest path through each
        for link, weight in zip(links, importance, strict=True):
            between = rank[link.end] - rank[link.start] - 1
            chain = [link.start, *range(size, size + between), link.end]
            rank += range(rank[link.start] + 1, rank[link.end])
            size += between
            chains.append(chain)
            for segment in pairwise(chain):
                segments[segment] = max(weight, segments.get(segment, 0))
        spots = [*items, *(Spot() for _ in range(size - len(items)))]
        layers: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
        for number, place in enumerate(rank):
            layers[place].append(number)

        network = Network(layers, segments, len(items))
        network.order()
        for spot, x in zip(spots, network.coordinates(spots), strict=True):
            spot.x = x
        self.left = min((spot.x - spot.left for spot in spots), default=0.0)
        self.right = max((spot.x + spot.right for spot in spots), default=0.0)

        tops, y = [], 0.0
        for place, layer in enumerate(layers):
            tall = max(spots[number].height for number in layer)
            for number in layer:
                spots[number].y = y + (tall - spots[number].height) / 2
            tops.append((y, y + tall))
            steep = max(
                (abs(spots[a].x - spots[b].x) for a, b in segments if rank[a] == place), default=0.0
            )
            y += tall + LAYER_GAP + min(0.1 * steep, LAYER_GAP)
        self.height = tops[-1][1] if tops else 0.0
        for number in [*first, *last]:
            items[number].y = self.height if number in last else 0.0

        self.paths = []
        for link, chain in zip(links, chains, strict=True):
            start, end = items[link.start], items[link.end]
            runs = [(spots[number].x, *tops[rank[number]]) for number in chain]
            runs[0] = (
                start.x + start.exits.get(link.source, 0.0),
                start.y + start.height,
                runs[0][2],
            )
            runs[-1] = (end.x + end.entries.get(link.source, 0.0), runs[-1][1], end.y)
            self.paths.append((runs, end.node is not None and end.node.kind != "label"))


def item_of(member: Node | Group, edges: Sequence[Edge]) -> Item:
    """A node or a group with the room that it takes."""
    if isinstance(member, Node):
        border = PADDING if member.kind != "label" else 2.0
        sizes = font_sizes(member)
        half = max(map(text_width, member.lines, sizes), default=0.0) / 2 + border
        return Item(half, half, LEADING * sum(sizes) + border, thin=False, node=member)
    level = Level(member.members, edges)
    side = FRAME + label_room(member)  # left as well, that both sides look alike
    return Item(
        left=level.middle - level.left + side,
        right=level.right - level.middle + side,
        height=level.height + 2 * FRAME,
        thin=False,
        group=(member, level),
        entries=level.entries,
        exits=level.exits,
    )


def label_room(group: Group) -> float:
    """The room that the label of a frame needs at its side."""
    return 1.1 * text_width(group.label, LARGE) + 2 * PADDING
