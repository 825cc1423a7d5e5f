"""Backpropagation by hand: a convolutional network in NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from etude import data
from etude.claims import Claim
from etude.figures.classification import confusion_matrix
from etude.figures.differences import error_by_step
from etude.figures.images import filter_grid
from etude.layers import by_hand as hand
from etude.layers.by_hand import Array
from etude.runs.run import Run
from etude.study import Count, Fraction, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs
from etude.training.schedules import cosine
from etude.training.validation import split


@dataclass
class Backprop(Study):
    """Train a convolutional network with backward passes written by hand."""

    dataset: Literal["uci", "mnist"] = "uci"  # 8×8 inside scikit-learn; 28×28
    width: Count = 16  # filters of the first convolution; the second has twice as many
    hidden: Count = 64  # units between the convolutions and the scores
    dropout: Fraction = 0.2  # part of these that is dropped
    epochs: Positive = 15.0  # passes over the training data
    batch: Count = 64  # images a step
    learning_rate: Positive = 0.05  # at the start; falls to zero along half a cosine
    momentum: Fraction = 0.9  # μ, the part of the last step that is kept
    weight_decay: Fraction = 5e-4  # λ, the factor of the L2 penalty
    held_out: Fraction = 0.05  # part of the training data kept for validation

    scales = {"full": {"dataset": "mnist", "width": 8, "epochs": 3.0}}
    claims = [
        Claim("test/accuracy", at_least=0.97, source="floor of the curriculum"),
        Claim("gradients/error", at_most=1e-6, each=True, source="central differences"),
        Claim("torch/error", at_most=1e-4, each=True, source="the same network in torch.nn"),
        Claim("test/accuracy", at_least=0.98, scale="full", source="floor of the curriculum"),
    ]
    courses = ["ITU A2", "OU"]

    def __call__(self, run: Run) -> None:
        errors = {name: hand.differences(layer, x) for name, (layer, x) in checks().items()}
        run.result({"gradients/error": max(min(found.values()) for found in errors.values())})
        run.figure("differences", error_by_step(errors))

        digits = data.uci_digits() if self.dataset == "uci" else data.mnist()
        train, validation = split(run, digits.train, round(self.held_out * len(digits.train)))
        batches = Batches((self.scaled(train.inputs), train.labels), self.batch)
        steps = round(self.epochs * len(batches))
        net, shape = hand.Network(self.layers()), cosine(steps)

        for images, labels in run.steps(batches, steps, state=net):
            z = net.forward(images.numpy(), training=True)
            loss, dz = hand.softmax_cross_entropy(z, labels.numpy())
            norms = net.backward(dz)
            net.step(self.learning_rate * shape(run.step), self.momentum, self.weight_decay)
            run.log(
                loss=loss,
                **{"first layer/gradient norm": norms[-2], "last layer/gradient norm": norms[0]},
            )
            if run.every(len(batches)):
                scores = torch.from_numpy(net.forward(self.scaled(validation.inputs).numpy()))
                run.log(**{"validation/accuracy": accuracy(scores, validation.labels)})

        scores = torch.from_numpy(net.forward(self.scaled(validation.inputs).numpy()))
        run.result(
            {"validation/accuracy": accuracy(scores, validation.labels)}, held_out=len(validation)
        )
        images, labels = self.scaled(digits.test.inputs), digits.test.labels
        scores = torch.cat(
            [torch.from_numpy(net.forward(part.numpy())) for part in torch.split(images, 500)]
        )
        run.result({"test/accuracy": accuracy(scores, labels)}, held_out=len(labels))
        twin = self.network()
        twin.load_state_dict(net.state_dict(), strict=False)
        run.result({"torch/error": (outputs(twin, images) - scores).abs().max()})
        run.figure("confusion", confusion_matrix(scores.argmax(1), labels, digits.classes))
        run.figure(
            "filters",
            filter_grid(twin.state_dict()["0.weight"], title="filters of the first convolution"),
        )
        run.keep(twin)

    @property
    def side(self) -> int:
        """Pixels of an image, along each axis."""
        return 8 if self.dataset == "uci" else 28

    def layers(self) -> list[hand.Layer]:
        """The network, by hand: two convolutions, each normalised, cut off and pooled, and two
        affine layers.
        """
        w, flat = self.width, 2 * self.width * (self.side // 4) ** 2
        return [
            hand.Convolution(1, w, 3),
            hand.BatchNorm(w),
            hand.ReLU(),
            hand.MaxPool(),
            hand.Convolution(w, 2 * w, 3),
            hand.BatchNorm(2 * w),
            hand.ReLU(),
            hand.MaxPool(),
            hand.Flatten(),
            hand.Affine(flat, self.hidden),
            hand.ReLU(),
            hand.Dropout(self.dropout),
            hand.Affine(self.hidden, 10),
        ]

    def network(self) -> nn.Sequential:
        """The same network made of ``torch.nn``, for what others do with networks."""
        w, flat = self.width, 2 * self.width * (self.side // 4) ** 2
        return nn.Sequential(
            nn.Conv2d(1, w, 3, padding=1, bias=False),
            nn.BatchNorm2d(w),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(w, 2 * w, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * w),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(flat, self.hidden),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, 10),
        )

    def example(self) -> Tensor:
        """Two images with values from 0 to 1."""
        return torch.rand(2, 1, self.side, self.side)

    def scaled(self, images: Tensor) -> Tensor:
        """Whole numbers to values from 0 to 1."""
        return images.float() / (16 if self.dataset == "uci" else 255)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the classes for one picture: a file, an array or a tensor, of any size
        and polarity.
        """
        image = (data.like_uci if self.dataset == "uci" else data.like_mnist)(input)
        return dict(
            zip("0123456789", net(self.scaled(image[None])).softmax(1)[0].tolist(), strict=True)
        )


def checks() -> dict[str, tuple[hand.Layer, Array]]:
    """Each kind of layer, in double precision, with an input on which no kink lies near."""
    spaced = (np.random.permutation(96) / 48 - 0.99).reshape(
        2, 3, 4, 4
    )  # no two within 0.02, nor one near 0
    return {
        "affine": (hand.Affine(6, 5), np.random.normal(size=(4, 6))),
        "convolution": (hand.Convolution(3, 4, 3), np.random.normal(size=(2, 3, 5, 4))),
        "max pooling": (hand.MaxPool(), spaced),
        "batch norm": (hand.BatchNorm(3), np.random.normal(size=spaced.shape)),
        "ReLU": (hand.ReLU(), spaced),
        "dropout": (hand.Dropout(0.3), np.random.normal(size=(4, 6))),
        "softmax, cross-entropy": (
            hand.CrossEntropy(np.array([2, 0, 1, 2])),
            np.random.normal(size=(4, 3)),
        ),
    }
