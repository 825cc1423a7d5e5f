"""A disc within a ring: what the activation does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from etude import Amount, Claim, Control, Count, OptimizerName, Positive, Run, Study, data, training
from etude.demos import Demo
from etude.layers.activations import ACTIVATIONS, dense
from etude.studies.foundations._planes import decision_boundaries

from ._demo import boundary_demo


@dataclass
class Circle(Study):
    """Tell a disc from the ring around it, by one hidden layer with each activation in turn."""

    points: Count = 500  # training points, both classes together
    gap: Amount = 0.4  # width of the empty ring between disc and ring; the disc's radius is 1
    width: Count = 32  # units of the hidden layer
    steps: Count = 600  # the largest number of steps of gradient descent, each on all points
    enough: Positive = 0.02  # the loss at which training ends
    optimizer: OptimizerName = "adam"  # the update rule; change learning_rate with it
    learning_rate: Positive = 0.03  # the same for every step
    repeats: Count = 3  # seeds for each activation, of the points and of the initial weights
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
    ] = "relu"  # of the network that is kept; all activations are trained

    claims = [
        Claim("worst/accuracy", at_least=0.99, source="ITU; bound: Etude"),
        Control(
            "none/test/accuracy",
            at_most=0.75,
            each=True,
            source="ITU; bound: Etude",
            of="worst/accuracy",
            without="an activation",
        ),
    ]
    needs = ["spirals"]

    def __call__(self, run: Run) -> None:
        variants = {
            "none" if name == "identity" else name: partial(self.train, activation=name)
            for name in ACTIVATIONS
        }
        comparison = training.compare(run, variants, self.repeats, "steps", better="lower")

        nonlinear = [name for name in variants if name != "none"]
        worst = min(comparison.mean(name, "test/accuracy") for name in nonlinear)
        run.result({"worst/accuracy": worst}, held_out=1_000)
        run.result({"line/accuracy": best_line(self.gap)})

        x, label = map(run.place, data.rings(self.points, 1.0, self.gap))
        nets = {name: comparison.made[name][-1] for name in variants}  # of the last seed
        panels = {name.replace("_", " "): net for name, net in nets.items()}
        panels["three ReLUs by hand"] = hexagon(self.gap)
        run.figure("boundaries", decision_boundaries(panels, x, label), cover=True)
        run.keep(nets["none" if self.activation == "identity" else self.activation])

    def train(self, run: Run, activation: str) -> nn.Sequential:
        """Train a network with one activation until the loss is low enough."""
        x, label = map(run.place, data.rings(self.points, 1.0, self.gap))
        net = run.place(self.network(activation))
        optimizer = training.descent(self.optimizer, net, self.learning_rate)

        batches = training.Batches((x, label), self.points)
        for points, t in run.steps(batches, self.steps, state=(net, optimizer)):
            logits = net(points).squeeze(1)  # (points,)
            loss = binary_cross_entropy_with_logits(logits, t)
            run.log(loss=loss)
            if loss < self.enough:
                break
            run.minimise(loss, optimizer)

        run.result({"steps": run.step})
        x_test, label_test = map(run.place, data.rings(1_000, 1.0, self.gap))
        train_accuracy = training.accuracy(training.outputs(net, x), label)
        test_accuracy = training.accuracy(training.outputs(net, x_test), label_test)
        run.result({"train/accuracy": train_accuracy})
        run.result({"test/accuracy": test_accuracy}, held_out=len(x_test))
        return net

    def network(self, activation: str | None = None) -> nn.Sequential:
        """A new network, (batch, 2) → (batch, 1): from a point to the logit of the disc.

        Args:
            activation: of the hidden layer; by default that of the network that is kept.
        """
        hidden = dense(activation or self.activation, 2, self.width)
        return nn.Sequential(hidden, nn.Linear(self.width, 1))

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of disc and ring at one point: two numbers, or a text like ``0.5 -0.2``."""
        point = data.read_numbers(input, 2, "x and y")
        p = net(point).sigmoid().item()
        return {"disc": p, "ring": 1 - p}

    def example(self) -> Tensor:
        """A point of the disc and one of the ring, (2, 2)."""
        return torch.tensor([[0.2, 0.1], [-1.2, 0.9]])

    def demo(self) -> Demo:
        """Choose an activation and a width, and watch the boundary form."""
        return boundary_demo(self.gap)


def best_line(gap: float) -> float:
    """The accuracy of the best line for these classes, by the formulas of the lesson.

    Args:
        gap: the width of the empty ring between the disc of radius 1 and a ring of the same area.
    """
    r = 1 + gap  # the ring's inner radius
    R = math.hypot(r, 1)  # its outer radius
    c = math.sqrt(2 / 3 * (1 + r**2 - math.sqrt(1 - r**2 + r**4)))

    def S(ρ: float) -> float:
        """The area of a disc of radius ρ on the far side of a line at distance c."""
        return ρ**2 * math.acos(c / ρ) - c * math.sqrt(ρ**2 - c**2)

    return 0.5 + (S(R) - S(r) - S(1)) / (2 * math.pi)


def hexagon(gap: float) -> nn.Sequential:
    """Three ReLUs by hand, whose boundary is a regular hexagon between the disc and the ring.

    Its edges are as far from the disc as its corners are from the ring.
    """
    edge = (2 + gap) / (1 + 2 / math.sqrt(3))  # corners lie 2/√3 times as far from the centre
    angle = 2 * math.pi / 3 * torch.arange(3)
    directions = torch.stack([angle.cos(), angle.sin()], 1)  # (3, 2), 120° apart
    slope = 10.0  # of the logit; the boundary does not depend on it

    net = nn.Sequential(dense("relu", 2, 3), nn.Linear(3, 1))
    first = (directions, torch.zeros(3))  # weight and bias of the hidden layer
    last = (torch.full((1, 3), -slope), torch.tensor([slope * edge]))
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), [*first, *last], strict=True):
            parameter.copy_(value)
    return net
