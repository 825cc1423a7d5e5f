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

from etude import data
from etude.claims import Claim
from etude.figures.signals import curves_with_slopes, spread_by_layer, through_layers
from etude.layers.activations import ACTIVATIONS, dense
from etude.runs.run import Run
from etude.study import Count, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.comparison import compare
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.schedules import cosine

INITIALISATIONS = ("zero", "small", "large", "xavier", "kaiming", "orthogonal")
Sizes = dict[
    str, dict[str, tuple[list[float], list[float]]]
]  # activation → initialisation → signal, gradient by layer


def curve(name: str, z: Tensor) -> tuple[Tensor, Tensor]:
    """An activation and its derivative, both like z; that of Maxout for the pieces z and -z."""
    z = z.clone().requires_grad_()
    pieces = torch.stack([z, -z], 1) if name == "maxout" else z[:, None]
    values = ACTIVATIONS[name]()(pieces).squeeze(1)
    (slopes,) = torch.autograd.grad(values.sum(), z)
    return values.detach(), slopes


def moments(name: str) -> tuple[float, float]:
    """E φ(z)² and E φ'(z)² for a standard normal z."""
    z = torch.linspace(-12, 12, 24_002, dtype=torch.float64)
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    values, slopes = curve(name, z)
    return (
        torch.trapezoid(values**2 * density, z).item(),
        torch.trapezoid(slopes**2 * density, z).item(),
    )


def sizes(layers: list[Tensor]) -> list[float]:
    """The root mean square of each layer; these have mean 0, so it is their standard deviation."""
    return [values.detach().double().square().mean().sqrt().item() for values in layers]


@dataclass
class Activations(Study):
    """Follow signal and gradient through fifty layers, for each initialisation and activation; then
    train some.
    """

    depth: Count = 50  # layers that the signal passes
    width: Count = 256  # units of each
    inputs: Count = 32  # random inputs that pass together
    activations: tuple[
        Literal[
            "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "swish", "gelu"
        ],
        ...,
    ] = (
        "identity",
        "tanh",
        "relu",
    )  # that the signal passes
    small: Positive = 0.02  # standard deviation of weights that are too small
    large: Positive = 0.2  # standard deviation of weights that are too large
    widths: tuple[Count, ...] = (
        100,
        400,
        1600,
    )  # of networks that begin as Kaiming says, with ReLU
    layers: Count = 20  # hidden layers of 64 ReLUs in the networks that are trained
    steps: Count = 200  # of training
    batch: Count = 64  # digits a step
    optimizer: OptimizerName = "momentum"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 0.05  # at the start; falls to zero along half a cosine
    seeds: Count = 3  # of everything that is random, for each mean

    claims = [
        Claim(
            "kaiming relu/factor",
            at_most=2.0,
            each=True,
            source="He et al. (2015); bound: curriculum",
        ),
        Claim(
            "orthogonal identity/drift", at_most=1e-5, each=True, source="Saxe et al. (2014): exact"
        ),
        Claim(
            "kaiming/test/accuracy", at_least=0.8, source="He et al. (2015), figure 3; bound: Etude"
        ),
        Claim(
            "small/test/accuracy", at_most=0.2, source="He et al. (2015), figure 3; bound: Etude"
        ),
    ]
    courses = ["OU", "ITU", "CU P5"]

    def __call__(self, run: Run) -> None:
        z = torch.linspace(-4, 4, 802)  # without 0, where some have no derivative
        shown = {
            name.replace("_", " "): curve(name, z) for name in ACTIVATIONS if name != "identity"
        }
        shown["maxout of z and −z"] = shown.pop("maxout")
        run.figure("curves", curves_with_slopes(z, shown, lent=["hard limit"], columns=5))
        smooth = {
            name: moments(name) for name in ACTIVATIONS if name not in ("hard_limit", "maxout")
        }
        rows = [
            (name, square, square**-0.5, slope / square) for name, (square, slope) in smooth.items()
        ]
        run.table("gains", ["activation", "E φ²", "gain", "E φ'² / E φ²"], rows)

        measured: Sizes = {}
        variants = {
            f"{start} {name}": partial(self.follow, name=name, start=start, measured=measured)
            for name in self.activations
            for start in INITIALISATIONS
        }
        compare(run, variants, self.seeds, "drift", better="lower", name="signal")
        run.figure("layers", through_layers(measured))
        starts = ("small", "xavier", "kaiming", "large")
        spread = {
            f"tanh(z), {start}": [
                z.detach().tanh() for z in self.forward("tanh", start, self.width)
            ]
            for start in starts
        }
        run.figure("spread", spread_by_layer(spread, reach=1.0))

        widths = {f"{width:,} units": partial(self.wander, width=width) for width in self.widths}
        found = compare(run, widths, self.seeds, "factor", better="lower", name="width")
        run.result({"kaiming relu/factor": found.mean(list(widths)[-1], "factor")})

        trained = {
            start: partial(self.train, start=start) for start in ("small", "xavier", "kaiming")
        }
        compare(run, trained, self.seeds, "test/accuracy", name="training")

    @torch.no_grad()
    def begin(self, weight: Tensor, start: str) -> Tensor:
        """Fill a weight matrix (outputs, inputs) as an initialisation says."""
        if start == "orthogonal":
            return nn.init.orthogonal_(weight)
        n_out, n_in = weight.shape
        variance = {
            "zero": 0.0,
            "small": self.small**2,
            "large": self.large**2,
            "xavier": 2 / (n_in + n_out),
            "kaiming": 2 / n_in,
        }
        return weight.normal_(0, math.sqrt(variance[start]))

    def forward(
        self, name: str, start: str, width: int, dtype: torch.dtype = torch.float32
    ) -> list[Tensor]:
        """z_1 … z_depth of standard normal inputs: W_l φ(z_{l-1}), each (inputs, width)."""
        phi, h, z = ACTIVATIONS[name](), torch.randn(self.inputs, width, dtype=dtype), []
        for _ in range(self.depth):
            W = self.begin(torch.empty(width, width), start).to(dtype)
            z.append((h @ W.T).requires_grad_())
            h = phi(z[-1])
        return z

    def follow(self, run: Run, name: str, start: str, measured: Sizes) -> None:
        """One network: the signal forward, and a gradient of size 1 from the last layer
        backward.
        """
        z = self.forward(
            name, start, self.width, torch.float64
        )  # 1e-33 and 1e25 have to fit, and their squares
        gradients = torch.autograd.grad(z[-1], z, torch.randn_like(z[-1]))
        signal, gradient = sizes(z), sizes(list(gradients))
        run.result({"signal": signal[-1], "gradient": gradient[0]})
        if start != "zero":  # nothing is left of which to take a logarithm
            ratios = [s / signal[0] for s in signal] + [g / gradient[-1] for g in gradient]
            run.result({"drift": max(abs(math.log10(ratio)) for ratio in ratios)})
            measured.setdefault(name, {})[start] = signal, gradient

    def wander(self, run: Run, width: int) -> None:
        """How far the signal of one network strays from its size in the first layer."""
        with torch.no_grad():
            signal = sizes(self.forward("relu", "kaiming", width))
        run.result({"factor": max(max(s / signal[0], signal[0] / s) for s in signal)})

    def train(self, run: Run, start: str) -> None:
        """A deep network on the digits."""
        digits = data.uci_digits()
        train, test = digits.train.inputs.flatten(1).float(), digits.test.inputs.flatten(1).float()
        mean, deviation = train.mean(), train.std()
        train, test = run.place((train - mean) / deviation), run.place((test - mean) / deviation)
        net = run.place(
            nn.Sequential(*(dense("relu", 64, 64) for _ in range(self.layers)), nn.Linear(64, 10))
        )
        for p in net.parameters():
            self.begin(p, start) if p.ndim == 2 else nn.init.zeros_(p)
        optimizer = descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, cosine(self.steps))
        batches = Batches((train, run.place(digits.train.labels)), self.batch)

        for x, label in run.steps(batches, self.steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(x), label)
            run.minimise(loss, optimizer, schedule, clip=1.0)
            run.log(loss=loss)

        run.result(
            {"train/loss": cross_entropy(outputs(net, train), run.place(digits.train.labels))}
        )
        right = accuracy(outputs(net, test), run.place(digits.test.labels))
        run.result({"test/accuracy": right}, held_out=len(test))
