r"""A noisy sine, fitted by Gaussians that learn their own shape.

Fifty points lie around one period of a sine: $x_i$ is drawn evenly from 0 to 1, and
$y_i = \sin(2 \pi x_i) + \epsilon_i$ with $\epsilon_i$ normal, of standard deviation $\sigma_{noise} = 0.1$. From
these points alone, find the curve. The fit never sees the sine. It is compared with it afterwards.

**The model** is a sum of $M$ bell-shaped bases, each with a weight, and a constant:

$$\hat y(x) = \sum_{j=1}^{M} w_j \, \phi_j(x) + b, \qquad
\phi_j(x) = \exp\left(-\frac{(x - \mu_j)^2}{\sigma_j^2}\right).$$

In $w$ and $b$ this is linear regression. But the centres $\mu_j$ and the widths $\sigma_j$ are learned as well, so
the model chooses not only how much of each base to take, but also which bases to have. That makes it a neural network
with one hidden layer, and its loss no longer has a single valley.

**The loss** of one point is half its squared error, which is the negative log-likelihood under normal noise but for a
factor and a constant. With the error $e = y - \hat y(x)$,

$$J = \tfrac{1}{2} e^2, \qquad \frac{\partial J}{\partial w_j} = -e \, \phi_j, \qquad
\frac{\partial J}{\partial b} = -e,$$

$$\frac{\partial J}{\partial \mu_j} = -2 e \, w_j \phi_j \frac{x - \mu_j}{\sigma_j^2}, \qquad
\frac{\partial J}{\partial \sigma_j} = -2 e \, w_j \phi_j \frac{(x - \mu_j)^2}{\sigma_j^3}.$$

Nobody writes these four lines in the code: automatic differentiation finds them, and a test holds it to differences
of the loss. They are here to be read. The gradient of a base's shape is proportional to its weight, so a base that is
not used does not move, and to $1/\sigma_j$, so a narrow base moves fast.

**The method** is plain stochastic gradient descent without momentum: ten points at a time, the mean of their $J$, one
step of size $\eta$ against the gradient. The steps shrink along a straight line to zero. While $\eta$ is large, every
batch of ten pulls the curve its own way; as $\eta$ falls, the pulls average out and the curve settles.

What to look at
---------------
- *fit*: the data, the sine that they came from (dashed) and the fitted curve. Where it errs, look at the nearest
  points: their noise happens to lean the same way.
- *bases*: above, the eight bases at the start (dashed) and learned; below, the same times their weights. No base
  looks like a part of a sine. Broad bells of opposite sign cancel nearly everywhere, and the sine is what is left.

How good can it be?
-------------------
Suppose that we were told the form $a \sin 2 \pi x + b \cos 2 \pi x + c$. Least squares would still misplace the curve
by about $\sigma_{noise} \sqrt{3 / N} = 0.024$. A model with $p$ free numbers pays $\sigma_{noise} \sqrt{p / N}$, and
this one has $3 M + 1 = 25$, for 0.07. Yet it is asked for 0.06 on every seed, so its freedom has to be held back.
Root mean square distance from the sine, seeds 0 to 4:

| command | mean | worst |
|---|---|---|
| `etude run sine` | 0.037 | 0.046 |
| `etude run sine --bases-rate 1`: shapes learn as fast as weights | 0.052 | 0.069 |
| `etude run sine --bases-rate 0`: shapes stay as they begin | 0.041 | 0.064 |
| `etude run sine --width 0.1`: narrow bases | 0.063 | 0.076 |
| `etude run sine --bases 2 --margin 0 --width 0.3 --bases-rate 1` | 0.093 | 0.206 |

What held it back is the *speed of the shapes*. With $\mu$ and $\sigma$ at a hundredth of the learning rate of $w$ and
$b$ they still move, as the figure shows, but by the time they could bend around single points the run is over. Broad
bases help in the same way: they can't follow one point. Two bases have seven numbers and little noise to fear, but
two bells and a constant are no sine: they end as two humps, and sometimes as one.

The remedy was looked for because seed 0 missed the bound, and set on 150 other draws of the data. The claim is still
not a law: there are fifty points whose noise spells another curve. Of seeds 0 to 19 none misses 0.06 (mean 0.034),
against five with `--bases-rate 1` (mean 0.052).

Exercises
---------
1. `etude check sine --seeds 20` measures the claim on more draws. Open the report of the worst: is it the fit's
   fault, or the data's?
2. `etude run sine --noise 0` and `--noise 0.3`: how does the distance grow with the noise? Compare
   $\sigma \sqrt{p/N}$.
3. `etude run sine --points 500`. By how much should the error fall, and does it?
4. `etude run sine --bases 30 --width 0.05 --bases-rate 1` bends after single points. What does it do between them?

References
----------
Bishop, C. M. (2006). Pattern Recognition and Machine Learning, sections 1.1 and 3.1. Springer.

Robbins, H. & Monro, S. (1951). A stochastic approximation method. Annals of Mathematical Statistics 22(3), 400–407.

Broomhead, D. S. & Lowe, D. (1988). Multivariable functional interpolation and adaptive networks. Complex Systems 2,
321–355.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.fits import families, fitted_curve
from etude.runs.run import Run
from etude.study import Amount, Count, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.optimizers import descent


class GaussianBases(nn.Module):
    r"""$\hat y = \sum_j w_j \phi_j(x) + b$ with $\phi_j(x) = \exp(-(x - \mu_j)^2 / \sigma_j^2)$; all are learned."""

    def __init__(self, bases: int, margin: float, width: float) -> None:
        super().__init__()
        self.w = nn.Parameter(0.1 * torch.randn(bases))
        self.b = nn.Parameter(torch.zeros(()))
        self.mu = nn.Parameter(torch.linspace(-margin, 1 + margin, bases))
        self.sigma = nn.Parameter(torch.full((bases,), width))

    def phi(self, x: Tensor) -> Tensor:
        """The bases: (rows,) → (rows, bases)."""
        return torch.exp(-((x[:, None] - self.mu) ** 2) / self.sigma**2)

    def forward(self, x: Tensor) -> Tensor:
        """(rows,) → (rows,)."""
        return self.phi(x) @ self.w + self.b


@dataclass
class Sine(Study):
    """Regress a noisy sine on Gaussian bases, by stochastic gradient descent."""

    points: Count = 50  # N, drawn evenly at random from 0 to 1
    noise: Amount = 0.1  # σ_noise, standard deviation of what is added to the sine
    bases: Count = 8  # M, how many bells are added up
    width: Positive = 0.5  # σ_j of every basis at the start
    margin: Amount = 0.3  # the centres μ_j begin evenly spread from -margin to 1 + margin
    steps: Count = 4_000  # of stochastic gradient descent
    batch: Count = 10  # points a step
    learning_rate: Positive = 0.3  # of w and b at the start; falls to zero along a straight line
    bases_rate: Amount = 0.01  # learning rate of μ and σ, as a part of that of w and b
    optimizer: OptimizerName = "sgd"  # the rule of a step; choose the learning rate with it

    claims = [Claim("sine/rmse", at_most=0.06, seeds=5, each=True, source="ECE-472 (2022), assignment 1; bound: Etude")]
    courses = ["CU A1"]

    def __call__(self, run: Run) -> None:
        x, y = map(run.place, data.noisy_sine(self.points, self.noise))
        net = run.place(self.network())
        slow: dict[str, Any] = {"params": [net.mu, net.sigma], "lr": self.bases_rate * self.learning_rate}
        optimizer = descent(self.optimizer, [{"params": [net.w, net.b]}, slow], self.learning_rate)
        schedule = LambdaLR(optimizer, lambda step: 1 - step / self.steps)

        for inputs, targets in run.steps(Batches((x, y), self.batch), self.steps, state=(net, optimizer, schedule)):
            loss = ((targets - net(inputs)) ** 2 / 2).mean()
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)

        grid = run.place(torch.linspace(0, 1, 1001))
        with torch.inference_mode():
            fit, truth = net(grid), torch.sin(2 * math.pi * grid)
            run.result({"parameters": sum(p.numel() for p in net.parameters())})
            run.result({"train/rmse": (net(x) - y).square().mean().sqrt()})
            run.result({"sine/rmse": (fit - truth).square().mean().sqrt()}, held_out=len(grid))
            run.figure("fit", fitted_curve(x, y, grid, fit, truth, r"$\sin 2\pi x$"))
            wide = run.place(torch.linspace(-self.margin - 0.2, 1.2 + self.margin, 600))
            phi, start = net.phi(wide), run.place(self.network()).phi(wide)
            panels = {
                "the bases: at the start (dashed) and learned; marks below: the data": phi,
                "times their weights: with b they add up to the fit": net.w * phi,
            }
            labels = [r"$\phi_j(x)$", r"$w_j\,\phi_j(x)$"]
            run.figure("bases", families(wide, panels, before=start, data=x, labels=labels))
        run.keep(net)

    def network(self) -> GaussianBases:
        """The bases where they begin."""
        return GaussianBases(self.bases, self.margin, self.width)

    def example(self) -> Tensor:
        """Two inputs."""
        return torch.tensor([0.25, 0.75])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The fitted value at one number x."""
        return {"y": net(data.read_numbers(input, 1)[0]).item()}
