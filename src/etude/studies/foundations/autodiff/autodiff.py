"""Automatic differentiation: a graph that knows its own derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from timeit import repeat
from typing import Any

import numpy as np
import torch

from etude import autodiff as ad
from etude import data
from etude.autodiff import Tensor
from etude.autodiff.drawing import draw
from etude.claims import Claim
from etude.figures.classification import confusion_matrix
from etude.figures.differences import costs, nested
from etude.runs.run import Run
from etude.study import Count, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy
from etude.training.schedules import cosine
from etude.training.validation import split


@dataclass
class Autodiff(Study):
    """Check, draw, time and use a differentiable graph built from scratch."""

    hidden: Count = 64  # units of the network that is trained
    steps: Count = 400  # of its training
    batch: Count = 64  # images a step
    learning_rate: Positive = 5e-3  # of Adam at the start; falls to zero along half a cosine
    held_out: Count = 100  # training images kept for validation
    largest: Count = 256  # inputs, or outputs, up to which the cost is measured

    claims = [
        Claim(
            "gradients/error",
            at_most=1e-6,
            each=True,
            source="curriculum: central differences, every operation",
        ),
        Claim(
            "rosenbrock/distance",
            at_most=1e-9,
            each=True,
            source="Newton's method converges quadratically",
        ),
        Claim("test/accuracy", at_least=0.95, source="Etude"),
    ]
    courses = ["CU P1", "OU", "ITU", "NCKU"]

    def __call__(self, run: Run) -> None:
        errors = {
            name: ad.check_gradients(f, *inputs) for name, (f, *inputs) in operations().items()
        }
        run.table(
            "operations", ["operation", "worst error against differences"], sorted(errors.items())
        )
        run.result({"operations": len(errors), "gradients/error": max(errors.values())})

        x1, x2 = (
            Tensor(v, requires_grad=True, name=name) for v, name in ((2.0, "x₁"), (5.0, "x₂"))
        )
        y = ad.log(x1) + x1 * x2 - ad.sin(x2)
        y.backward(retain_graph=True, retain_grads=True)
        run.drawing("graph", draw(y))
        rng = np.random.default_rng(run.seed)
        W, b = Tensor(rng.normal(size=(4, 3)), True, name="W"), Tensor(np.zeros(3), True, name="b")
        loss = ad.cross_entropy(
            Tensor(rng.normal(size=(5, 4)), name="x") @ W + b, rng.integers(0, 3, 5)
        )
        loss.backward(retain_graph=True, retain_grads=True)
        run.drawing("neuron", draw(loss))

        line, f, orders = np.linspace(-3, 3, 121), ad.tanh, []
        for _ in range(5):
            orders.append([f(x).item() for x in line])
            f = ad.grad(f)
        run.figure("derivatives", nested(line.tolist(), orders, "tanh"))
        run.result({"rosenbrock/distance": newton(rosenbrock, np.array([-1.2, 1.0]), 8)})
        run.figure("cost", costs(self.measure(), "time, in evaluations of $f$"))
        self.learn(run, rng)

    def measure(self) -> dict[str, dict[str, dict[int, float]]]:
        """For growing n, and for growing m, the time of each way to the Jacobian over that of one
        evaluation.
        """
        sizes = [n for n in (1, 4, 16, 64, 256, 1024) if n <= self.largest]
        ways: dict[str, Callable[[Any, Any], Any]] = {
            "differences": differences,
            "forward mode": lambda f, x: ad.jacobian(f, "forward")(x),
            "reverse mode": lambda f, x: ad.jacobian(f, "reverse")(x),
        }
        panels: dict[str, dict[str, dict[int, float]]] = {}
        for title in ("inputs n, one output", "outputs m, one input"):
            panels[title] = {way: {} for way in ways}
            for size in sizes:
                n, m = (size, 1) if title.startswith("inputs") else (1, size)
                rng, x = np.random.default_rng(size), np.ones(n)
                f = partial(
                    hidden_layer, A=rng.normal(size=(m, 64)) / 8, B=rng.normal(size=(64, n))
                )
                once = min(repeat(partial(f, x), number=1))
                for way, jacobian in ways.items():
                    panels[title][way][size] = min(repeat(partial(jacobian, f, x), number=1)) / once
        return panels

    def learn(self, run: Run, rng: np.random.Generator) -> None:
        """Handwritten digits with this graph alone."""
        digits = data.uci_digits()
        train, validation = split(run, digits.train, self.held_out)
        net = ad.Sequential(
            ad.Linear(64, self.hidden, rng), ad.relu, ad.Linear(self.hidden, 10, rng)
        )
        net.astype(np.float32)
        optimizer, shape = ad.Adam(net.parameters(), self.learning_rate), cosine(self.steps)
        batches = Batches((scaled(train), train.labels), self.batch)
        for images, labels in run.steps(batches, self.steps, state=(net, optimizer)):
            loss = ad.cross_entropy(net(images.numpy()), labels.numpy())
            optimizer.zero_grad()
            loss.backward()
            optimizer.learning_rate = self.learning_rate * shape(run.step)
            optimizer.step()
            run.log(loss=loss.item())
        for part, rows in (("validation", validation), ("test", digits.test)):
            with ad.no_grad():
                scores = torch.from_numpy(net(scaled(rows).numpy()).numpy().copy())
            run.result({f"{part}/accuracy": accuracy(scores, rows.labels)}, held_out=len(rows))
        run.figure("confusion", confusion_matrix(scores.argmax(1), rows.labels, digits.classes))


def scaled(rows: data.Labelled[torch.Tensor]) -> torch.Tensor:
    """Images as vectors from 0 to 1: (n, 64)."""
    return rows.inputs.flatten(1).float() / 16


def rosenbrock(x: Tensor) -> Tensor:
    """(1 - a)² + 100 (b - a²)²: a curved valley with its bottom at (1, 1)."""
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def hidden_layer(x: Any, A: Any, B: Any) -> Tensor:
    """A tanh(B x), on which the cost is measured: (n,) → (m,)."""
    value: Tensor = A @ ad.tanh(B @ x)
    return value


def newton(f: Callable[[Tensor], Tensor], x: np.ndarray[Any, Any], steps: int) -> float:
    """x ← x − H⁻¹ ∇f, some times; how far from (1, 1, …) it ends."""
    for _ in range(steps):
        x = x - np.linalg.solve(ad.hessian(f)(x).numpy(), ad.grad(f)(x).numpy())
    return float(np.linalg.norm(x - 1))


def differences(
    f: Callable[[Any], Tensor], x: np.ndarray[Any, Any], h: float = 6e-6
) -> np.ndarray[Any, Any]:
    """The Jacobian by two evaluations for each input."""
    return np.stack(
        [(f(x + h * e).numpy() - f(x - h * e).numpy()) / (2 * h) for e in np.eye(len(x))], -1
    )


def operations() -> dict[str, tuple[Any, ...]]:
    """Each operation with inputs at which it is smooth."""
    rng = np.random.default_rng(0)
    a, b, positive = rng.normal(size=(3, 4)), rng.normal(size=(4,)) + 3, rng.uniform(0.5, 2, (3, 4))
    m, image, kernel = (
        rng.normal(size=(2, 4, 3)),
        rng.normal(size=(2, 4, 6, 5)),
        rng.normal(size=(4, 2, 3, 3)),
    )
    spaced = rng.permutation(60).reshape(1, 2, 6, 5) / 10.0
    labels, where = np.array([1, 0, 3]), rng.random((3, 4)) < 0.5
    up = rng.normal(size=(4, 3, 3, 3))
    unary = {
        name: (getattr(ad, name), a)
        for name in (
            "exp",
            "expm1",
            "sin",
            "cos",
            "tanh",
            "sigmoid",
            "softplus",
            "relu",
            "gelu",
            "abs",
        )
    }
    return (
        unary
        | {name: (getattr(ad, name), positive) for name in ("log", "log1p", "sqrt")}
        | {
            "add": (lambda x, y: x + y, a, b),
            "subtract": (lambda x, y: x - y, a, b),
            "negate": (lambda x: -x, a),
            "multiply": (lambda x, y: x * y, a, b),
            "divide": (lambda x, y: x / y, a, b),
            "power": (lambda x, y: x**y, positive, b),
            "maximum": (ad.maximum, a, b - 3),
            "minimum": (ad.minimum, a, b - 3),
            "where": (lambda x, y: ad.where(where, x, y), a, b),
            "clip": (lambda x: ad.clip(x, -0.7, 0.7), a),
            "matmul": (ad.matmul, a, m),
            "einsum": (lambda x, y: ad.einsum("ij,kjl->kil", x, y), a, m),
            "sum": (lambda x: ad.sum(x, 1), a),
            "mean": (lambda x: ad.mean(x, 0), a),
            "var": (lambda x: ad.var(x, 1), a),
            "amax": (lambda x: ad.amax(x, 1), a),
            "amin": (lambda x: ad.amin(x, 0), a),
            "logsumexp": (lambda x: ad.logsumexp(x, 1), a),
            "softmax": (lambda x: ad.softmax(x, 1), a),
            "log softmax": (lambda x: ad.log_softmax(x, 0), a),
            "cross-entropy": (lambda x: ad.cross_entropy(x, labels), a),
            "reshape": (lambda x: x.reshape(4, 3), a),
            "transpose": (ad.transpose, a),
            "broadcast": (lambda x: ad.broadcast_to(x, (2, 4)), b),
            "index": (lambda x: x[[0, 2, 0]], a),
            "concatenate": (lambda x, y: ad.concatenate([x, y], 0), a, positive),
            "stack": (lambda x: ad.stack([x, 2 * x]), a),
            "standardise": (lambda x: ad.standardise(x, 1, 1e-5), a),
            "pad": (lambda x: ad.pad(x, ((1, 0), (2, 1))), a),
            "embedding": (lambda x: ad.embedding(x, labels % 3), a),
            "conv2d": (lambda x, w: ad.conv2d(x, w, stride=2, padding=1, groups=2), image, kernel),
            "transposed conv2d": (
                lambda x, w: ad.conv_transpose2d(x, w, stride=2, padding=1),
                image,
                up,
            ),
            "max pooling": (lambda x: ad.max_pool2d(x, 2), spaced),
            "average pooling": (lambda x: ad.avg_pool2d(x, 2), image),
            "dropout": (lambda x: ad.dropout(x, 0.4, np.random.default_rng(1)), a),
            "attention": (lambda q, k, v: ad.attention(q, k, v, causal=True), m, m + 1, m - 1),
        }
    )
