"""Plots that were handed in, read from the SVG that Matplotlib writes.

Only what is drawn counts: axes with their labels, the entries of the legend, series of markers, and
curves. Where the ticks bear numbers, places are given in the units of the axes.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from etude.errors import printable
from etude.exercises.checks import Failure, require

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
DRAWN = ("line2d_", "PathCollection_", "LineCollection_", "QuadContourSet_", "ContourSet_")
MOST = 200_000  # elements of a plot


@dataclass(frozen=True)
class Axes:
    """One pair of axes.

    Attributes:
        xlabel: below; ``""`` where there is none.
        ylabel: beside.
        title: above.
        legend: its entries.
        markers: places of each series of markers, (n, 2).
        curves: places along each curve, (n, 2).
    """

    xlabel: str
    ylabel: str
    title: str
    legend: tuple[str, ...]
    markers: tuple[np.ndarray, ...]
    curves: tuple[np.ndarray, ...]

    def spanning(self, low: float, high: float) -> list[np.ndarray]:
        """The curves that are functions of x over a range: the values at 101 places each."""
        grid = np.linspace(low, high, 101)
        found = []
        for curve in self.curves:
            x, y = curve.T
            slack = 0.05 * (high - low)
            if (
                len(x) > 10
                and (np.diff(x) >= 0).all()
                and x[0] < low + slack < high - slack < x[-1]
            ):
                found.append(np.interp(grid, x, y))
        return found

    @property
    def points(self) -> np.ndarray:
        """All markers, (n, 2)."""
        return np.concatenate([*self.markers, np.zeros((0, 2))])


def plot(name: str, content: bytes) -> tuple[Axes, ...]:
    """The axes of a plot.

    Raises:
        Failure: it is no SVG, or shows no axes.
    """
    said = printable(name)[:100]
    if b"<!ENTITY" in content:
        raise Failure(f"{said} declares entities; expected a plot as Matplotlib saves it")
    try:
        parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
        root = ET.fromstring(content, parser)  # no entities; Expat limits the rest
    except (ET.ParseError, ValueError, LookupError, RecursionError) as error:
        raise Failure(f"{said} is no SVG: {printable(error)[:100]}") from None
    if sum(1 for _ in root.iter()) > MOST:
        raise Failure(f"{said} has more than {MOST:,} elements; expected a plot")
    found = tuple(_axes(each) for each in _groups(root, "axes_"))
    if not found:
        raise Failure(f"{said} shows no axes; expected a plot that Matplotlib saved as SVG")
    return found


def well_labelled(axes: Sequence[Axes], name: str, entries: int) -> None:
    """Whether all axes have labels, and there is a legend with so many entries.

    Raises:
        Failure: they do not.
    """
    for each in axes:
        require(bool(each.xlabel and each.ylabel), f"an axis of {name} has no label")
    most = max((len(each.legend) for each in axes), default=0)
    require(
        most >= entries, f"the legend of {name} has {most} entries; expected at least {entries}"
    )


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _groups(element: ET.Element, *begins: str) -> Iterator[ET.Element]:
    for each in element.iter():
        if _tag(each) == "g" and each.get("id", "").startswith(begins):
            yield each


def _text(group: ET.Element) -> str:
    """What is written in a group: as text, or as a comment above the outlines of its letters."""
    for each in group.iter():
        tag: object = each.tag  # of a comment it is the function that makes one
        if tag is ET.Comment and (each.text or "").strip():
            return str(each.text).strip()
        if _tag(each) == "text":
            return "".join(each.itertext()).strip()
    return ""


def _axes(group: ET.Element) -> Axes:
    labels = ["", ""]
    scales = [(1.0, 0.0), (1.0, 0.0)]
    title, legend = "", []
    markers, curves = [], []
    for child in group:
        name = child.get("id", "")
        if name.startswith("matplotlib.axis_"):
            which = 1 if name.endswith("2") else 0
            labels[which] = next((_text(e) for e in child if _is(e, "text_")), "")
            scales[which] = _scale(child, which)
        elif name.startswith("text_"):
            title = title or _text(child)
        elif name.startswith("legend_"):
            legend = [text for e in child.iter() if _is(e, "text_") and (text := _text(e))]
        elif name.startswith(DRAWN):
            markers += [found for found in [_markers(child)] if len(found)]
            curves += list(_curves(child))

    def placed(found: np.ndarray) -> np.ndarray:
        return np.stack([a * found[:, k] + b for k, (a, b) in enumerate(scales)], 1)

    return Axes(
        labels[0],
        labels[1],
        title,
        tuple(legend),
        tuple(map(placed, markers)),
        tuple(map(placed, curves)),
    )


def _is(element: ET.Element, begin: str) -> bool:
    return _tag(element) == "g" and element.get("id", "").startswith(begin)


def _scale(axis: ET.Element, which: int) -> tuple[float, float]:
    """a and b with which a place on the page is ``a · place + b`` on the axis."""
    pairs = []
    for tick in axis:
        if not _is(tick, "xtick_" if which == 0 else "ytick_"):
            continue
        text = next((_text(e) for e in tick if _is(e, "text_")), "").replace("\u2212", "-")
        text = text.replace(r"$\mathdefault{", "").replace("}$", "")
        mark = next((e for e in tick.iter() if _tag(e) == "use"), None)
        if mark is not None and NUMBER.fullmatch(text):
            pairs.append((_number(mark.get("xy"[which])), float(text)))
    places = sorted(set(pairs))
    if len(places) < 2 or places[0][0] == places[-1][0]:
        return 1.0, 0.0
    (p, u), (q, v) = places[0], places[-1]
    a = (v - u) / (q - p)
    return a, u - a * p


def _number(text: str | None) -> float:
    return float(text) if text and NUMBER.fullmatch(text) else 0.0


def _markers(group: ET.Element) -> np.ndarray:
    uses = [each for each in group.iter() if _tag(each) == "use"]
    found = [(_number(each.get("x")), _number(each.get("y"))) for each in uses]
    return np.array(found).reshape(-1, 2)


def _curves(group: ET.Element) -> Iterator[np.ndarray]:
    """The paths that are drawn, not those that are defined to be markers."""
    defined = {id(path) for each in group.iter() if _tag(each) == "defs" for path in each.iter()}
    for each in group.iter():
        if _tag(each) == "path" and id(each) not in defined:
            for part in each.get("d", "").split("M")[1:]:
                points = [
                    [float(number) for number in NUMBER.findall(piece)[-2:]]
                    for piece in re.split(r"[A-DF-Za-df-z]", part)
                    if len(NUMBER.findall(piece)) >= 2
                ]
                if len(points) > 1:
                    yield np.array(points)
