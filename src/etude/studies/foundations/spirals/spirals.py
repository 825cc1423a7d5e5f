"""Two spirals, one multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.demos import Answer, Choice, Controls, Demo, Points, Slider
from etude.figures.planes import decision_boundary
from etude.networks.mlp import MLP, Activation
from etude.runs.run import Run
from etude.study import Amount, Count, Natural, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.playground import grow
from etude.training.schedules import cosine


@dataclass
class Spirals(Study):
    """Separate two spirals; every training point must be classified correctly."""

    points: Count = 400  # both classes together
    turns: Positive = 2.0  # of each spiral around the centre
    noise: Amount = 0.03  # standard deviation of each coordinate
    depth: Natural = 3  # hidden layers
    hidden: Count = 64  # units in each hidden layer
    activation: Literal["relu", "tanh", "sigmoid", "identity"] = "relu"  # of the hidden units
    penalty: Amount = 1e-3  # λ, the factor of the L2 penalty
    steps: Count = 2_000  # of gradient descent
    batch: Count = 128  # points a step
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 3e-3  # at the start; falls to zero along half a cosine

    claims = [
        Claim("train/accuracy", at_least=1.0, each=True, source="ECE-472 (2022), assignment 2")
    ]
    courses = ["CU A2"]

    def __call__(self, run: Run) -> None:
        x, label = map(run.place, data.two_spirals(self.points, self.turns, self.noise))
        net = run.place(self.network())
        weights = [p for p in net.parameters() if p.ndim == 2]  # biases are left alone
        optimizer = descent(self.optimizer, net.parameters(), self.learning_rate)
        schedule = LambdaLR(optimizer, cosine(self.steps))

        for inputs, t in run.steps(
            Batches((x, label), self.batch), self.steps, state=(net, optimizer, schedule)
        ):
            likelihood = binary_cross_entropy_with_logits(net(inputs).squeeze(1), t)
            loss = likelihood + self.penalty / 2 * sum(w.square().sum() for w in weights)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss, **{"cross entropy/loss": likelihood})

        fresh, truth = map(run.place, data.two_spirals(10_000, self.turns, self.noise))
        run.result({"train/accuracy": accuracy(outputs(net, x), label)})
        run.result({"test/accuracy": accuracy(outputs(net, fresh), truth)}, held_out=len(fresh))
        run.result({"parameters": sum(p.numel() for p in net.parameters())})
        run.figure("boundary", decision_boundary(net, x, label))
        run.keep(net)

    def network(self) -> MLP:
        """A new network with two inputs and one output, the logit of class 1."""
        return MLP(2, [self.hidden] * self.depth, 1, self.activation)

    def example(self) -> Tensor:
        """Two points."""
        return torch.tensor([[0.5, 0.0], [0.0, -0.5]])

    def demo(self) -> Demo:
        """Place points, choose a network, and watch its boundary form."""
        x, label = data.two_spirals(120, 1.0, self.noise)
        spirals = [
            (float(a), float(b), int(c))
            for (a, b), c in zip((x / x.abs().max()).tolist(), label, strict=True)
        ]
        cross = [(-0.6, 0.6, 0), (0.6, -0.6, 0), (0.6, 0.6, 1), (-0.6, -0.6, 1)]
        controls: Controls = {
            "points": Points(
                "Click to place points", examples={"two spirals": spirals, "exclusive or": cross}
            ),
            "depth": Choice("Hidden layers", ["0", "1", "2", "3"], "2"),
            "hidden": Choice("Units in each", ["2", "4", "8", "32"], "8"),
            "activation": Choice("Activation", ["relu", "tanh", "sigmoid", "identity"], "tanh"),
            "seed": Slider("Seed of the first weights", 0, 99, 0, 1),
        }
        return Demo(
            "Can it part the colours?",
            controls,
            watch,
            ["yes", "nearly", "no"],
            trained=False,
            live=False,
        )

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the classes at one point: two numbers, or the text ``0.5 -0.2``."""
        p = net(data.read_numbers(input, 2, "x and y")).sigmoid().item()
        return {"class 0": 1 - p, "class 1": p}


def watch(
    net: None,
    points: list[tuple[float, float, int]],
    depth: str,
    hidden: str,
    activation: Activation,
    seed: float,
) -> Iterator[Answer]:
    """A network of that shape learns these points."""
    torch.manual_seed(int(seed))
    yield grow(points, MLP(2, [int(hidden)] * int(depth), 1, activation))
