"""Handwritten digits, one small convolutional network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.demos import Answer, Bars, Demo, Drawing, Image, Pictures
from etude.figures.classification import confusion_matrix, reliability
from etude.figures.images import filter_grid, image_grid
from etude.networks.strided import StridedCNN
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, Natural, OptimizerName, Positive, Study
from etude.training.augmentation import nudged, random_affine, random_flip
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs
from etude.training.looking import feature_maps, occlusion
from etude.training.optimizers import descent
from etude.training.playground import handwritten
from etude.training.schedules import one_cycle
from etude.training.validation import split


@dataclass
class Digits(Study):
    """Classify handwritten digits, with dropout, an L2 penalty and a validation split."""

    dataset: Literal["uci", "mnist", "fashion"] = (
        "uci"  # 8×8 inside scikit-learn; 28×28; clothes, 28×28
    )
    width: Count = 24  # channels of the first convolution; the others have 2 and 4 times as many
    epochs: Positive = 30.0  # passes over the training data
    batch: Count = 64  # images a step
    optimizer: OptimizerName = "adamw"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 4e-3  # at the height of the cycle
    weight_decay: Amount = 0.05  # the L2 penalty; of AdamW decoupled from the gradient
    dropout: Fraction = 0.1  # part of the last features that is dropped
    smoothing: Fraction = 0.0  # ε, part of the target that is spread over all classes
    turn: Amount = 8.0  # augmentation: degrees, each way
    shift: Amount = 0.5  # augmentation: pixels, each way
    zoom: Fraction = 0.1  # augmentation: part of the size, each way
    held_out: Fraction = 0.05  # part of the training data kept for validation
    nudge: Natural = (
        0  # pixels: when judging, scores are means over five places so far apart; 0: one place
    )

    scales = {
        "full": {
            "dataset": "mnist",
            "epochs": 7.0,
            "batch": 256,
            "learning_rate": 6e-3,
            "smoothing": 0.1,
            "turn": 10.0,
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
            "turn": 0.0,
            "shift": 0.0,
            "zoom": 0.0,
        },
        "fashion": {"dataset": "fashion", "epochs": 20.0, "batch": 256, "turn": 0.0, "shift": 1.0},
    }
    claims = [
        Claim("test/accuracy", at_least=0.98, source="floor of the curriculum"),
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
        Claim("test/accuracy", at_least=0.93, scale="fashion", source="goal of the curriculum"),
    ]
    courses = ["CU A3", "ITU A1", "NCKU", "OU"]

    def __call__(self, run: Run) -> None:
        digits = {"uci": data.uci_digits, "mnist": data.mnist, "fashion": data.fashion_mnist}[
            self.dataset
        ]()
        train, validation = split(run, digits.train, round(self.held_out * len(digits.train)))
        batches = Batches(train.pair, self.batch, augment=self.augment)
        steps = round(self.epochs * len(batches))

        net = run.place(self.network())
        optimizer = descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, one_cycle(steps, warmup=0.2))

        for images, labels in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(images), labels, label_smoothing=self.smoothing)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
            if run.every(len(batches)):
                scores = outputs(net, self.scaled(validation.inputs))
                run.log(**{"validation/accuracy": accuracy(scores, validation.labels)})

        scores = self.scores(net, validation.inputs)
        run.result(
            {"validation/accuracy": accuracy(scores, validation.labels)}, held_out=len(validation)
        )
        images, labels = self.scaled(digits.test.inputs), digits.test.labels
        probabilities = self.scores(net, digits.test.inputs).softmax(1)
        sure, predicted = probabilities.max(1)
        run.result({"test/accuracy": accuracy(probabilities, labels)}, held_out=len(labels))
        wrong = (predicted != labels).nonzero().squeeze(1)
        hardest = wrong[sure[wrong].argsort(descending=True)][:24]
        if len(hardest):
            names = [
                f"{digits.classes[labels[i]]} → {digits.classes[predicted[i]]} {sure[i]:.2f}"
                for i in hardest
            ]
            run.figure(
                "hardest",
                image_grid(images[hardest], names, title="wrong, and how sure: is → taken for"),
            )
        run.figure("confusion", confusion_matrix(predicted, labels, digits.classes))
        run.figure("calibration", reliability(probabilities, labels))
        run.figure(
            "filters",
            filter_grid(net.first.weight, title="filters of the first convolution"),
            cover=True,
        )
        run.keep(net)

    def network(self) -> StridedCNN:
        """A new network for the data set's images."""
        return StridedCNN(1, 8 if self.dataset == "uci" else 28, 10, self.width, self.dropout)

    def example(self) -> Tensor:
        """Two images with values from 0 to 1."""
        side = 8 if self.dataset == "uci" else 28
        return torch.rand(2, 1, side, side)

    def scaled(self, images: Tensor) -> Tensor:
        """Whole numbers to values from 0 to 1."""
        return images.to(torch.float32, copy=True).div_(16 if self.dataset == "uci" else 255)

    def scores(self, net: torch.nn.Module, images: Tensor) -> Tensor:
        """Logits of images of whole numbers, their mean over five places if asked for.

        (rows, classes).
        """
        places = nudged(self.scaled(images), self.nudge) if self.nudge else [self.scaled(images)]
        return torch.stack([outputs(net, place) for place in places]).mean(0)

    def augment(self, images: Tensor, generator: Generator) -> Tensor:
        """A turned, shifted and scaled version of each image."""
        images = self.scaled(images)
        if self.dataset == "fashion":
            images = random_flip(images, generator)
        return random_affine(images, generator, self.turn, self.shift, self.zoom)

    def predict(self, net: torch.nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the classes for one picture: a file, an array or a tensor, of any size
        and polarity.
        """
        image = (data.like_uci if self.dataset == "uci" else data.like_mnist)(input)
        return dict(
            zip(self.classes, self.scores(net, image[None]).softmax(1)[0].tolist(), strict=True)
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return data.FASHION if self.dataset == "fashion" else tuple("0123456789")

    def demo(self) -> Demo:
        """Draw, guess, and see what the network makes of it."""
        examples = {} if self.dataset == "fashion" else handwritten(5)
        asks = {"drawing": Drawing("Draw here", examples=examples)}
        return Demo("Draw a digit. Which one will it see?", asks, self.look, self.classes)

    def look(self, net: torch.nn.Module, drawing: Image) -> Iterator[Answer]:
        """Probabilities; the picture as the network gets it; its first layers' maps; what the
        answer hangs on.
        """
        yield Bars("What it sees", self.predict(net, drawing))
        image = self.scaled((data.like_uci if self.dataset == "uci" else data.like_mnist)(drawing))
        lost = occlusion(net, image).clamp_min(0)
        yield Pictures(
            "What it gets, and where it looks",
            {"input": image[0].numpy(), "hangs on": lost.numpy()},
        )
        maps = feature_maps(net, net.get_submodule("first"), image)[:12]
        shown = {
            f"{k + 1}": (m / m.amax().clamp_min(1e-6)).clamp_min(0).numpy()
            for k, m in enumerate(maps)
        }
        yield Pictures("What its first filters find", shown, width=72)
