"""The demo on the study's page: one hidden layer with any activation."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from etude import data
from etude.demos import Answer, Choice, Controls, Demo, Points, Slider
from etude.layers.activations import ACTIVATIONS, dense
from etude.studies.foundations._boundary_demo import Point, boundary_frames, clickable


def boundary_demo(gap: float) -> Demo:
    """Place points, choose an activation and a width, and watch the boundary form."""
    x, label = data.rings(60, 1.0, gap, torch.Generator().manual_seed(0))
    examples = {"disc and ring": clickable(x, label)}
    controls: Controls = {
        "points": Points("Click to place points", examples=examples),
        "activation": Choice("Activation", list(ACTIVATIONS), "relu"),
        "width": Choice("Hidden units", ["1", "2", "3", "8", "32"], "8"),
        "seed": Slider("Seed of the first weights", 0, 99, 0, 1),
    }
    guesses = ["3", "8", "more"]
    question = "How many units does it take?"
    return Demo(question, controls, train, guesses, trained=False, live=False)


def train(
    net: None, points: list[Point], activation: str, width: str, seed: float
) -> Iterator[Answer]:
    """A network with one hidden layer learns these points."""
    torch.manual_seed(int(seed))
    units = int(width)
    fresh = nn.Sequential(dense(activation, 2, units), nn.Linear(units, 1))
    yield boundary_frames(points, fresh, learning_rate=0.05)
