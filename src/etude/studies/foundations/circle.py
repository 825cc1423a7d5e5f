r"""A disc within a ring: what the activation does.

Points of one class fill a disc of radius 1, points of the other a ring around it of the same area, with an empty ring
of width $g$ (`gap`) between them. A network with one hidden layer is to tell them apart. It is trained eleven times:
with ten activations $\phi$, and with none.

$$f(x) = b + \sum_{j=1}^{m} a_j \, \phi(w_j \cdot x + b_j), \qquad p(\text{disc} \mid x) = \frac{1}{1 + e^{-f(x)}}.$$

**Without an activation** the sum collapses, $f(x) = \left(\sum_j a_j w_j\right) \cdot x + \text{const}$. A linear map
of a linear map is linear, and so on through any number of layers: the boundary $f = 0$ is one line. How good can a line
be? Let it lie at distance $c$ from the centre, with the disc's bulk on one side, and let $r = 1 + g$ and
$R^2 = r^2 + 1$ be the radii of the ring. Call $S_\rho$ the area of a disc of radius $\rho$ beyond the line. Both
classes have area $\pi$, so the line is right on a part

$$\frac{1}{2} + \frac{S_R - S_r - S_1}{2 \pi}, \qquad
S_\rho = \rho^2 \arccos \frac{c}{\rho} - c \sqrt{\rho^2 - c^2}, \qquad
\frac{d S_\rho}{d c} = -2 \sqrt{\rho^2 - c^2}.$$

The best $c$ has $\sqrt{1 - c^2} + \sqrt{r^2 - c^2} = \sqrt{R^2 - c^2}$. Squared twice, that is quadratic in $c^2$:

$$c^2 = \tfrac{2}{3} \left(1 + r^2 - \sqrt{1 - r^2 + r^4}\right).$$

This gives 0.608 without a gap and 0.643 with $g = 0.4$; for a ring far away it approaches 3/4, all of the disc and half
of the ring, and no line does better than that. Training does worse. The mean log loss is convex in the line, and
turning the plane changes nothing, so it is least for a line that has no direction: $w = 0$, $p = 1/2$ everywhere, loss
$\log 2$. What is left of accuracy above one half, on the training points, is chance.

**With one**, each unit is a ridge: it varies along $w_j$ and is constant across it. How many ReLUs enclose a region,
with $\phi(z) = \max(0, z)$? *Two can't.* If $w_1$ and $w_2$ are parallel, $f$ is constant across them. If not, start in
the region and go where $w_1 \cdot x$ grows and $w_2 \cdot x$ stays. To come out of it, $a_1$ must be negative, and in
the same way $a_2$. Now go where both units are off. There $f = b$, so $b < 0$ too, and nothing was positive at all.
*Three can*, with weights at 120°, $a_j = -1$, $b_j = 0$. Their half-planes overlap, so that in every direction one or
two of them are on. One on gives an edge at $w_j \cdot x = b$; two on give an edge at $(w_j + w_k) \cdot x = b$, and
$|w_j + w_k| = 1$ again. It is not a triangle but a regular hexagon, whose corners lie $2 / \sqrt 3 = 1.155$ times as
far out as its edges: with $g > 0.155$, three ReLUs can be right on every point. The last panel shows them.

**What the derivative does.** A hidden weight learns by $\partial f / \partial w_j = a_j \, \phi'(z_j) \, x$.

| activation | $\phi'(z)$ | what follows |
|---|---|---|
| sigmoid $s$ | $s (1 - s) \le 1/4$ | small even at best: slow |
| tanh $t$ | $1 - t^2 \le 1$ | full at 0, gone for large $\lvert z \rvert$ |
| ReLU | 0 or 1 | whole or nothing; a unit that is off for all points is dead |
| leaky, ELU | 0.01, $e^z$ for $z < 0$ | a way back for a unit that is off |
| Swish, GELU | smooth, about ReLU's | below 0 for some $z < 0$: the function dips |
| Maxout | 1 for the larger of two, else 0 | no flat part; twice the weights |
| hard limit | 0 | nothing can be learned |

So for the hard limit a *surrogate* is used. Forward it is the step; backward it is taken for a line clipped to 0 and 1,
which has the derivative 1/2 for $|z| < 1$. That is the gradient of another function, but it points the right way often
enough.

What to look at
---------------
- *boundaries*: networks trained on other points than those drawn. None: a line at random. Kinked activations make
  polygons, smooth ones curves. The hard limit's pieces are flat, and it leaves corners wherever no point objected.
- *comparison*: steps until the loss is below `enough`. "None" used up all it had. Do not take this for a ranking: it
  depends on the learning rate and on the scale of the first weights as well.

Means of seeds 0 to 2, nine networks each: steps, and accuracy on fresh points with 32 units (`etude run circle`), with
three and with two (`--hidden 3`, `--hidden 2`).

| | none | hard | sigmoid | tanh | ReLU | leaky | ELU | SELU | Swish | GELU | Maxout |
|---|---|---|---|---|---|---|---|---|---|---|---|
| steps | 600 | 180 | 176 | 70 | 47 | 46 | 45 | 64 | 37 | 39 | 36 |
| 32 units | 0.509 | 0.996 | 1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 |
| 3 units | 0.507 | 0.848 | 0.975 | 0.993 | 0.833 | 0.909 | 0.946 | 0.879 | 0.973 | 0.999 | 0.856 |
| 2 units | 0.508 | 0.758 | 0.753 | 0.753 | 0.681 | 0.712 | 0.732 | 0.734 | 0.817 | 0.815 | 0.808 |

Three ReLUs could be perfect. In three of the nine networks all of them stay alive, and these reach 0.997 or more. Where
one is off nearly everywhere (five networks) 0.77 to 0.79 is left, where two are (one) 0.61. Width is for the search,
not for the shape.

Exercises
---------
1. `etude run circle --hidden 3 --seed 1`: a triangle, a hexagon, a strip. Count the units that made each.
2. `etude run circle --gap 0`. Which activations lose most, and where?
3. `etude run circle --hidden 64 --points 100`: the training points are right. What does the hard limit do between them?
4. Two Maxout units enclose a region where two ReLUs can't. Which shape, and how wide must the gap be for it?

References
----------
Goodfellow, I., Warde-Farley, D., Mirza, M., Courville, A. & Bengio, Y. (2013). Maxout networks. ICML.

Bengio, Y., Léonard, N. & Courville, A. (2013). Estimating or propagating gradients through stochastic neurons for
conditional computation. arXiv:1308.3432.

Glorot, X., Bordes, A. & Bengio, Y. (2011). Deep sparse rectifier neural networks. AISTATS.

Ramachandran, P., Zoph, B. & Le, Q. V. (2017). Searching for activation functions. arXiv:1710.05941.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from etude import data
from etude.claims import Claim
from etude.demos import Answer, Choice, Controls, Demo, Points, Slider
from etude.figures.planes import decision_boundaries
from etude.layers.activations import ACTIVATIONS, dense
from etude.runs.run import Run
from etude.study import Amount, Count, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.comparison import compare
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.playground import grow


def best_line(gap: float) -> float:
    """The accuracy of the best line: disc of radius 1 within a ring of the same area, an empty ring between them."""
    near = 1 + gap
    far = math.hypot(near, 1)
    c = math.sqrt(2 / 3 * (1 + near**2 - math.sqrt(1 - near**2 + near**4)))

    def beyond(r: float) -> float:  # the area of a disc of radius r on the far side of a line at distance c
        return r**2 * math.acos(c / r) - c * math.sqrt(r**2 - c**2)

    return 0.5 + (beyond(far) - beyond(near) - beyond(1)) / (2 * math.pi)


def hexagon(gap: float) -> nn.Sequential:
    """Three ReLUs whose boundary is a regular hexagon between disc and ring, as close to one as to the other."""
    net = nn.Sequential(dense("relu", 2, 3), nn.Linear(3, 1))
    angle = 2 * math.pi / 3 * torch.arange(3)
    edge = (2 + gap) / (1 + 2 / math.sqrt(3))  # corners lie 2/√3 times as far: edge - 1 = 1 + gap - corner
    slope = 10.0  # of the logit; the boundary does not depend on it
    w = torch.stack([angle.cos(), angle.sin()], 1)
    weights = w, torch.zeros(3), torch.full((1, 3), -slope), torch.tensor([slope * edge])
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), weights, strict=True):
            parameter.copy_(value)
    return net


@dataclass
class Circle(Study):
    """Tell a disc from the ring around it, by one hidden layer with each activation in turn."""

    points: Count = 500  # of both classes together
    gap: Amount = 0.4  # width of the empty ring between the two; the disc's radius is 1
    hidden: Count = 32  # units of the hidden layer
    steps: Count = 600  # of gradient descent on all points, at most
    enough: Positive = 0.02  # a network is done when its loss is below this
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 0.03  # of every step
    seeds: Count = 3  # points and initial weights for each activation
    activation: Literal[
        "identity", "hard_limit", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "swish", "gelu", "maxout"
    ] = "relu"  # of the network that is kept; all are trained

    claims = [
        Claim("worst/accuracy", at_least=0.99, source="ITU; bound: curriculum"),
        Claim("none/test/accuracy", at_most=0.75, each=True, source="ITU; bound: curriculum"),
    ]
    courses = ["ITU"]

    def __call__(self, run: Run) -> None:
        nets: dict[str, nn.Module] = {}
        variants = {
            "none" if name == "identity" else name: partial(self.train, activation=name, nets=nets)
            for name in ACTIVATIONS
        }
        found = compare(run, variants, self.seeds, "steps", better="lower")
        worst = min(found.mean(name, "test/accuracy") for name in variants if name != "none")
        run.result({"worst/accuracy": worst}, held_out=1_000)
        run.result({"line/accuracy": best_line(self.gap)})

        x, label = map(run.place, data.rings(self.points, 1.0, self.gap))
        shown = {name.replace("_", " "): net for name, net in zip(variants, nets.values(), strict=True)}
        by_hand = {"three ReLUs by hand": hexagon(self.gap)}
        run.figure("boundaries", decision_boundaries(shown | by_hand, x, label), cover=True)
        run.keep(nets[self.activation])

    def train(self, run: Run, activation: str, nets: dict[str, nn.Module]) -> None:
        """One activation, until its loss is low enough; the network goes to ``nets``."""
        x, label = map(run.place, data.rings(self.points, 1.0, self.gap))
        net = run.place(self.network(activation))
        optimizer = descent(self.optimizer, net, self.learning_rate)
        batches = Batches((x, label), self.points)

        for points, t in run.steps(batches, self.steps, state=(net, optimizer)):
            loss = binary_cross_entropy_with_logits(net(points).squeeze(1), t)
            run.log(loss=loss)
            if loss < self.enough:
                break
            run.minimise(loss, optimizer)

        run.result({"steps": run.step})
        fresh, truth = map(run.place, data.rings(1_000, 1.0, self.gap))
        run.result({"train/accuracy": accuracy(outputs(net, x), label)})
        run.result({"test/accuracy": accuracy(outputs(net, fresh), truth)}, held_out=len(fresh))
        nets[activation] = net

    def network(self, activation: str | None = None) -> nn.Sequential:
        """A new network from a point to the logit of the disc; by default with the activation that is kept."""
        return nn.Sequential(dense(activation or self.activation, 2, self.hidden), nn.Linear(self.hidden, 1))

    def example(self) -> Tensor:
        """A point of the disc and one of the ring."""
        return torch.tensor([[0.2, 0.1], [-1.2, 0.9]])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of disc and ring at one point: two numbers, or the text ``0.5 -0.2``."""
        p = net(data.read_numbers(input, 2, "x and y")).sigmoid().item()
        return {"disc": p, "ring": 1 - p}

    def demo(self) -> Demo:
        """One hidden layer, any activation: watch the boundary form."""
        x, label = data.rings(60, 1.0, self.gap)
        rings = [(float(a), float(b), int(c)) for (a, b), c in zip((x / x.abs().max()).tolist(), label, strict=True)]
        controls: Controls = {
            "points": Points("Click to place points", examples={"disc and ring": rings}),
            "activation": Choice("Activation", list(ACTIVATIONS), "relu"),
            "units": Choice("Hidden units", ["1", "2", "3", "8", "32"], "8"),
            "seed": Slider("Seed of the first weights", 0, 99, 0, 1),
        }
        return Demo("How many units does it take?", controls, watch, ["3", "8", "more"], trained=False, live=False)


def watch(
    net: None, points: list[tuple[float, float, int]], activation: str, units: str, seed: float
) -> Iterator[Answer]:
    """One hidden layer learns these points."""
    torch.manual_seed(int(seed))
    yield grow(points, nn.Sequential(dense(activation, 2, int(units)), nn.Linear(int(units), 1)), rate=0.05)
