"""The restricted Boltzmann machine: data against the samples of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Fraction,
    OptimizerName,
    Positive,
    Run,
    Study,
    data,
    figures,
    training,
)
from etude.networks.rbm import RBM
from etude.studies.generative._figures import mosaic, mosaic_film

from ._baseline import best_mixture
from ._chains import Chains
from ._figures import annealing, rising
from ._likelihood import annealed_log_weights, log_mean, log_odds, log_partition


@dataclass
class RestrictedBoltzmannMachine(Study[RBM]):
    """Learn the distribution of handwritten digits, and measure the probability of unseen ones."""

    hidden: Count = 128  # hidden bits
    method: Literal["pcd", "cd"] = "pcd"  # chains that persist, or that begin at the data
    k: Count = 1  # Gibbs steps for each step of learning
    epochs: Positive = 1200.0  # passes over the training data
    batch: Count = 100  # images a step, and the number of persistent chains
    optimizer: OptimizerName = "sgd"  # the update rule; change learning_rate with it
    learning_rate: Positive = 0.3  # initial learning rate; falls to zero along half a cosine
    weight_decay: Amount = 1e-3  # strength of the L2 penalty
    threshold: Count = 4  # of 16, the grey value from which on a pixel is ink
    rotation: Amount = 4.0  # augmentation: degrees, each way
    shift: Amount = 0.15  # augmentation: pixels, each way
    zoom: Fraction = 0.04  # augmentation: fraction of the size, each way
    tiny_hidden: Count = 14  # hidden bits of the machine whose Z is exact; at most 20
    temperatures: Count = 3_000  # steps from independent pixels to the machine
    chains: Count = 200  # importance weights that are averaged
    held_out: Fraction = 0.1  # fraction of the training data kept for validation

    claims = [
        Claim("gain over independent pixels", at_least=10, source="Etude"),
        Control(
            "mixture/gain over independent pixels",
            at_most=9,
            of="gain over independent pixels",
            without="hidden bits that share a picture",
        ),
        Claim("gain over a mixture", at_least=1, source="Etude"),
        Claim("small/error of log Z", at_most=0.1, each=True, source="Etude"),
        Control(
            "small/not annealed/error of log Z",
            at_least=1,
            of="small/error of log Z",
            without="temperatures in between",
        ),
    ]
    needs = ["logistic"]

    def __call__(self, run: Run) -> None:
        digits = data.uci_digits()
        held_out = round(self.held_out * len(digits.train))
        train_set, validation_set = training.split(run, digits.train, held_out)
        images = run.place(train_set.inputs)
        train = self.bits(images)  # (rows, 64)
        validation = self.bits(run.place(validation_set.inputs))
        test = self.bits(run.place(digits.test.inputs))

        other = "cd" if self.method == "pcd" else "pcd"
        sets = (images, train, validation)
        net, line = self.train(run, *sets, self.hidden, self.method, self.epochs)
        _, line_of_other = self.train(run, *sets, self.hidden, other, self.epochs)
        tiny, _ = self.train(run, *sets, self.tiny_hidden, self.method, self.epochs / 10, "small")

        base = log_odds(train)
        log_w = annealed_log_weights(net, base, self.temperatures, self.chains)
        net.log_z.copy_(log_mean(log_w))
        for part, v in {"train": train, "validation": validation, "test": test}.items():
            log_p = net.log_likelihood(v).mean()
            held_out = 0 if part == "train" else len(v)
            run.result({f"{part}/log-likelihood": log_p}, held_out=held_out)
        alone = training.independent(train, test, 1).mean()
        run.result({"test/independent pixels": alone}, held_out=len(test))
        run.result({"gain over independent pixels": log_p - alone}, held_out=len(test))
        mixed = best_mixture(train, validation).log_likelihood(test).mean()
        run.result({"test/mixture of Bernoullis": mixed}, held_out=len(test))
        run.result({"mixture/gain over independent pixels": mixed - alone}, held_out=len(test))
        run.result({"gain over a mixture": log_p - mixed}, held_out=len(test))

        errors = self.check(run, tiny, base)
        run.figure("annealing", annealing(log_w, float(net.log_z), errors))
        lines = {
            f"{self.method.upper()}-{self.k}": line,
            f"{other.upper()}-{self.k}": line_of_other,
        }
        alone = training.independent(train, validation, 1).mean()
        run.figure("rising", rising(lines, float(alone)))
        filters = net.W.T.view(-1, 1, 8, 8)
        run.figure(
            "filters", figures.filter_grid(filters, "weights of the hidden bits", columns=16)
        )
        self.draw(run, net, test, digits.test.labels)
        log_w = annealed_log_weights(tiny, base, 1, self.chains)
        error = (log_mean(log_w) - log_partition(tiny)).abs()
        run.result({"small/not annealed/error of log Z": error})
        run.keep(net)

    def train(
        self,
        run: Run,
        images: Tensor,
        train: Tensor,
        validation: Tensor,
        hidden: int,
        method: str,
        epochs: float,
        name: str = "",
    ) -> tuple[RBM, Tensor]:
        """A trained machine; epochs and log-likelihoods of validation images, (20, 2)."""
        batches = training.Batches([images], self.batch, augment=self.augment)
        steps = round(epochs * len(batches))
        net = run.place(RBM(64, hidden))
        base = log_odds(train)
        net.a.data.copy_(base)
        optimizer = training.descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, training.cosine(steps))
        line = training.History()
        chains = Chains(train[torch.randint(len(train), (self.batch,))])
        state = (net, optimizer, schedule, chains, line)

        for (v,) in run.steps(batches, steps, state=state, name=name or method):
            start = chains.v if method == "pcd" else v
            chains.v = net.gibbs(start, self.k)
            net.set_gradients(v, chains.v)
            optimizer.step()
            schedule.step()
            if run.every(max(1, steps // 20)):
                log_z = log_mean(annealed_log_weights(net, base, 300, 100))
                log_p = (-net(validation) - log_z).mean().detach()
                epoch = torch.tensor((run.step + 1) / len(batches))
                line.keep(torch.stack([epoch, log_p.cpu().float()]))
                run.log(**{"validation/log-likelihood": log_p})
        return net, line.stacked()

    def check(self, run: Run, net: RBM, base: Tensor) -> dict[int, Tensor]:
        """The error of the estimate of log Z where Z is known.

        Returns:
            For each number of temperatures, the errors of several estimates.
        """
        exact = log_partition(net)
        log_w = annealed_log_weights(net, base, self.temperatures, self.chains)
        error = (log_mean(log_w) - exact).abs()
        run.result({"small/log Z": exact, "small/error of log Z": error})

        errors = {}
        fewer = [n for n in (3, 10, 30, 100, 300, 1_000) if n < self.temperatures]
        for n in [*fewer, self.temperatures]:
            log_w = annealed_log_weights(net, base, n, self.chains).view(-1, 5)
            errors[n] = log_mean(log_w) - exact
        return errors

    @torch.no_grad()
    def draw(self, run: Run, net: RBM, test: Tensor, labels: Tensor) -> None:
        """Reconstructions of test images, and chains that begin as noise."""
        one_each = torch.stack([(labels == k).nonzero()[0, 0] for k in range(10)])
        v = test[one_each]
        once = net.visible(net.hidden(v).bernoulli())
        pictures = torch.stack([v, once, net.gibbs(v, 10)])
        names = ["test image", "reconstructed", "ten steps later"]
        run.figure("reconstructions", mosaic({"": pictures}, names))

        shown = [*range(20), *range(20, 200, 5)]
        v = torch.rand(60, 64, device=v.device).round()
        frames = []
        for step in range(shown[-1] + 1):
            v = net.gibbs(v)
            if step in shown:
                p = net.visible(net.hidden(v).bernoulli())
                frames.append(p.view(5, 12, 64).cpu())
        captions = [f"after {step + 1:,} Gibbs steps" for step in shown]
        film = mosaic_film(torch.stack(frames), captions)
        run.animation("fantasy", film, fps=8, cover=True)

    def bits(self, images: Tensor) -> Tensor:
        """Which pixels are ink, (rows, 1, 8, 8) → (rows, 64)."""
        return (images.flatten(1) >= self.threshold).float()

    def augment(self, images: Tensor, generator: Generator) -> Tensor:
        """The bits of a rotated, shifted and scaled version of each image."""
        limits = self.rotation, self.shift, self.zoom
        return self.bits(training.random_affine(images.float(), generator, *limits))

    def network(self) -> RBM:
        """A new machine for 64 pixels."""
        return RBM(64, self.hidden)

    def example(self) -> Tensor:
        """A batch for export and tests: two pictures of bits."""
        return torch.rand(2, 64).round()

    def predict(self, net: RBM, input: Any) -> Mapping[str, float]:
        """log p(v) in nats for one picture: a file, an array or a tensor."""
        v = self.bits(data.like_uci(input)[None])
        return {"free energy": net(v).item(), "log p": net.log_likelihood(v).item()}
