r"""Equations as MathML that is made of known elements only, whoever wrote the LaTeX.

The converter's own text is not to be trusted: it passes ``\text{<script>…}`` on as it stands. So
its tree is taken instead, and written out here: elements and attributes that show mathematics, and
text in which every sign that means something in HTML is escaped.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LONGEST = 5_000  # characters of one equation; the longest of a lesson has some hundreds
DEEPEST = 100  # elements within each other
ELEMENTS = frozenset(
    "math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow"
    " mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none".split()
)
ATTRIBUTES = frozenset(
    "accent accentunder columnalign columnlines columnspacing columnspan depth display"
    " displaystyle fence form height linebreak linethickness lspace mathbackground mathcolor"
    " mathsize mathvariant maxsize minsize movablelimits notation rowlines rowspacing rowspan"
    " rspace scriptlevel separator stretchy symmetric voffset width".split()
)
UNKNOWN = re.compile(r"\\(arg|sinc|sgn|erf)(?![A-Za-z])")
"""Functions that the converter would show with their backslash."""
VALUE = re.compile(r"[\w.,#%+ -]*")
"""What a length, a colour, a number or a word is made of; nothing that could be an address."""


def mathml(latex: str, *, display: bool = False) -> str:
    """An equation as MathML; as its LaTeX where it can't be converted.

    Args:
        latex: the equation.
        display: whether it stands on a line of its own.
    """
    try:
        return _written(tree(latex, display=display))
    except Exception:  # the converter raises whatever its parser stumbles over
        return f"<code>{html.escape(latex)}</code>"


def tree(latex: str, *, display: bool = False) -> Element:
    """An equation as a tree of the converter's, in which nothing was looked at yet.

    Raises:
        ValueError: it is too long.
        Exception: whatever the converter stumbles over.
    """
    from latex2mathml.converter import convert_to_element

    if len(latex) > LONGEST:
        raise ValueError("it is too long")
    known = UNKNOWN.sub(r"\\operatorname{\1}", latex)
    return convert_to_element(known, display="block" if display else "inline")


def leaf(element: Element) -> str:
    """The text of an element; the converter writes signs as references, ``&#x0003C;``."""
    return html.unescape(element.text or "")


def _written(element: Element, depth: int = 0) -> str:
    """An element with all that is in it.

    Raises:
        ValueError: it holds an element that is none of mathematics, or too many within each other.
    """
    if element.tag not in ELEMENTS or depth > DEEPEST:
        raise ValueError(f"<{element.tag}> at depth {depth}")
    attributes = "".join(
        f' {name}="{html.escape(value)}"'
        for name, value in element.attrib.items()
        if name in ATTRIBUTES and VALUE.fullmatch(value)
    )
    inside = html.escape(leaf(element))
    for child in element:
        inside += _written(child, depth + 1) + html.escape(html.unescape(child.tail or ""))
    return f"<{element.tag}{attributes}>{inside}</{element.tag}>"
