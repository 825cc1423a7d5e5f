"""Generalisation: a network that can learn anything by heart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import repeat

import torch
from matplotlib.figure import Figure
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
from etude.networks.mlp import MLP
from etude.studies.foundations._settings import by_setting
from etude.training.evaluation import evaluating
from etude.training.quasi_newton import LBFGS


@dataclass
class Generalization(Study):
    """Teach one network true, partly random and random labels, and probe its layers."""

    label_noise: tuple[Fraction, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)  # fractions of random labels
    repeats: Count = 3  # networks for each fraction, from seeds of their own
    layers: Natural = 5  # hidden layers
    width: Count = 128  # units of each hidden layer
    epochs: Positive = 60.0  # passes at most: training ends when every label is learned
    batch: Count = 64  # images per step
    optimizer: OptimizerName = "adam"  # rule of a step; choose the learning rate with it
    learning_rate: Positive = 2e-3  # first learning rate; falls to zero along a straight line
    probe_penalty: Amount = 1e-3  # λ, the L2 penalty of a probe; the network has none
    probe_steps: Count = 40  # steps of L-BFGS that fit a probe

    claims = [
        Claim(
            "random/train accuracy",
            at_least=0.99,
            source="Zhang et al. (2017), table 1; bound: Etude",
        ),
        Control(
            "random/test accuracy",
            at_least=0.05,
            at_most=0.15,
            source="Zhang et al. (2017), table 1; bound: Etude",
            of="true/test accuracy",
            without="labels that follow from the pictures",
        ),
        Claim("true/test accuracy", at_least=0.95, source="Etude"),
    ]
    needs = ["spirals", "regularization"]

    def __call__(self, run: Run) -> None:
        digits = data.uci_digits()
        names = {variant_name(noise): noise for noise in self.label_noise}
        variants = {
            name: partial(self.train_and_probe, digits=digits, noise=noise)
            for name, noise in names.items()
        }
        variants["untrained"] = partial(self.train_and_probe, digits=digits, noise=None)
        comparison = training.compare(run, variants, self.repeats, "test accuracy")

        losses = run.curves()["loss"]
        panel = {name: losses[f"{name} #1"] for name in names}
        run.figure("curves", figures.learning_curves({"train loss": panel}), cover=True)
        run.figure("noise", self.accuracy_by_noise(comparison, list(names)))
        run.figure("probes", self.error_by_layer(comparison))

        x = run.place(to_vectors(digits.train.inputs)).double()
        y = run.place(digits.train.labels).double()
        for part, examples in {"train": digits.train, "test": digits.test}.items():
            x_new = run.place(to_vectors(examples.inputs)).double()
            predicted = construction(x, y, x_new).round().cpu()
            correct = (predicted == examples.labels).double().mean()
            held_out = len(examples) if part == "test" else 0
            run.result({f"construction/{part} accuracy": correct}, held_out=held_out)

    def train_and_probe(self, run: Run, digits: data.Dataset[Tensor], noise: float | None) -> None:
        """Train a network and probe its layers.

        Args:
            run: gets the results.
            digits: images and true labels.
            noise: the fraction of training labels that are random; None: nothing is trained.
        """
        x = run.place(to_vectors(digits.train.inputs))
        y = run.place(digits.train.labels)
        x_test = run.place(to_vectors(digits.test.inputs))
        y_test = run.place(digits.test.labels)

        net = run.place(self.network())
        if noise is not None:
            labels = randomise(y, noise)
            self.train(run, net, x, labels)
            correct = training.accuracy(training.outputs(net, x_test), y_test)
            run.result({"test accuracy": correct}, held_out=len(y_test))

        pairs = zip(activations(net, x), activations(net, x_test), strict=True)
        for layer, (h, h_test) in enumerate(pairs):
            correct = self.probe(run, h, y, h_test, y_test)
            run.result({f"probe/{layer}": correct}, held_out=len(y_test))

    def train(self, run: Run, net: MLP, x: Tensor, labels: Tensor) -> None:
        """Train until every label is learned."""
        optimizer = training.descent(self.optimizer, net, self.learning_rate)
        batches = training.Batches((x, labels), self.batch)
        steps = round(self.epochs * len(batches))
        schedule = LambdaLR(optimizer, lambda step: 1 - step / steps)

        for inputs, targets in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(inputs), targets)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
            if run.every(len(batches)) and fraction_learned(net, x, labels) == 1:
                break

        run.result({"train accuracy": fraction_learned(net, x, labels)})
        run.result({"epochs": run.step / len(batches)})

    def probe(self, run: Run, h: Tensor, y: Tensor, h_test: Tensor, y_test: Tensor) -> float:
        """Test accuracy of softmax regression on the activations of one layer, which stay as they
        are.

        Args:
            run: executes the steps.
            h: activations on the training images, (n, units).
            y: their true labels, (n,).
            h_test: activations on the test images, (m, units).
            y_test: their true labels, (m,).
        """
        mean = h.mean(0)
        deviation = h.std(0) + 1e-6  # some units are always 0
        h = (h - mean) / deviation
        h_test = (h_test - mean) / deviation

        linear = nn.Linear(h.shape[1], 10).to(h.device)
        nn.init.zeros_(linear.weight)
        optimizer = LBFGS(linear.parameters(), same=True)

        def closure() -> float:
            optimizer.zero_grad()
            penalty = self.probe_penalty / 2 * linear.weight.square().sum()
            loss = cross_entropy(linear(h), y) + penalty
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.item()

        for _ in run.steps(repeat(None), self.probe_steps, state=(linear, optimizer)):
            optimizer.step(closure)
        return training.accuracy(training.outputs(linear, h_test), y_test)

    def accuracy_by_noise(self, comparison: training.Comparison[None], names: list[str]) -> Figure:
        """Train and test accuracy for every fraction of random labels."""
        lines = {}
        for part in ("train", "test"):
            values = [comparison.measured[name][f"{part} accuracy"] for name in names]
            lines[f"on {part} images"] = [training.interval(each) for each in values]
        lines["1 - 0.9 p"] = [
            figures.Interval(1 - 0.9 * noise, math.nan, []) for noise in self.label_noise
        ]
        percents = [f"{noise:.0%}" for noise in self.label_noise]
        return by_setting({"labels at random": (percents, lines)}, "accuracy")

    def error_by_layer(self, comparison: training.Comparison[None]) -> Figure:
        """Test error of the probes of every layer, for every network."""
        layers = ["input", *(str(k + 1) for k in range(self.layers)), "output"]
        lines = {}
        for name, metrics in comparison.measured.items():
            correct = [metrics[f"probe/{k}"] for k in range(len(layers))]
            lines[name] = [training.interval([1 - value for value in each]) for each in correct]
        panels = {"layer that is probed": (layers, lines)}
        return by_setting(panels, "error on test images", logarithmic=True)

    def network(self) -> MLP:
        """A new network, from 64 pixels to ten logits."""
        return MLP(64, [self.width] * self.layers, 10)

    def example(self) -> Tensor:
        """A batch for export and tests: two random images as vectors, 0 to 1, (2, 64)."""
        return torch.rand(2, 64)


def variant_name(noise: float) -> str:
    """The name of the network whose training labels are random to this fraction."""
    return {0.0: "true", 1.0: "random"}.get(noise, f"{noise:.0%} random")


def randomise(labels: Tensor, noise: float) -> Tensor:
    """Labels (n,), each replaced with probability ``noise`` by a random one of the ten."""
    replaced = torch.rand(labels.shape) < noise
    random = torch.randint(10, labels.shape)
    return torch.where(replaced, random, labels.cpu()).to(labels.device)


def fraction_learned(net: MLP, x: Tensor, labels: Tensor) -> float:
    """The fraction of labels (n,) that the network has learned."""
    return training.accuracy(training.outputs(net, x), labels)


def to_vectors(images: Tensor) -> Tensor:
    """Images (n, 1, 8, 8) of values from 0 to 16 as vectors (n, 64) of values from 0 to 1."""
    return images.flatten(1).float() / 16


def activations(net: MLP, x: Tensor) -> list[Tensor]:
    """The input, the activations of each hidden layer and the logits, each (n, units)."""
    *hidden, last = net.layers
    found = [x]
    with evaluating(net):
        for layer in hidden:
            found.append(net.activation(layer(found[-1])))
        return [*found, last(found[-1])]


def construction(x: Tensor, y: Tensor, x_new: Tensor) -> Tensor:
    r"""A network of $2 n + d$ weights that fits all n targets exactly, evaluated at new inputs.

    It is $f(x) = \sum_j w_j \max(0, a^\top x - b_j)$ with a random direction a, along which the
    examples lie in order, $z_1 < z_2 < …$. Each unit begins at the example before its own, so the
    matrix of hidden activations is triangular with a positive diagonal.

    Args:
        x: inputs, (n, d).
        y: targets, (n,).
        x_new: inputs at which to evaluate, (m, d).

    Source: Zhang et al. (2017), theorem 1.
    """
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(x.shape[1], dtype=x.dtype, generator=generator).to(x.device)
    z, order = (x @ a).sort()
    b = torch.cat([z[:1] - 1, z[:-1]])
    hidden = (z[:, None] - b).relu()  # (n, n), triangular
    w = torch.linalg.solve_triangular(hidden, y[order, None], upper=False).squeeze(1)
    return torch.mv(((x_new @ a)[:, None] - b).relu(), w)
