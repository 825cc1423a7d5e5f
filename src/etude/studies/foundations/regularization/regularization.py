"""Regularisation: nine ways to keep a network from memorising its training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.parametrize import register_parametrization

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Fraction,
    OptimizerName,
    Positive,
    Run,
    Study,
    data,
    training,
)

from ._figures import gaps, histograms, overfitting, spectra
from ._penalties import HardConcrete, l2, negative_entropy, nuclear_norm, soft_threshold

METHODS = (
    "none",
    "L2",
    "L1",
    "L0",
    "nuclear norm",
    "dropout",
    "early stopping",
    "augmentation",
    "label smoothing",
    "confidence penalty",
)
LOOK = 5  # steps between two measurements on the validation images


@dataclass
class Regularization(Study):
    """Learn a hundred digits, some with wrong labels, with nine regularisers and without."""

    images: Count = 100  # training images; the rest of the training part is for validation
    wrong: Fraction = 0.2  # fraction of the training images with the label of another class
    width: Count = 100  # units of the hidden layer
    steps: Count = 200  # steps of gradient descent on all images at once
    optimizer: OptimizerName = "momentum"  # rule of a step; choose the learning rate to suit it
    learning_rate: Positive = 0.03  # η of every step
    repeats: Count = 8  # draws of images, wrong labels and initial weights for each method
    weight_decay: Amount = 0.03  # λ of the L2 penalty
    l1: Amount = 0.05  # λ of L1: a step moves each weight by ηλ towards 0, without momentum
    l0: Amount = 0.002  # λ of L0, the price of a gate that is open
    gates_rate: Positive = 6.0  # learning rate of log α, the parameters of the gates of L0
    nuclear: Amount = 0.03  # λ of the nuclear norm
    dropout: Fraction = 0.8  # fraction of the hidden units that is dropped in training
    patience: Count = 8  # measurements without a gain after which to stop early
    rotation: Amount = 20.0  # augmentation: largest angle in degrees, each way
    shift: Amount = 0.5  # augmentation: largest shift in pixels, each way
    zoom: Fraction = 0.1  # augmentation: largest change of size, as a fraction, each way
    smoothing: Fraction = 0.7  # α, the part of each label that is spread over all classes
    confidence: Amount = 3.0  # β of the confidence penalty, the price of a nat of certainty

    claims = [
        Claim("nine/test/accuracy", at_least=0.775, source="Etude"),
        Control(
            "none/test/accuracy",
            at_most=0.765,
            source="Etude: the same images, labels and first weights",
            of="nine/test/accuracy",
            without="a regulariser",
        ),
        Claim("least gain", at_least=0.02, source="each beats none; bound: Etude"),
    ]
    needs = ["spirals", "validation"]

    def __call__(self, run: Run) -> None:
        variants = {method: partial(self.train, method=method) for method in METHODS}
        comparison = training.compare(run, variants, self.repeats, "test/accuracy")

        gains = {}
        for method in METHODS[1:]:
            gains[method] = comparison.gain(method, "none", "test/accuracy")
        rows = [(method, str(training.interval(gain))) for method, gain in gains.items()]
        run.table("gain", ["paired with none", "gain"], rows)
        least = min(map(fmean, gains.values()))
        of_nine = fmean(comparison.mean(method, "test/accuracy") for method in METHODS[1:])
        images = len(data.uci_digits().test)
        run.result({"least gain": least, "nine/test/accuracy": of_nine}, held_out=images)

        curves = run.curves()
        unregularised = [f"none #{k + 1}" for k in range(self.repeats)]
        train = [curves["train/accuracy"][name] for name in unregularised]
        validation = [curves["validation/accuracy"][name] for name in unregularised]
        run.figure("overfitting", overfitting(train, validation))

        reached = {}
        for method in METHODS:
            train_accuracy = comparison.mean(method, "train/accuracy")
            test_accuracy = comparison.mean(method, "test/accuracy")
            reached[method] = (train_accuracy, test_accuracy)
        run.figure("gap", gaps(reached))

        weights = {}
        for method in METHODS:
            first, _ = linear_layers(comparison.made[method][-1])  # of the last seed
            weights[method] = first.weight.detach().cpu()
        shown = ("none", "L2", "L1", "L0")
        run.figure("weights", histograms({method: weights[method] for method in shown}))
        shown = ("none", "L2", "L1", "nuclear norm")
        run.figure("singular_values", spectra({method: weights[method] for method in shown}))
        run.keep(comparison.made["augmentation"][-1])

    def train(self, run: Run, method: str) -> nn.Sequential:
        """Train one network with one method."""
        digits = data.uci_digits()
        held_out = len(digits.train) - self.images
        train, validation = training.split(run, digits.train, held_out)
        x = run.place(to_unit_interval(train.inputs))
        t = run.place(mislabel(train.labels, self.wrong))

        net = run.place(self.network(self.dropout if method == "dropout" else 0.0))
        layers = linear_layers(net)
        weights = [layer.weight for layer in layers]
        groups: list[dict[str, Any]] = [{"params": list(net.parameters())}]
        gates: list[HardConcrete] = []
        if method == "L0":
            for layer, weight in zip(layers, weights, strict=True):
                gate = run.place(HardConcrete(weight.shape))
                register_parametrization(layer, "weight", gate)
                gates.append(gate)
            groups.append({"params": [gate.log_alpha for gate in gates], "lr": self.gates_rate})
        optimizer = training.descent(self.optimizer, groups, self.learning_rate)
        augment = self.augment if method == "augmentation" else None
        batches = training.Batches((x, t), len(x), augment=augment)
        best = training.Best(net, self.patience)
        smoothing = self.smoothing if method == "label smoothing" else 0.0

        for images, labels in run.steps(batches, self.steps, state=(net, optimizer, best)):
            logits = net(images)  # (images, classes)
            loss = cross_entropy(logits, labels, label_smoothing=smoothing)
            loss = loss + self.penalty(method, logits, weights, gates)
            run.minimise(loss, optimizer)
            if method == "L1":
                soft_threshold(weights, self.learning_rate * self.l1)
            run.log(loss=loss)
            if run.every(LOOK):
                reached = accuracy(run, net, validation)
                run.log(**{"train/accuracy": training.accuracy(training.outputs(net, x), t)})
                run.log(**{"validation/accuracy": reached})
                best.update(reached)
                if method == "early stopping" and best.stale:
                    break

        steps = run.step
        if method == "early stopping":
            steps -= best.waited * LOOK
            best.restore()
        train_accuracy = training.accuracy(training.outputs(net, x), t)
        run.result({"train/accuracy": train_accuracy, "steps": steps})
        for part, rows in (("validation", validation), ("test", digits.test)):
            run.result({f"{part}/accuracy": accuracy(run, net, rows)}, held_out=len(rows))
        return net.eval()

    def penalty(
        self, method: str, logits: Tensor, weights: list[Tensor], gates: list[HardConcrete]
    ) -> Tensor | float:
        """What a method adds to the loss, a scalar.

        Args:
            method: its name.
            logits: outputs of the network, (images, classes).
            weights: the matrices of the network.
            gates: the gates of L0, one module for each matrix.
        """
        match method:
            case "L2":
                return self.weight_decay * l2(weights)
            case "L0":
                return self.l0 * torch.stack([gate.expected_open() for gate in gates]).sum()
            case "nuclear norm":
                return self.nuclear * nuclear_norm(weights)
            case "confidence penalty":
                return self.confidence * negative_entropy(logits)
        return 0.0

    def augment(self, images: Tensor, generator: Generator) -> Tensor:
        """A rotated, shifted and scaled version of each image, of the same shape."""
        return training.random_affine(images, generator, self.rotation, self.shift, self.zoom)

    def network(self, dropout: float = 0.0) -> nn.Sequential:
        """A new network with one hidden layer."""
        first = nn.Linear(64, self.width)
        last = nn.Linear(self.width, 10)
        for layer in (first, last):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            nn.init.zeros_(layer.bias)
        return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Dropout(dropout), last)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the digits for one picture: a file, an array or a tensor."""
        images = to_unit_interval(data.like_uci(input)[None])
        p = net(images).softmax(1)[0]
        return dict(zip("0123456789", p.tolist(), strict=True))

    def example(self) -> Tensor:
        """A batch for export and tests: two images with values from 0 to 1, (2, 1, 8, 8)."""
        return torch.rand(2, 1, 8, 8)


def mislabel(labels: Tensor, fraction: float) -> Tensor:
    """Replace a random fraction of the labels by other classes: (images,) → (images,)."""
    labels = labels.clone()
    rows = torch.randperm(len(labels))[: round(fraction * len(labels))]
    offsets = torch.randint(1, 10, (len(rows),))
    labels[rows] = (labels[rows] + offsets) % 10
    return labels


def linear_layers(net: nn.Sequential) -> list[nn.Linear]:
    """The layers of a network that have weights, from the first to the last."""
    return [layer for layer in net if isinstance(layer, nn.Linear)]


def accuracy(run: Run, net: nn.Module, rows: data.Labelled[Tensor]) -> float:
    """The fraction of images that a network classifies correctly."""
    logits = training.outputs(net, run.place(to_unit_interval(rows.inputs)))
    return training.accuracy(logits, run.place(rows.labels))


def to_unit_interval(images: Tensor) -> Tensor:
    """Pixels as numbers from 0 to 1, from whole numbers from 0 to 16, of any shape."""
    return images.float() / 16
