"""Directed graphs as pictures: boxes in layers, every edge pointing downwards, in one SVG without
style sheets.

Four steps, after Sugiyama, Tagawa & Toda (1981): each node gets the layer of the longest path that
leads to it; an edge that passes several layers gets a point in each; the layers are ordered so that
few edges cross; then everything gets its place, after Brandes & Köpf (2001), so that the longest
path and long edges are straight lines.

References
----------
Sugiyama, K., Tagawa, S. & Toda, M. (1981). Methods for visual understanding
of hierarchical system structures. IEEE Transactions on Systems, Man, and Cybernetics 11(2).

Brandes, U. & Köpf, B. (2001). Fast and simple horizontal coordinate assignment. Graph Drawing.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np

if TYPE_CHECKING:
    from etude.autodiff.tensor import Tensor

INK, QUIET, LINE = (
    "#22252b",
    "#50565f",
    "#8a8f98",
)  # text in a box; small text in a box; lines, legible on any page
TINTS = {  # kind: (fill, border)
    "input": ("#eceef1", "#8a8f98"),
    "leaf": ("#fbf3d4", "#c0a02c"),
    "convolution": ("#dbe8f6", "#2f6db3"),
    "linear": ("#fae3d7", "#d9622b"),
    "attention": ("#eaddf2", "#8e5bb0"),
    "recurrent": ("#f5dbe4", "#b8476b"),
    "embedding": ("#d9f0f3", "#4bb3c4"),
    "pooling": ("#efe3d7", "#9c6b3c"),
    "normalisation": ("#dcefe5", "#3a9a6b"),
    "activation": ("#dcefe5", "#3a9a6b"),
    "merge": ("#fbf3d4", "#c0a02c"),
    "reshape": ("#eceef1", "#8a8f98"),
    "": ("#e3e8ef", "#5f738c"),
}
FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
LARGE, SMALL = 12.5, 11.0  # font sizes in pixels: a box's first line, the others
MARGIN, PADDING, FRAME = 12.0, 10.0, 15.0  # around the picture, in a box, in a frame
BOX_GAP, LINE_GAP, LAYER_GAP = 22.0, 14.0, 22.0
TIP = 9.0  # pixels before an edge's end where it is straight already
ROUNDS = 12  # of sweeps for few crossings


@dataclass(frozen=True)
class Node:
    """A box: its first line large, the others small, its colour by ``kind`` (see ``TINTS``),
    ``title`` its tooltip.
    """

    key: str
    lines: tuple[str, ...]
    kind: str = ""
    title: str = ""


@dataclass(frozen=True)
class Group:
    """A frame around nodes and other groups; the label stands at its right, as the ``N ×`` of a
    repeated layer does.
    """

    label: str
    members: tuple[Node | Group, ...]


@dataclass(frozen=True)
class Edge:
    """An arrow from the node with key ``start`` to that with key ``end``; the label
    interrupts it.
    """

    start: str
    end: str
    label: str = ""


def svg(nodes: Sequence[Node | Group], edges: Sequence[Edge], title: str = "") -> str:
    """The picture as SVG, which can stand in a file or inside a page of HTML.

    Args:
        nodes: boxes, and frames around boxes; keys are unique. Where nothing else decides, earlier
            is further left.
        edges: between keys of nodes, without cycles.
        title: of the picture, for those who can't see it.

    Raises:
        ValueError: a key stands for two nodes, an edge leads from or to none, or edges form a
            cycle.
    """
    keys = Counter(node.key for node in _nodes(nodes))
    twice = [key for key, times in keys.items() if times > 1]
    nowhere = [end for edge in edges for end in (edge.start, edge.end) if end not in keys]
    if twice or nowhere:
        raise ValueError(
            f"two nodes have the key {twice[0]!r}"
            if twice
            else f"no node has the key {nowhere[0]!r}"
        )
    level = _Level(nodes, edges)
    width, height = level.right - level.left + 2 * MARGIN, level.height + 2 * MARGIN
    frames, lines, boxes = level.drawn(MARGIN - level.left, MARGIN)
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
                f' viewBox="0 0 {width:.1f} {height:.1f}" role="img" font-family="{FONT}"'
                ' text-anchor="middle">'
            ),
            f"<title>{_text(title)}</title>",
            (
                '<defs><marker id="etude-arrow" viewBox="0 0 8 8" refX="7" refY="4"'
                ' markerWidth="7" markerHeight="7" orient="auto"><path d="M0.5 0.8L7.5 4L0.5'
                f' 7.2L2.2 4z" fill="{LINE}"/></marker></defs>'
            ),
            *frames,
            f'<g fill="none" stroke="{LINE}" stroke-width="1.3">',
            *lines,
            "</g>",
            *boxes,
            "</svg>\n",
        ]
    )


def draw(tensor: Tensor) -> str:
    """The expression that a tensor came from, as SVG: operations as boxes, their operands as the
    edges between them.

    On each edge stand the operand's shape and, once gradients are there, the Euclidean norm of its
    gradient.

    Args:
        tensor: the result, of any shape. ``tensor.backward(retain_graph=True, retain_grads=True)``
            before it leaves the graph there, and gradients everywhere in it.
    """
    order, seen, waiting = [], {id(tensor)}, [tensor]
    while waiting:
        order.append(waiting.pop())
        for parent in order[-1].parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                waiting.append(parent)
    nodes = [Node(str(id(each)), *_box(each)) for each in reversed(order)]
    edges = [
        Edge(str(id(parent)), str(id(each)), _size(parent))
        for each in order
        for parent in each.parents
    ]
    result = Node("result", ("result",), "input")
    return svg(
        [*nodes, result], [*edges, Edge(str(id(tensor)), "result", _size(tensor))], "an expression"
    )


def _box(tensor: Tensor) -> tuple[tuple[str, ...], str]:
    if tensor.operation:
        return (tensor.operation, *filter(None, [tensor.name])), ""
    return (
        tensor.name or (f"{float(tensor.data):.4g}" if tensor.shape == () else "tensor"),
    ), "leaf"


def _size(tensor: Tensor) -> str:
    shape = " × ".join(map(str, tensor.shape)) or "scalar"
    return (
        shape
        if tensor.grad is None
        else f"{shape}\n‖∇‖ {np.linalg.norm(np.asarray(tensor.grad.data)):.3g}"
    )


# -- one level: the members of a group, or the whole picture ---------------------------------------


@dataclass
class _Item:
    """What takes room in a layer.

    It is as wide as ``left`` and ``right`` of ``x``, where its edges come and go.
    """

    left: float = 0.0
    right: float = 0.0
    height: float = 0.0
    node: Node | None = None
    group: tuple[Group, _Level] | None = None
    entries: dict[str, float] = field(
        default_factory=dict
    )  # where an edge from that node enters, from x
    exits: dict[str, float] = field(default_factory=dict)
    x: float = 0.0
    y: float = 0.0  # of its upper end

    @property
    def thin(self) -> bool:
        """Whether it is but a point on an edge."""
        return not self.node and not self.group


@dataclass(frozen=True)
class _Link:
    """An edge within one level, from item to item; ``source`` is the key of the node that it came
    from first.
    """

    start: int
    end: int
    source: str


class _Level:
    """Nodes and frames with the edges between them, laid out; ``x`` runs from ``left`` to
    ``right``, ``y`` from 0.
    """

    def __init__(self, members: Sequence[Node | Group], edges: Sequence[Edge]) -> None:
        owner = {
            node.key: place for place, member in enumerate(members) for node in _nodes([member])
        }
        self.items = [_item(member, edges) for member in members]
        entries: dict[str, int] = {}  # by the key of the outer node that an edge comes from
        exits: dict[str, int] = {}  # by the key of the inner node that an edge comes from
        links: dict[_Link, None] = {}

        def point(where: dict[str, int], key: str) -> int:
            if key not in where:
                where[key] = len(self.items)
                self.items.append(_Item())
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
                self.items.append(_item(Node("", tuple(edge.label.split("\n")), "label"), ()))
                links[_Link(start, len(self.items) - 1, edge.start)] = None
                start = len(self.items) - 1
            assert end is not None
            links[_Link(start, end, edge.start)] = None
        self.links = list(links)
        self._place(list(entries.values()), list(exits.values()))
        middle = max(
            entries or exits, key=lambda key: self._weight[(entries or exits)[key]], default=None
        )
        self.middle = (
            self.items[(entries or exits)[middle]].x
            if middle is not None
            else (self.left + self.right) / 2
        )
        self.entries = {key: self.items[place].x - self.middle for key, place in entries.items()}
        self.exits = {key: self.items[place].x - self.middle for key, place in exits.items()}

    def _place(self, first: list[int], last: list[int]) -> None:
        items, links = self.items, self.links
        rank, depth, height = _ranks(len(items), links, first, last)
        self._weight = [
            d + h for d, h in zip(depth, height, strict=True)
        ]  # the longest path through each item
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
        spots = items + [_Item() for _ in range(size - len(items))]
        layers: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
        for number, place in enumerate(rank):
            layers[place].append(number)

        net = _Net(layers, segments, len(items))
        net.order()
        for spot, x in zip(spots, net.coordinates(spots), strict=True):
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

    def drawn(self, x: float, y: float) -> tuple[list[str], list[str], list[str]]:
        """Frames, lines and boxes as SVG, moved by (x, y)."""
        frames: list[str] = []
        boxes: list[str] = []
        lines = [
            _path([(a + x, b + y, c + y) for a, b, c in runs], arrow) for runs, arrow in self.paths
        ]
        for item in self.items:
            middle, top = x + item.x, y + item.y
            if item.node:
                boxes.append(_drawn(item.node, middle, top, item.left + item.right, item.height))
            elif item.group:
                group, level = item.group
                room, inside, end = _room(group), top + FRAME, top + item.height
                frames.append(
                    _frame(group, middle - item.left + room, middle + item.right - room, top, end)
                )
                lines += [
                    _path([(middle + port, top, inside)], False) for port in item.entries.values()
                ]
                lines += [
                    _path([(middle + port, end - FRAME, end)], False)
                    for port in item.exits.values()
                ]
                for mine, its in zip(
                    (frames, lines, boxes), level.drawn(middle - level.middle, inside), strict=True
                ):
                    mine += its
        return frames, lines, boxes


def _nodes(members: Iterable[Node | Group]) -> Iterator[Node]:
    for member in members:
        if isinstance(member, Node):
            yield member
        else:
            yield from _nodes(member.members)


def _item(member: Node | Group, edges: Sequence[Edge]) -> _Item:
    if isinstance(member, Node):
        border = PADDING if member.kind != "label" else 2.0
        sizes = _sizes(member)
        half = max(map(_width, member.lines, sizes), default=0.0) / 2 + border
        return _Item(half, half, 1.3 * sum(sizes) + border, node=member)
    level = _Level(member.members, edges)
    side = FRAME + _room(member)  # left as well, that both sides look alike
    left, right = level.middle - level.left + side, level.right - level.middle + side
    return _Item(
        left, right, level.height + 2 * FRAME, None, (member, level), level.entries, level.exits
    )


def _sizes(node: Node) -> list[float]:
    return [SMALL if number or node.kind == "label" else LARGE for number in range(len(node.lines))]


def _room(group: Group) -> float:
    """What a frame's label needs at its side."""
    return 1.1 * _width(group.label, LARGE) + 2 * PADDING


# -- layers, order, places -------------------------------------------------------------------------


def _ranks(
    count: int, links: Sequence[_Link], first: Sequence[int], last: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """The layer of each item, and how long the longest paths to it and from it are.

    A node stands as high as it can. But one that nothing leads to, with what is made of such alone,
    stands as low as it can: a parameter beside where it is used. So does one that leads to more
    than leads to it, for shorter edges.
    """
    after: list[list[int]] = [[] for _ in range(count)]
    before: list[list[int]] = [[] for _ in range(count)]
    for link in links:
        after[link.start].append(link.end)
        before[link.end].append(link.start)
    missing = [len(above) for above in before]
    order = [v for v in range(count) if not missing[v]]
    for v in order:
        for w in after[v]:
            missing[w] -= 1
            if not missing[w]:
                order.append(w)
    if len(order) < count:
        raise ValueError("the edges form a cycle, which has no layers")
    depth, height, loose = [0] * count, [0] * count, [False] * count
    for v in order:
        depth[v] = max((depth[u] + 1 for u in before[v]), default=0)
        loose[v] = len(before[v]) < len(after[v]) or all(
            loose[u] and len(after[u]) == 1 for u in before[v]
        )
    rank = [*depth]
    for v in last:
        rank[v] = max(depth)
    for v in reversed(order):
        height[v] = max((height[w] + 1 for w in after[v]), default=0)
        if after[v] and loose[v] and v not in first:
            rank[v] = min(rank[w] for w in after[v]) - 1
    return rank, depth, height


class _Net:
    """Points in layers, joined by segments from one layer to the next.

    Args:
        layers: the points of each, which ``order`` rearranges.
        segments: with the longest path through each.
        items: how many points are items; those from this number on lie on long edges.
    """

    def __init__(
        self, layers: list[list[int]], segments: dict[tuple[int, int], int], items: int
    ) -> None:
        self.layers, self.segments, self.items = layers, segments, items
        self.size = sum(map(len, layers))
        self.above: list[list[int]] = [[] for _ in range(self.size)]
        self.below: list[list[int]] = [[] for _ in range(self.size)]
        for a, b in segments:
            self.below[a].append(b)
            self.above[b].append(a)

    def places(self) -> list[int]:
        """Of each point, its number in its layer."""
        place = [0] * self.size
        for layer in self.layers:
            for number, v in enumerate(layer):
                place[v] = number
        return place

    def crossings(self) -> int:
        """How many pairs of segments cross."""
        place, count = self.places(), 0
        for layer in self.layers:
            ends: list[int] = []
            for a in layer:
                targets = sorted(place[b] for b in self.below[a])
                count += sum(len(ends) - bisect_right(ends, target) for target in targets)
                for target in targets:
                    insort(ends, target)
        return count

    def order(self) -> None:
        """Put each point at the mean place of its neighbours, layer by layer, down and up; keep the
        best order.
        """
        best, fewest = [[*layer] for layer in self.layers], self.crossings()
        for turn in range(2 * ROUNDS):
            if not fewest:
                break
            neighbours = self.below if turn % 2 else self.above
            place = self.places()
            for layer in reversed(self.layers) if turn % 2 else self.layers:
                mean = {
                    v: (
                        sum(place[u] for u in neighbours[v]) / len(neighbours[v])
                        if neighbours[v]
                        else place[v]
                    )
                    for v in layer
                }
                layer.sort(key=mean.__getitem__)
                for number, v in enumerate(layer):
                    place[v] = number
            crossings = self.crossings()
            if crossings < fewest:
                best, fewest = [[*layer] for layer in self.layers], crossings
        self.layers = best

    def coordinates(self, spots: Sequence[_Item]) -> list[float]:
        """Of each point its x; points of a layer keep their distance (Brandes & Köpf).

        Points that follow one another are joined to vertical blocks, which are pushed together:
        upwards or downwards first, to the left or to the right. Of the four results each point
        takes the mean of the middle two.
        """
        place, straight = self.places(), self._straight()
        results = []
        for neighbours, layers in ((self.above, self.layers), (self.below, self.layers[::-1])):
            for sign in (1, -1):
                ordered = [layer[::sign] for layer in layers]
                root = [*range(self.size)]
                for layer in ordered:
                    taken = -np.inf
                    for v in layer:
                        near = sorted(
                            (u for u in neighbours[v] if {(u, v), (v, u)} & straight),
                            key=lambda u: sign * place[u],
                        )
                        for u in (
                            {near[(len(near) - 1) // 2]: 0, near[len(near) // 2]: 0} if near else ()
                        ):
                            if root[v] == v and sign * place[u] > taken:
                                root[v], taken = root[u], sign * place[u]
                results.append([sign * x for x in self._packed(ordered, root, spots, sign)])

        def ends(xs: list[float]) -> tuple[float, float]:
            return (
                min((x - spot.left for x, spot in zip(xs, spots, strict=True)), default=0.0),
                max((x + spot.right for x, spot in zip(xs, spots, strict=True)), default=0.0),
            )

        left, right = min(map(ends, results), key=lambda pair: pair[1] - pair[0])
        for number, xs in enumerate(results):
            shift = left - ends(xs)[0] if number % 2 == 0 else right - ends(xs)[1]
            results[number] = [x + shift for x in xs]
        return [(b + c) / 2 for _, b, c, _ in (sorted(four) for four in zip(*results, strict=True))]

    def _straight(self) -> set[tuple[int, int]]:
        """Segments that may be vertical: of long edges; and from middle to middle on the longest
        path of both ends.
        """
        place = self.places()

        def middle(segments: list[tuple[int, int]], end: int) -> set[tuple[int, int]]:
            longest = max((self.segments[each] for each in segments), default=0)
            best = sorted(
                (each for each in segments if self.segments[each] == longest),
                key=lambda s: place[s[end]],
            )
            return {best[(len(best) - 1) // 2], best[len(best) // 2]} if best else set()

        down = {
            each for v in range(self.size) for each in middle([(v, w) for w in self.below[v]], 1)
        }
        up = {each for v in range(self.size) for each in middle([(u, v) for u in self.above[v]], 0)}
        chosen = set()
        for layer in self.layers:
            here = [(a, b) for a in layer for b in self.below[a]]
            long = [(a, b) for a, b in here if min(a, b) >= self.items]
            for a, b in here:
                crossed = any((place[a] - place[c]) * (place[b] - place[d]) < 0 for c, d in long)
                if (a, b) in long or ((a, b) in down & up and not crossed):
                    chosen.add((a, b))
        return chosen

    def _packed(
        self, layers: list[list[int]], root: list[int], spots: Sequence[_Item], sign: int
    ) -> list[float]:
        """Every block as far left as its left neighbours allow, then as near to its right ones as
        they allow.
        """
        apart: dict[tuple[int, int], float] = {}
        for layer in layers:
            for u, v in pairwise(layer):
                a, b = (spots[u], spots[v])[::sign]
                gap = BOX_GAP if not a.thin and not b.thin else LINE_GAP
                pair = (root[u], root[v])
                apart[pair] = max(apart.get(pair, 0.0), a.right + gap + b.left)
        right: dict[int, list[int]] = {r: [] for r in root}
        missing = dict.fromkeys(right, 0)
        for r, s in apart:
            right[r].append(s)
            missing[s] += 1
        order = [r for r in right if not missing[r]]
        x = dict.fromkeys(right, 0.0)
        for r in order:
            for s in right[r]:
                x[s] = max(x[s], x[r] + apart[r, s])
                missing[s] -= 1
                if not missing[s]:
                    order.append(s)
        for r in reversed(order):
            if right[r]:
                x[r] = max(x[r], min(x[s] - apart[r, s] for s in right[r]))
        return [x[r] for r in root]


# -- SVG -------------------------------------------------------------------------------------------


def _path(runs: list[tuple[float, float, float]], arrow: bool) -> str:
    """Vertical runs (x, from, to), joined by smooth curves."""
    x, y, _ = runs[0]
    words = [f"M{x:.1f} {y:.1f}"]
    for (a, _, start), (b, end, _) in pairwise(runs):
        words.append(f"V{start:.1f}")
        end -= TIP
        middle = (start + end) / 2
        words.append(
            f"C{a:.1f} {middle:.1f} {b:.1f} {middle:.1f} {b:.1f} {end:.1f}"
            if abs(a - b) > 0.05
            else ""
        )
    words.append(f"V{runs[-1][2]:.1f}")
    head = ' marker-end="url(#etude-arrow)"' if arrow else ""
    return f'<path d="{"".join(words)}"{head}/>'


def _drawn(node: Node, x: float, y: float, width: float, height: float) -> str:
    """A box, or a label, whose upper middle is (x, y)."""
    words = ["<g>"]
    if node.kind != "label":
        fill, border = TINTS.get(node.kind, TINTS[""])
        words.append(
            f"<title>{_text(node.title or chr(10).join(node.lines))}</title><rect"
            f' x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6"'
            f' fill="{fill}" stroke="{border}"/>'
        )
        y += PADDING / 2
    for line, size in zip(node.lines, _sizes(node), strict=True):
        y += 1.3 * size
        colour = LINE if node.kind == "label" else INK if size == LARGE else QUIET
        words.append(
            f'<text x="{x:.1f}" y="{y - 0.32 * size:.1f}" font-size="{size}"'
            f' fill="{colour}">{_text(line)}</text>'
        )
    return "".join([*words, "</g>"])


def _frame(group: Group, left: float, right: float, top: float, end: float) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{end - top:.1f}"'
        f' rx="10" fill="none" stroke="{LINE}" stroke-dasharray="5 3"/><text'
        f' x="{right + PADDING:.1f}" y="{(top + end) / 2 + 4:.1f}" font-size="{LARGE}"'
        f' font-weight="bold" fill="{LINE}" text-anchor="start">{_text(group.label)}</text>'
    )


def _text(text: str) -> str:
    """Escaped, and without the characters that XML does not allow."""
    return escape(re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))


def _width(text: str, size: float) -> float:
    """About how wide a text is, in pixels; rather too wide, as nobody knows which font there will
    be.
    """

    def ems(letter: str) -> float:
        if unicodedata.combining(letter):
            return 0.0
        if unicodedata.east_asian_width(letter) in "WF":
            return 1.05
        return (
            0.33
            if letter in "iljtfI.,:;'|!()[] "
            else 0.9
            if letter in "mwMW@%—"
            else 0.7
            if letter.isupper()
            else 0.6
        )

    return size * sum(map(ems, text))
