"""Backpropagation by hand: a convolutional network in NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Fraction,
    Positive,
    Run,
    Study,
    data,
    figures,
    training,
)
from etude.layers import by_hand as hand
from etude.layers.by_hand import Array

from ._figures import error_by_step


class Stop(hand.Layer):
    """x itself; but it passes no gradient to the layers before it, so they learn nothing."""

    def forward(self, x: Array, training: bool) -> Array:
        """Of any shape."""
        return x

    def backward(self, dy: Array) -> Array:
        """Zeros of the same shape."""
        return np.zeros_like(dy)


@dataclass
class Backprop(Study):
    """Train a convolutional network with backward passes written by hand."""

    dataset: Literal["uci", "mnist"] = "uci"  # digits of 8×8 pixels, or of 28×28
    width: Count = 16  # filters of the first convolution; the second has twice as many
    units: Count = 64  # units of the hidden layer after the convolutions
    dropout: Fraction = 0.2  # fraction of these units that is dropped in training
    epochs: Positive = 15.0  # passes over the training data
    batch: Count = 64  # images per step
    learning_rate: Positive = 0.05  # first learning rate; falls to zero along half a cosine
    momentum: Fraction = 0.9  # μ, the fraction of the last step that is kept
    weight_decay: Amount = 5e-4  # λ, the factor of the L2 penalty
    held_out: Fraction = 0.05  # fraction of the training data kept for validation

    scales = {"full": {"dataset": "mnist", "width": 8, "epochs": 3.0}}
    claims = [
        Claim("test/accuracy", at_least=0.97, source="Etude"),
        Control(
            "last layer/test/accuracy",
            at_most=0.9,
            source="Etude: all other layers stay random",
            of="test/accuracy",
            without="backward passes below the last layer",
        ),
        Claim("gradients/error", at_most=1e-6, each=True, source="central differences"),
        Claim("torch/error", at_most=1e-4, each=True, source="the same network in torch.nn"),
        Claim("test/accuracy", at_least=0.98, scale="full", source="Etude"),
    ]
    needs = ["autodiff", "logistic"]

    def __call__(self, run: Run) -> None:
        errors = {name: hand.differences(layer, x) for name, (layer, x) in checks().items()}
        worst = max(min(by_step.values()) for by_step in errors.values())
        run.result({"gradients/error": worst})
        run.figure("differences", error_by_step(errors))

        digits = data.uci_digits() if self.dataset == "uci" else data.mnist()
        count = round(self.held_out * len(digits.train))
        train, validation = training.split(run, digits.train, count)
        batches = training.Batches((self.scaled(train.inputs), train.labels), self.batch)
        net = self.train(run, self.layers(), batches, validation)
        run.result(
            {"validation/accuracy": self.accuracy(net, validation)}, held_out=len(validation)
        )
        run.result({"test/accuracy": self.accuracy(net, digits.test)}, held_out=len(digits.test))

        images = self.scaled(digits.test.inputs)
        logits = self.logits(net, images)
        twin = self.network()
        twin.load_state_dict(net.state_dict(), strict=False)
        run.result({"torch/error": (training.outputs(twin, images) - logits).abs().max()})

        predicted = logits.argmax(1)
        run.figure(
            "confusion", figures.confusion_matrix(predicted, digits.test.labels, digits.classes)
        )
        filters = twin.state_dict()["0.weight"]
        run.figure(
            "filters", figures.filter_grid(filters, title="filters of the first convolution")
        )
        run.keep(twin)

        with run.part("last layer", seed=run.seed):
            *early, last = self.layers()
            shallow = self.train(run, [*early, Stop(), last], batches, validation)
        accuracy = self.accuracy(shallow, digits.test)
        run.result({"last layer/test/accuracy": accuracy}, held_out=len(digits.test))

    def train(
        self,
        run: Run,
        layers: list[hand.Layer],
        batches: training.Batches,
        validation: data.Labelled[Tensor],
    ) -> hand.Network:
        """A network of new layers, trained by gradient descent with momentum."""
        net = hand.Network(layers)
        steps = round(self.epochs * len(batches))
        schedule = training.cosine(steps)

        for images, labels in run.steps(batches, steps, state=net):
            z = net.forward(images.numpy(), training=True)
            loss, gradient = hand.softmax_cross_entropy(z, labels.numpy())
            norms = net.backward(gradient)
            learning_rate = self.learning_rate * schedule(run.step)
            net.step(learning_rate, self.momentum, self.weight_decay)

            run.log(loss=loss)
            run.log(**{"first layer/gradient norm": norms[-2]})
            run.log(**{"last layer/gradient norm": norms[0]})
            if run.every(len(batches)):
                run.log(**{"validation/accuracy": self.accuracy(net, validation)})
        return net

    def logits(self, net: hand.Network, images: Tensor) -> Tensor:
        """Logits (n, 10) of scaled images (n, 1, side, side)."""
        parts = [torch.from_numpy(net.forward(part.numpy())) for part in torch.split(images, 500)]
        return torch.cat(parts)

    def accuracy(self, net: hand.Network, examples: data.Labelled[Tensor]) -> float:
        """The fraction of examples that the network classifies correctly."""
        return training.accuracy(self.logits(net, self.scaled(examples.inputs)), examples.labels)

    @property
    def side(self) -> int:
        """Height and width of an image in pixels."""
        return 8 if self.dataset == "uci" else 28

    def layers(self) -> list[hand.Layer]:
        """The network by hand: two convolutions, each with batch norm, ReLU and pooling, then two
        affine layers.
        """
        w = self.width
        flat = 2 * w * (self.side // 4) ** 2
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
            hand.Affine(flat, self.units),
            hand.ReLU(),
            hand.Dropout(self.dropout),
            hand.Affine(self.units, 10),
        ]

    def network(self) -> nn.Sequential:
        """The same network made of ``torch.nn``, so that it can be loaded like any other."""
        w = self.width
        flat = 2 * w * (self.side // 4) ** 2
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
            nn.Linear(flat, self.units),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.units, 10),
        )

    def example(self) -> Tensor:
        """A batch for export and tests: two random images, 0 to 1, (2, 1, side, side)."""
        return torch.rand(2, 1, self.side, self.side)

    def scaled(self, images: Tensor) -> Tensor:
        """Images of whole numbers as images of values from 0 to 1."""
        return images.float() / (16 if self.dataset == "uci" else 255)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the classes for one picture: a file, an array or a tensor, of any size
        and polarity.
        """
        to_digits = data.like_uci if self.dataset == "uci" else data.like_mnist
        image = self.scaled(to_digits(input))  # (1, side, side)
        p = net(image[None]).softmax(1)[0]
        return dict(zip("0123456789", p.tolist(), strict=True))


def checks() -> dict[str, tuple[hand.Layer, Array]]:
    """Each kind of layer in double precision, with an input that is not near a kink."""
    spaced = np.random.permutation(96) / 48 - 0.99  # no two within 0.02, and none near 0
    spaced = spaced.reshape(2, 3, 4, 4)
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
