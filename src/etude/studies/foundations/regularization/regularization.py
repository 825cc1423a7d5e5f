"""Regularisation: nine ways not to learn by heart."""

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

from etude import data
from etude.claims import Claim
from etude.figures.penalties import gaps, histograms, overfitting, spectra
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, OptimizerName, Positive, Study
from etude.training.augmentation import random_affine
from etude.training.batches import Batches
from etude.training.best import Best
from etude.training.comparison import compare, interval
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.penalties import HardConcrete, confidence, l2, nuclear_norm, soften
from etude.training.validation import split

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
LOOK = 5  # steps between two looks at the validation images


@dataclass
class Regularization(Study):
    """Learn a hundred digits, some of them mislabelled, with each of nine regularisers and with
    none.
    """

    images: Count = 100  # to train on; the rest of the training part is for validation
    wrong: Fraction = 0.2  # part of them that gets another class's label
    hidden: Count = 100  # units of the hidden layer
    steps: Count = 200  # of gradient descent on all images at once
    optimizer: OptimizerName = "momentum"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 0.03  # η, of every step
    seeds: Count = 8  # images, wrong labels and initial weights for each method
    l2: Amount = 0.03  # λ of L2
    l1: Amount = 0.05  # λ of L1: a step moves each weight by ηλ towards 0
    l0: Amount = 0.002  # λ of L0, for each gate that is open
    gates_rate: Positive = 6.0  # learning rate of log α, the gates of L0
    nuclear: Amount = 0.03  # λ of the nuclear norm
    dropout: Fraction = 0.8  # part of the hidden units that is dropped
    patience: Count = 8  # looks without a gain after which to stop early
    turn: Amount = 20.0  # augmentation: degrees, each way
    shift: Amount = 0.5  # augmentation: pixels, each way
    zoom: Fraction = 0.1  # augmentation: part of the size, each way
    smoothing: Fraction = 0.7  # α, the part of each label that is spread over all classes
    confidence: Amount = 3.0  # β, the price of a nat of certainty

    claims = [
        Claim("least gain", at_least=0.02, source="curriculum: each beats none; bound: Etude")
    ]
    courses = ["OU", "ITU", "CU P9"]

    def __call__(self, run: Run) -> None:
        nets: dict[str, nn.Sequential] = {}
        variants = {method: partial(self.train, method=method, nets=nets) for method in METHODS}
        found = compare(run, variants, self.seeds, "test/accuracy")
        gains = {method: found.gain(method, "none", "test/accuracy") for method in METHODS[1:]}
        run.table(
            "gain",
            ["paired with none", "gain"],
            [(method, str(interval(g))) for method, g in gains.items()],
        )
        run.result(
            {"least gain": min(map(fmean, gains.values()))}, held_out=len(data.uci_digits().test)
        )

        logged = [run.folder.curves()[f"{part}/accuracy"] for part in ("train", "validation")]
        run.figure(
            "overfitting",
            overfitting(
                *([lines[f"none #{k + 1}"] for k in range(self.seeds)] for lines in logged)
            ),
        )
        run.figure(
            "gap",
            gaps(
                {
                    m: [found.mean(m, f"{part}/accuracy") for part in ("train", "test")]
                    for m in METHODS
                }
            ),
        )
        weights = {
            method: linear_layers(net)[0].weight.detach().cpu() for method, net in nets.items()
        }
        run.figure("weights", histograms({m: weights[m] for m in ("none", "L2", "L1", "L0")}))
        run.figure(
            "singular_values",
            spectra({m: weights[m] for m in ("none", "L2", "L1", "nuclear norm")}),
        )
        run.keep(nets["augmentation"])

    def train(self, run: Run, method: str, nets: dict[str, nn.Sequential]) -> None:
        """One network by one method; it goes to ``nets``."""
        digits = data.uci_digits()
        train, validation = split(run, digits.train, len(digits.train) - self.images)
        x, t = run.place(scaled(train.inputs)), run.place(mislabelled(train.labels, self.wrong))
        net = run.place(self.network(self.dropout if method == "dropout" else 0.0))
        first, last = linear_layers(net)
        weights = [first.weight, last.weight]
        groups: list[dict[str, Any]] = [{"params": list(net.parameters())}]
        gates: list[HardConcrete] = []
        if method == "L0":
            gates = [run.place(HardConcrete(w.shape)) for w in weights]
            groups.append({"params": [gate.log_alpha for gate in gates], "lr": self.gates_rate})
            for layer, gate in zip((first, last), gates, strict=True):
                register_parametrization(layer, "weight", gate)
        optimizer = descent(self.optimizer, groups, self.learning_rate)
        batches = Batches(
            (x, t), len(x), augment=self.augment if method == "augmentation" else None
        )
        best = Best(net, self.patience)
        alpha = self.smoothing if method == "label smoothing" else 0.0

        for images, labels in run.steps(batches, self.steps, state=(net, optimizer, best)):
            z = net(images)
            loss = cross_entropy(z, labels, label_smoothing=alpha) + self.penalty(
                method, z, weights, gates
            )
            run.minimise(loss, optimizer)
            if method == "L1":
                soften(weights, self.learning_rate * self.l1)
            run.log(loss=loss)
            if run.every(LOOK):
                seen = measured(run, net, validation)
                run.log(
                    **{"train/accuracy": accuracy(outputs(net, x), t), "validation/accuracy": seen}
                )
                best.update(seen)
                if method == "early stopping" and best.stale:
                    break

        kept = run.step
        if method == "early stopping":
            kept -= best.waited * LOOK
            best.restore()
        run.result({"train/accuracy": accuracy(outputs(net, x), t), "steps": kept})
        run.result(
            {"validation/accuracy": measured(run, net, validation)}, held_out=len(validation)
        )
        run.result({"test/accuracy": measured(run, net, digits.test)}, held_out=len(digits.test))
        nets[method] = net.eval()

    def penalty(
        self, method: str, z: Tensor, weights: list[Tensor], gates: list[HardConcrete]
    ) -> Tensor | float:
        """What the method adds to the loss, of scores z (images, classes)."""
        match method:
            case "L2":
                return self.l2 * l2(weights)
            case "L0":
                return self.l0 * torch.stack([gate.open() for gate in gates]).sum()
            case "nuclear norm":
                return self.nuclear * nuclear_norm(weights)
            case "confidence penalty":
                return self.confidence * confidence(z)
        return 0.0

    def augment(self, images: Tensor, generator: Generator) -> Tensor:
        """A turned, shifted and scaled version of each image."""
        return random_affine(images, generator, self.turn, self.shift, self.zoom)

    def network(self, dropout: float = 0.0) -> nn.Sequential:
        """A new network of one hidden layer."""
        layers = nn.Linear(64, self.hidden), nn.Linear(self.hidden, 10)
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            nn.init.zeros_(layer.bias)
        return nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), nn.Dropout(dropout), layers[1])

    def example(self) -> Tensor:
        """Two images with values from 0 to 1."""
        return torch.rand(2, 1, 8, 8)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the digits for one picture: a file, an array or a tensor, of any size
        and polarity.
        """
        p = net(scaled(data.like_uci(input)[None])).softmax(1)[0]
        return dict(zip("0123456789", p.tolist(), strict=True))


def mislabelled(labels: Tensor, part: float) -> Tensor:
    """A part of the labels, drawn at random, each replaced by one of the nine others: (images,)."""
    labels = labels.clone()
    rows = torch.randperm(len(labels))[: round(part * len(labels))]
    labels[rows] = (labels[rows] + torch.randint(1, 10, (len(rows),))) % 10
    return labels


def linear_layers(net: nn.Sequential) -> list[nn.Linear]:
    """The layers that have weights."""
    return [layer for layer in net if isinstance(layer, nn.Linear)]


def measured(run: Run, net: nn.Module, rows: data.Labelled[Tensor]) -> float:
    """Accuracy on images."""
    return accuracy(outputs(net, run.place(scaled(rows.inputs))), run.place(rows.labels))


def scaled(images: Tensor) -> Tensor:
    """Whole numbers from 0 to 16 to values from 0 to 1."""
    return images.float() / 16
