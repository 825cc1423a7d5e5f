"""Signals through fifty layers: activations, and how weights should begin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Claim,
    Control,
    Count,
    Natural,
    OptimizerName,
    Positive,
    Run,
    Study,
    data,
    training,
)
from etude.layers.activations import ACTIVATIONS, dense

from ._figures import curves_with_slopes, spread_by_layer, through_layers
from ._moments import curve, moments

INITIALISATIONS = ("zero", "small", "large", "xavier", "kaiming", "orthogonal")
Sizes = dict[str, dict[str, tuple[list[float], list[float]]]]
"""``{activation: {initialisation: (signal, gradient)}}``, a number for each layer."""


@dataclass
class Activations(Study):
    """Follow signal and gradient through fifty layers, for each initialisation and activation; then
    train deep networks that differ in their initialisation.
    """

    layers: Natural = 50  # layers that the signal passes
    width: Count = 256  # units of each layer
    inputs: Count = 32  # random inputs that pass together
    activations: tuple[
        Literal[
            "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "swish", "gelu"
        ],
        ...,
    ] = ("identity", "tanh", "relu")  # activations that the signal passes
    small_std: Positive = 0.02  # standard deviation of weights that are too small
    large_std: Positive = 0.2  # standard deviation of weights that are too large
    widths: tuple[Count, ...] = (100, 400, 1600)  # widths of the networks with ReLU and Kaiming
    trained_layers: Count = 20  # hidden layers of 64 ReLUs in the networks that are trained
    steps: Count = 200  # updates of each network that is trained
    batch: Count = 64  # digits per step
    optimizer: OptimizerName = "momentum"  # rule of a step; choose the learning rate with it
    learning_rate: Positive = 0.05  # first learning rate; falls to zero along half a cosine
    repeats: Count = 3  # seeds for each mean

    claims = [
        Claim(
            "kaiming relu/factor",
            at_most=2.0,
            each=True,
            source="He et al. (2015); bound: Etude",
        ),
        Claim(
            "orthogonal identity/drift", at_most=1e-5, each=True, source="Saxe et al. (2014): exact"
        ),
        Claim(
            "kaiming/test/accuracy", at_least=0.8, source="He et al. (2015), figure 3; bound: Etude"
        ),
        Control(
            "xavier/test/accuracy",
            at_most=0.3,
            source="He et al. (2015), figure 3; bound: Etude",
            of="kaiming/test/accuracy",
            without="the factor 2 for ReLU",
        ),
        Control(
            "small/test/accuracy",
            at_most=0.2,
            source="the derivation in the lesson; bound: Etude",
            of="kaiming/test/accuracy",
            without="weights of the right size",
        ),
    ]
    needs = ["spirals", "backprop"]

    def __call__(self, run: Run) -> None:
        z = torch.linspace(-4, 4, 802)  # without 0, where some have no derivative
        curves = {name.replace("_", " "): curve(name, z) for name in ACTIVATIONS}
        del curves["identity"]
        curves["maxout of z and −z"] = curves.pop("maxout")
        run.figure("curves", curves_with_slopes(z, curves, surrogate=["hard limit"], columns=5))

        gains = []
        for name in ACTIVATIONS:
            if name not in ("hard_limit", "maxout"):
                square, slope = moments(name)
                gains.append((name, square, square**-0.5, slope / square))
        run.table("gains", ["activation", "E φ²", "gain", "E φ'² / E φ²"], gains)

        variants = {
            f"{start} {name}": partial(self.propagate, name=name, start=start)
            for name in self.activations
            for start in INITIALISATIONS
        }
        signal = training.compare(
            run, variants, self.repeats, "drift", better="lower", name="signal"
        )
        sizes: Sizes = {}
        for name in self.activations:
            sizes[name] = {
                start: signal.made[f"{start} {name}"][-1]  # of the last seed
                for start in INITIALISATIONS
                if start != "zero"  # nothing is left of which to take a logarithm
            }
        run.figure("layers", through_layers(sizes))

        spread = {}
        for start in ("small", "xavier", "kaiming", "large"):
            layers = self.preactivations("tanh", start, self.width)
            spread[f"tanh(z), {start}"] = [z.detach().tanh() for z in layers]
        run.figure("spread", spread_by_layer(spread, reach=1.0))

        widths = {f"{width:,} units": partial(self.stray, width=width) for width in self.widths}
        by_width = training.compare(
            run, widths, self.repeats, "factor", better="lower", name="width"
        )
        widest = list(widths)[-1]
        run.result({"kaiming relu/factor": by_width.mean(widest, "factor")})

        starts = {
            start: partial(self.train, start=start) for start in ("small", "xavier", "kaiming")
        }
        training.compare(run, starts, self.repeats, "test/accuracy", name="training")

    @torch.no_grad()
    def initialise(self, weight: Tensor, start: str) -> Tensor:
        """Fill a weight matrix (outputs, inputs) by one of the initialisations."""
        if start == "orthogonal":
            return nn.init.orthogonal_(weight)
        outputs, inputs = weight.shape
        variance = {
            "zero": 0.0,
            "small": self.small_std**2,
            "large": self.large_std**2,
            "xavier": 2 / (inputs + outputs),
            "kaiming": 2 / inputs,
        }
        return weight.normal_(0, math.sqrt(variance[start]))

    def preactivations(
        self, name: str, start: str, width: int, dtype: torch.dtype = torch.float32
    ) -> list[Tensor]:
        """z_l = W_l φ(z_{l-1}) of every layer, each (inputs, width), for standard normal inputs.

        Args:
            name: the activation φ.
            start: the initialisation of the weights W_l.
            width: units of each layer.
            dtype: the precision of the result.
        """
        phi = ACTIVATIONS[name]()
        h = torch.randn(self.inputs, width, dtype=dtype)
        layers = []
        for _ in range(self.layers):
            W = self.initialise(torch.empty(width, width), start).to(dtype)
            z = (h @ W.T).requires_grad_()
            layers.append(z)
            h = phi(z)
        return layers

    def propagate(self, run: Run, name: str, start: str) -> tuple[list[float], list[float]]:
        """Send a signal forward through one network, and a gradient of size 1 backward; gives the
        root mean square of both in every layer.
        """
        # in double precision: numbers such as 1e-33 and 1e25 have to fit, and their squares
        z = self.preactivations(name, start, self.width, torch.float64)
        gradients = torch.autograd.grad(z[-1], z, torch.randn_like(z[-1]))
        signal = root_mean_squares(z)
        gradient = root_mean_squares(list(gradients))

        run.result({"signal": signal[-1], "gradient": gradient[0]})
        if start != "zero":
            ratios = [size / signal[0] for size in signal]
            ratios += [size / gradient[-1] for size in gradient]
            run.result({"drift": max(abs(math.log10(ratio)) for ratio in ratios)})
        return signal, gradient

    def stray(self, run: Run, width: int) -> None:
        """Measure the largest factor between the signal in any layer of one network and in its
        first.
        """
        with torch.no_grad():
            signal = root_mean_squares(self.preactivations("relu", "kaiming", width))
        first = signal[0]
        run.result({"factor": max(max(size / first, first / size) for size in signal)})

    def train(self, run: Run, start: str) -> None:
        """Train a deep network on the digits."""
        digits = data.uci_digits()
        train = digits.train.inputs.flatten(1).float()
        test = digits.test.inputs.flatten(1).float()
        mean = train.mean()
        deviation = train.std()
        train = run.place((train - mean) / deviation)
        test = run.place((test - mean) / deviation)
        labels = run.place(digits.train.labels)

        hidden = [dense("relu", 64, 64) for _ in range(self.trained_layers)]
        net = run.place(nn.Sequential(*hidden, nn.Linear(64, 10)))
        for parameter in net.parameters():
            if parameter.ndim == 2:
                self.initialise(parameter, start)
            else:
                nn.init.zeros_(parameter)
        optimizer = training.descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, training.cosine(self.steps))
        batches = training.Batches((train, labels), self.batch)

        for x, label in run.steps(batches, self.steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(x), label)
            run.minimise(loss, optimizer, schedule, clip=1.0)
            run.log(loss=loss)

        run.result({"train/loss": cross_entropy(training.outputs(net, train), labels)})
        correct = training.accuracy(training.outputs(net, test), run.place(digits.test.labels))
        run.result({"test/accuracy": correct}, held_out=len(test))


def root_mean_squares(layers: list[Tensor]) -> list[float]:
    """The root mean square of each layer, which is its standard deviation, for its mean is 0."""
    return [values.detach().double().square().mean().sqrt().item() for values in layers]
