"""Pictures of directed graphs: boxes in layers, every edge pointing downwards.

``graph.py`` says what a graph is made of, ``layers.py`` and ``layout.py`` give everything its
place, ``svg.py`` writes it down. Needs nothing but Python.
"""

from etude.drawing.graph import Edge, Group, Node
from etude.drawing.svg import svg

__all__ = ["Edge", "Group", "Node", "svg"]
