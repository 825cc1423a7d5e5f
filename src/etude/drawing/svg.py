"""A directed graph as one SVG without style sheets, for a file or a page of HTML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from etude.drawing.graph import Edge, Group, Node, nodes_in
from etude.drawing.layout import FRAME, PADDING, Level, label_room
from etude.drawing.text import FONT, LARGE, LEADING, font_sizes

INK = "#22252b"  # the first line of a box
QUIET = "#50565f"  # the other lines
LINE = "#8a8f98"  # edges, frames and labels: legible on a light page and on a dark one
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
MARGIN = 12.0  # pixels around the picture
TIP = 9.0  # pixels before the end of an edge where it is straight already


def svg(nodes: Sequence[Node | Group], edges: Sequence[Edge], title: str = "") -> str:
    """The picture as SVG, which can stand in a file or inside a page of HTML.

    Args:
        nodes: boxes, and frames around boxes; keys are unique. Where nothing else decides, earlier
            is further left.
        edges: between keys of nodes, without cycles.
        title: what the picture shows, for readers who can't see it.

    Raises:
        ValueError: a key stands for two nodes, an edge leads from or to none, or edges form a
            cycle.
    """
    keys = Counter(node.key for node in nodes_in(nodes))
    twice = [key for key, times in keys.items() if times > 1]
    nowhere = [end for edge in edges for end in (edge.start, edge.end) if end not in keys]
    if twice:
        raise ValueError(f"two nodes have the key {twice[0]!r}")
    if nowhere:
        raise ValueError(f"no node has the key {nowhere[0]!r}")

    level = Level(nodes, edges)
    width = level.right - level.left + 2 * MARGIN
    height = level.height + 2 * MARGIN
    frames, lines, boxes = parts_of(level, MARGIN - level.left, MARGIN)
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
                f' viewBox="0 0 {width:.1f} {height:.1f}" role="img" font-family="{FONT}"'
                ' text-anchor="middle">'
            ),
            f"<title>{escaped(title)}</title>",
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


def parts_of(level: Level, x: float, y: float) -> tuple[list[str], list[str], list[str]]:
    """The frames, edges and boxes of a layout, each as SVG, moved by (x, y)."""
    frames: list[str] = []
    boxes: list[str] = []
    lines = [
        path([(a + x, b + y, c + y) for a, b, c in runs], arrow) for runs, arrow in level.paths
    ]
    for item in level.items:
        middle, top = x + item.x, y + item.y
        if item.node:
            boxes.append(box(item.node, middle, top, item.left + item.right, item.height))
        elif item.group:
            group, inner = item.group
            room = label_room(group)
            inside = top + FRAME
            end = top + item.height
            frames.append(
                frame(group, middle - item.left + room, middle + item.right - room, top, end)
            )
            lines += [path([(middle + port, top, inside)], False) for port in item.entries.values()]
            lines += [
                path([(middle + port, end - FRAME, end)], False) for port in item.exits.values()
            ]
            inner_frames, inner_lines, inner_boxes = parts_of(inner, middle - inner.middle, inside)
            frames += inner_frames
            lines += inner_lines
            boxes += inner_boxes
    return frames, lines, boxes


def path(runs: list[tuple[float, float, float]], arrow: bool) -> str:
    """An edge: vertical runs (x, from, to), joined by smooth curves."""
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


def box(node: Node, x: float, y: float, width: float, height: float) -> str:
    """A box, or a label, whose upper middle is (x, y)."""
    words = ["<g>"]
    if node.kind != "label":
        fill, border = TINTS.get(node.kind, TINTS[""])
        words.append(
            f"<title>{escaped(node.title or chr(10).join(node.lines))}</title><rect"
            f' x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6"'
            f' fill="{fill}" stroke="{border}"/>'
        )
        y += PADDING / 2
    for line, size in zip(node.lines, font_sizes(node), strict=True):
        y += LEADING * size
        colour = LINE if node.kind == "label" else INK if size == LARGE else QUIET
        words.append(
            f'<text x="{x:.1f}" y="{y - 0.32 * size:.1f}" font-size="{size}"'
            f' fill="{colour}">{escaped(line)}</text>'
        )
    return "".join([*words, "</g>"])


def frame(group: Group, left: float, right: float, top: float, end: float) -> str:
    """The frame around a group, with its label on the right."""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{end - top:.1f}"'
        f' rx="10" fill="none" stroke="{LINE}" stroke-dasharray="5 3"/><text'
        f' x="{right + PADDING:.1f}" y="{(top + end) / 2 + 4:.1f}" font-size="{LARGE}"'
        f' font-weight="bold" fill="{LINE}" text-anchor="start">{escaped(group.label)}</text>'
    )


def escaped(text: str) -> str:
    """Escaped, and without the characters that XML does not allow."""
    return escape(re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))
