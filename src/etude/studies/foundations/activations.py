r"""Signals through fifty layers: activations, and how weights should begin.

Before a network learns anything, a signal has to come through it forward and a gradient backward. Fifty layers multiply
fifty times. If each makes the signal smaller by a fifth, $0.8^{50} = 10^{-5}$ is left, and nothing is learned from it.
So the first weights are drawn at a scale that keeps the signal's. Which scale that is depends on the activation.

$$z_l = W_l h_{l-1}, \qquad h_l = \phi(z_l), \qquad h_0 = x \sim N(0, 1), \qquad l = 1 \ldots L.$$

**Forward.** Let a layer have $n$ inputs, and its weights mean 0 and variance $\sigma^2$, independent of $h_{l-1}$. Then
$z_l$ has mean 0, and in a sum of independent terms variances add up:

$$\text{Var} \, z_l = n \sigma^2 \, E[h_{l-1}^2].$$

Without an activation $E[h^2] = \text{Var} \, z$, and the variance stays where $\sigma^2 = 1 / n$. ReLU cuts off half of
a symmetric distribution, $E[\max(0, z)^2] = \frac{1}{2} \text{Var} \, z$, and needs $\sigma^2 = 2 / n$. Any other
$\sigma$ gives a factor $c = n \sigma^2$, or half of that, in every layer, and $c^{(L - 1) / 2}$ on the standard
deviation in the end: ReLU with $\sigma^2 = 1 / n$ comes to $2^{-24.5} = 10^{-7.4}$.

**Backward.** With $\delta_l = \partial J / \partial z_l$, the same argument runs through the transposed weights:

$$\delta_l = \phi'(z_l) \, W_{l+1}^\top \delta_{l+1}, \qquad
\text{Var} \, \delta_l = n' \sigma^2 \, E[\phi'(z_l)^2] \, \text{Var} \, \delta_{l+1},$$

where $n'$ counts outputs. For ReLU $E[\phi'^2] = \frac{1}{2}$, for none 1: both ask for the same $\sigma$ as before,
with $n'$ in place of $n$. *Xavier* (Glorot & Bengio) takes the mean of both, $\sigma^2 = 2 / (n + n')$. *Kaiming* (He
et al.) takes $2 / n$. *Orthogonal* weights, $W^\top W = I$, keep the length of every single vector, not only the mean
over many: without an activation signal and gradient stay exactly what they are, through any depth.

**Gain.** For other activations let $\sigma = g / \sqrt n$ with the *gain* $g = E[\phi(u)^2]^{-1/2}$, $u \sim N(0, 1)$.
Then $\text{Var} \, z = 1$ reproduces itself, and the gradient's variance grows by $E[\phi'^2] / E[\phi^2]$ in each
layer. Only where the activation is two straight lines through 0 is that exactly 1. The table *gains* has the others.
Tanh bends the signal down by itself: near 0, $E[\tanh(z)^2] \approx q - 2 q^2$ for $q = \text{Var} \, z$, so with
$\sigma^2 = 1 / n$ the inverse $1 / q$ gains 2 in each layer, and after fifty $\sqrt q \approx 1 / \sqrt{99} = 0.10$. It
fades like a root, not like a power. That is why Xavier's rule suits it.

**What goes wrong.** *Zero*: every $\delta_l$ but the last is 0 and every $h_l$ is $\phi(0)$, for most activations 0
too, so no weight learns. *Small*: both vanish. *Large*: with ReLU both explode; with tanh the signal can't, but sits at
$\pm 1$, where $\phi' \approx 0$. Yet through the few units in between, with weights so large, its gradient explodes.

**Not exactly.** These are means over weights, and a network has one draw. For one input, given $h_{l-1}$, the $n$
numbers of $z_l$ are independent and normal, so the mean square of ReLU's $h_l$ strays by $\sqrt{5 / n}$ of itself in
each layer. The logarithm of the standard deviation walks at random, by $\sqrt{5 L / 4 n}$ after $L$ layers: 0.78 for
100 units, 0.20 for 1,600. It is the ratio of depth to width that counts. So the claim, "within a factor of 2 over fifty
layers", is one for wide networks. Largest factor on the way: 3.4 with 100 units, 1.7 with 400, 1.28 with 1,600 (means
of seeds 0 to 2, as below).

**Does it matter?** Networks with 20 layers of 64 ReLUs are trained on the digits. Test accuracy after 200 steps with
momentum: Kaiming 0.90, Xavier 0.19, small 0.10. Small answers every picture alike, and its loss stays at $\log 10$.
Xavier's signal comes out a thousand times too small, and the network has only just begun to learn.

What to look at
---------------
- *curves*: activations and derivatives. The hard limit's is dashed, for it is lent: its own is 0.
- *layers*: straight lines are powers of $c$. Which line is level depends on the column.
- *spread*: tanh of all numbers, layer by layer. Dead at 0, alive in between, or stuck at $\pm 1$.
- *signal*: the largest ratio of any layer to the first (of gradients: to the last), in powers of ten.

Exercises
---------
1. `etude run activations --activations selu gelu sigmoid`. Which of them has a rule here that suits it? The signal of
   one looks well everywhere. Does its gradient?
2. `etude run activations --depth 100`. Which numbers are squared, and which hardly change?
3. `etude run activations --optimizer adam --learning-rate 0.001`. Adam divides by the gradient's size. Whom does that
   rescue, whom not, and what has `eps` to do with it?
4. `etude run activations --layers 5`. Until what depth would you not have noticed?
5. Derive the 5 of $\sqrt{5 / n}$ from $E[u^4] = 3$. What stands there without an activation?

References
----------
Glorot, X. & Bengio, Y. (2010). Understanding the difficulty of training deep feedforward neural networks. AISTATS.

Saxe, A. M., McClelland, J. L. & Ganguli, S. (2014). Exact solutions to the nonlinear dynamics of learning in deep
linear neural networks. ICLR.

He, K., Zhang, X., Ren, S. & Sun, J. (2015). Delving deep into rectifiers. ICCV.

Schoenholz, S. S., Gilmer, J., Ganguli, S. & Sohl-Dickstein, J. (2017). Deep information propagation. ICLR.

Hanin, B. & Rolnick, D. (2018). How to start training: the effect of initialization and architecture. NeurIPS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.signals import curves_with_slopes, spread_by_layer, through_layers
from etude.layers.activations import ACTIVATIONS, dense
from etude.runs.run import Run
from etude.study import Count, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.comparison import compare
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.schedules import cosine

INITIALISATIONS = ("zero", "small", "large", "xavier", "kaiming", "orthogonal")
Sizes = dict[str, dict[str, tuple[list[float], list[float]]]]  # activation → initialisation → signal, gradient by layer


def curve(name: str, z: Tensor) -> tuple[Tensor, Tensor]:
    """An activation and its derivative, both like z; that of Maxout for the pieces z and -z."""
    z = z.clone().requires_grad_()
    pieces = torch.stack([z, -z], 1) if name == "maxout" else z[:, None]
    values = ACTIVATIONS[name]()(pieces).squeeze(1)
    (slopes,) = torch.autograd.grad(values.sum(), z)
    return values.detach(), slopes


def moments(name: str) -> tuple[float, float]:
    """E φ(z)² and E φ'(z)² for a standard normal z."""
    z = torch.linspace(-12, 12, 24_002, dtype=torch.float64)
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    values, slopes = curve(name, z)
    return torch.trapezoid(values**2 * density, z).item(), torch.trapezoid(slopes**2 * density, z).item()


def sizes(layers: list[Tensor]) -> list[float]:
    """The root mean square of each layer; these have mean 0, so it is their standard deviation."""
    return [values.detach().double().square().mean().sqrt().item() for values in layers]


@dataclass
class Activations(Study):
    """Follow signal and gradient through fifty layers, for each initialisation and activation; then train some."""

    depth: Count = 50  # layers that the signal passes
    width: Count = 256  # units of each
    inputs: Count = 32  # random inputs that pass together
    activations: tuple[
        Literal["identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "swish", "gelu"], ...
    ] = ("identity", "tanh", "relu")  # that the signal passes
    small: Positive = 0.02  # standard deviation of weights that are too small
    large: Positive = 0.2  # standard deviation of weights that are too large
    widths: tuple[Count, ...] = (100, 400, 1600)  # of networks that begin as Kaiming says, with ReLU
    layers: Count = 20  # hidden layers of 64 ReLUs in the networks that are trained
    steps: Count = 200  # of training
    batch: Count = 64  # digits a step
    optimizer: OptimizerName = "momentum"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 0.05  # at the start; falls to zero along half a cosine
    seeds: Count = 3  # of everything that is random, for each mean

    claims = [
        Claim("kaiming relu/factor", at_most=2.0, each=True, source="He et al. (2015); bound: curriculum"),
        Claim("orthogonal identity/drift", at_most=1e-5, each=True, source="Saxe et al. (2014): exact"),
        Claim("kaiming/test/accuracy", at_least=0.8, source="He et al. (2015), figure 3; bound: Etude"),
        Claim("small/test/accuracy", at_most=0.2, source="He et al. (2015), figure 3; bound: Etude"),
    ]
    courses = ["OU", "ITU", "CU P5"]

    def __call__(self, run: Run) -> None:
        z = torch.linspace(-4, 4, 802)  # without 0, where some have no derivative
        shown = {name.replace("_", " "): curve(name, z) for name in ACTIVATIONS if name != "identity"}
        shown["maxout of z and −z"] = shown.pop("maxout")
        run.figure("curves", curves_with_slopes(z, shown, lent=["hard limit"], columns=5))
        smooth = {name: moments(name) for name in ACTIVATIONS if name not in ("hard_limit", "maxout")}
        rows = [(name, square, square**-0.5, slope / square) for name, (square, slope) in smooth.items()]
        run.table("gains", ["activation", "E φ²", "gain", "E φ'² / E φ²"], rows)

        measured: Sizes = {}
        variants = {
            f"{start} {name}": partial(self.follow, name=name, start=start, measured=measured)
            for name in self.activations
            for start in INITIALISATIONS
        }
        compare(run, variants, self.seeds, "drift", better="lower", name="signal")
        run.figure("layers", through_layers(measured))
        starts = ("small", "xavier", "kaiming", "large")
        spread = {
            f"tanh(z), {start}": [z.detach().tanh() for z in self.forward("tanh", start, self.width)]
            for start in starts
        }
        run.figure("spread", spread_by_layer(spread, reach=1.0))

        widths = {f"{width:,} units": partial(self.wander, width=width) for width in self.widths}
        found = compare(run, widths, self.seeds, "factor", better="lower", name="width")
        run.result({"kaiming relu/factor": found.mean(list(widths)[-1], "factor")})

        trained = {start: partial(self.train, start=start) for start in ("small", "xavier", "kaiming")}
        compare(run, trained, self.seeds, "test/accuracy", name="training")

    @torch.no_grad()
    def begin(self, weight: Tensor, start: str) -> Tensor:
        """Fill a weight matrix (outputs, inputs) as an initialisation says."""
        if start == "orthogonal":
            return nn.init.orthogonal_(weight)
        n_out, n_in = weight.shape
        variance = {
            "zero": 0.0, "small": self.small**2, "large": self.large**2,
            "xavier": 2 / (n_in + n_out), "kaiming": 2 / n_in,
        }  # fmt: skip
        return weight.normal_(0, math.sqrt(variance[start]))

    def forward(self, name: str, start: str, width: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        """z_1 … z_depth of standard normal inputs: W_l φ(z_{l-1}), each (inputs, width)."""
        phi, h, z = ACTIVATIONS[name](), torch.randn(self.inputs, width, dtype=dtype), []
        for _ in range(self.depth):
            W = self.begin(torch.empty(width, width), start).to(dtype)
            z.append((h @ W.T).requires_grad_())
            h = phi(z[-1])
        return z

    def follow(self, run: Run, name: str, start: str, measured: Sizes) -> None:
        """One network: the signal forward, and a gradient of size 1 from the last layer backward."""
        z = self.forward(name, start, self.width, torch.float64)  # 1e-33 and 1e25 have to fit, and their squares
        gradients = torch.autograd.grad(z[-1], z, torch.randn_like(z[-1]))
        signal, gradient = sizes(z), sizes(list(gradients))
        run.result({"signal": signal[-1], "gradient": gradient[0]})
        if start != "zero":  # nothing is left of which to take a logarithm
            ratios = [s / signal[0] for s in signal] + [g / gradient[-1] for g in gradient]
            run.result({"drift": max(abs(math.log10(ratio)) for ratio in ratios)})
            measured.setdefault(name, {})[start] = signal, gradient

    def wander(self, run: Run, width: int) -> None:
        """How far the signal of one network strays from its size in the first layer."""
        with torch.no_grad():
            signal = sizes(self.forward("relu", "kaiming", width))
        run.result({"factor": max(max(s / signal[0], signal[0] / s) for s in signal)})

    def train(self, run: Run, start: str) -> None:
        """A deep network on the digits."""
        digits = data.uci_digits()
        train, test = digits.train.inputs.flatten(1).float(), digits.test.inputs.flatten(1).float()
        mean, deviation = train.mean(), train.std()
        train, test = run.place((train - mean) / deviation), run.place((test - mean) / deviation)
        net = run.place(nn.Sequential(*(dense("relu", 64, 64) for _ in range(self.layers)), nn.Linear(64, 10)))
        for p in net.parameters():
            self.begin(p, start) if p.ndim == 2 else nn.init.zeros_(p)
        optimizer = descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, cosine(self.steps))
        batches = Batches((train, run.place(digits.train.labels)), self.batch)

        for x, label in run.steps(batches, self.steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(x), label)
            run.minimise(loss, optimizer, schedule, clip=1.0)
            run.log(loss=loss)

        run.result({"train/loss": cross_entropy(outputs(net, train), run.place(digits.train.labels))})
        right = accuracy(outputs(net, test), run.place(digits.test.labels))
        run.result({"test/accuracy": right}, held_out=len(test))
