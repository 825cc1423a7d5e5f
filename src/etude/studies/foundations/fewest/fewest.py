"""Digits from nine trained numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.classification import confusion_matrix
from etude.figures.images import image_grid
from etude.figures.sizes import accuracy_by_size
from etude.networks.strokes import NUMBERS, START, StrokeNetwork
from etude.runs.run import Run
from etude.study import Count, Natural, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.best import Best
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.schedules import one_cycle
from etude.training.validation import split


@dataclass
class Fewest(Study):
    """Recognise digits with nine trained parameters."""

    dataset: Literal["uci", "mnist"] = "uci"  # 8×8 inside scikit-learn; 28×28
    steps: Count = 150  # of training the nine
    batch: Count = 64  # images a step
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 0.05  # of the nine at the start; falls to zero along a straight line
    cells: Count = 20  # along each side of the window through which an image is seen
    directions: Count = 8  # of edges that are told apart
    held_out: Count = 300  # training images kept to choose the best of the nine's steps
    memory: Natural = 0  # training images that stand in for the drawings; 0: the drawings
    channels: tuple[Count, ...] = (
        64,
        32,
        16,
        8,
        4,
        2,
        1,
    )  # of the ordinary convolutional networks, for comparison
    grids: tuple[Count, ...] = (
        8,
        4,
        3,
        2,
        1,
    )  # softmax regression on so many by so many averages of the image
    ordinary_steps: Count = 500  # of training each of the ordinary networks

    scales = {
        "full": {
            "dataset": "mnist",
            "held_out": 2000,
            "grids": (28, 14, 7, 4, 2, 1),
            "ordinary_steps": 1500,
        }
    }
    claims = [
        Claim(
            "test/accuracy", at_least=0.80, source="ECE-472 (2022), assignment 3, extra challenge"
        ),
        Claim(
            "parameters",
            at_most=9,
            each=True,
            source="ECE-472 (2022), assignment 3, extra challenge",
        ),
        Claim(
            "test/accuracy",
            at_least=0.80,
            scale="full",
            source="ECE-472 (2022), assignment 3, extra challenge",
        ),
        Claim(
            "parameters",
            at_most=9,
            each=True,
            scale="full",
            source="ECE-472 (2022), assignment 3, extra challenge",
        ),
    ]
    courses = ["CU A3"]

    def __call__(self, run: Run) -> None:
        digits = data.uci_digits() if self.dataset == "uci" else data.mnist()
        train, validation = split(run, digits.train, self.held_out)
        net = self.network()
        if self.memory:
            train, known = data.hold_out(train, self.memory)  # what is remembered is not trained on
            net = StrokeNetwork(
                self.scaled(known.inputs), known.labels, self.cells, self.directions
            )
        net = run.place(net)
        test, labels = run.place(self.scaled(digits.test.inputs)), run.place(digits.test.labels)
        untrained = accuracy(outputs(net, test), labels)

        images, classes = run.place(self.scaled(validation.inputs)), run.place(validation.labels)
        batches = Batches(
            (run.place(self.scaled(train.inputs)), run.place(train.labels)), self.batch
        )
        optimizer = descent(self.optimizer, net.parameters(), self.learning_rate)
        schedule = LambdaLR(optimizer, lambda step: 1 - step / self.steps)
        best = Best(net, lowest=True)
        for x, label in run.steps(
            batches, self.steps, state=(net, optimizer, schedule, best), name="nine"
        ):
            loss = cross_entropy(net(x), label)
            run.minimise(loss, optimizer, schedule)
            run.log(
                loss=loss,
                **{f"{name}/relative": value / START[name] for name, value in net.values().items()},
            )
            if run.every(10):
                best.update(cross_entropy(outputs(net, images), classes).item())
        best.restore()

        curve: dict[str, list[tuple[float, float]]] = {
            "convolutional": [],
            "softmax regression": [],
        }
        for family, rate, other in self.ordinary():
            name = f"{family}/{trained(other)}"
            other = run.place(other)
            optimizer = descent("adam", other.parameters(), rate)
            schedule = LambdaLR(optimizer, one_cycle(self.ordinary_steps, warmup=0.2))
            for x, label in run.steps(
                batches, self.ordinary_steps, state=(other, optimizer, schedule), name=name
            ):
                loss = cross_entropy(other(x), label)
                run.minimise(loss, optimizer, schedule)
                run.log(loss=loss)
            reached = accuracy(outputs(other, test), labels)
            curve[family].append((trained(other), reached))
            run.result({name: reached}, held_out=len(test))

        scores = outputs(net, test)
        reached, count = accuracy(scores, labels), trained(net)
        fixed = NUMBERS if net.templates is None else net.templates.numel()
        run.result({"test/accuracy": reached, "untrained/accuracy": untrained}, held_out=len(test))
        run.result({"parameters": count, "numbers/fixed": fixed})
        star = {
            f"{count} numbers, before and after training": [(count, untrained), (count, reached)]
        }
        run.figure("sizes", accuracy_by_size(curve, star, goal=0.8))
        run.figure("matches", self.matches(net, test[:12], labels[:12]))
        run.figure("templates", image_grid(net.known()[:120].detach(), columns=12))
        run.figure("confusion", confusion_matrix(scores.argmax(1), labels, digits.classes))
        run.keep(net)

    def network(self) -> StrokeNetwork:
        """Drawings, or room for remembered images; and nine numbers."""
        if not self.memory:
            return StrokeNetwork(cells=self.cells, directions=self.directions)
        side = 8 if self.dataset == "uci" else 28
        room = torch.zeros(self.memory, 1, side, side)
        return StrokeNetwork(room, torch.arange(self.memory) % 10, self.cells, self.directions)

    def ordinary(self) -> Iterator[tuple[str, float, nn.Module]]:
        """Families of networks with ever fewer parameters, each with a good learning rate."""
        stride = 1 if self.dataset == "uci" else 2
        for c in self.channels:
            first, second = nn.Conv2d(1, c, 3, stride, padding=1), nn.Conv2d(c, 2 * c, 3, padding=1)
            bend = nn.LeakyReLU(0.1)  # with so few units none may die
            features = nn.Sequential(
                first, bend, nn.MaxPool2d(2), second, bend, nn.AdaptiveMaxPool2d(2)
            )
            yield "convolutional", 0.01, nn.Sequential(features, nn.Flatten(), nn.Linear(8 * c, 10))
        for k in self.grids:
            yield (
                "softmax regression",
                0.8 / k,
                nn.Sequential(nn.AdaptiveAvgPool2d(k), nn.Flatten(), nn.Linear(k * k, 10)),
            )

    def matches(self, net: StrokeNetwork, images: Tensor, labels: Tensor) -> Figure:
        """Images, what is seen of them through the window, and what each is most like."""
        with torch.inference_mode():
            sure, taken = net(images).softmax(1).max(1)
            nearest = net.known()[net.likeness(images).argmax(1)]
            rows = [interpolate(part, 56) for part in (images, net.normalised(images), nearest)]
        names = [f"is {label}" for label in labels] + [""] * len(images)
        names += [f"{digit} ({part:.2f})" for digit, part in zip(taken, sure, strict=True)]
        return image_grid(torch.cat(rows), names, columns=len(images))

    def scaled(self, images: Tensor) -> Tensor:
        """Whole numbers to values from 0 (paper) to 1 (ink)."""
        return images.float() / (16 if self.dataset == "uci" else 255)

    def example(self) -> Tensor:
        """Two images."""
        side = 8 if self.dataset == "uci" else 28
        return torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(0))

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the digits for one picture: a file, an array or a tensor, of any size
        and polarity.
        """
        image = (data.like_uci if self.dataset == "uci" else data.like_mnist)(input)
        return dict(
            zip("0123456789", net(self.scaled(image[None])).softmax(1)[0].tolist(), strict=True)
        )


def trained(net: nn.Module) -> int:
    """How many numbers of a network are trained."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
