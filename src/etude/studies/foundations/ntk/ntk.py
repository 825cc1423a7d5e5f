"""A wide network is a kernel machine: the neural tangent kernel."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from etude import Claim, Control, Count, Positive, Run, Study, data, training

from ._figures import functions, width_dependence


class Wide(nn.Module):
    r"""A network of one hidden layer, $f(x) = m^{-p} \sum_j a_j \max(0, w_j \cdot x)$.

    Units come in pairs with equal w and opposite a, so that f = 0 at the start.

    Args:
        inputs: the number of inputs.
        width: m, the number of units; even.
        power: p; 1/2 in the theory.
    """

    def __init__(self, inputs: int, width: int, power: float = 0.5) -> None:
        super().__init__()
        self.factor: float = width**-power
        w = torch.randn(width // 2, inputs)
        a = torch.randn(width // 2)
        self.w = nn.Parameter(torch.cat([w, w]))
        self.a = nn.Parameter(torch.cat([a, -a]))

    def forward(self, x: Tensor) -> Tensor:
        """The outputs f(x): (rows, inputs) → (rows,)."""
        hidden = torch.relu(x @ self.w.T)  # (rows, width)
        outputs: Tensor = hidden @ self.a
        return self.factor * outputs

    @torch.no_grad()
    def kernel(self, x: Tensor) -> Tensor:
        """The products ∇f(x) · ∇f(x') with the present weights: (rows, inputs) → (rows, rows)."""
        z = x @ self.w.T  # (rows, width)
        hidden = torch.relu(z)
        from_a = hidden @ hidden.T
        slopes = (z > 0) * self.a
        from_w = (x @ x.T) * (slopes @ slopes.T)
        return self.factor**2 * (from_a + from_w)


def tangent_kernel(x: Tensor, y: Tensor) -> Tensor:
    """K, the limit of :meth:`Wide.kernel` for infinite width.

    Source: Cho & Saul (2009), arc-cosine kernels of degree 1 and 0; Jacot et al. (2018).

    Args:
        x: points, (n, inputs).
        y: other points, (m, inputs).

    Returns:
        The kernel of each x with each y, (n, m).
    """
    lengths = x.norm(dim=1)[:, None] * y.norm(dim=1)
    dot = x @ y.T
    angle = (dot / lengths).clamp(-1, 1).arccos()
    rest = math.pi - angle
    from_a: Tensor = lengths * (angle.sin() + rest * angle.cos())
    from_w: Tensor = dot * rest
    return (from_a + from_w) / (2 * math.pi)


def predict_descent(x: Tensor, y: Tensor, new: Tensor, rate: float, steps: int) -> Tensor:
    """What gradient descent on an infinitely wide network gives, f_T on new points, (cells,).

    Args:
        x: training points, (n, inputs).
        y: their targets, (n,).
        new: the points of the prediction, (cells, inputs).
        rate: the learning rate, in units of n / λ_max.
        steps: T, the number of steps.
    """
    eigenvalues, V = torch.linalg.eigh(tangent_kernel(x, x))
    shrinkage = 1 - rate * eigenvalues / eigenvalues[-1]  # of the error, in one step
    learned = 1 - shrinkage**steps
    coefficients = learned / eigenvalues * (V.T @ y)
    predictions: Tensor = tangent_kernel(new, x) @ (V @ coefficients)
    return predictions


@dataclass
class NTK(Study):
    """Compare networks of growing width with the kernel that their limit follows."""

    widths: tuple[Count, ...] = (16, 64, 256, 1024, 4096)  # units of the hidden layer; even
    points: Count = 16  # training points on the circle, of the generated problem
    rows: Count = 100  # training images of the digits 0 and 1
    steps: Count = 300  # steps of full-batch gradient descent
    learning_rate: Positive = 0.5  # step in units of N / λ_max; above 2 the formula diverges
    repeats: Count = 3  # networks of each width, from different seeds

    claims = [
        Claim(
            "generated/widest",
            at_most=0.05,
            source="Jacot et al. (2018), in the limit 0; bound: Etude",
        ),
        Control(
            "features/widest",
            at_least=0.1,
            source="Chizat et al. (2019); bound: Etude",
            of="generated/widest",
            without="the factor 1/√m: 1/m in its place",
        ),
        Claim(
            "digits/widest",
            at_most=0.05,
            source="Jacot et al. (2018), in the limit 0; bound: Etude",
        ),
        Control(
            "digits, 16 units/distance",
            at_least=0.1,
            source="Etude",
            of="digits/widest",
            without="width",
        ),
        Claim(
            "generated/slope/weights moved",
            at_least=-0.55,
            at_most=-0.45,
            source="Jacot et al. (2018): -1/2; bounds: Etude",
        ),
        Control(
            "features/slope/weights moved",
            at_least=-0.2,
            at_most=0.2,
            source="Chizat et al. (2019): 0; bounds: Etude",
            of="generated/slope/weights moved",
            without="the factor 1/√m: 1/m in its place",
        ),
        Claim(
            "digits/slope/weights moved",
            at_least=-0.55,
            at_most=-0.45,
            source="Jacot et al. (2018): -1/2; bounds: Etude",
        ),
        Claim(
            "digits/slope/kernel changed",
            at_least=-0.85,
            at_most=-0.65,
            source="-3/4, as the lesson derives; bounds: Etude",
        ),
    ]
    needs = ["spirals", "linear", "svm"]

    def __call__(self, run: Run) -> None:
        angle = 2 * math.pi * (torch.arange(self.points) + 0.5) / self.points
        x = on_circle(angle)
        y = target(angle)
        grid = torch.linspace(0, 2 * math.pi, 200)
        expected, outputs = self.compare(run, "generated", x, y, on_circle(grid))
        picture = functions(grid, expected, outputs, train=(angle_of(x), y))
        run.figure("functions", picture)
        self.compare(run, "features", x, y, on_circle(grid), power=1.0)

        digits = data.uci_digits()
        x, y = zeros_and_ones(digits.train)
        chosen = torch.randperm(len(x))[: self.rows]
        new, truth = zeros_and_ones(digits.test)
        _, outputs = self.compare(run, "digits", x[chosen], y[chosen], new)
        widest = outputs[self.widths[-1]]
        correct = (widest.sign() == truth.sign()).float().mean()
        run.result({"digits/accuracy": correct}, held_out=len(new))

    def compare(
        self, run: Run, name: str, x: Tensor, y: Tensor, new: Tensor, power: float = 0.5
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Train networks of every width, and compare their predictions with the kernel's.

        Args:
            run: gets the results and figures.
            name: the name of the problem.
            x: training points, (n, inputs).
            y: their targets, (n,).
            new: other points, (cells, inputs).
            power: of the width, by which the networks' sums are divided.

        Returns:
            On the new points, the kernel's prediction, (cells,), and width → the outputs of the
            last network of this width, (cells,).
        """
        expected = predict_descent(
            x.double(), y.double(), new.double(), self.learning_rate, self.steps
        )
        expected = expected.float()
        train = partial(self.train, x=x, y=y, new=new, expected=expected, power=power)
        variants = {
            f"{name}, {width:,} units": partial(train, width=width) for width in self.widths
        }
        comparison = training.compare(
            run, variants, self.repeats, "distance", better="lower", name=name
        )

        widest = list(variants)[-1]
        mean = comparison.mean(widest, "distance")
        run.result({f"{name}/widest": mean}, held_out=len(new))

        measured = {}
        for metric in ("distance", "weights moved", "kernel changed"):
            measured[metric] = [comparison.measured[variant][metric] for variant in variants]
            run.result({f"{name}/slope/{metric}": slope(self.widths, measured[metric])})
        title = f"{name}: what depends on the width"
        picture = width_dependence(self.widths, measured, title)
        run.figure(f"{name}_width", picture)
        outputs = [comparison.made[variant][-1] for variant in variants]
        return expected, dict(zip(self.widths, outputs, strict=True))

    def train(
        self,
        run: Run,
        width: int,
        x: Tensor,
        y: Tensor,
        new: Tensor,
        expected: Tensor,
        power: float,
    ) -> Tensor:
        """Train one network by gradient descent on all points at once.

        The arguments are those of :meth:`compare`; gives its outputs on the new points, (cells,).
        """
        net = Wide(x.shape[1], width + width % 2, power)
        start = net.w.detach().clone()
        kernel = net.kernel(x)
        limit = tangent_kernel(x.double(), x.double())
        largest = torch.linalg.eigvalsh(limit)[-1]
        alike = len(net.a) * net.factor**2  # 1 in the theory; else as fast a change of the output
        step = float(self.learning_rate * len(x) / largest / alike)
        optimizer = torch.optim.SGD(net.parameters(), step)

        for _ in run.steps(range(self.steps), state=(net, optimizer)):
            loss = (net(x) - y).square().mean() / 2
            run.minimise(loss, optimizer)
            run.log(loss=loss)

        with torch.no_grad():
            outputs: Tensor = net(new)
        run.result({"distance": distance(outputs, expected)}, held_out=len(new))
        run.result({"weights moved": distance(net.w.detach(), start)})
        run.result({"kernel changed": distance(net.kernel(x), kernel)})
        return outputs


def distance(a: Tensor, b: Tensor) -> Tensor:
    """The relative distance |a - b| / |b| of two tensors of one shape, a scalar."""
    relative: Tensor = (a - b).norm() / b.norm()
    return relative


def slope(widths: Sequence[int], measured: Sequence[Sequence[float]]) -> float:
    """The exponent p of the law c · width^p that fits best on logarithmic axes, by least squares.

    Args:
        widths: two or more.
        measured: for each width, the values of all networks; a width at which one of them is not
            finite is left out.
    """
    x, y = [], []
    for width, values in zip(widths, measured, strict=True):
        if all(math.isfinite(value) and value > 0 for value in values):
            x.append(math.log(width))
            y.append(sum(map(math.log, values)) / len(values))
    return statistics.linear_regression(x, y).slope if len(set(x)) > 1 else math.nan


def on_circle(angle: Tensor) -> Tensor:
    """Points on the unit circle, with a 1 for the bias: (n,) → (n, 3)."""
    bias = torch.ones_like(angle)
    return torch.stack([angle.cos(), angle.sin(), bias], 1)


def angle_of(x: Tensor) -> Tensor:
    """The angles, from 0 to 2π, of points on the circle: (n, 3) → (n,)."""
    cosine, sine, _ = x.T
    return torch.atan2(sine, cosine) % (2 * math.pi)


def target(angle: Tensor) -> Tensor:
    """The function that is to be learned on the circle: (n,) → (n,)."""
    return (2 * angle).sin() + 0.5 * (3 * angle).cos()


def zeros_and_ones(rows: data.Labelled[Tensor]) -> tuple[Tensor, Tensor]:
    """The images of the digits 0 and 1, and their labels.

    Returns:
        64 pixels and a 1 for each image, of length √2, (n, 65); and -1 or 1, (n,).
    """
    of_two = rows[rows.labels < 2]
    x = of_two.inputs.flatten(1).float()
    x = x / x.norm(dim=1, keepdim=True)
    bias = torch.ones(len(x), 1)
    return torch.cat([x, bias], 1), 2.0 * of_two.labels - 1
