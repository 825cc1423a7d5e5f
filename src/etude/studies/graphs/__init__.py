"""Nodes, and the edges along which they exchange what they know."""

TITLE = "Graphs"
ORDER = 6
