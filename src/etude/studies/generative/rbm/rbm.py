"""The restricted Boltzmann machine: the difference between data and dreams."""

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
    """Learn the distribution of handwritten digits, and measure how probable it makes digits never
    seen.
    """

    hidden: Count = 128  # bits that are not seen
    method: Literal["pcd", "cd"] = (
        "pcd"  # where the model's chains begin: where they were, or at the data
    )
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
        seen, checked, tested = (
            self.bits(run.place(part.inputs)) for part in (rows, validation, digits.test)
        )
        other: Literal["pcd", "cd"] = "cd" if self.method == "pcd" else "pcd"

        net, line = self.train(run, images, seen, checked, self.hidden, self.method, self.epochs)
        _, line_of_other = self.train(run, images, seen, checked, self.hidden, other, self.epochs)
        small, _ = self.train(
            run, images, seen, checked, self.small, self.method, self.epochs / 10, "small"
        )

        base = log_odds(seen)
        log_w = annealed(net, base, self.temperatures, self.chains)
        net.log_z.copy_(log_mean(log_w))
        for part, v in (("train", seen), ("validation", checked), ("test", tested)):
            reached = net.log_likelihood(v).mean()
            run.result(
                {f"{part}/log-likelihood": reached}, held_out=0 if part == "train" else len(v)
            )
        alone = independent(seen, tested, 1).mean()
        run.result({"test/independent pixels": alone}, held_out=len(tested))
        run.result({"gain over independent pixels": reached - alone}, held_out=len(tested))

        exact, estimate = (
            log_partition(small),
            log_mean(annealed(small, base, self.temperatures, self.chains)),
        )
        run.result({"small/log Z": exact, "small/error of log Z": (estimate - exact).abs()})
        steps = [n for n in (3, 10, 30, 100, 300, 1_000) if n < self.temperatures] + [
            self.temperatures
        ]
        errors = {
            n: log_mean(annealed(small, base, n, self.chains).view(-1, 5)) - exact for n in steps
        }
        run.figure("annealing", annealing(log_w, float(net.log_z), errors))
        lines = {
            f"{name.upper()}-{self.k}": each
            for name, each in ((self.method, line), (other, line_of_other))
        }
        run.figure("rising", rising(lines, float(independent(seen, checked, 1).mean())))
        run.figure(
            "filters",
            filter_grid(net.W.T.view(-1, 1, 8, 8), "weights of the hidden bits", columns=16),
        )
        self.draw(run, net, tested, digits.test.labels)
        run.keep(net)

    def train(
        self,
        run: Run,
        images: Tensor,
        seen: Tensor,
        checked: Tensor,
        hidden: int,
        method: str,
        epochs: float,
        name: str = "",
    ) -> tuple[RBM, Tensor]:
        """A machine, and its log-likelihood of validation images over training: (20, 2), epoch and
        nats.
        """
        batches = Batches([images], self.batch, augment=self.varied)
        steps = round(epochs * len(batches))
        net, base = run.place(RBM(64, hidden)), log_odds(seen)
        net.a.data.copy_(base)
        optimizer = descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule, line = LambdaLR(optimizer, cosine(steps)), Trail()
        chains = Chains(seen[torch.randint(len(seen), (self.batch,))])
        for (v,) in run.steps(
            batches, steps, state=(net, optimizer, schedule, chains, line), name=name or method
        ):
            chains.v = net.gibbs(chains.v if method == "pcd" else v, self.k)
            net.climb(v, chains.v)
            optimizer.step()
            schedule.step()
            if run.every(max(1, steps // 20)):
                log_z = log_mean(annealed(net, base, 300, 100))
                reached = (-net(checked) - log_z).mean().detach()
                line.keep(
                    torch.stack(
                        [torch.tensor((run.step + 1) / len(batches)), reached.cpu().float()]
                    )
                )
                run.log(**{"validation/log-likelihood": reached})
        return net, line.stacked()

    def draw(self, run: Run, net: RBM, tested: Tensor, labels: Tensor) -> None:
        """Pictures of what the machine draws: there and back from test images, and on and on from
        noise.
        """
        one_each = torch.stack([(labels == k).nonzero()[0, 0] for k in range(10)])
        with torch.no_grad():
            v = tested[one_each]
            there, later = net.visible(net.hidden(v).bernoulli()), net.gibbs(v, 10)
            names = ["test image", "there and back", "ten steps later"]
            run.figure("reconstructions", mosaic({"": torch.stack([v, there, later])}, names))
            v, frames, steps = (
                torch.rand(60, 64, device=v.device).round(),
                [],
                [*range(20), *range(20, 200, 5)],
            )
            for step in range(steps[-1] + 1):
                v = net.gibbs(v)
                if step in steps:
                    frames.append(net.visible(net.hidden(v).bernoulli()).view(5, 12, 64).cpu())
        run.animation(
            "fantasy",
            moving_pictures(torch.stack(frames), [step + 1 for step in steps]),
            fps=8,
            cover=True,
        )

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
