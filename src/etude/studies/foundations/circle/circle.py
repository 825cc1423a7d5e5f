"""A disc within a ring: what the activation does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from etude import data
from etude.claims import Claim
from etude.demos import Answer, Choice, Controls, Demo, Points, Slider
from etude.figures.planes import decision_boundaries
from etude.layers.activations import ACTIVATIONS, dense
from etude.runs.run import Run
from etude.study import Amount, Count, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.comparison import compare
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.playground import grow


def best_line(gap: float) -> float:
    """The accuracy of the best line: disc of radius 1 within a ring of the same area, an empty ring
    between them.
    """
    near = 1 + gap
    far = math.hypot(near, 1)
    c = math.sqrt(2 / 3 * (1 + near**2 - math.sqrt(1 - near**2 + near**4)))

    def beyond(
        r: float,
    ) -> float:  # the area of a disc of radius r on the far side of a line at distance c
        return r**2 * math.acos(c / r) - c * math.sqrt(r**2 - c**2)

    return 0.5 + (beyond(far) - beyond(near) - beyond(1)) / (2 * math.pi)


def hexagon(gap: float) -> nn.Sequential:
    """Three ReLUs whose boundary is a regular hexagon between disc and ring, as close to one as to
    the other.
    """
    net = nn.Sequential(dense("relu", 2, 3), nn.Linear(3, 1))
    angle = 2 * math.pi / 3 * torch.arange(3)
    edge = (2 + gap) / (
        1 + 2 / math.sqrt(3)
    )  # corners lie 2/√3 times as far: edge - 1 = 1 + gap - corner
    slope = 10.0  # of the logit; the boundary does not depend on it
    w = torch.stack([angle.cos(), angle.sin()], 1)
    weights = w, torch.zeros(3), torch.full((1, 3), -slope), torch.tensor([slope * edge])
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), weights, strict=True):
            parameter.copy_(value)
    return net


@dataclass
class Circle(Study):
    """Tell a disc from the ring around it, by one hidden layer with each activation in turn."""

    points: Count = 500  # of both classes together
    gap: Amount = 0.4  # width of the empty ring between the two; the disc's radius is 1
    hidden: Count = 32  # units of the hidden layer
    steps: Count = 600  # of gradient descent on all points, at most
    enough: Positive = 0.02  # a network is done when its loss is below this
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 0.03  # of every step
    seeds: Count = 3  # points and initial weights for each activation
    activation: Literal[
        "identity",
        "hard_limit",
        "sigmoid",
        "tanh",
        "relu",
        "leaky_relu",
        "elu",
        "selu",
        "swish",
        "gelu",
        "maxout",
    ] = "relu"  # of the network that is kept; all are trained

    claims = [
        Claim("worst/accuracy", at_least=0.99, source="ITU; bound: curriculum"),
        Claim("none/test/accuracy", at_most=0.75, each=True, source="ITU; bound: curriculum"),
    ]
    courses = ["ITU"]

    def __call__(self, run: Run) -> None:
        nets: dict[str, nn.Module] = {}
        variants = {
            "none" if name == "identity" else name: partial(self.train, activation=name, nets=nets)
            for name in ACTIVATIONS
        }
        found = compare(run, variants, self.seeds, "steps", better="lower")
        worst = min(found.mean(name, "test/accuracy") for name in variants if name != "none")
        run.result({"worst/accuracy": worst}, held_out=1_000)
        run.result({"line/accuracy": best_line(self.gap)})

        x, label = map(run.place, data.rings(self.points, 1.0, self.gap))
        shown = {
            name.replace("_", " "): net for name, net in zip(variants, nets.values(), strict=True)
        }
        by_hand = {"three ReLUs by hand": hexagon(self.gap)}
        run.figure("boundaries", decision_boundaries(shown | by_hand, x, label), cover=True)
        run.keep(nets[self.activation])

    def train(self, run: Run, activation: str, nets: dict[str, nn.Module]) -> None:
        """One activation, until its loss is low enough; the network goes to ``nets``."""
        x, label = map(run.place, data.rings(self.points, 1.0, self.gap))
        net = run.place(self.network(activation))
        optimizer = descent(self.optimizer, net, self.learning_rate)
        batches = Batches((x, label), self.points)

        for points, t in run.steps(batches, self.steps, state=(net, optimizer)):
            loss = binary_cross_entropy_with_logits(net(points).squeeze(1), t)
            run.log(loss=loss)
            if loss < self.enough:
                break
            run.minimise(loss, optimizer)

        run.result({"steps": run.step})
        fresh, truth = map(run.place, data.rings(1_000, 1.0, self.gap))
        run.result({"train/accuracy": accuracy(outputs(net, x), label)})
        run.result({"test/accuracy": accuracy(outputs(net, fresh), truth)}, held_out=len(fresh))
        nets[activation] = net

    def network(self, activation: str | None = None) -> nn.Sequential:
        """A new network from a point to the logit of the disc; by default with the activation that
        is kept.
        """
        return nn.Sequential(
            dense(activation or self.activation, 2, self.hidden), nn.Linear(self.hidden, 1)
        )

    def example(self) -> Tensor:
        """A point of the disc and one of the ring."""
        return torch.tensor([[0.2, 0.1], [-1.2, 0.9]])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of disc and ring at one point: two numbers, or the text ``0.5 -0.2``."""
        p = net(data.read_numbers(input, 2, "x and y")).sigmoid().item()
        return {"disc": p, "ring": 1 - p}

    def demo(self) -> Demo:
        """One hidden layer, any activation: watch the boundary form."""
        x, label = data.rings(60, 1.0, self.gap)
        rings = [
            (float(a), float(b), int(c))
            for (a, b), c in zip((x / x.abs().max()).tolist(), label, strict=True)
        ]
        controls: Controls = {
            "points": Points("Click to place points", examples={"disc and ring": rings}),
            "activation": Choice("Activation", list(ACTIVATIONS), "relu"),
            "units": Choice("Hidden units", ["1", "2", "3", "8", "32"], "8"),
            "seed": Slider("Seed of the first weights", 0, 99, 0, 1),
        }
        return Demo(
            "How many units does it take?",
            controls,
            watch,
            ["3", "8", "more"],
            trained=False,
            live=False,
        )


def watch(
    net: None, points: list[tuple[float, float, int]], activation: str, units: str, seed: float
) -> Iterator[Answer]:
    """One hidden layer learns these points."""
    torch.manual_seed(int(seed))
    yield grow(
        points, nn.Sequential(dense(activation, 2, int(units)), nn.Linear(int(units), 1)), rate=0.05
    )
