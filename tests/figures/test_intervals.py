"""Intervals side by side: one that leaves the frame ends in an arrow, so nothing is cut unseen."""

from __future__ import annotations

from etude.figures.intervals import Interval, confidence_intervals


def test_an_interval_that_leaves_the_frame_ends_in_an_arrow() -> None:
    inside = Interval(0.9, 0.05, [0.88, 0.9, 0.92])
    outside = Interval(0.8, 0.9, [0.7, 0.8, 0.9])
    unknown = Interval(0.85, float("nan"), [0.85])
    (axes,) = confidence_intervals({"a": inside, "b": outside, "c": unknown}, "accuracy").axes
    arrows = [line for line in axes.lines if line.get_marker() in ("<", ">")]
    assert sorted(line.get_marker() for line in arrows) == ["<", ">", ">"], "two of b, one of a"
    left, right = axes.get_xlim()
    assert all(left < line.get_xdata()[0] < right for line in arrows)
    assert sorted(line.get_ydata()[0] for line in arrows) == [0, 1, 1]
