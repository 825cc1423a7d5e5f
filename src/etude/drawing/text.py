"""How much room text takes in a picture, in pixels."""

from __future__ import annotations

import unicodedata

from etude.drawing.graph import Node

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
LARGE = 12.5  # font size of the first line of a box
SMALL = 11.0  # font size of the other lines and of labels
LEADING = 1.3  # distance of lines, in font sizes


def font_sizes(node: Node) -> list[float]:
    """The font size of each line of a node."""
    label = node.kind == "label"
    return [SMALL if number or label else LARGE for number in range(len(node.lines))]


def text_width(text: str, size: float) -> float:
    """About how wide a text is; rather too wide, as the reader's font is not known."""
    return size * sum(map(_ems, text))


def _ems(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.05
    if letter in "iljtfI.,:;'|!()[] ":
        return 0.33
    if letter in "mwMW@%—":
        return 0.9
    return 0.7 if letter.isupper() else 0.6
