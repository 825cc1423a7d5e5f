"""Support vector machines: the widest street between two classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.images import filter_grid
from etude.figures.margins import margins
from etude.runs.run import Run
from etude.study import Amount, Count, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs


class KernelMachine(nn.Module):
    r"""$f(x) = \sum_i \beta_i \, k(x_i, x) + b$ over rows (rows, columns); before training all of
    them speak alike.
    """

    def __init__(self, rows: Tensor, kernel: str, gamma: float, degree: int) -> None:
        super().__init__()
        self.kernel, self.gamma, self.degree = kernel, gamma, degree
        self.rows: Tensor
        self.register_buffer("rows", rows)
        self.beta = nn.Parameter(torch.full_like(rows[:, 0], 1 / len(rows)))
        self.b = nn.Parameter(torch.zeros_like(self.beta[0]))

    def k(self, x: Tensor, z: Tensor) -> Tensor:
        """The kernel of each row of x with each of z: (m, columns), (n, columns) → (m, n)."""
        gamma = self.gamma / self.rows.var(0).sum()
        if self.kernel == "rbf":
            apart = (
                x.square().sum(1)[:, None] + z.square().sum(1) - 2 * x @ z.T
            )  # |x - z|², with no row for each pair
            return torch.exp(-gamma * apart.clamp_min(0))
        return x @ z.T if self.kernel == "linear" else (gamma * x @ z.T + 1).pow(self.degree)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, columns) → (batch,)."""
        return self.k(x, self.rows) @ self.beta + self.b


class SMO:
    """Sequential minimal optimisation of the dual: K is the kernel matrix (n, n), y = ±1 (n,), C
    bounds the α.
    """

    def __init__(self, K: Tensor, y: Tensor, C: float) -> None:
        self.K, self.y, self.C = K, y, C
        self.low, self.high = (C * y).clamp_max(0), (C * y).clamp_min(0)
        self.beta, self.e = torch.zeros_like(y), y.clone()  # β = α y and e = y − K β

    def violations(self) -> tuple[Tensor, Tensor]:
        """The row i with the highest e of those whose β may rise; how far above e_j it is where β_j
        may fall: (n,).
        """
        rising = torch.where(self.beta < self.high, self.e, -math.inf)
        falling = torch.where(self.beta > self.low, self.e, math.inf)
        i = rising.argmax()
        return i, rising[i] - falling

    def climb(self, pairs: int, tolerance: float) -> float:
        """Move that many pairs, or fewer if the largest violation comes down to the tolerance; it
        is given back.
        """
        diagonal = self.K.diagonal()
        for _ in range(pairs):
            i, d = self.violations()
            if d.max() <= tolerance:
                break
            a = (diagonal[i] + diagonal - 2 * self.K[i]).clamp_min(1e-12)
            j = torch.where(d > 0, d**2 / a, 0).argmax()
            t = torch.stack(
                [d[j] / a[j], self.high[i] - self.beta[i], self.beta[j] - self.low[j]]
            ).min()
            self.beta[i] += t
            self.beta[j] -= t
            self.e -= t * (self.K[i] - self.K[j])
        return self.violations()[1].max().item()

    def solution(self) -> tuple[Tensor, float, float]:
        """b, the middle between the e that may rise and those that may fall; the primal and the
        dual.
        """
        i, d = self.violations()
        b = self.e[i] - d.max() / 2
        squared = self.beta @ (self.y - self.e)  # βᵀ K β = ‖w‖²
        slack = (self.y * (self.e - b)).clamp_min(0)  # 1 − y f(x)
        return (
            b,
            (squared / 2 + self.C * slack.sum()).item(),
            (self.beta @ self.y - squared / 2).item(),
        )

    def state_dict(self) -> dict[str, Tensor]:
        return {"beta": self.beta, "e": self.e}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.beta, self.e = (state[name].to(self.y.device) for name in ("beta", "e"))


@dataclass
class SVM(Study):
    """Support vector machines: linear ones by gradient descent, kernel machines in the dual
    by SMO.
    """

    C: Positive = 1.0  # the price of slack: small, a wide street; large, few points within it
    loss: Literal["hinge", "squared"] = "hinge"  # of the linear machines
    multiclass: Literal["weston-watkins", "crammer-singer"] = (
        "weston-watkins"  # sum or largest of a row's hinges
    )
    steps: Count = 3_000  # of stochastic subgradient descent
    batch: Count = 64  # rows a step
    learning_rate: Positive = 0.1  # at the start; falls to zero along a straight line
    kernel: Literal["rbf", "polynomial", "linear"] = (
        "rbf"  # of the machines that are trained in the dual
    )
    gamma: Positive = 2.0  # γ of rbf and polynomial, divided by the summed variance of the columns
    degree: Count = 3  # of the polynomial
    tolerance: Positive = (
        1e-3  # the violation of the conditions of optimality at which the ascent stops
    )
    pairs: Count = 50_000  # of multipliers that it may move
    points: Count = 400  # on the two moons to learn from, both classes together
    noise: Amount = 0.2  # standard deviation of the moons' coordinates

    claims = [
        Claim("breast_cancer/accuracy", at_least=0.95, source="floor of the curriculum"),
        Claim("moons/accuracy", at_least=0.95, source="floor of the curriculum"),
        Claim("linear/digits/accuracy", at_least=0.94, source="Etude"),
        Claim("breast_cancer/gap", at_most=1e-3, each=True, source="strong duality; bound: Etude"),
        Claim("moons/gap", at_most=1e-3, each=True, source="strong duality; bound: Etude"),
    ]
    courses = ["OU"]

    def __call__(self, run: Run) -> None:
        cancer, digits = data.breast_cancer(), data.uci_digits()
        mean, sd = cancer.train.inputs.mean(0), cancer.train.inputs.std(0)
        tumours = [((part.inputs - mean) / sd, part.labels) for part in (cancer.train, cancer.test)]
        images = [
            (part.inputs.flatten(1) / 16, part.labels) for part in (digits.train, digits.test)
        ]
        moons = [data.two_moons(points, self.noise) for points in (self.points, 2_000)]

        for name, (train, test), scores in (("breast_cancer", tumours, 1), ("digits", images, 10)):
            (x, label), (x_test, t_test) = map(run.place, train), map(run.place, test)
            net = run.place(nn.Linear(x.shape[1], scores))
            optimizer = torch.optim.SGD(net.parameters(), self.learning_rate)
            schedule = LambdaLR(optimizer, lambda step: 1 - step / self.steps)
            state, stage = (net, optimizer, schedule), f"linear {name}"
            for inputs, t in run.steps(
                Batches((x, label), self.batch), self.steps, state=state, name=stage
            ):
                loss = self.objective(net, inputs, t, len(x))
                run.minimise(loss, optimizer, schedule)
                run.log(loss=loss)
            run.result(
                {f"linear/{name}/accuracy": accuracy(outputs(net, x_test), t_test)},
                held_out=len(x_test),
            )
            run.result(
                {f"linear/{name}/primal": self.C * len(x) * self.objective(net, x, label, len(x))}
            )
        run.figure(
            "templates",
            filter_grid(net.weight.view(10, 1, 8, 8), "what the scores of 0 to 9 look for", 10),
        )

        for name, (train, test) in (("breast_cancer", tumours), ("moons", moons)):
            (x, label), (x_test, t_test) = map(run.place, train), map(run.place, test)
            machine = run.place(KernelMachine(x.double(), self.kernel, self.gamma, self.degree))
            dual = SMO(machine.k(machine.rows, machine.rows), 2 * label.double() - 1, self.C)
            for _ in run.steps(range(math.ceil(self.pairs / 10)), state=dual, name=name):
                violation = dual.climb(10, self.tolerance)
                _, above, below = dual.solution()
                run.log(violation=violation, **{"primal/objective": above, "dual/objective": below})
                run.every(1)  # a row of the log for each step
                if violation <= self.tolerance:
                    break
            b, above, below = dual.solution()
            machine.load_state_dict({**machine.state_dict(), "beta": dual.beta, "b": b})
            run.result(
                {f"{name}/accuracy": accuracy(outputs(machine, x_test.double()), t_test)},
                held_out=len(x_test),
            )
            support = (dual.beta.abs() > 1e-9 * self.C).sum()
            run.result(
                {
                    f"{name}/dual": below,
                    f"{name}/gap": (above - below) / above,
                    f"{name}/support": support,
                }
            )
        run.figure(
            "margins", margins(machine, x.double(), label, dual.beta.abs(), self.C), cover=True
        )
        run.keep(machine)

    def objective(self, net: nn.Linear, x: Tensor, label: Tensor, n: int) -> Tensor:
        """The primal over some of n rows, divided by C n."""
        scores: Tensor = net(x)  # (rows, 1) or (rows, classes)
        if scores.shape[1] == 1:
            scores = torch.cat([-scores, scores], 1) / 2  # two classes, f apart
        right = label[:, None]
        hinge = (1 + scores - scores.gather(1, right)).clamp_min(0).scatter(1, right, 0.0)
        slack = hinge if self.loss == "hinge" else hinge.square()
        slack = slack.sum(1) if self.multiclass == "weston-watkins" else slack.amax(1)
        return slack.mean() + net.weight.square().sum() / (2 * self.C * n)

    def network(self) -> KernelMachine:
        """A machine over as many points as there are on the moons."""
        return KernelMachine(torch.randn(self.points, 2), self.kernel, self.gamma, self.degree)

    def example(self) -> Tensor:
        return torch.tensor([[0.0, 1.0], [1.0, -0.5]])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The score of one point, two numbers or the text ``0.5 -0.2``: below 0 the upper moon,
        above 0 the lower.
        """
        return {"score": net(data.read_numbers(input, 2, "x and y")).item()}
