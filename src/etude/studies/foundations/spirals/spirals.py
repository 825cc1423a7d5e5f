"""Two spirals, one multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Natural,
    OptimizerName,
    Positive,
    Run,
    Study,
    data,
    training,
)
from etude.demos import Demo
from etude.networks.mlp import MLP
from etude.studies.foundations._planes import decision_boundary

from ._demo import boundary_demo


@dataclass
class Spirals(Study):
    """Separate two spirals; every training point must be classified correctly."""

    points: Count = 400  # training points, both classes together
    turns: Positive = 2.0  # turns of each spiral around the centre
    noise: Amount = 0.03  # standard deviation of the noise on each coordinate
    width: Count = 64  # units of each hidden layer
    layers: Natural = 3  # hidden layers
    activation: Literal["relu", "tanh", "sigmoid", "identity"] = "relu"  # of the hidden units
    weight_decay: Amount = 1e-3  # λ of the L2 penalty, a term of the loss
    steps: Count = 2_000  # steps of gradient descent
    batch: Count = 128  # points per step
    optimizer: OptimizerName = "adam"  # the update rule; change learning_rate with it
    learning_rate: Positive = 3e-3  # initial learning rate; falls to 0 along half a cosine

    claims = [
        Claim("train/accuracy", at_least=1.0, each=True, source="ECE-472 (2022), assignment 2"),
        Control(
            "linear/train/accuracy",
            at_most=0.75,
            each=True,
            source="Etude: its boundary is a line",
            of="train/accuracy",
            without="hidden layers",
        ),
    ]
    needs = ["perceptron", "logistic"]

    def __call__(self, run: Run) -> None:
        # x: (points, 2), within about 1 of the centre; label: (points,), 0.0 or 1.0
        x, label = map(run.place, data.two_spirals(self.points, self.turns, self.noise))
        net = self.train(run, x, label)

        x_test, label_test = map(run.place, data.two_spirals(10_000, self.turns, self.noise))
        train_accuracy = training.accuracy(training.outputs(net, x), label)
        test_accuracy = training.accuracy(training.outputs(net, x_test), label_test)
        run.result({"train/accuracy": train_accuracy})
        run.result({"test/accuracy": test_accuracy}, held_out=len(x_test))
        run.result({"parameters": sum(p.numel() for p in net.parameters())})

        with run.part("linear", seed=run.seed):
            line = replace(self, layers=0).train(run, x, label)
        linear_accuracy = training.accuracy(training.outputs(line, x), label)
        run.result({"linear/train/accuracy": linear_accuracy})

        run.figure("boundary", decision_boundary(net, x, label))
        run.keep(net)

    def train(self, run: Run, x: Tensor, label: Tensor) -> MLP:
        """A new network, trained on points (points, 2) with labels of 0 and 1, (points,)."""
        net = run.place(self.network())
        weights = [p for p in net.parameters() if p.ndim == 2]  # biases are not penalised
        optimizer = training.descent(self.optimizer, net.parameters(), self.learning_rate)
        schedule = LambdaLR(optimizer, training.cosine(self.steps))

        batches = training.Batches((x, label), self.batch)
        for points, t in run.steps(batches, self.steps, state=(net, optimizer, schedule)):
            logits = net(points).squeeze(1)  # (batch,)
            cross_entropy = binary_cross_entropy_with_logits(logits, t)
            penalty = self.weight_decay / 2 * sum(W.square().sum() for W in weights)
            loss = cross_entropy + penalty
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss, **{"cross entropy/loss": cross_entropy})
        return net

    def network(self) -> MLP:
        """A new network with two inputs and one output, the logit of class 1."""
        return MLP(2, [self.width] * self.layers, 1, self.activation)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of both classes at one point: two numbers, or a text like ``0.5 -0.2``."""
        point = data.read_numbers(input, 2, "x and y")
        p = net(point).sigmoid().item()
        return {"class 0": 1 - p, "class 1": p}

    def example(self) -> Tensor:
        """A batch for export and tests: two points, (2, 2)."""
        return torch.tensor([[0.5, 0.0], [0.0, -0.5]])

    def demo(self) -> Demo:
        """Place points, choose a network, and watch its boundary form."""
        return boundary_demo(self.noise)
