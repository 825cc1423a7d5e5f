r"""Support vector machines: the widest street between two classes.

Of all planes that part two classes take the one in the middle of the widest street. With $f(x) = w \cdot x + b$ and
labels $y_i = \pm 1$, a point lies $|f(x)| / \|w\|$ from the plane. Let $|f| = 1$ at the kerbs; the street is
$2 / \|w\|$ wide. Who stands in it, or beyond, pays for slack $\xi_i$:

$$\min_{w, b, \xi} \; P = \tfrac12 \|w\|^2 + C \sum_i \xi_i, \qquad y_i f(x_i) \ge 1 - \xi_i, \quad \xi_i \ge 0.$$

**The primal, by descent.** The best slack is the *hinge*, $\xi_i = \max(0, 1 - y_i f(x_i))$, so $P / (C n)$ is a mean
over rows with a penalty, fit for stochastic descent. At its kink any slope between those of its sides will do, a
*subgradient*; the *squared* hinge has none. More classes have a score each, all to stay 1 below the right one: Weston &
Watkins add up $\max(0, 1 + s_k - s_y)$ over $k \ne y$ (their margin is 2), Crammer & Singer take the largest.

**The dual.** Give every constraint a multiplier, $\alpha_i \ge 0$ and $\mu_i \ge 0$:

$$L = \tfrac12 \|w\|^2 + C \sum_i \xi_i - \sum_i \alpha_i \left(y_i f(x_i) - 1 + \xi_i\right) - \sum_i \mu_i \xi_i.$$

Its minimum over $w$, $b$ and $\xi$ needs $w = \sum_i \alpha_i y_i x_i$, $\sum_i \alpha_i y_i = 0$ and
$C = \alpha_i + \mu_i$, hence the box $0 \le \alpha_i \le C$. Put back,

$$D(\alpha) = \sum_i \alpha_i - \tfrac12 \sum_{i, j} \alpha_i \alpha_j \, y_i y_j \, x_i \cdot x_j \; \le \; P,$$

for every feasible $\alpha$ and every $w, b$. The problem is convex, so at the best of both $D = P$: the gap proves how
near the end is. A multiplier is at work only where its constraint is tight. Rows with $\alpha_i = 0$ stand outside the
street, with $0 < \alpha_i < C$ on the kerb, with $\alpha_i = C$ in the street or beyond. The last two are the *support
vectors*: without the other rows the answer is the same.

**Kernels.** The rows appear in products only. Replace these by $k(x_i, x_j) = \phi(x_i) \cdot \phi(x_j)$, and the plane
lies in the space of $\phi$, which nobody visits: $(\gamma \, x \cdot z + 1)^d$ has all monomials up to degree $d$,
$e^{-\gamma \|x - z\|^2}$ infinitely many. Then $f(x) = \sum_i \beta_i k(x_i, x) + b$ with $\beta_i = \alpha_i y_i$.

**SMO** (Platt, 1998). As $\sum_i \beta_i = 0$, two must move: $\beta_i$ up, $\beta_j$ down by $t$. With
$e = y - K \beta$,

$$\Delta D = t \, (e_i - e_j) - \tfrac12 a t^2, \qquad a = K_{ii} + K_{jj} - 2 K_{ij}, \qquad t = (e_i - e_j) / a,$$

clipped to where either reaches the end of its box; then $e \leftarrow e - t (K_i - K_j)$, in $n$ operations. The pair
is the $i$ with the highest $e$ that may rise and, of those that may fall, the $j$ with the largest gain
$(e_i - e_j)^2 / 2 a$ (Fan, Chen & Lin, 2005). When no $e$ that may rise is above one that may fall, but for
`tolerance`, the Karush–Kuhn–Tucker conditions hold, and $b$ is where they meet.

**When to take it.** With some thousands of rows at most and a kernel that says what is alike: one optimum, certified,
whatever the seed. But the matrix takes $n^2$ numbers, the ascent $n^2$ to $n^3$ operations, an answer a kernel for each
support vector. Where rows are many, or features must be learned as from images and text, networks win.

What to look at
---------------
- *margins*: ringed points lie on the dashed kerbs, full ones between or beyond; pale ones could be left out.
- *templates*: red pixels speak for a digit, blue ones against it.
- the curves of *objective*: primal and dual close in on one number.

Exercises
---------
1. Of the moons' 400 points 64 are support vectors; 0.963 of fresh points come out right (means of seeds 0 to 2). With
   `--C 0.01` it is 400 and 0.907, with `--C 100` 34 and 0.963. What happened to the street?
2. `etude run svm --kernel linear`: descent and SMO now solve one problem. How far above `breast_cancer/dual` does
   `linear/breast_cancer/primal` end? And with `--learning-rate 0.3`?
3. `etude run svm --gamma 300`: how many support vectors are there, and what do they remember?

References
----------
Cortes, C. & Vapnik, V. (1995). Support-vector networks. Machine Learning 20, 273–297.

Platt, J. (1998). Sequential minimal optimization. Microsoft Research, MSR-TR-98-14.

Weston, J. & Watkins, C. (1999). Support vector machines for multi-class pattern recognition. ESANN.

Crammer, K. & Singer, Y. (2001). On the algorithmic implementation of multiclass kernel-based vector machines. JMLR 2.

Fan, R.-E., Chen, P.-H. & Lin, C.-J. (2005). Working set selection using second order information. JMLR 6, 1889–1918.
"""

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
    r"""$f(x) = \sum_i \beta_i \, k(x_i, x) + b$ over rows (rows, columns); before training all of them speak alike."""

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
            apart = x.square().sum(1)[:, None] + z.square().sum(1) - 2 * x @ z.T  # |x - z|², with no row for each pair
            return torch.exp(-gamma * apart.clamp_min(0))
        return x @ z.T if self.kernel == "linear" else (gamma * x @ z.T + 1).pow(self.degree)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, columns) → (batch,)."""
        return self.k(x, self.rows) @ self.beta + self.b


class SMO:
    """Sequential minimal optimisation of the dual: K is the kernel matrix (n, n), y = ±1 (n,), C bounds the α."""

    def __init__(self, K: Tensor, y: Tensor, C: float) -> None:
        self.K, self.y, self.C = K, y, C
        self.low, self.high = (C * y).clamp_max(0), (C * y).clamp_min(0)
        self.beta, self.e = torch.zeros_like(y), y.clone()  # β = α y and e = y − K β

    def violations(self) -> tuple[Tensor, Tensor]:
        """The row i with the highest e of those whose β may rise; how far above e_j it is where β_j may fall: (n,)."""
        rising = torch.where(self.beta < self.high, self.e, -math.inf)
        falling = torch.where(self.beta > self.low, self.e, math.inf)
        i = rising.argmax()
        return i, rising[i] - falling

    def climb(self, pairs: int, tolerance: float) -> float:
        """Move that many pairs, or fewer if the largest violation comes down to the tolerance; it is given back."""
        diagonal = self.K.diagonal()
        for _ in range(pairs):
            i, d = self.violations()
            if d.max() <= tolerance:
                break
            a = (diagonal[i] + diagonal - 2 * self.K[i]).clamp_min(1e-12)
            j = torch.where(d > 0, d**2 / a, 0).argmax()
            t = torch.stack([d[j] / a[j], self.high[i] - self.beta[i], self.beta[j] - self.low[j]]).min()
            self.beta[i] += t
            self.beta[j] -= t
            self.e -= t * (self.K[i] - self.K[j])
        return self.violations()[1].max().item()

    def solution(self) -> tuple[Tensor, float, float]:
        """b, the middle between the e that may rise and those that may fall; the primal and the dual."""
        i, d = self.violations()
        b = self.e[i] - d.max() / 2
        squared = self.beta @ (self.y - self.e)  # βᵀ K β = ‖w‖²
        slack = (self.y * (self.e - b)).clamp_min(0)  # 1 − y f(x)
        return b, (squared / 2 + self.C * slack.sum()).item(), (self.beta @ self.y - squared / 2).item()

    def state_dict(self) -> dict[str, Tensor]:
        return {"beta": self.beta, "e": self.e}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.beta, self.e = (state[name].to(self.y.device) for name in ("beta", "e"))


@dataclass
class SVM(Study):
    """Support vector machines: linear ones by gradient descent, kernel machines in the dual by SMO."""

    C: Positive = 1.0  # the price of slack: small, a wide street; large, few points within it
    loss: Literal["hinge", "squared"] = "hinge"  # of the linear machines
    multiclass: Literal["weston-watkins", "crammer-singer"] = "weston-watkins"  # sum or largest of a row's hinges
    steps: Count = 3_000  # of stochastic subgradient descent
    batch: Count = 64  # rows a step
    learning_rate: Positive = 0.1  # at the start; falls to zero along a straight line
    kernel: Literal["rbf", "polynomial", "linear"] = "rbf"  # of the machines that are trained in the dual
    gamma: Positive = 2.0  # γ of rbf and polynomial, divided by the summed variance of the columns
    degree: Count = 3  # of the polynomial
    tolerance: Positive = 1e-3  # the violation of the conditions of optimality at which the ascent stops
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
        images = [(part.inputs.flatten(1) / 16, part.labels) for part in (digits.train, digits.test)]
        moons = [data.two_moons(points, self.noise) for points in (self.points, 2_000)]

        for name, (train, test), scores in (("breast_cancer", tumours, 1), ("digits", images, 10)):
            (x, label), (x_test, t_test) = map(run.place, train), map(run.place, test)
            net = run.place(nn.Linear(x.shape[1], scores))
            optimizer = torch.optim.SGD(net.parameters(), self.learning_rate)
            schedule = LambdaLR(optimizer, lambda step: 1 - step / self.steps)
            state, stage = (net, optimizer, schedule), f"linear {name}"
            for inputs, t in run.steps(Batches((x, label), self.batch), self.steps, state=state, name=stage):
                loss = self.objective(net, inputs, t, len(x))
                run.minimise(loss, optimizer, schedule)
                run.log(loss=loss)
            run.result({f"linear/{name}/accuracy": accuracy(outputs(net, x_test), t_test)}, held_out=len(x_test))
            run.result({f"linear/{name}/primal": self.C * len(x) * self.objective(net, x, label, len(x))})
        run.figure("templates", filter_grid(net.weight.view(10, 1, 8, 8), "what the scores of 0 to 9 look for", 10))

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
            run.result({f"{name}/accuracy": accuracy(outputs(machine, x_test.double()), t_test)}, held_out=len(x_test))
            support = (dual.beta.abs() > 1e-9 * self.C).sum()
            run.result({f"{name}/dual": below, f"{name}/gap": (above - below) / above, f"{name}/support": support})
        run.figure("margins", margins(machine, x.double(), label, dual.beta.abs(), self.C), cover=True)
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
        """The score of one point, two numbers or the text ``0.5 -0.2``: below 0 the upper moon, above 0 the lower."""
        return {"score": net(data.read_numbers(input, 2, "x and y")).item()}
