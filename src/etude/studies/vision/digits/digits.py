"""Handwritten digits: one small convolutional network, and what keeps it from overfitting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Amount,
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
from etude.demos import Answer, Bars, Demo, Drawing, Image
from etude.networks.strided import StridedCNN
from etude.studies.vision._baseline import nearest_neighbours
from etude.studies.vision._mistakes import most_confident_mistakes

from ._demo import explanation, handwritten_digits


@dataclass
class Digits(Study):
    """Classify handwritten digits, with dropout, weight decay and a validation split."""

    dataset: Literal["uci", "mnist", "fashion"] = "uci"  # digits 8×8; digits 28×28; clothes 28×28
    width: Count = 24  # channels of the first convolution; the others have 2 and 4 times as many
    epochs: Positive = 30.0  # passes over the training data
    batch: Count = 64  # images in each step
    optimizer: OptimizerName = "adamw"  # the update rule; change learning_rate with it
    learning_rate: Positive = 4e-3  # the largest learning rate of the run
    weight_decay: Amount = 0.05  # λ of AdamW's decoupled decay; of an L2 penalty for other rules
    dropout: Fraction = 0.1  # fraction of the last features that is dropped in training
    smoothing: Fraction = 0.0  # ε, the part of the target that is spread over all classes
    rotation: Amount = 8.0  # augmentation: the largest rotation in degrees, each way
    shift: Amount = 0.5  # augmentation: the largest shift in pixels, each way
    zoom: Fraction = 0.1  # augmentation: the largest change of size, as a fraction, each way
    shear: Amount = 0.2  # augmentation: the largest slant, across by up, each way
    held_out: Fraction = 0.05  # fraction of the training data that is kept for validation
    nudge: Natural = 0  # pixels between the five views averaged in evaluation; 0: one view

    scales = {
        "full": {
            "dataset": "mnist",
            "epochs": 7.0,
            "batch": 256,
            "learning_rate": 6e-3,
            "smoothing": 0.1,
            "rotation": 10.0,
            "shear": 0.0,
            "shift": 1.5,
            "nudge": 1,
        },
        "brief": {
            "dataset": "mnist",
            "width": 16,
            "epochs": 1.2,
            "batch": 128,
            "learning_rate": 6e-3,
            "dropout": 0.0,
            "smoothing": 0.1,
            "rotation": 0.0,
            "shear": 0.0,
            "shift": 0.0,
            "zoom": 0.0,
        },
        "fashion": {
            "dataset": "fashion",
            "epochs": 20.0,
            "batch": 256,
            "rotation": 0.0,
            "shear": 0.0,
            "shift": 1.0,
        },
    }
    claims = [
        Claim("test/accuracy", at_least=0.99, source="Etude"),
        Control(
            "nearest neighbour/test/accuracy",
            at_most=0.989,
            source="Etude",
            of="test/accuracy",
            without="training: the nearest neighbour",
        ),
        Claim(
            "test/accuracy",
            at_least=0.995,
            scale="full",
            source="ECE-472 (2022), assignment 3 asks for 0.955",
        ),
        Claim(
            "test/accuracy",
            at_least=0.99,
            scale="brief",
            source="goal: in 12 s, from the start of the process",
        ),
        Claim("test/accuracy", at_least=0.93, scale="fashion", source="Etude"),
    ]
    needs = ["spirals", "backprop", "regularization"]

    def __call__(self, run: Run) -> None:
        loaders = {"uci": data.uci_digits, "mnist": data.mnist, "fashion": data.fashion_mnist}
        digits = loaders[self.dataset]()
        kept = round(self.held_out * len(digits.train))
        train, validation = training.split(run, digits.train, kept)
        batches = training.Batches(train.pair, self.batch, augment=self.augment)
        steps = round(self.epochs * len(batches))

        net = run.place(self.network())
        optimizer = training.descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, training.one_cycle(steps, warmup=0.2))

        for images, labels in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(images), labels, label_smoothing=self.smoothing)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
            if run.every(len(batches)):
                logits = training.outputs(net, self.to_unit_interval(validation.inputs))
                run.log(**{"validation/accuracy": training.accuracy(logits, validation.labels)})

        logits = self.logits(net, validation.inputs)
        accuracy = training.accuracy(logits, validation.labels)
        run.result({"validation/accuracy": accuracy}, held_out=len(validation))

        labels = digits.test.labels
        probabilities = self.logits(net, digits.test.inputs).softmax(1)
        accuracy = training.accuracy(probabilities, labels)
        run.result({"test/accuracy": accuracy}, held_out=len(labels))
        nearest = nearest_neighbours(*train.pair, digits.test.inputs)
        by_distance = (nearest == labels).double().mean()
        run.result({"nearest neighbour/test/accuracy": by_distance}, held_out=len(labels))

        confidence, predicted = probabilities.max(1)
        mistakes = most_confident_mistakes(probabilities, labels)
        if len(mistakes):
            captions = [
                f"{digits.classes[labels[i]]} → {digits.classes[predicted[i]]} {confidence[i]:.2f}"
                for i in mistakes
            ]
            images = self.to_unit_interval(digits.test.inputs[mistakes])
            title = "mistakes: true class → predicted class, confidence"
            run.figure("hardest", figures.image_grid(images, captions, title=title), cover=True)
        run.figure("confusion", figures.confusion_matrix(predicted, labels, digits.classes))
        run.figure("calibration", figures.reliability(probabilities, labels))
        filters = figures.filter_grid(net.first.weight, title="filters of the first convolution")
        run.figure("filters", filters)
        run.keep(net)

    @property
    def side(self) -> int:
        """Height and width of the data set's images, in pixels."""
        return 8 if self.dataset == "uci" else 28

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the ten classes."""
        return data.FASHION if self.dataset == "fashion" else tuple("0123456789")

    def to_unit_interval(self, images: Tensor) -> Tensor:
        """Images of whole numbers as floating-point numbers from 0 to 1."""
        largest = 16 if self.dataset == "uci" else 255
        return images.to(torch.float32, copy=True).div_(largest)

    def augment(self, images: Tensor, generator: Generator) -> Tensor:
        """Each image rotated, shifted and scaled at random; clothes are also mirrored."""
        images = self.to_unit_interval(images)
        if self.dataset == "fashion":
            images = training.random_flip(images, generator)
        changes = (self.rotation, self.shift, self.zoom, self.shear)
        return training.random_affine(images, generator, *changes)

    def network(self) -> StridedCNN:
        """A new network for the data set's images."""
        return StridedCNN(1, self.side, 10, self.width, self.dropout)

    def logits(self, net: nn.Module, images: Tensor) -> Tensor:
        """Logits of images of whole numbers, (examples, 10): the mean over five views if asked for.

        Source: Krizhevsky, Sutskever & Hinton (2012), section 4.1.
        """
        images = self.to_unit_interval(images)
        views = training.shifted_views(images, self.nudge) if self.nudge else [images]
        return torch.stack([training.outputs(net, view) for view in views]).mean(0)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probability of each class for one picture: a file, an array or a tensor, of any size,
        light on dark or dark on light.
        """
        image = self.read(input)[None]
        if self.dataset == "uci":
            probabilities = self.by_many_views(net, image)[0]
        else:
            probabilities = self.logits(net, image).softmax(1)[0]
        return dict(zip(self.classes, probabilities.tolist(), strict=True))

    def by_many_views(self, net: nn.Module, images: Tensor) -> Tensor:
        """Mean probabilities (examples, 10) over 32 views, each rotated, moved, scaled and slanted.

        Another hand than those of the training data is judged with less confidence by it: the views
        of a digit that the network does not know disagree.
        """
        images = self.to_unit_interval(images)
        generator = Generator().manual_seed(0)
        views = [training.random_affine(images, generator, 8.0, 0.5, 0.1, 0.2) for _ in range(32)]
        return torch.stack([training.outputs(net, view).softmax(1) for view in views]).mean(0)

    def read(self, input: Any) -> Tensor:
        """One picture in the format of the data set, uint8 (1, side, side)."""
        if self.dataset == "uci":
            return data.like_uci(input)
        return data.like_mnist(input, solid=self.dataset == "fashion")

    def example(self) -> Tensor:
        """A batch for export and tests: two images with values from 0 to 1."""
        return torch.rand(2, 1, self.side, self.side)

    def demo(self) -> Demo:
        """Draw a digit, and see what the network predicts and why."""
        examples = {} if self.dataset == "fashion" else handwritten_digits(5)
        drawing = Drawing("Draw here", examples=examples)
        question = "Draw a digit. Which one will the network see?"
        return Demo(question, {"drawing": drawing}, self.explain, self.classes)

    def explain(self, net: nn.Module, drawing: Image) -> Iterator[Answer]:
        """The prediction for a drawing, and what it depends on."""
        yield Bars("Probability of each class", self.predict(net, drawing))
        yield from explanation(net, self.to_unit_interval(self.read(drawing)))
