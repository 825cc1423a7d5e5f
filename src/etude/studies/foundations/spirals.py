r"""Two spirals, one multi-layer perceptron.

Two classes of points wind around each other, twice, with noise. A straight line leaves a third of them on the wrong
side, and so does every shallow curve: to tell the classes apart, the boundary has to wind twice itself. Lang and
Witbrock set this problem in 1988 because the perceptrons of the day could not solve it. The task: every training
point right, with an L2 penalty on the weights, and the boundary drawn.

**The network** takes a point $x$ in the plane to one number, the logit $z$. Each of $L$ hidden layers mixes its
inputs and cuts off what is negative:

$$h_0 = x, \qquad h_l = \max(0, W_l h_{l-1} + b_l), \qquad z = W_{L+1} h_L + b_{L+1}, \qquad p = \frac{1}{1 + e^{-z}}.$$

Each unit folds the plane along one line. The next layer folds what is already folded, so that one fold there shows up
at many places here. That is how three layers of 64 units bend a boundary around a spiral: not by many units side by
side, but by folding folds.

**The loss** is the negative log-likelihood of the labels $t$, 0 or 1, and a penalty on the weights (the biases are
free):

$$J = -\frac{1}{B} \sum_{i=1}^{B} \left( t_i \log p_i + (1 - t_i) \log(1 - p_i) \right)
+ \frac{\lambda}{2} \sum_l ||W_l||^2.$$

Its derivatives start from something simple, $\partial J / \partial z_i = (p_i - t_i) / B$, and the penalty adds
$\lambda W_l$ to the gradient of each weight matrix. Without it, once every point is right, the loss can still fall by
making all weights larger: the boundary hardly moves and $p$ jumps from 0 to 1 across it. With it, steepness has a
price, and the network prefers a boundary in the middle of the gap. The formula for $J$ is computed from $z$ itself
(`binary_cross_entropy_with_logits`), since $\log p$ loses all digits when $p$ is near 0.

**The method** is Adam on batches of 128 points. Its learning rate falls along half a cosine to zero, so that the
boundary is still when it is drawn.

What to look at
---------------
*boundary*: the shade is $p$, the line is $p = 0.5$. Both arms should run midway between the points. Look at the far
corners, too: there are no points there, and yet the network is sure. Probability far from the data is not knowledge.

What was tried and fails
------------------------
Means of seeds 0 to 2. The second accuracy is on 10,000 fresh points from the same spirals.

| command | training points | fresh points |
|---|---|---|
| `etude run spirals` | 1.000 | 0.999 |
| `etude run spirals --depth 0` | 0.647 | 0.646 |
| `etude run spirals --depth 1` | 0.702 | 0.704 |
| `etude run spirals --depth 1 --hidden 1024` | 0.805 | 0.803 |
| `etude run spirals --depth 2` | 0.994 | 0.995 |
| `etude run spirals --hidden 4` | 0.661 | 0.655 |
| `etude run spirals --hidden 8` | 0.952 | 0.949 |
| `etude run spirals --hidden 16` | 0.996 | 0.996 |
| `etude run spirals --activation identity` | 0.647 | 0.646 |
| `etude run spirals --activation sigmoid` | 0.650 | 0.645 |
| `etude run spirals --activation tanh` | 0.647 | 0.646 |
| `etude run spirals --activation tanh --steps 20000` | 0.628 | 0.630 |
| `etude run spirals --penalty 0` | 1.000 | 0.999 |
| `etude run spirals --penalty 0.01` | 0.975 | 0.973 |
| `etude run spirals --penalty 0.03` | 0.648 | 0.643 |
| `etude run spirals --noise 0.05` | 0.998 | 0.984 |
| `etude run spirals --noise 0.05 --penalty 0` | 1.000 | 0.982 |

- *Depth.* No hidden layer is logistic regression: a line. One layer gets little further in these 2,000 steps, and
  sixteen times its width buys less than a second layer does. One wide layer could draw the boundary, since it can
  approximate any function; gradient descent does not find it in this time.
- *Width.* Four units a layer are too few to fold with. Sixteen are nearly enough, and one or two points remain.
- *Activation.* Without one (`identity`) three layers are one linear map. Sigmoid hands back at most a quarter of the
  gradient at each layer. The surprise is tanh, which ends on the line as well, even with ten times the steps. The
  points lie within 1 of the centre and the first weights are small, so tanh begins as nearly a straight line, and the
  penalty makes larger weights dear. ReLU has its bend at any scale.
- *Penalty.* From 0.01 on it costs more to bend the boundary than to give up points; at 0.03 the line is all that is
  left.
- *Noise.* At 0.05 some points lie beyond the middle of the gap. Without a penalty the network learns them by heart,
  every one, and does no better on fresh points than the network that let one go.

Exercises
---------
1. `etude run spirals --noise 0.05 --penalty 0` and the same with the penalty. Where do the two boundaries differ?
2. Copy this file to `mine.py`, multiply `net.layers[0].weight.data` by 6 before the loop, and
   `etude run ./mine.py --activation tanh`. Was it the activation that failed, or its scale?
3. `etude run spirals --turns 3` leaves a few points wrong. Which helps more, `--depth 4` or `--hidden 128`?
4. `etude run spirals --points 60`: every training point is right. Where does the boundary err?

References
----------
Lang, K. J. & Witbrock, M. J. (1988). Learning to tell two spirals apart. Proceedings of the 1988 Connectionist Models
Summer School, 52–59.

Montúfar, G., Pascanu, R., Cho, K. & Bengio, Y. (2014). On the number of linear regions of deep neural networks.
NeurIPS.

Kingma, D. P. & Ba, J. (2015). Adam: a method for stochastic optimization. ICLR.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.demos import Answer, Choice, Controls, Demo, Points, Slider
from etude.figures.planes import decision_boundary
from etude.networks.mlp import MLP, Activation
from etude.runs.run import Run
from etude.study import Amount, Count, Natural, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.playground import grow
from etude.training.schedules import cosine


@dataclass
class Spirals(Study):
    """Separate two spirals; every training point must be classified correctly."""

    points: Count = 400  # both classes together
    turns: Positive = 2.0  # of each spiral around the centre
    noise: Amount = 0.03  # standard deviation of each coordinate
    depth: Natural = 3  # hidden layers
    hidden: Count = 64  # units in each hidden layer
    activation: Literal["relu", "tanh", "sigmoid", "identity"] = "relu"  # of the hidden units
    penalty: Amount = 1e-3  # λ, the factor of the L2 penalty
    steps: Count = 2_000  # of gradient descent
    batch: Count = 128  # points a step
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 3e-3  # at the start; falls to zero along half a cosine

    claims = [Claim("train/accuracy", at_least=1.0, each=True, source="ECE-472 (2022), assignment 2")]
    courses = ["CU A2"]

    def __call__(self, run: Run) -> None:
        x, label = map(run.place, data.two_spirals(self.points, self.turns, self.noise))
        net = run.place(self.network())
        weights = [p for p in net.parameters() if p.ndim == 2]  # biases are left alone
        optimizer = descent(self.optimizer, net.parameters(), self.learning_rate)
        schedule = LambdaLR(optimizer, cosine(self.steps))

        for inputs, t in run.steps(Batches((x, label), self.batch), self.steps, state=(net, optimizer, schedule)):
            likelihood = binary_cross_entropy_with_logits(net(inputs).squeeze(1), t)
            loss = likelihood + self.penalty / 2 * sum(w.square().sum() for w in weights)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss, **{"cross entropy/loss": likelihood})

        fresh, truth = map(run.place, data.two_spirals(10_000, self.turns, self.noise))
        run.result({"train/accuracy": accuracy(outputs(net, x), label)})
        run.result({"test/accuracy": accuracy(outputs(net, fresh), truth)}, held_out=len(fresh))
        run.result({"parameters": sum(p.numel() for p in net.parameters())})
        run.figure("boundary", decision_boundary(net, x, label))
        run.keep(net)

    def network(self) -> MLP:
        """A new network with two inputs and one output, the logit of class 1."""
        return MLP(2, [self.hidden] * self.depth, 1, self.activation)

    def example(self) -> Tensor:
        """Two points."""
        return torch.tensor([[0.5, 0.0], [0.0, -0.5]])

    def demo(self) -> Demo:
        """Place points, choose a network, and watch its boundary form."""
        x, label = data.two_spirals(120, 1.0, self.noise)
        spirals = [(float(a), float(b), int(c)) for (a, b), c in zip((x / x.abs().max()).tolist(), label, strict=True)]
        cross = [(-0.6, 0.6, 0), (0.6, -0.6, 0), (0.6, 0.6, 1), (-0.6, -0.6, 1)]
        controls: Controls = {
            "points": Points("Click to place points", examples={"two spirals": spirals, "exclusive or": cross}),
            "depth": Choice("Hidden layers", ["0", "1", "2", "3"], "2"),
            "hidden": Choice("Units in each", ["2", "4", "8", "32"], "8"),
            "activation": Choice("Activation", ["relu", "tanh", "sigmoid", "identity"], "tanh"),
            "seed": Slider("Seed of the first weights", 0, 99, 0, 1),
        }
        return Demo("Can it part the colours?", controls, watch, ["yes", "nearly", "no"], trained=False, live=False)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the classes at one point: two numbers, or the text ``0.5 -0.2``."""
        p = net(data.read_numbers(input, 2, "x and y")).sigmoid().item()
        return {"class 0": 1 - p, "class 1": p}


def watch(
    net: None, points: list[tuple[float, float, int]], depth: str, hidden: str, activation: Activation, seed: float
) -> Iterator[Answer]:
    """A network of that shape learns these points."""
    torch.manual_seed(int(seed))
    yield grow(points, MLP(2, [int(hidden)] * int(depth), 1, activation))
