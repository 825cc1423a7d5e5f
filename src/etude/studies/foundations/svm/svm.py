"""Support vector machines: the plane with the widest margin between two classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from etude import Amount, Claim, Control, Count, Positive, Run, Study, data, figures, training

from ._figures import margins
from ._smo import SMO

Rows = tuple[Tensor, Tensor]  # inputs (rows, columns) and labels (rows,)


class KernelMachine(nn.Module):
    r"""The function $f(x) = \sum_i \beta_i \, k(x_i, x) + b$ of a point x.

    Args:
        rows: the training points x_i, (rows, columns).
        kernel: ``rbf``, ``polynomial`` or ``linear``.
        gamma: γ of the first two kernels, times the summed variance of the columns.
        degree: the degree of the polynomial.
    """

    def __init__(self, rows: Tensor, kernel: str, gamma: float, degree: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.rows: Tensor
        self.register_buffer("rows", rows)
        equal = torch.full_like(rows[:, 0], 1 / len(rows))
        self.beta = nn.Parameter(equal)
        self.b = nn.Parameter(torch.zeros_like(equal[0]))

    def k(self, x: Tensor, z: Tensor) -> Tensor:
        """The kernel of each row of x with each of z: (m, columns), (n, columns) → (m, n)."""
        products = x @ z.T
        if self.kernel == "linear":
            return products
        gamma = self.gamma / self.rows.var(0).sum()
        if self.kernel == "polynomial":
            return (gamma * products + 1).pow(self.degree)
        x_squared = x.square().sum(1)[:, None]  # (m, 1)
        z_squared = z.square().sum(1)  # (n,)
        distances = x_squared + z_squared - 2 * products  # |x - z|², (m, n)
        return torch.exp(-gamma * distances.clamp_min(0))

    def forward(self, x: Tensor) -> Tensor:
        """The scores f(x): (batch, columns) → (batch,)."""
        return self.k(x, self.rows) @ self.beta + self.b


@dataclass
class SVM(Study):
    """Train linear machines by gradient descent, and kernel machines in the dual by SMO."""

    C: Positive = 1.0  # price of slack: small for a wide margin, large for few points inside it
    loss: Literal["hinge", "squared"] = "hinge"  # loss of the linear machines
    multiclass: Literal["weston-watkins", "crammer-singer"] = "weston-watkins"  # multiclass hinge
    steps: Count = 3_000  # steps of stochastic subgradient descent
    batch: Count = 64  # examples per step
    learning_rate: Positive = 0.1  # rate of the first step; falls to zero along a straight line
    kernel: Literal["rbf", "polynomial", "linear"] = "rbf"  # kernel of the machines in the dual
    gamma: Positive = 2.0  # γ of rbf and polynomial, times the summed variance of the columns
    degree: Count = 3  # degree of the polynomial kernel
    tolerance: Positive = 1e-3  # violation of the optimality conditions at which SMO stops
    smo_steps: Count = 50_000  # most steps of SMO, each of which changes two multipliers
    points: Count = 400  # training examples on the two moons, both classes together
    noise: Amount = 0.2  # standard deviation of what is added to the moons' coordinates

    claims = [
        Claim("breast_cancer/accuracy", at_least=0.95, source="Etude"),
        Claim("moons/accuracy", at_least=0.95, source="Etude"),
        Control(
            "linear/moons/accuracy",
            at_most=0.9,
            source="Etude",
            of="moons/accuracy",
            without="a kernel",
        ),
        Claim("linear/digits/accuracy", at_least=0.94, source="Etude"),
        Claim("breast_cancer/gap", at_most=1e-3, each=True, source="strong duality; bound: Etude"),
        Claim("moons/gap", at_most=1e-3, each=True, source="strong duality; bound: Etude"),
    ]
    needs = ["perceptron", "linear"]

    def __call__(self, run: Run) -> None:
        cancer = data.breast_cancer()
        mean = cancer.train.inputs.mean(0)
        sd = cancer.train.inputs.std(0)
        tumours = []
        for part in (cancer.train, cancer.test):
            standardised = (part.inputs - mean) / sd  # (rows, 30)
            tumours.append((standardised, part.labels))

        digits = data.uci_digits()
        images = []
        for part in (digits.train, digits.test):
            pixels = part.inputs.flatten(1) / 16  # (rows, 64), from 0 to 1
            images.append((pixels, part.labels))

        sizes = (self.points, 2_000)  # training and test
        moons = [data.two_moons(points, self.noise) for points in sizes]

        train, test = tumours
        self.descend(run, "breast_cancer", train, test, outputs=1)
        train, test = images
        net = self.descend(run, "digits", train, test, outputs=10)
        templates = net.weight.view(10, 1, 8, 8)
        largest = float(templates.detach().abs().max())
        title = f"weights of the pixels in each score; blue is −{largest:.2g}, red {largest:.2g}"
        picture = figures.filter_grid(templates, title, 10, list("0123456789"), one_scale=True)
        run.figure("templates", picture)

        train, test = tumours
        self.maximise_dual(run, "breast_cancer", train, test)
        train, test = moons
        machine = self.maximise_dual(run, "moons", train, test)
        labels = run.place(train[1])
        alpha = machine.beta.detach().abs()
        picture = margins(machine, machine.rows, labels, alpha, self.C)
        run.figure("margins", picture, cover=True)
        run.keep(machine)
        self.maximise_dual(run, "linear/moons", train, test, kernel="linear")

    def descend(self, run: Run, name: str, train: Rows, test: Rows, outputs: int) -> nn.Linear:
        """Train a linear machine by stochastic subgradient descent on the primal."""
        x, label = map(run.place, train)
        x_test, label_test = map(run.place, test)
        net = run.place(nn.Linear(x.shape[1], outputs))
        optimizer = torch.optim.SGD(net.parameters(), self.learning_rate)
        schedule = LambdaLR(optimizer, lambda step: 1 - step / self.steps)
        state = (net, optimizer, schedule)
        batches = training.Batches((x, label), self.batch)
        stage = f"linear {name}"

        for inputs, labels in run.steps(batches, self.steps, state=state, name=stage):
            loss = self.objective(net, inputs, labels, len(x))
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)

        scores = training.outputs(net, x_test)
        accuracy = training.accuracy(scores, label_test)
        run.result({f"linear/{name}/accuracy": accuracy}, held_out=len(x_test))
        objective = self.objective(net, x, label, len(x))
        primal = self.C * len(x) * objective
        run.result({f"linear/{name}/primal": primal})
        return net

    def objective(self, net: nn.Linear, x: Tensor, label: Tensor, n: int) -> Tensor:
        """An estimate of the primal, divided by C n, from some of n rows.

        Args:
            net: the linear machine, whose scores are (rows, 1) or (rows, classes).
            x: the rows, (rows, columns).
            label: their classes, (rows,).
            n: the number of all training rows.
        """
        scores: Tensor = net(x)
        if scores.shape[1] == 1:
            scores = torch.cat([-scores, scores], 1) / 2  # two classes, whose scores differ by f
        right = label.long()[:, None]
        excess = scores - scores.gather(1, right)  # (rows, classes)
        hinge = (1 + excess).clamp_min(0)
        slack = hinge.scatter(1, right, 0.0)
        if self.loss == "squared":
            slack = slack.square()
        if self.multiclass == "weston-watkins":
            slack = slack.sum(1)
        else:
            slack = slack.amax(1)
        squared = net.weight.square().sum()  # ‖w‖²
        return slack.mean() + squared / (2 * self.C * n)

    def maximise_dual(
        self, run: Run, name: str, train: Rows, test: Rows, kernel: str = ""
    ) -> KernelMachine:
        """Train a kernel machine, by default of the field's kernel, by SMO of the dual."""
        x, label = map(run.place, train)
        x_test, label_test = map(run.place, test)
        x = x.double()
        machine = run.place(KernelMachine(x, kernel or self.kernel, self.gamma, self.degree))
        y = 2 * label.double() - 1  # ±1
        smo = SMO(machine.k(x, x), y, self.C)
        tens = range(math.ceil(self.smo_steps / 10))

        for _ in run.steps(tens, state=smo, name=name):
            violation = smo.ascend(10, self.tolerance)
            _, primal, dual = smo.solution()
            run.log(violation=violation)
            run.log(**{"primal/objective": primal})
            run.log(**{"dual/objective": dual})
            run.every(1)  # a row of the log for each step
            if violation <= self.tolerance:
                break

        b, primal, dual = smo.solution()
        with torch.no_grad():
            machine.beta.copy_(smo.beta)
            machine.b.copy_(b)
        scores = training.outputs(machine, x_test.double())
        accuracy = training.accuracy(scores, label_test)
        run.result({f"{name}/accuracy": accuracy}, held_out=len(x_test))
        run.result({f"{name}/dual": dual})
        run.result({f"{name}/gap": (primal - dual) / primal})
        support = smo.beta.abs() > 1e-9 * self.C
        run.result({f"{name}/support": support.sum()})
        return machine

    def network(self) -> KernelMachine:
        """A new machine with as many rows as there are training examples on the moons."""
        rows = torch.randn(self.points, 2)
        return KernelMachine(rows, self.kernel, self.gamma, self.degree)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The score of one point, given as two numbers or the text ``0.5 -0.2``.

        It is negative on the side of the upper moon and positive on that of the lower.
        """
        point = data.read_numbers(input, 2, "x and y")
        return {"score": net(point).item()}

    def example(self) -> Tensor:
        """A batch for export and tests: two points, (2, 2)."""
        return torch.tensor([[0.0, 1.0], [1.0, -0.5]])
