r"""Normalisation: five norms, and what is left of them in small mini-batches.

Each layer learns from what the layer before it gives. But that one learns too, so its values drift and their scale
grows or shrinks from step to step. A *norm* between the two takes mean and scale out, and puts learned ones in:

$$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad y = \gamma_c \hat x + \beta_c.$$

**Over what?** Values have four indices: image, channel, row, column. Norms differ in which of them share a $\mu$ and a
$\sigma$. With $N$ images in a mini-batch, $C$ channels in $G$ groups, and $P$ pixels:

| norm | shares its statistics | values behind each, $m$ |
|---|---|---|
| batch | a channel, over all images | $N P$ |
| instance | a channel of one image | $P$ |
| group | neighbouring channels of one image | $P C / G$ |
| layer | one image | $P C$ |

The last three treat every image alone, in training as later. Batch norm ties the images of a mini-batch together. When
the network is used, an image may come alone, so *running* statistics take over, gathered during training:
$\mu \leftarrow \mu + \alpha (\mu_B - \mu)$, and so the variance. Training and use are two different networks.

**What it does to the gradient.** $\mu$ and $\sigma$ depend on $x$, and that has to be differentiated as well. With
$g = \partial L / \partial \hat x$ and means over the $m$ values,

$$\frac{\partial L}{\partial x_i} = \frac{1}{\sigma} \big( g_i - \overline{g} - \hat x_i \, \overline{g \hat x} \big).$$

It has no part along $1$ and none along $\hat x$: no step is spent on shifting or scaling what the norm would undo.
That is why high learning rates stay stable.

**What small mini-batches do to batch norm.** $\mu_B$ is a mean of $m$ values and misses $\mu$ by about
$\sigma / \sqrt m$ if they are independent. Every image is shifted by this noise, which the running statistics don't
have. With $m = 2$ nothing but the order is left, $\hat x = \pm 1$; and of the gradient, which lacks two directions of
two, nothing. This network makes it plain: behind its first layer a channel has one pixel, so $m = N$.

**Batch renorm** puts the two networks together again. For any numbers, just by inserting,

$$\frac{x - \mu}{\sigma} = \frac{x - \mu_B}{\sigma_B} \, r + d, \qquad r = \frac{\sigma_B}{\sigma}, \qquad
d = \frac{\mu_B - \mu}{\sigma}.$$

So batch norm, scaled by $r$ and shifted by $d$, *is* the network in use. The trick is in the gradient: $r$ and $d$
count as constants, so that it stays the one above, times $r$. (With plain running statistics a step would shift the
values, the norm would follow later, and weights could grow without end.) Early running statistics are poor, so
$r \in [1/r_{max}, r_{max}]$ and $|d| \le d_{max}$ are bounded, tightly at first, and relaxed as the paper says.

**The comparison.** Every network is shown 1,024 images, in mini-batches of 64 to 2. The learning rate is in proportion
to the size, and running statistics go back 160 images. The second comparison keeps 16 images, but draws them from
a few of the ten digits: a mini-batch that is no fair sample. Both are held against test images.

What to look at
---------------
- *accuracy*, left: at 64 there are 16 steps, and only the two that know the batch learn fast enough to use them. At 4
  batch norm has fallen behind batch renorm (0.79 against 0.89, means of nine networks, `etude check normalization`). At
  2 no gradient passes the norms of one pixel, so that both learn with little more than the last map; that of renorm at
  least sees in use what it saw in training. The other norms know of no batch, and gain from the many steps.
- *accuracy*, right: fewer digits in a mini-batch. Batch norm takes out what its two digits have in common, which is
  not what all ten have in common. Group norm falls lowest. One reading: nothing keeps it from learning "it is one of
  these two" for every image, and the next mini-batch undoes that.
- *noise*: $d$ in the trained network. Left, the last norm: it widens as the mini-batch shrinks. Right: the later norms
  follow $1 / \sqrt m$, and at 64 the running mean's own noise adds to it. The first has less: all 16 pixels are in
  every image, so what differs between pixels is no noise.
- *sizes*, *mixtures*: all numbers, with 95 % intervals.

Exercises
---------
1. `etude run normalization --r-max 1 --d-max 0` corrects nothing. Which line should fall onto which?
2. `etude run normalization --depth 0` has fewer layers of one pixel. What is left of the gap at 4?
3. `etude run normalization --memory 1000`: older statistics. Which of the two is hurt, and why not the other?
4. `etude run normalization --sizes 1` ends with a sentence. Which norms could go on, and which can't?
5. `etude run normalization --mixtures 10 1`: one digit a mini-batch. What can batch norm learn from it?

References
----------
Ioffe, S. & Szegedy, C. (2015). Batch normalization: accelerating deep network training by reducing internal covariate
shift. ICML.

Ba, J. L., Kiros, J. R. & Hinton, G. E. (2016). Layer normalization. arXiv:1607.06450.

Ulyanov, D., Vedaldi, A. & Lempitsky, V. (2016). Instance normalization: the missing ingredient for fast stylization.
arXiv:1607.08022.

Ioffe, S. (2017). Batch renormalization: towards reducing minibatch dependence in batch-normalized models. NeurIPS.

Wu, Y. & He, K. (2018). Group normalization. ECCV.

Goyal, P. et al. (2017). Accurate, large minibatch SGD: training ImageNet in 1 hour. arXiv:1706.02677.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.intervals import Interval
from etude.figures.norms import noise_of_statistics
from etude.figures.settings import by_setting
from etude.layers.normalization import Affine, BatchNorm, BatchRenorm, GroupNorm, InstanceNorm, LayerNorm
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, Natural, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.comparison import compare, interval
from etude.training.evaluation import accuracy, evaluating, outputs
from etude.training.optimizers import descent
from etude.training.validation import split

NORMS = ("none", "batch", "renorm", "group", "layer", "instance")
SHOWN = "test/accuracy"


@dataclass
class Normalization(Study):
    """Train one small network with each of five norms, and with none, on smaller and smaller mini-batches."""

    sizes: tuple[Count, ...] = (64, 16, 4, 2)  # images in a mini-batch
    mixtures: tuple[Count, ...] = (10, 5, 3, 2)  # classes in a mini-batch of 16
    examples: Count = 1_024  # images that a network is shown, whatever the size of its mini-batches
    repeats: Count = 3  # networks of each kind, from seeds of their own
    width: Count = 16  # channels of the first convolution; the layers behind it have twice as many
    depth: Natural = 2  # fully connected layers behind the two convolutions
    groups: Count = 4  # of channels, for group norm
    memory: Count = 160  # images that running statistics go back
    r_max: Positive = 3.0  # the largest correction of the scale in batch renorm; 1: none
    d_max: Amount = 5.0  # the largest correction of the mean; 0: none
    optimizer: OptimizerName = "momentum"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 0.3  # for mini-batches of 64, and in proportion to their size; falls to zero along a line
    held_out: Fraction = 0.2  # part of the training data kept for validation

    claims = [
        Claim("renorm gain at 4", at_least=0.03, source="Ioffe (2017), section 4; bound: Etude"),
        Claim("renorm gain at 2 classes", at_least=0.1, source="Ioffe (2017), section 4; bound: Etude"),
    ]
    courses = ["ITU", "OU", "CU P10"]

    def __call__(self, run: Run) -> None:
        digits = data.uci_digits()
        sizes = {f"{n}": (n, 10) for n in self.sizes}
        mixtures = {f"{k} classes": (16, k) for k in self.mixtures}
        panels: dict[str, tuple[list[str], dict[str, list[Interval]]]] = {}
        for name, label, norms, settings in (
            ("sizes", "images in a mini-batch", NORMS, sizes),
            ("mixtures", "in mini-batches of 16 images", NORMS[1:4], mixtures),
        ):
            variants = {
                f"{norm}, {at}": partial(self.measure, digits=digits, norm=norm, size=size, classes=classes)
                for at, (size, classes) in settings.items()
                for norm in norms
            }
            found = compare(run, variants, self.repeats, SHOWN, name=name)
            for at in settings:
                gain = statistics.fmean(found.gain(f"renorm, {at}", f"batch, {at}", SHOWN))
                run.result({f"renorm gain at {at}": gain}, held_out=len(digits.test))
            reached = {norm: [interval(found.measured[f"{norm}, {at}"][SHOWN]) for at in settings] for norm in norms}
            panels[label] = [*settings], reached
        run.figure("accuracy", by_setting(panels, "accuracy on test images"))

        x = run.place(digits.train.inputs.float() / 16)
        longer = replace(self, examples=8 * self.examples)  # until weights and running statistics have come to rest
        net = longer.train(run, data.Labelled(x, digits.train.labels), "renorm", 16, 10)
        run.figure("noise", noise_of_statistics(*self.noise(net, x)))
        run.keep(net)

    def measure(self, run: Run, digits: data.Dataset[Tensor], norm: str, size: int, classes: int) -> None:
        """Train a network, and measure it on images that it has not seen."""
        rows, validation = split(run, digits.train, round(self.held_out * len(digits.train)))
        x = run.place(rows.inputs.float() / 16)
        net = self.train(run, data.Labelled(x, rows.labels), norm, size, classes)
        for part, seen in (("validation", validation), ("test", digits.test)):
            scores = outputs(net, run.place(seen.inputs.float() / 16))
            run.result({f"{part}/accuracy": accuracy(scores.cpu(), seen.labels)}, held_out=len(seen))

    def train(self, run: Run, rows: data.Labelled[Tensor], norm: str, size: int, classes: int) -> nn.Sequential:
        """A network trained on mini-batches of so many images, of so many classes."""
        net = run.place(self.network(norm, size))
        steps = max(1, self.examples // size)
        optimizer = descent(self.optimizer, net, self.learning_rate * size / 64)
        schedule = LambdaLR(optimizer, lambda step: 1 - step / steps)
        drawn = rows[torch.cat([mixture(rows.labels, size, classes) for _ in range(steps)])]
        batches = Batches((drawn.inputs, run.place(drawn.labels)), size, shuffle=False)
        for images, labels in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(images), labels)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
        return net

    def network(self, norm: str = "renorm", size: int = 64) -> nn.Sequential:
        """Two convolutions, fully connected layers, a last map; from the second layer on, a channel has one pixel."""
        w = self.width
        last = nn.Linear(2 * w, 10)
        behind = [
            layer
            for _ in range(self.depth)
            for layer in (nn.Linear(2 * w, 2 * w, bias=False), self.layer(norm, 2 * w, size, pixels=1), nn.ReLU())
        ]
        net = nn.Sequential(
            *(nn.Conv2d(1, w, 3, stride=2, padding=1, bias=False), self.layer(norm, w, size), nn.ReLU()),  # 8×8 → 4×4
            *(nn.Conv2d(w, 2 * w, 4, bias=False), self.layer(norm, 2 * w, size, pixels=1), nn.ReLU()),  # 4×4 → 1
            *(nn.Flatten(), *behind, last),
        )
        for map in net:
            if isinstance(map, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(map.weight)
        nn.init.normal_(last.weight, std=0.01)  # every digit is almost equally likely at first
        return net

    def layer(self, norm: str, channels: int, size: int, pixels: int = 16) -> nn.Module:
        """A norm for so many channels."""
        α = min(1.0, size / self.memory)
        if norm == "batch":
            return BatchNorm(channels, α)
        if norm == "renorm":
            return BatchRenorm(channels, max(1, self.examples // size), α, self.r_max, self.d_max)
        if norm == "group":
            return GroupNorm(self.groups, channels)
        if norm == "layer":
            return LayerNorm(channels)
        if norm == "instance" and pixels > 1:
            return InstanceNorm(channels)
        return Affine(channels)  # none; and one pixel has no statistics of its own

    def example(self) -> Tensor:
        """Two images with values from 0 to 1."""
        return torch.rand(2, 1, 8, 8)

    def noise(self, net: nn.Sequential, x: Tensor) -> tuple[dict[str, dict[int, Tensor]], dict[str, int]]:
        """Of each norm and size d = (μ_B - μ) / σ, (batches, channels); and of each norm the pixels of a channel."""
        errors: dict[str, dict[int, Tensor]] = {}
        pixels: dict[str, int] = {}
        with evaluating(net):
            for layer in net:
                if isinstance(layer, BatchRenorm):
                    name = f"norm {len(errors) + 1}"
                    values = x.reshape(len(x), len(layer.mean), -1)  # (images, channels, pixels)
                    z = ((values.mean(2) - layer.mean) / layer.deviation).cpu()
                    errors[name] = {size: z[torch.randint(len(z), (500, size))].mean(1) for size in self.sizes}
                    pixels[name] = values.shape[2]
                x = layer(x)
        return errors, pixels


def mixture(labels: Tensor, size: int, classes: int) -> Tensor:
    """Rows of a mini-batch whose images are drawn from some of the ten classes alone: (size,)."""
    chosen = torch.isin(labels, torch.randperm(10)[:classes]).nonzero().squeeze(1)
    return chosen[torch.randperm(len(chosen))[:size]]
