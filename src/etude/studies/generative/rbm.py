r"""The restricted Boltzmann machine: the difference between data and dreams.

Give every picture $v$ of bits an energy, and make the probable ones low. Bits that are not seen, $h$, tie those that
are seen together:

$$E(v, h) = - a \cdot v - b \cdot h - v^\top W h, \qquad
p(v, h) = \frac{e^{-E(v, h)}}{Z}, \qquad Z = \sum_{v, h} e^{-E(v, h)}.$$

*Restricted* says that there are no ties within a layer. Given $v$ the bits of $h$ are then independent, and
$p(h_j = 1 | v) = \sigma(b_j + (v^\top W)_j)$; likewise $p(v_i = 1 | h) = \sigma(a_i + (W h)_i)$. Drawing one layer from
the other in turn, *Gibbs sampling*, leads to draws from $p(v, h)$. And the sum over $h$ is a formula:

$$F(v) = -\log \sum_h e^{-E(v, h)} = - a \cdot v - \sum_j \log(1 + e^{b_j + (v^\top W)_j}), \qquad
\log p(v) = -F(v) - \log Z.$$

**The gradient.** $\partial \log Z = \frac{1}{Z} \sum_{v, h} e^{-E} \, (-\partial E)$ is a mean over the machine's own
draws, and $-\partial F(v)$ is one over $p(h|v)$. As $-\partial E / \partial W = v h^\top$,

$$\frac{\partial \log p}{\partial W} = \left\langle v h^\top \right\rangle_{\text{data}} -
\left\langle v h^\top \right\rangle_{\text{model}}.$$

What is seen is made more probable, what is dreamt less, until the two agree. `statistics` takes these means, `climb`
their difference; nothing is differentiated by the machine. A test holds it to differences of the exact likelihood.

**Where dreams come from.** A chain long enough for a true draw is far too long.

- *Contrastive divergence*, CD-k: begin at the data and take $k$ steps. What the chain can't reach from there, deep pits
  of energy far from all data, goes unseen and unpunished.
- *Persistent* chains, PCD: go on where the chain was a step of learning ago. The machine has hardly changed since. And
  where a chain lingers, energy rises, which drives it on.

**How good is it?** $Z$ has $2^{64+128}$ terms. *Annealed importance sampling*: let $p_0$ be a machine without ties,
whose $Z_0$ is known, and $p_\beta$ a way from it to the machine at $\beta = 1$. A chain begins with a draw from $p_0$;
at each $\beta$ it is weighted by $p^*_{\beta'}(v) / p^*_\beta(v)$, where $p^*$ is not divided by $Z$, and makes a Gibbs
step for $\beta'$. The product of the weights, times $Z_0$, has $Z$ as its mean, however few the steps. Its logarithm
falls short, by Jensen, so too few steps flatter the machine. Hence the check: a machine so small that all states of
its hidden layer can be gone through, and $Z$ is exact.

**The pictures** are the UCI digits. A pixel, which counts 0 to 16, is a bit: 4 and more is ink, where the bits of the
training images are the least predictable on their own. While learning, pictures are turned, shifted and scaled a
little first.

What to look at
---------------
- *fantasy*: chains that begin as noise. Each frame shows $p(v|h)$. How long does a digit stay itself?
- *filters*: the column of $W$ of each hidden bit. Strokes, and what must not be beside them.
- *rising*: CD-1 and PCD over training, by the same measure.
- *annealing*: on the right dots leave the grey band of 0.1 nats where there are too few temperatures.

Exercises
---------
1. `etude run rbm --method cd --k 10`: does CD-10 come between the two?
2. `etude run rbm --hidden 16 --small 16`: how many nats do 112 bits earn?
3. `etude run rbm --turn 0 --shift 0 --zoom 0`: compare `train/log-likelihood` with the one of test images.
4. Let the sum `exact` run over the visible layer: `etude run rbm --small 20` takes 2^20 terms. What would 64 take?

References
----------
Smolensky, P. (1986). Information processing in dynamical systems: foundations of harmony theory.

Hinton, G. E. (2002). Training products of experts by minimizing contrastive divergence. Neural Computation 14.

Tieleman, T. (2008). Training restricted Boltzmann machines using approximations to the likelihood gradient. ICML.

Neal, R. M. (2001). Annealed importance sampling. Statistics and Computing 11.

Salakhutdinov, R. & Murray, I. (2008). On the quantitative analysis of deep belief networks. ICML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.boltzmann import annealing, moving_pictures, rising
from etude.figures.images import filter_grid
from etude.figures.latent import mosaic
from etude.networks.rbm import RBM, Chains, annealed, log_mean, log_odds, log_partition
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, OptimizerName, Positive, Study
from etude.training.augmentation import random_affine
from etude.training.batches import Batches
from etude.training.evaluation import independent
from etude.training.optimizers import descent
from etude.training.schedules import cosine
from etude.training.trail import Trail
from etude.training.validation import split


@dataclass
class RestrictedBoltzmannMachine(Study):
    """Learn the distribution of handwritten digits, and measure how probable it makes digits never seen."""

    hidden: Count = 128  # bits that are not seen
    method: Literal["pcd", "cd"] = "pcd"  # where the model's chains begin: where they were, or at the data
    k: Count = 1  # Gibbs steps for each step of learning
    epochs: Positive = 1200.0  # passes over the training data
    batch: Count = 100  # images a step, and persistent chains
    optimizer: OptimizerName = "sgd"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 0.3  # at first; falls to zero along half a cosine
    weight_decay: Amount = 1e-3  # the L2 penalty on W
    threshold: Count = 4  # of 16, from which on a pixel is ink
    turn: Amount = 4.0  # augmentation: degrees, each way
    shift: Amount = 0.15  # augmentation: pixels, each way
    zoom: Fraction = 0.04  # augmentation: part of the size, each way
    small: Count = 14  # hidden bits of the machine whose partition function is exact; at most 20
    temperatures: Count = 3_000  # on the way from independent pixels to the machine
    chains: Count = 200  # weights that are averaged
    held_out: Fraction = 0.1  # part of the training data kept for validation

    claims = [
        Claim("gain over independent pixels", at_least=10, source="floor of the curriculum"),
        Claim("small/error of log Z", at_most=0.1, each=True, source="floor of the curriculum"),
    ]
    courses = ["OU", "ITU"]

    def __call__(self, run: Run) -> None:
        digits = data.uci_digits()
        rows, validation = split(run, digits.train, round(self.held_out * len(digits.train)))
        images = run.place(rows.inputs)
        seen, checked, tested = (self.bits(run.place(part.inputs)) for part in (rows, validation, digits.test))
        other: Literal["pcd", "cd"] = "cd" if self.method == "pcd" else "pcd"

        net, line = self.train(run, images, seen, checked, self.hidden, self.method, self.epochs)
        _, line_of_other = self.train(run, images, seen, checked, self.hidden, other, self.epochs)
        small, _ = self.train(run, images, seen, checked, self.small, self.method, self.epochs / 10, "small")

        base = log_odds(seen)
        log_w = annealed(net, base, self.temperatures, self.chains)
        net.log_z.copy_(log_mean(log_w))
        for part, v in (("train", seen), ("validation", checked), ("test", tested)):
            reached = net.log_likelihood(v).mean()
            run.result({f"{part}/log-likelihood": reached}, held_out=0 if part == "train" else len(v))
        alone = independent(seen, tested, 1).mean()
        run.result({"test/independent pixels": alone}, held_out=len(tested))
        run.result({"gain over independent pixels": reached - alone}, held_out=len(tested))

        exact, estimate = log_partition(small), log_mean(annealed(small, base, self.temperatures, self.chains))
        run.result({"small/log Z": exact, "small/error of log Z": (estimate - exact).abs()})
        steps = [n for n in (3, 10, 30, 100, 300, 1_000) if n < self.temperatures] + [self.temperatures]
        errors = {n: log_mean(annealed(small, base, n, self.chains).view(-1, 5)) - exact for n in steps}
        run.figure("annealing", annealing(log_w, float(net.log_z), errors))
        lines = {f"{name.upper()}-{self.k}": each for name, each in ((self.method, line), (other, line_of_other))}
        run.figure("rising", rising(lines, float(independent(seen, checked, 1).mean())))
        run.figure("filters", filter_grid(net.W.T.view(-1, 1, 8, 8), "weights of the hidden bits", columns=16))
        self.draw(run, net, tested, digits.test.labels)
        run.keep(net)

    def train(
        self, run: Run, images: Tensor, seen: Tensor, checked: Tensor, hidden: int, method: str, epochs: float,
        name: str = "",
    ) -> tuple[RBM, Tensor]:  # fmt: skip
        """A machine, and its log-likelihood of validation images over training: (20, 2), epoch and nats."""
        batches = Batches([images], self.batch, augment=self.varied)
        steps = round(epochs * len(batches))
        net, base = run.place(RBM(64, hidden)), log_odds(seen)
        net.a.data.copy_(base)
        optimizer = descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule, line = LambdaLR(optimizer, cosine(steps)), Trail()
        chains = Chains(seen[torch.randint(len(seen), (self.batch,))])
        for (v,) in run.steps(batches, steps, state=(net, optimizer, schedule, chains, line), name=name or method):
            chains.v = net.gibbs(chains.v if method == "pcd" else v, self.k)
            net.climb(v, chains.v)
            optimizer.step()
            schedule.step()
            if run.every(max(1, steps // 20)):
                log_z = log_mean(annealed(net, base, 300, 100))
                reached = (-net(checked) - log_z).mean().detach()
                line.keep(torch.stack([torch.tensor((run.step + 1) / len(batches)), reached.cpu().float()]))
                run.log(**{"validation/log-likelihood": reached})
        return net, line.stacked()

    def draw(self, run: Run, net: RBM, tested: Tensor, labels: Tensor) -> None:
        """Pictures of what the machine draws: there and back from test images, and on and on from noise."""
        one_each = torch.stack([(labels == k).nonzero()[0, 0] for k in range(10)])
        with torch.no_grad():
            v = tested[one_each]
            there, later = net.visible(net.hidden(v).bernoulli()), net.gibbs(v, 10)
            names = ["test image", "there and back", "ten steps later"]
            run.figure("reconstructions", mosaic({"": torch.stack([v, there, later])}, names))
            v, frames, steps = torch.rand(60, 64, device=v.device).round(), [], [*range(20), *range(20, 200, 5)]
            for step in range(steps[-1] + 1):
                v = net.gibbs(v)
                if step in steps:
                    frames.append(net.visible(net.hidden(v).bernoulli()).view(5, 12, 64).cpu())
        run.animation("fantasy", moving_pictures(torch.stack(frames), [step + 1 for step in steps]), fps=8, cover=True)

    def bits(self, images: Tensor) -> Tensor:
        """Ink or none, (rows, 1, 8, 8) → (rows, 64)."""
        return (images.flatten(1) >= self.threshold).float()

    def varied(self, images: Tensor, generator: Generator) -> Tensor:
        """The bits of a turned, shifted and scaled version of each image."""
        return self.bits(random_affine(images.float(), generator, self.turn, self.shift, self.zoom))

    def network(self) -> RBM:
        """A new machine for 64 pixels."""
        return RBM(64, self.hidden)

    def example(self) -> Tensor:
        """Two pictures of bits."""
        return torch.rand(2, 64).round()

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """log p(v) in nats for one picture: a file, an array or a tensor."""
        v = self.bits(data.like_uci(input)[None])
        assert isinstance(net, RBM)
        return {"free energy": net(v).item(), "log p": net.log_likelihood(v).item()}
