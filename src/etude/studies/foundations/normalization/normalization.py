"""Normalisation: five norms, and how well each works with small mini-batches."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
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
from etude.layers.normalization import (
    Affine,
    BatchNorm,
    BatchRenorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
)
from etude.studies.foundations._settings import by_setting

from ._figures import noise_of_statistics

NORMS = ("none", "batch", "renorm", "group", "layer", "instance", "uncorrected")
MIXED = ("batch", "renorm", "group", "uncorrected")  # those of the second comparison
SHOWN = "test/accuracy"
Panel = tuple[list[str], dict[str, list[figures.Interval]]]  # settings, and intervals of each norm


@dataclass
class Normalization(Study):
    """Train one small network with each of five norms, and with none, on small mini-batches."""

    batches: tuple[Count, ...] = (64, 16, 4, 2)  # images in a mini-batch, of the first comparison
    mixtures: tuple[Count, ...] = (10, 5, 3, 2)  # classes in a mini-batch of 16, of the second
    examples: Count = 1_024  # images that a network is trained on, in mini-batches of any size
    repeats: Count = 3  # networks of each kind, from different seeds
    width: Count = 16  # channels of the first convolution; all later layers have twice as many
    layers: Natural = 2  # fully connected hidden layers after the two convolutions
    groups: Count = 4  # groups of channels in group norm
    running_images: Count = 160  # images over which running statistics are averaged
    r_max: Positive = 3.0  # largest correction of the scale in batch renorm; 1: none
    d_max: Amount = 5.0  # largest correction of the mean in batch renorm; 0: none
    optimizer: OptimizerName = "momentum"  # rule of a step; choose the learning rate to suit it
    learning_rate: Positive = 0.3  # first rate for batches of 64, in proportion; falls to zero
    held_out: Fraction = 0.2  # fraction of the training data that is kept for validation

    claims = [
        Claim("batch, 64/test/accuracy", at_least=0.8, source="Etude"),
        Control(
            "none, 64/test/accuracy",
            at_most=0.7,
            source="Etude: at the same learning rate",
            of="batch, 64/test/accuracy",
            without="a norm",
        ),
        Claim("renorm, 2 classes/test/accuracy", at_least=0.54, source="Etude"),
        Control(
            "uncorrected, 2 classes/test/accuracy",
            at_most=0.48,
            source="Etude: batch renorm with r = 1 and d = 0",
            of="renorm, 2 classes/test/accuracy",
            without="the correction by r and d",
        ),
        Claim("renorm gain at 4", at_least=0.03, source="Ioffe (2017), section 4; bound: Etude"),
        Claim(
            "renorm gain at 2 classes", at_least=0.1, source="Ioffe (2017), section 4; bound: Etude"
        ),
    ]
    needs = ["backprop"]

    def __call__(self, run: Run) -> None:
        digits = data.uci_digits()
        batches = {f"{n}": (n, 10) for n in self.batches}
        mixtures = {f"{k} classes": (16, k) for k in self.mixtures}
        panels = {
            "images in a mini-batch": self.compare(run, "sizes", NORMS, batches),
            "in mini-batches of 16 images": self.compare(run, "mixtures", MIXED, mixtures),
        }
        run.figure("accuracy", by_setting(panels, "accuracy on test images"))

        x = run.place(digits.train.inputs.float() / 16)
        rows = data.Labelled(x, digits.train.labels)
        # Trained for longer, until the weights and the running statistics have settled.
        longer = replace(self, examples=8 * self.examples)
        net = longer.train(run, rows, "renorm", 16, 10)
        errors, pixels = self.noise(net, x)
        run.figure("noise", noise_of_statistics(errors, pixels))
        run.keep(net)

    def compare(
        self, run: Run, name: str, norms: Sequence[str], settings: dict[str, tuple[int, int]]
    ) -> Panel:
        """Compare norms at several settings.

        Args:
            run: gets the results, a table and a figure.
            name: the name of the table and the figure.
            norms: the names of the norms.
            settings: name → images in a mini-batch, and classes in a mini-batch.
        """
        digits = data.uci_digits()
        variants = {}
        for setting, (size, classes) in settings.items():
            for norm in norms:
                variants[f"{norm}, {setting}"] = partial(
                    self.measure, digits=digits, norm=norm, size=size, classes=classes
                )
        comparison = training.compare(run, variants, self.repeats, SHOWN, name=name)

        paired = {}
        for setting in settings:
            gains = comparison.gain(f"renorm, {setting}", f"batch, {setting}", SHOWN)
            gain = statistics.fmean(gains)
            run.result({f"renorm gain at {setting}": gain}, held_out=len(digits.test))
            paired[setting] = training.interval(gains)
        picture = figures.confidence_intervals(paired, "test accuracy: renorm − batch, same seeds")
        run.figure(f"{name}_gain", picture)

        intervals: dict[str, list[figures.Interval]] = {norm: [] for norm in norms}
        for norm in norms:
            for setting in settings:
                values = comparison.measured[f"{norm}, {setting}"][SHOWN]
                intervals[norm].append(training.interval(values))
        return list(settings), intervals

    def measure(
        self, run: Run, digits: data.Dataset[Tensor], norm: str, size: int, classes: int
    ) -> None:
        """Train a network, and measure its accuracy on validation and on test images."""
        held_out = round(self.held_out * len(digits.train))
        rows, validation = training.split(run, digits.train, held_out)
        x = run.place(rows.inputs.float() / 16)
        net = self.train(run, data.Labelled(x, rows.labels), norm, size, classes)

        for part, images in (("validation", validation), ("test", digits.test)):
            logits = training.outputs(net, run.place(images.inputs.float() / 16))
            accuracy = training.accuracy(logits.cpu(), images.labels)
            run.result({f"{part}/accuracy": accuracy}, held_out=len(images))

    def train(
        self, run: Run, rows: data.Labelled[Tensor], norm: str, size: int, classes: int
    ) -> nn.Sequential:
        """Train a network on mini-batches with a number of images and a number of classes."""
        net = run.place(self.network(norm, size))
        steps = max(1, self.examples // size)
        optimizer = training.descent(self.optimizer, net, self.learning_rate * size / 64)
        schedule = LambdaLR(optimizer, lambda step: 1 - step / steps)
        drawn = rows[torch.cat([mixture(rows.labels, size, classes) for _ in range(steps)])]
        columns = (drawn.inputs, run.place(drawn.labels))
        batches = training.Batches(columns, size, shuffle=False)

        for images, labels in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(images), labels)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
        return net

    def network(self, norm: str = "renorm", size: int = 64) -> nn.Sequential:
        """A new network: two convolutions, fully connected layers, and a last affine map.

        From the second layer on, a channel has one pixel.

        Args:
            norm: one of ``NORMS``.
            size: images in a mini-batch.
        """
        w = self.width
        last = nn.Linear(2 * w, 10)
        hidden: list[nn.Module] = []
        for _ in range(self.layers):
            hidden += [
                nn.Linear(2 * w, 2 * w, bias=False),
                self.norm_layer(norm, 2 * w, size, pixels=1),
                nn.ReLU(),
            ]
        net = nn.Sequential(
            nn.Conv2d(1, w, 3, stride=2, padding=1, bias=False),  # 8×8 → 4×4
            self.norm_layer(norm, w, size, pixels=16),
            nn.ReLU(),
            nn.Conv2d(w, 2 * w, 4, bias=False),  # 4×4 → 1×1
            self.norm_layer(norm, 2 * w, size, pixels=1),
            nn.ReLU(),
            nn.Flatten(),
            *hidden,
            last,
        )
        for layer in net:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
        nn.init.normal_(last.weight, std=0.01)  # every digit is almost equally likely at first
        return net

    def norm_layer(self, norm: str, channels: int, size: int, pixels: int) -> nn.Module:
        """A norm for a number of channels, each with a number of pixels."""
        momentum = min(1.0, size / self.running_images)
        steps = max(1, self.examples // size)
        if norm == "batch":
            return BatchNorm(channels, momentum)
        if norm == "renorm":
            return BatchRenorm(channels, steps, momentum, self.r_max, self.d_max)
        if norm == "uncorrected":
            return BatchRenorm(channels, steps, momentum, r_max=1.0, d_max=0.0)
        if norm == "group":
            return GroupNorm(self.groups, channels)
        if norm == "layer":
            return LayerNorm(channels)
        if norm == "instance" and pixels > 1:
            return InstanceNorm(channels)
        return Affine(channels)  # no norm; and a single pixel has no statistics of its own

    def noise(
        self, net: nn.Sequential, x: Tensor
    ) -> tuple[dict[str, dict[int, Tensor]], dict[str, int]]:
        """How far the means of mini-batches lie from the running means, in each norm.

        Args:
            net: a trained network with batch renorm.
            x: images, (images, 1, height, width).

        Returns:
            Norm → size → d = (μ_B - μ) / σ, (mini-batches, channels); and norm → pixels of a
            channel.
        """
        errors: dict[str, dict[int, Tensor]] = {}
        pixels: dict[str, int] = {}
        with training.evaluating(net):
            for layer in net:
                if isinstance(layer, BatchRenorm):
                    name = f"norm {len(errors) + 1}"
                    values = x.reshape(len(x), len(layer.mean), -1)  # (images, channels, pixels)
                    z = (values.mean(2) - layer.mean) / layer.deviation
                    z = z.cpu()  # (images, channels)
                    errors[name] = {}
                    for size in self.batches:
                        drawn = torch.randint(len(z), (500, size))
                        errors[name][size] = z[drawn].mean(1)
                    pixels[name] = values.shape[2]
                x = layer(x)
        return errors, pixels

    def example(self) -> Tensor:
        """A batch for export and tests: two images with values from 0 to 1, (2, 1, 8, 8)."""
        return torch.rand(2, 1, 8, 8)


def mixture(labels: Tensor, size: int, classes: int) -> Tensor:
    """The rows of a random mini-batch from a random choice of the ten classes, (size,)."""
    chosen = torch.isin(labels, torch.randperm(10)[:classes])
    rows = chosen.nonzero().squeeze(1)
    return rows[torch.randperm(len(rows))[:size]]
