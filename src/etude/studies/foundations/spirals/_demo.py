"""The demo on the study's page: the reader places points and chooses layers, width and activation.

It trains on all points at once, without the penalty, and on spirals of one turn: what succeeds or
fails here need not do so in the lesson.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from etude import data
from etude.demos import Answer, Choice, Controls, Demo, Points, Slider
from etude.networks.mlp import MLP, Activation
from etude.studies.foundations._boundary_demo import Point, boundary_frames, clickable

EXCLUSIVE_OR = [(-0.6, 0.6, 1), (0.6, -0.6, 1), (0.6, 0.6, 0), (-0.6, -0.6, 0)]


def boundary_demo(noise: float) -> Demo:
    """Place points, choose a network, and watch its boundary form."""
    x, label = data.two_spirals(120, 1.0, noise, torch.Generator().manual_seed(0))
    examples = {"two spirals": clickable(x, label), "exclusive or": EXCLUSIVE_OR}
    controls: Controls = {
        "points": Points("Click to place points", examples=examples),
        "layers": Choice("Hidden layers", ["0", "1", "2", "3"], "2"),
        "width": Choice("Units in each", ["2", "4", "8", "32"], "8"),
        "activation": Choice("Activation", ["relu", "tanh", "sigmoid", "identity"], "tanh"),
        "seed": Slider("Seed of the first weights", 0, 99, 0, 1),
    }
    guesses = ["yes", "nearly", "no"]
    question = "Can the network separate the colours?"
    return Demo(question, controls, train, guesses, trained=False, live=False)


def train(
    net: None, points: list[Point], layers: str, width: str, activation: Activation, seed: float
) -> Iterator[Answer]:
    """Train a perceptron of the chosen shape on these points, and give the pictures of it."""
    torch.manual_seed(int(seed))
    yield boundary_frames(points, MLP(2, [int(width)] * int(layers), 1, activation))
