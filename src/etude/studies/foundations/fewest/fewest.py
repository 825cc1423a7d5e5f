"""Digits from nine trained numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Claim,
    Control,
    Count,
    Fraction,
    Natural,
    OptimizerName,
    Positive,
    Run,
    Study,
    data,
    figures,
    training,
)
from etude.networks.strokes import NUMBERS, START, StrokeNetwork

from ._figures import accuracy_by_size, matches
from ._ordinary import convolutional, parameters, softmax_regression

SMALL = 200  # most parameters of the ordinary networks of the control


@dataclass
class Fewest(Study):
    """Recognise digits with nine trained parameters."""

    dataset: Literal["uci", "mnist"] = "uci"  # digits of 8×8 pixels, or of 28×28
    steps: Count = 150  # updates of the nine numbers
    batch: Count = 64  # images per step
    optimizer: OptimizerName = "adam"  # rule of a step; choose the learning rate with it
    learning_rate: Positive = 0.05  # first learning rate; falls to zero along a straight line
    cells: Count = 20  # cells along each side of the window through which an image is seen
    directions: Count = 8  # directions of edges that have a channel of their own
    held_out: Fraction = 0.2088  # fraction of the training data kept to choose the best step
    prototypes: Natural = 0  # training images in place of the drawings; 0: the drawings
    channels: tuple[Count, ...] = (64, 32, 16, 8, 4, 2, 1)  # filters of the ordinary networks
    grids: tuple[Count, ...] = (8, 4, 3, 2, 1)  # averages along each side, for softmax regression
    ordinary_steps: Count = 500  # updates of each of the ordinary networks

    scales = {
        "full": {
            "dataset": "mnist",
            "held_out": 0.03333,
            "grids": (28, 14, 7, 4, 2, 1),
            "ordinary_steps": 1500,
        }
    }
    claims = [
        Claim(
            "test/accuracy",
            at_least=0.92,
            source="ECE-472 (2022), assignment 3, extra challenge: 0.80; bound: Etude",
        ),
        Control(
            "small/accuracy",
            at_most=0.91,
            source="Etude: up to 20 times as many trained parameters",
            of="test/accuracy",
            without="drawings: the best ordinary network",
        ),
        Control(
            "untrained/accuracy",
            at_most=0.85,
            source="Etude",
            of="test/accuracy",
            without="training",
        ),
        Claim(
            "parameters",
            at_most=9,
            each=True,
            source="ECE-472 (2022), assignment 3, extra challenge",
        ),
        Claim(
            "gain/test/accuracy",
            at_least=0.1,
            source="over the drawings untrained; Etude",
        ),
        Claim(
            "test/accuracy",
            at_least=0.92,
            scale="full",
            source="ECE-472 (2022), assignment 3, extra challenge: 0.80; bound: Etude",
        ),
        Control(
            "small/accuracy",
            at_most=0.85,
            scale="full",
            source="Etude: up to 20 times as many trained parameters",
            of="test/accuracy",
            without="drawings: the best ordinary network",
        ),
        Control(
            "untrained/accuracy",
            at_most=0.9,
            scale="full",
            source="Etude",
            of="test/accuracy",
            without="training",
        ),
        Claim(
            "parameters",
            at_most=9,
            each=True,
            scale="full",
            source="ECE-472 (2022), assignment 3, extra challenge",
        ),
        Claim(
            "gain/test/accuracy",
            at_least=0.04,
            scale="full",
            source="over the drawings untrained; Etude",
        ),
    ]
    needs = ["logistic"]

    def __call__(self, run: Run) -> None:
        digits = data.uci_digits() if self.dataset == "uci" else data.mnist()
        count = round(self.held_out * len(digits.train))
        train, validation = training.split(run, digits.train, count)
        net = self.network()
        if self.prototypes:  # these are not trained on
            train, known = data.hold_out(train, self.prototypes)
            images = self.scaled(known.inputs)
            net = StrokeNetwork(images, known.labels, self.cells, self.directions)
        net = run.place(net)

        test = run.place(self.scaled(digits.test.inputs))
        labels = run.place(digits.test.labels)
        images = run.place(self.scaled(train.inputs))
        batches = training.Batches((images, run.place(train.labels)), self.batch)

        before = training.accuracy(training.outputs(net, test), labels)
        self.train(run, net, batches, validation)
        logits = training.outputs(net, test)
        after = training.accuracy(logits, labels)

        curves: dict[str, list[tuple[float, float]]]
        curves = {"convolutional": [], "softmax regression": []}
        for family, learning_rate, other in self.ordinary():
            name = f"{family}/{parameters(other)}"
            self.train_ordinary(run, name, run.place(other), learning_rate, batches)
            correct = training.accuracy(training.outputs(other, test), labels)
            curves[family].append((parameters(other), correct))
            run.result({name: correct}, held_out=len(test))

        small = [right for line in curves.values() for n, right in line if n <= SMALL]
        if small:  # the best of them on the test images, which favours the control
            run.result({"small/accuracy": max(small)}, held_out=len(test))

        size = parameters(net)
        fixed = NUMBERS if net.templates is None else net.templates.numel()
        run.result({"test/accuracy": after, "untrained/accuracy": before}, held_out=len(test))
        run.result({"gain/test/accuracy": after - before}, held_out=len(test))
        run.result({"parameters": size, "numbers/fixed": fixed})

        nine = {f"{size} numbers, before and after training": [(size, before), (size, after)]}
        run.figure("sizes", accuracy_by_size(curves, nine, goal=0.8))
        run.figure("matches", matches(net, test[:12], labels[:12]))
        run.figure("templates", figures.image_grid(net.known()[:120].detach(), columns=12))
        predicted = logits.argmax(1)
        run.figure("confusion", figures.confusion_matrix(predicted, labels, digits.classes))
        run.keep(net)

    def train(
        self,
        run: Run,
        net: StrokeNetwork,
        batches: training.Batches,
        validation: data.Labelled[Tensor],
    ) -> None:
        """Train the nine numbers, and keep those of the step with the least validation loss."""
        images = run.place(self.scaled(validation.inputs))
        labels = run.place(validation.labels)
        optimizer = training.descent(self.optimizer, net.parameters(), self.learning_rate)
        schedule = LambdaLR(optimizer, lambda step: 1 - step / self.steps)
        best = training.Best(net, lowest=True)
        state = net, optimizer, schedule, best

        for x, label in run.steps(batches, self.steps, state=state, name="nine"):
            loss = cross_entropy(net(x), label)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
            values = net.values()
            run.log(**{f"{name}/relative": values[name] / START[name] for name in values})
            if run.every(10):
                best.update(cross_entropy(training.outputs(net, images), labels).item())
        best.restore()

    def train_ordinary(
        self, run: Run, name: str, net: nn.Module, learning_rate: float, batches: training.Batches
    ) -> None:
        """Train one of the networks that the nine numbers are compared with."""
        optimizer = training.descent("adam", net.parameters(), learning_rate)
        schedule = LambdaLR(optimizer, training.one_cycle(self.ordinary_steps, warmup=0.2))
        state = net, optimizer, schedule
        for x, label in run.steps(batches, self.ordinary_steps, state=state, name=name):
            loss = cross_entropy(net(x), label)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)

    def network(self) -> StrokeNetwork:
        """A new network of nine numbers, with the drawings or with room for prototypes."""
        if not self.prototypes:
            return StrokeNetwork(cells=self.cells, directions=self.directions)
        images = torch.zeros(self.prototypes, 1, self.side, self.side)
        labels = torch.arange(self.prototypes) % 10
        return StrokeNetwork(images, labels, self.cells, self.directions)

    def ordinary(self) -> Iterator[tuple[str, float, nn.Module]]:
        """The networks to compare with: family, a good learning rate, and the network."""
        for net in convolutional(self.channels, stride=1 if self.dataset == "uci" else 2):
            yield "convolutional", 0.01, net
        for grid in self.grids:
            yield "softmax regression", 0.8 / grid, softmax_regression(grid)

    @property
    def side(self) -> int:
        """Height and width of an image in pixels."""
        return 8 if self.dataset == "uci" else 28

    def scaled(self, images: Tensor) -> Tensor:
        """Images of whole numbers as images of values from 0 (paper) to 1 (ink)."""
        return images.float() / (16 if self.dataset == "uci" else 255)

    def example(self) -> Tensor:
        """A batch for export and tests: two random images, 0 to 1, (2, 1, side, side)."""
        generator = torch.Generator().manual_seed(0)
        return torch.rand(2, 1, self.side, self.side, generator=generator)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the digits for one picture: a file, an array or a tensor, of any size
        and polarity.
        """
        to_digits = data.like_uci if self.dataset == "uci" else data.like_mnist
        image = self.scaled(to_digits(input))
        p = net(image[None]).softmax(1)[0]
        return dict(zip("0123456789", p.tolist(), strict=True))
