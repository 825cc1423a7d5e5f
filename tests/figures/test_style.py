"""The palette: readers with a colour deficiency tell its colours apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from etude.figures.style import DASHES, PALETTE, stroke

SIMULATED = {  # Machado, Oliveira & Fernandes (2009), severity 1.0, for linear RGB
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
XYZ = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
OLD = ("#2f6db3", "#d9622b", "#3a9a6b", "#8e5bb0")


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIE Lab (D65) of a colour as it is seen."""
    c = np.array(to_rgb(colour))
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(seen @ linear, 0, 1) / (XYZ @ np.ones(3))
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def smallest(colours: tuple[str, ...], view: str) -> float:
    """The smallest distance ΔE between two of the colours."""
    seen = [lab(colour, SIMULATED[view]) for colour in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))


@pytest.mark.parametrize("view", SIMULATED)
def test_any_two_colours_are_told_apart(view: str) -> None:
    assert smallest(PALETTE, view) > 17
    assert smallest(PALETTE[:3], view) > 35


def test_the_simulation_finds_a_pair_that_is_not() -> None:
    assert smallest(OLD, "protanopia") < 2


def test_dashes_are_a_second_channel() -> None:
    assert len(DASHES) == len(PALETTE) == len(set(map(str, DASHES)))
    assert stroke(11) == stroke(1) != stroke(0)
