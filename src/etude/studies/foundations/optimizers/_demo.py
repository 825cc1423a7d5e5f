"""The demo on the study's page: eleven walks from a start of one's own choice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from etude.demos import Answer, Choice, Controls, Demo, Frames, Points
from etude.training.optimizers import WRITTEN

from ._figures import stills
from ._rates import RATES
from ._surfaces import SURFACES, Place, Surface, Walk

STEPS = 300  # of each optimiser


def walking_demo() -> Demo:
    """Choose a surface, click on a start, and watch all optimisers walk."""
    starts = {"up there": [(-0.1, 0.8, 0)], "far left": [(-0.9, -0.6, 0)]}
    controls: Controls = {
        "surface": Choice("Surface", [*SURFACES]),
        "start": Points("Click where they begin", 1, 1, starts),
    }
    question = "Which one arrives first?"
    return Demo(question, controls, answer, [*RATES], trained=False, live=False)


def answer(net: None, surface: str, start: list[tuple[float, float, int]]) -> Iterator[Answer]:
    """The walks of all optimisers, each with its learning rate for that surface."""
    rules = {name: partial(WRITTEN[name], lr=rates[surface]) for name, rates in RATES.items()}
    chosen = SURFACES[surface]
    begin = place_in_view(chosen, start[0][:2])
    walk = Walk(chosen, torch.tensor(begin, dtype=torch.double), rules)
    for _ in range(STEPS):
        walk.step()
    images, captions = stills(chosen, walk.paths)
    yield Frames("Their paths", images, captions, width=620, smooth=True)


def place_in_view(surface: Surface, clicked: Place) -> Place:
    """The place on a surface that a click in the square from -1 to 1 stands for."""
    left, right, bottom, top = surface.view
    across, up = ((coordinate + 1) / 2 for coordinate in clicked)
    return left + across * (right - left), bottom + up * (top - bottom)
