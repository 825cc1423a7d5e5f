"""Normalisation: five norms, and what is left of them in small mini-batches."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.intervals import Interval
from etude.figures.norms import noise_of_statistics
from etude.figures.settings import by_setting
from etude.layers.normalization import (
    Affine,
    BatchNorm,
    BatchRenorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
)
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, Natural, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.comparison import compare, interval
from etude.training.evaluation import accuracy, evaluating, outputs
from etude.training.optimizers import descent
from etude.training.validation import split

NORMS = ("none", "batch", "renorm", "group", "layer", "instance")
SHOWN = "test/accuracy"


@dataclass
class Normalization(Study):
    """Train one small network with each of five norms, and with none, on smaller and smaller
    mini-batches.
    """

    sizes: tuple[Count, ...] = (64, 16, 4, 2)  # images in a mini-batch
    mixtures: tuple[Count, ...] = (10, 5, 3, 2)  # classes in a mini-batch of 16
    examples: Count = 1_024  # images that a network is shown, whatever the size of its mini-batches
    repeats: Count = 3  # networks of each kind, from seeds of their own
    width: Count = 16  # channels of the first convolution; the layers behind it have twice as many
    depth: Natural = 2  # fully connected layers behind the two convolutions
    groups: Count = 4  # of channels, for group norm
    memory: Count = 160  # images that running statistics go back
    r_max: Positive = 3.0  # the largest correction of the scale in batch renorm; 1: none
    d_max: Amount = 5.0  # the largest correction of the mean; 0: none
    optimizer: OptimizerName = "momentum"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = (
        0.3  # for mini-batches of 64, and in proportion to their size; falls to zero along a line
    )
    held_out: Fraction = 0.2  # part of the training data kept for validation

    claims = [
        Claim("renorm gain at 4", at_least=0.03, source="Ioffe (2017), section 4; bound: Etude"),
        Claim(
            "renorm gain at 2 classes", at_least=0.1, source="Ioffe (2017), section 4; bound: Etude"
        ),
    ]
    courses = ["ITU", "OU", "CU P10"]

    def __call__(self, run: Run) -> None:
        digits = data.uci_digits()
        sizes = {f"{n}": (n, 10) for n in self.sizes}
        mixtures = {f"{k} classes": (16, k) for k in self.mixtures}
        panels: dict[str, tuple[list[str], dict[str, list[Interval]]]] = {}
        for name, label, norms, settings in (
            ("sizes", "images in a mini-batch", NORMS, sizes),
            ("mixtures", "in mini-batches of 16 images", NORMS[1:4], mixtures),
        ):
            variants = {
                f"{norm}, {at}": partial(
                    self.measure, digits=digits, norm=norm, size=size, classes=classes
                )
                for at, (size, classes) in settings.items()
                for norm in norms
            }
            found = compare(run, variants, self.repeats, SHOWN, name=name)
            for at in settings:
                gain = statistics.fmean(found.gain(f"renorm, {at}", f"batch, {at}", SHOWN))
                run.result({f"renorm gain at {at}": gain}, held_out=len(digits.test))
            reached = {
                norm: [interval(found.measured[f"{norm}, {at}"][SHOWN]) for at in settings]
                for norm in norms
            }
            panels[label] = [*settings], reached
        run.figure("accuracy", by_setting(panels, "accuracy on test images"))

        x = run.place(digits.train.inputs.float() / 16)
        longer = replace(
            self, examples=8 * self.examples
        )  # until weights and running statistics have come to rest
        net = longer.train(run, data.Labelled(x, digits.train.labels), "renorm", 16, 10)
        run.figure("noise", noise_of_statistics(*self.noise(net, x)))
        run.keep(net)

    def measure(
        self, run: Run, digits: data.Dataset[Tensor], norm: str, size: int, classes: int
    ) -> None:
        """Train a network, and measure it on images that it has not seen."""
        rows, validation = split(run, digits.train, round(self.held_out * len(digits.train)))
        x = run.place(rows.inputs.float() / 16)
        net = self.train(run, data.Labelled(x, rows.labels), norm, size, classes)
        for part, seen in (("validation", validation), ("test", digits.test)):
            scores = outputs(net, run.place(seen.inputs.float() / 16))
            run.result(
                {f"{part}/accuracy": accuracy(scores.cpu(), seen.labels)}, held_out=len(seen)
            )

    def train(
        self, run: Run, rows: data.Labelled[Tensor], norm: str, size: int, classes: int
    ) -> nn.Sequential:
        """A network trained on mini-batches of so many images, of so many classes."""
        net = run.place(self.network(norm, size))
        steps = max(1, self.examples // size)
        optimizer = descent(self.optimizer, net, self.learning_rate * size / 64)
        schedule = LambdaLR(optimizer, lambda step: 1 - step / steps)
        drawn = rows[torch.cat([mixture(rows.labels, size, classes) for _ in range(steps)])]
        batches = Batches((drawn.inputs, run.place(drawn.labels)), size, shuffle=False)
        for images, labels in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(images), labels)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
        return net

    def network(self, norm: str = "renorm", size: int = 64) -> nn.Sequential:
        """Two convolutions, fully connected layers, a last map; from the second layer on, a channel
        has one pixel.
        """
        w = self.width
        last = nn.Linear(2 * w, 10)
        behind = [
            layer
            for _ in range(self.depth)
            for layer in (
                nn.Linear(2 * w, 2 * w, bias=False),
                self.layer(norm, 2 * w, size, pixels=1),
                nn.ReLU(),
            )
        ]
        net = nn.Sequential(
            *(
                nn.Conv2d(1, w, 3, stride=2, padding=1, bias=False),
                self.layer(norm, w, size),
                nn.ReLU(),
            ),  # 8×8 → 4×4
            *(
                nn.Conv2d(w, 2 * w, 4, bias=False),
                self.layer(norm, 2 * w, size, pixels=1),
                nn.ReLU(),
            ),  # 4×4 → 1
            *(nn.Flatten(), *behind, last),
        )
        for map in net:
            if isinstance(map, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(map.weight)
        nn.init.normal_(last.weight, std=0.01)  # every digit is almost equally likely at first
        return net

    def layer(self, norm: str, channels: int, size: int, pixels: int = 16) -> nn.Module:
        """A norm for so many channels."""
        α = min(1.0, size / self.memory)
        if norm == "batch":
            return BatchNorm(channels, α)
        if norm == "renorm":
            return BatchRenorm(channels, max(1, self.examples // size), α, self.r_max, self.d_max)
        if norm == "group":
            return GroupNorm(self.groups, channels)
        if norm == "layer":
            return LayerNorm(channels)
        if norm == "instance" and pixels > 1:
            return InstanceNorm(channels)
        return Affine(channels)  # none; and one pixel has no statistics of its own

    def example(self) -> Tensor:
        """Two images with values from 0 to 1."""
        return torch.rand(2, 1, 8, 8)

    def noise(
        self, net: nn.Sequential, x: Tensor
    ) -> tuple[dict[str, dict[int, Tensor]], dict[str, int]]:
        """Of each norm and size d = (μ_B - μ) / σ, (batches, channels); and of each norm the pixels
        of a channel.
        """
        errors: dict[str, dict[int, Tensor]] = {}
        pixels: dict[str, int] = {}
        with evaluating(net):
            for layer in net:
                if isinstance(layer, BatchRenorm):
                    name = f"norm {len(errors) + 1}"
                    values = x.reshape(len(x), len(layer.mean), -1)  # (images, channels, pixels)
                    z = ((values.mean(2) - layer.mean) / layer.deviation).cpu()
                    errors[name] = {
                        size: z[torch.randint(len(z), (500, size))].mean(1) for size in self.sizes
                    }
                    pixels[name] = values.shape[2]
                x = layer(x)
        return errors, pixels


def mixture(labels: Tensor, size: int, classes: int) -> Tensor:
    """Rows of a mini-batch whose images are drawn from some of the ten classes alone: (size,)."""
    chosen = torch.isin(labels, torch.randperm(10)[:classes]).nonzero().squeeze(1)
    return chosen[torch.randperm(len(chosen))[:size]]
