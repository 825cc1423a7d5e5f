"""Automatic differentiation: a graph that knows its own derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure

from etude import Claim, Control, Count, Fraction, Positive, Run, Study, data, figures, training
from etude import autodiff as ad
from etude.autodiff import Tensor
from etude.autodiff.drawing import draw

from ._cost import Array, Function, differences, measure_costs
from ._figures import costs, derivatives
from ._operations import operations

STEPS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)  # of the differences that Newton's method is given


@dataclass
class Autodiff(Study):
    """Check, draw, time and use a differentiable graph built from scratch."""

    width: Count = 64  # units of the hidden layer of the network that is trained
    steps: Count = 400  # updates of that network
    batch: Count = 64  # images per step
    learning_rate: Positive = 5e-3  # first learning rate; falls to zero along half a cosine
    held_out: Fraction = 0.0696  # fraction of the training data kept for validation
    largest: Count = 256  # largest number of inputs, or outputs, for which the cost is measured

    claims = [
        Claim(
            "gradients/error",
            at_most=1e-6,
            each=True,
            source="central differences, every operation",
        ),
        Claim(
            "rosenbrock/distance",
            at_most=1e-12,
            each=True,
            source="Newton's method converges quadratically",
        ),
        Control(
            "differences/rosenbrock/distance",
            at_least=1e-11,
            each=True,
            source="Etude: the best of five steps of the differences",
            of="rosenbrock/distance",
            without="exact derivatives: by central differences",
        ),
        Claim("test/accuracy", at_least=0.95, source="Etude"),
    ]
    needs = ["linear"]

    def __call__(self, run: Run) -> None:
        rng = np.random.default_rng(run.seed)

        errors = {
            name: ad.check_gradients(f, *inputs) for name, (f, *inputs) in operations().items()
        }
        columns = ["operation", "worst error against differences"]
        run.table("operations", columns, sorted(errors.items()))
        run.result({"operations": len(errors), "gradients/error": max(errors.values())})

        run.drawing("graph", draw(expression()))
        run.drawing("neuron", draw(classifier_loss(rng)))
        run.figure("derivatives", derivatives_of_tanh())
        run.result({"rosenbrock/distance": newton(ad.grad(rosenbrock), ad.hessian(rosenbrock))})
        by_differences = [newton_by_differences(rosenbrock, h) for h in STEPS]
        run.result({"differences/rosenbrock/distance": min(by_differences)})
        run.figure("cost", costs(measure_costs(self.largest), "time, in evaluations of $f$"))

        self.train(run, rng)

    def train(self, run: Run, rng: np.random.Generator) -> None:
        """Train a network on handwritten digits with this graph alone."""
        digits = data.uci_digits()
        count = round(self.held_out * len(digits.train))
        train, validation = training.split(run, digits.train, count)
        batches = training.Batches((scaled(train), train.labels), self.batch)

        net = ad.Sequential(
            ad.Linear(64, self.width, rng),
            ad.relu,
            ad.Linear(self.width, 10, rng),
        )
        net.astype(np.float32)
        optimizer = ad.Adam(net.parameters(), self.learning_rate)
        schedule = training.cosine(self.steps)

        for images, labels in run.steps(batches, self.steps, state=(net, optimizer)):
            loss = ad.cross_entropy(net(images.numpy()), labels.numpy())
            optimizer.zero_grad()
            loss.backward()
            optimizer.learning_rate = self.learning_rate * schedule(run.step)
            optimizer.step()
            run.log(loss=loss.item())

        for part, examples in {"validation": validation, "test": digits.test}.items():
            with ad.no_grad():
                logits = torch.from_numpy(net(scaled(examples).numpy()).numpy().copy())
            correct = training.accuracy(logits, examples.labels)
            run.result({f"{part}/accuracy": correct}, held_out=len(examples))
        predicted = logits.argmax(1)
        run.figure(
            "confusion", figures.confusion_matrix(predicted, digits.test.labels, digits.classes)
        )


def scaled(images: data.Labelled[torch.Tensor]) -> torch.Tensor:
    """Images as vectors of values from 0 to 1, (n, 64)."""
    return images.inputs.flatten(1).float() / 16


def expression() -> Tensor:
    """The lesson's ln x₁ + x₁ x₂ - sin x₂ at (2, 5), its steps named as there."""
    x1 = Tensor(2.0, requires_grad=True, name="x₁")
    x2 = Tensor(5.0, requires_grad=True, name="x₂")
    v1 = ad.log(x1)
    v2 = x1 * x2
    v3 = ad.sin(x2)
    v4 = v1 + v2
    y = v4 - v3
    for step, name in zip((v1, v2, v3, v4, y), ("v₁", "v₂", "v₃", "v₄", "y"), strict=True):
        step.name = name
    return y


def classifier_loss(rng: np.random.Generator) -> Tensor:
    """The loss of a softmax classifier of random inputs."""
    W = Tensor(rng.normal(size=(4, 3)), requires_grad=True, name="W")
    b = Tensor(np.zeros(3), requires_grad=True, name="b")
    x = Tensor(rng.normal(size=(5, 4)), name="x")
    return ad.cross_entropy(x @ W + b, rng.integers(0, 3, 5))


def derivatives_of_tanh() -> Figure:
    """Tanh and its first four derivatives, each the gradient of the one before."""
    line = np.linspace(-3, 3, 121)
    f = ad.tanh
    orders = []
    for _ in range(5):
        orders.append([f(x).item() for x in line])
        f = ad.grad(f)
    return derivatives(line.tolist(), orders, "tanh")


def rosenbrock(x: Tensor) -> Tensor:
    """1 + (1 - a)² + 100 (b - a²)²: a curved valley with its bottom, which is 1, at (1, 1)."""
    return 1 + (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def newton(gradient: Function, hessian: Function, steps: int = 8) -> float:
    """The distance from (1, 1) after some steps of x ← x - H⁻¹ ∇f from (-1.2, 1)."""
    x = np.array([-1.2, 1.0])
    for _ in range(steps):
        x = x - np.linalg.solve(hessian(x).numpy(), gradient(x).numpy())
    return float(np.linalg.norm(x - 1))


def newton_by_differences(f: Function, h: float) -> float:
    """The same with central differences of f over h, and with their differences for H."""

    def gradient(x: Array) -> Tensor:
        return Tensor(differences(lambda z: f(Tensor(z)), x, h))

    def hessian(x: Array) -> Tensor:
        return Tensor(differences(gradient, x, 1e-4))

    return newton(gradient, hessian)
