"""Pictures of graphs: everything is there, nothing overlaps, edges lead downwards and
around boxes.
"""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.autodiff import Tensor, sin
from etude.autodiff.drawing import draw
from etude.drawing import Edge, Group, Node, svg
from etude.studies.foundations.autodiff.autodiff import expression

NAME = "{http://www.w3.org/2000/svg}"


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        return min(self.right, other.right) - max(self.left, other.left) > 0.2 and (
            min(self.bottom, other.bottom) - max(self.top, other.top) > 0.2
        )

    def holds(self, other: Box) -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and (other.bottom <= self.bottom)
        )

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


class Picture:
    """A drawing, read back."""

    def __init__(self, text: str) -> None:
        self.root = ElementTree.fromstring(text)
        self.boxes, self.labels = {}, []
        for group in self.root.iter(f"{NAME}g"):
            rectangle, tip = group.find(f"{NAME}rect"), group.find(f"{NAME}title")
            if rectangle is not None and tip is not None:
                self.boxes[tip.text or ""] = box_of(rectangle)
            elif group.find(f"{NAME}text") is not None:
                self.labels.append([text.text for text in group.iter(f"{NAME}text")])
        self.frames = [box_of(each) for each in self.root.findall(f"{NAME}rect")]
        self.curves = [each.get("d", "").count("C") for each in self.root.iter(f"{NAME}path")]
        self.paths = [
            points(each.get("d", ""))
            for each in self.root.iter(f"{NAME}path")
            if not each.get("fill")
        ]
        self.arrows = [
            points(path.get("d", ""))
            for path in self.root.iter(f"{NAME}path")
            if path.get("marker-end")
        ]
        self.page = Box(
            0, 0, float(self.root.get("width", 0)) + 0.5, float(self.root.get("height", 0)) + 0.5
        )

    def edges(self) -> set[str]:
        """From box to box, along all lines that meet end to end."""
        found = set()
        for key, box in self.boxes.items():
            waiting = [(box.middle, box.bottom)]
            while waiting:
                here = waiting.pop()
                for path in self.paths:
                    if close(path[0], here):
                        waiting.append(path[-1])
                found |= {key + k for k, b in self.boxes.items() if close(here, (b.middle, b.top))}
        return found

    def check(self) -> None:
        for a, b in combinations(self.boxes.values(), 2):
            assert not a.overlaps(b)
        for box in [*self.boxes.values(), *self.frames]:
            assert self.page.holds(box)
        for path in self.paths:
            assert all(a[1] <= b[1] + 0.01 for a, b in pairwise(path)), "an edge leads downwards"
            for x, y in path:
                assert self.page.holds(Box(x, y, x, y))
                assert not any(
                    b.left < x < b.right and b.top + 0.2 < y < b.bottom - 0.2
                    for b in self.boxes.values()
                )


def close(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return abs(a[0] - b[0]) < 0.2 and abs(a[1] - b[1]) < 0.2


def box_of(rectangle: ElementTree.Element) -> Box:
    x, y, width, height = (float(rectangle.get(key, "")) for key in ("x", "y", "width", "height"))
    return Box(x, y, x + width, y + height)


def points(d: str) -> list[tuple[float, float]]:
    """Places along a path, some of each curve."""
    found: list[tuple[float, float]] = []
    for command, rest in re.findall(r"([MVC])([-\d. ]+)", d):
        n = [float(number) for number in rest.split()]
        if command == "M":
            found.append((n[0], n[1]))
        elif command == "V":
            x, y = found[-1]
            found += [(x, y + (n[0] - y) * t) for t in np.linspace(0.1, 1, 10)]
        else:
            p = np.array([found[-1], n[0:2], n[2:4], n[4:6]])
            t = np.linspace(0.05, 1, 20)[:, None]
            curve = (
                (1 - t) ** 3 * p[0]
                + 3 * t * (1 - t) ** 2 * p[1]
                + 3 * t**2 * (1 - t) * p[2]
                + t**3 * p[3]
            )
            found += [(float(x), float(y)) for x, y in curve]
    return found


def graph(pairs: str, nodes: str = "") -> tuple[list[Node], list[Edge]]:
    edges = [Edge(*pair) for pair in pairs.split()]
    keys = dict.fromkeys([*nodes, *"".join(pairs.split())])
    return [Node(key, (key, "small print"), title=key) for key in keys], edges


def drawn(pairs: str, nodes: str = "") -> Picture:
    picture = Picture(svg(*graph(pairs, nodes)))
    picture.check()
    assert picture.edges() == {*pairs.split()}
    assert len(picture.arrows) == len(pairs.split())
    return picture


def test_nothing_is_a_picture_too() -> None:
    assert Picture(svg([], [])).boxes == {}
    assert [*drawn("", "a").boxes] == ["a"]


def test_a_chain_is_one_straight_line() -> None:
    assert len({box.middle for box in drawn("ab bc cd de").boxes.values()}) == 1


def test_the_longest_path_stays_straight_beside_residual_connections() -> None:
    boxes = drawn("ab bc cd ad de ef fg dg gh").boxes
    assert len({box.middle for box in boxes.values()}) == 1


def test_branches_lie_evenly() -> None:
    boxes = drawn("xa xb xc ay by cy").boxes
    assert boxes["x"].middle == boxes["y"].middle == boxes["b"].middle
    assert boxes["b"].middle - boxes["a"].middle == pytest.approx(
        boxes["c"].middle - boxes["b"].middle, abs=0.2
    )
    assert boxes["a"].top == boxes["b"].top == boxes["c"].top


def test_few_edges_cross() -> None:
    """Three pairs, given crosswise, stand apart."""
    boxes = drawn("af be cd", "abcdef").boxes
    for a, b in ("af", "be", "cd"):
        assert boxes[a].middle == boxes[b].middle


def test_a_parameter_stands_beside_where_it_is_used() -> None:
    boxes = drawn("ab bc cd de we vw").boxes
    assert boxes["w"].top == boxes["d"].top
    assert boxes["v"].top == boxes["c"].top
    boxes = drawn("xa ap aq xb bc cd dp dq").boxes
    assert boxes["a"].top == boxes["d"].top


def test_long_edges_bend_twice_at_most() -> None:
    """Also where the longest path has to cross one."""
    assert max(drawn("ad ae af bc ce ef", "abcdef").curves) <= 2


def test_long_chains_and_wide_graphs() -> None:
    n = 1_200
    chain = [Node(str(i), (str(i),)) for i in range(n)]
    picture = Picture(
        svg(chain, [Edge(str(i), str(i + 1)) for i in range(n - 1)] + [Edge("0", str(n - 1))])
    )
    assert len(picture.boxes) == n
    wide = [Node(str(i), (str(i),)) for i in range(150)]
    picture = Picture(
        svg(
            wide,
            [Edge("0", str(i)) for i in range(1, 149)]
            + [Edge(str(i), "149") for i in range(1, 149)],
        )
    )
    picture.check()
    assert len(picture.arrows) == 296


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_graph(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    names = "abcdefghijkl"[:n]
    pairs = data.draw(
        st.lists(st.sampled_from([a + b for a, b in combinations(names, 2)]), unique=True)
        if n > 1
        else st.just([])
    )
    order = data.draw(st.permutations(names))
    drawn(" ".join(data.draw(st.permutations(pairs))), "".join(order))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_frames_hold_their_own_and_nothing_else(data: st.DataObject) -> None:
    """Neighbours in one order of the nodes, framed, and some of these framed again."""
    n = data.draw(st.integers(2, 12))
    names = "abcdefghijkl"[:n]
    pairs = data.draw(
        st.lists(st.sampled_from([a + b for a, b in combinations(names, 2)]), unique=True)
    )
    a, b, c, d = sorted(data.draw(st.lists(st.integers(0, n), min_size=4, max_size=4)))
    nodes, edges = graph(" ".join(pairs), names)
    inner = Group("× 3", tuple(nodes[b:c]))
    outer = Group("2 parallel", (*nodes[a:b], inner, *nodes[c:d]))
    picture = Picture(svg([*nodes[:a], outer, *nodes[d:]], edges))
    picture.check()
    assert {*picture.boxes} == {*names}
    large, small = picture.frames
    for frame, inside in ((large, names[a:d]), (small, names[b:c])):
        for key, box in picture.boxes.items():
            assert frame.holds(box) if key in inside else not frame.overlaps(box)
    assert large.holds(small)
    assert picture.edges() == {*pairs}


def test_what_enters_late_or_leaves_early_goes_around_the_rest() -> None:
    nodes, edges = graph("ab bc cd az yd", "yabcdz")
    wide = tuple(Node(key, ("wide " * {"c": 0, "d": 5}.get(key, 3),), title=key) for key in "abcd")
    picture = Picture(svg([nodes[0], Group("× 2", wide), nodes[-1]], edges))
    picture.check()
    assert picture.edges() == {"ab", "bc", "cd", "az", "yd"}


@given(st.text())
def test_any_text_is_escaped(text: str) -> None:
    nodes = [Node("a", (text, text), title=text), Node("b", (), kind=text)]
    root = ElementTree.fromstring(
        svg([*nodes, Group(text, (Node("c", ("c",)),))], [Edge("a", "b", text)], text)
    )
    shown = [each.text or "" for each in root.iter(f"{NAME}text")]
    allowed = re.sub(
        r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]",
        "\ufffd",
        text.replace("\r\n", "\n").replace("\r", "\n"),
    )
    assert shown.count(allowed) >= 2
    assert not [*root.iter(f"{NAME}script")]


def test_mistakes_are_told() -> None:
    nodes, _ = graph("", "ab")
    with pytest.raises(ValueError, match="two nodes have the key 'a'"):
        svg([*nodes, Group("", (nodes[0],))], [])
    with pytest.raises(ValueError, match="no node has the key 'c'"):
        svg(nodes, [Edge("a", "c")])
    for cycle in ("ab ba", "aa"):
        with pytest.raises(ValueError, match="cycle"):
            svg(nodes, [Edge(*pair) for pair in cycle.split()])


# -- expressions -----------------------------------------------------------------------------------


def test_an_expression() -> None:
    w, x = Tensor(np.ones((3, 2)), requires_grad=True, name="w"), Tensor([[1.0], [2.0]], name="x")
    loss = (sin(w @ x) * 2).sum()
    loss.name = "loss"
    picture = Picture(draw(loss))
    picture.check()
    assert sorted(picture.boxes) == sorted(
        ["w", "x", "matmul", "sin", "multiply", "2", "sum\nloss", "result"]
    )
    loss.backward(retain_graph=True)
    norm = f"‖·‖ {np.linalg.norm(np.asarray(w.grad.data)):.3g}"
    assert ["3 × 2", norm] in picture.labels
    assert sorted(label[0] for label in picture.labels) == sorted(
        ["3 × 2", "2 × 1", "3 × 1", "3 × 1", "scalar", "3 × 1", "scalar"]
    )


def test_contributions_on_the_edges_add_up_to_the_adjoint_in_the_box() -> None:
    """ln x₁ + x₁ x₂ - sin x₂ at (2, 5): 1 / x₁ and x₂ for x₁; x₁ and -cos x₂ for x₂."""
    text = draw(expression())
    picture = Picture(text)
    picture.check()
    shown = [label[0] for label in picture.labels]
    assert sorted(shown) == sorted(["0.5", "5", "2", "-0.284", "1", "1", "1", "-1", "scalar"])
    for adjoint in ("adjoint 5.5", "adjoint 1.72", "value 11.65"):
        assert adjoint in text


def test_an_operand_that_is_used_twice() -> None:
    x = Tensor(3.0, requires_grad=True, name="x")
    picture = Picture(draw(x * x))
    assert sorted(picture.boxes) == ["multiply", "result", "x"]
    assert len(picture.arrows) == 3
    assert sorted(label[0] for label in picture.labels) == ["3", "3", "scalar"]


def test_a_deep_expression_needs_no_recursion() -> None:
    x = y = Tensor(0.5, requires_grad=True, name="x")
    for _ in range(1_100):
        y = sin(y)
    assert draw(y).count(">sin<") == 2_200  # a box's text, and its tooltip
    assert len(Picture(draw(x)).boxes) == 2
