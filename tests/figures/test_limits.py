"""Pictures that set limits are drawn where a variant has diverged, and mark what they cut."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from math import inf, nan

import pytest
import torch
from matplotlib.figure import Figure

from etude.figures.bars import ranked, spread
from etude.figures.classification import reliability
from etude.figures.curves import compared, learning_curves
from etude.figures.intervals import Interval, confidence_intervals
from etude.figures.seeds import Band, bands
from etude.figures.sweeps import Line, history, importance, parallel

STEPS = [0, 1, 2]
BROKEN = [1.0, inf, nan]
DIVERGED: dict[str, Callable[[], Figure]] = {
    "one": lambda: confidence_intervals(
        {"a": Interval(0.5, 0.1, [0.4, 0.6]), "b": Interval(nan, nan, [nan, nan])}, "loss"
    ),
    "all": lambda: confidence_intervals({"a": Interval(inf, nan, [inf])}, "loss", better="lower"),
    "seeds": lambda: bands({"m": {"": Band(STEPS, BROKEN, BROKEN, BROKEN, [BROKEN, BROKEN])}}),
    "no seed": lambda: bands({"loss": {"": Band([0], [nan], [nan], [nan], [[nan]])}}),
    "curves": lambda: learning_curves({"loss": {"": (STEPS, BROKEN)}}),
    "compared": lambda: compared({"a": {"loss": {"": (STEPS, BROKEN)}}}),
    "ranked": lambda: ranked({"a": {"x": nan, "y": 1.0}, "b": {"x": inf}}, "weight"),
    "spread": lambda: spread([nan, 1.0, 2.0], "loss", "fold"),
    "history": lambda: history([(0, nan, True), (1, 0.5, True)], "loss", lower=True),
    "importance": lambda: importance({"a": nan, "b": 0.5}, "loss"),
    "parallel": lambda: parallel({"a": Line([1.0, 2.0])}, [nan, 0.5], "loss", lower=True),
    "reliability": lambda: reliability(torch.full((4, 3), nan), torch.zeros(4, dtype=torch.long)),
}


@pytest.mark.parametrize("name", DIVERGED)
def test_what_diverged_is_drawn(name: str) -> None:
    DIVERGED[name]().savefig(BytesIO(), format="svg")


def test_a_row_says_what_diverged_and_an_arrowhead_what_is_cut() -> None:
    lines = {
        "wide": Interval(0.5, 2.0, [0.4, 0.6]),
        "inside": Interval(0.5, 0.01, [0.5, 0.5]),
        "partly": Interval(nan, nan, [0.5, nan]),
        "lost": Interval(nan, nan, [nan, inf]),
    }
    (axes,) = confidence_intervals(lines, "accuracy").axes
    assert [text.get_text() for text in axes.texts] == ["1 of 2 diverged", "diverged"]
    left, right = axes.get_xlim()
    heads = {
        line.get_marker(): (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.lines
        if line.get_marker() in ("<", ">")
    }
    near = 0.02 * (right - left)
    assert heads == {
        "<": (pytest.approx(left, abs=near), 0),
        ">": (pytest.approx(right, abs=near), 0),
    }
