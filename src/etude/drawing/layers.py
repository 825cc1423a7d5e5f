"""A layered graph: the layer of each node, their order within a layer, and their places.

References
----------
Sugiyama, K., Tagawa, S. & Toda, M. (1981). Methods for visual understanding
of hierarchical system structures. IEEE Transactions on Systems, Man, and Cybernetics 11(2).

Brandes, U. & Köpf, B. (2001). Fast and simple horizontal coordinate assignment. Graph Drawing.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

BOX_GAP = 22.0  # pixels between boxes of a layer
LINE_GAP = 14.0  # pixels between a long edge and its neighbours
ROUNDS = 12  # sweeps for few crossings


@dataclass
class Spot:
    """What takes room in a layer; by default nothing but a point on a long edge.

    Attributes:
        left: room on the left of ``x``, where its edges come and go.
        right: room on the right of ``x``.
        height: its height.
        thin: whether it is but a point on an edge.
        x: its place, which the layout gives it.
        y: its upper end, which the layout gives it.
    """

    left: float = 0.0
    right: float = 0.0
    height: float = 0.0
    thin: bool = True
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True)
class Link:
    """An edge within one level, from item to item; ``source`` is the key of the node where it
    begins.
    """

    start: int
    end: int
    source: str


def ranks(
    count: int, links: Sequence[Link], first: Sequence[int], last: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """The layer of each item, and the lengths of the longest paths to it and from it.

    A node stands as high as it can. But a node without incoming edges, such as a parameter, stands
    as low as it can, beside where it is used; so do nodes that depend on such nodes alone, and
    nodes with more outgoing than incoming edges, for shorter edges.

    Args:
        count: how many items there are.
        links: edges between their numbers.
        first: items that stay in the first layer.
        last: items that stay in the last layer.

    Raises:
        ValueError: the links form a cycle.
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
    depth = [0] * count
    height = [0] * count
    loose = [False] * count
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


class Network:
    """Points in layers, joined by segments from one layer to the next.

    Args:
        layers: the points of each layer, which ``order`` rearranges.
        segments: pairs of points, with the length of the longest path through each.
        items: how many points are items; those from this number on lie on long edges.
    """

    def __init__(
        self, layers: list[list[int]], segments: dict[tuple[int, int], int], items: int
    ) -> None:
        self.layers = layers
        self.segments = segments
        self.items = items
        self.size = sum(map(len, layers))
        self.above: list[list[int]] = [[] for _ in range(self.size)]
        self.below: list[list[int]] = [[] for _ in range(self.size)]
        for a, b in segments:
            self.below[a].append(b)
            self.above[b].append(a)

    def places(self) -> list[int]:
        """The index of each point in its layer."""
        place = [0] * self.size
        for layer in self.layers:
            for number, v in enumerate(layer):
                place[v] = number
        return place

    def crossings(self) -> int:
        """The number of pairs of segments that cross."""
        place = self.places()
        count = 0
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
        best = [[*layer] for layer in self.layers]
        fewest = self.crossings()
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
                best = [[*layer] for layer in self.layers]
                fewest = crossings
        self.layers = best

    def coordinates(self, spots: Sequence[Spot]) -> list[float]:
        """The x of each point; points of a layer keep their distance (Brandes & Köpf).

        Points that follow one another are joined to vertical blocks, which are pushed together:
        upwards or downwards first, to the left or to the right. Of the four results each point
        takes the mean of the middle two.
        """
        place = self.places()
        straight = self._straight()
        results = []
        for neighbours, layers in ((self.above, self.layers), (self.below, self.layers[::-1])):
            for sign in (1, -1):
                ordered = [layer[::sign] for layer in layers]
                root = [*range(self.size)]
                for layer in ordered:
                    taken = -math.inf
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
                results.append([sign * x for x in self._compact(ordered, root, spots, sign)])

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

    def _compact(
        self, layers: list[list[int]], root: list[int], spots: Sequence[Spot], sign: int
    ) -> list[float]:
        """Place every block as far left as its left neighbours allow, then as near to its right
        neighbours as they allow.
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
