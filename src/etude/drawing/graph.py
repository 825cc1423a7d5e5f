"""What a picture of a directed graph is made of: boxes, frames around boxes, and arrows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """A box with lines of text.

    Attributes:
        key: what edges name the node by; unique in a picture.
        lines: the first is written large, the others small.
        kind: decides the colour (see ``TINTS`` in ``svg.py``).
        title: the tooltip; by default the lines.
    """

    key: str
    lines: tuple[str, ...]
    kind: str = ""
    title: str = ""


@dataclass(frozen=True)
class Group:
    """A frame around nodes and other groups; its label stands at its right, as the ``N ×`` of a
    repeated layer does.
    """

    label: str
    members: tuple[Node | Group, ...]


@dataclass(frozen=True)
class Edge:
    """An arrow between the nodes of two keys; the label interrupts it."""

    start: str
    end: str
    label: str = ""


def nodes_in(members: Iterable[Node | Group]) -> Iterator[Node]:
    """Every node among the members and in their groups, in order."""
    for member in members:
        if isinstance(member, Node):
            yield member
        else:
            yield from nodes_in(member.members)
