"""Figures of classifiers: what is known of an accuracy stays between 0 and 1."""

from __future__ import annotations

import pytest
import torch

from etude.figures.classification import reliability, wilson_interval


@pytest.mark.parametrize(("k", "n"), [(0, 3), (3, 3), (1, 2), (355, 360)])
def test_the_interval_is_scipys(k: int, n: int) -> None:
    from scipy.stats import binomtest

    low, high = wilson_interval(torch.tensor([k / n]).double(), torch.tensor([n]))
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert low.item() == pytest.approx(expected.low, abs=1e-4)
    assert high.item() == pytest.approx(expected.high, abs=1e-4)


def test_no_bar_leaves_the_frame_and_the_mistakes_are_counted() -> None:
    p = torch.tensor([[0.95, 0.05], [0.6, 0.4], [0.99, 0.01], [0.55, 0.45]])
    figure = reliability(p, torch.tensor([0, 1, 0, 0]))
    above = figure.axes[0]
    assert "1 of 4 wrong" in above.get_title(loc="left") + above.get_title()
    bars = above.containers[0].lines[2][0].get_segments()
    assert all(0 <= y <= 1 for bar in bars for _, y in bar)
