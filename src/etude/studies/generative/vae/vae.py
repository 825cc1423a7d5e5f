"""Variational autoencoder: codes for digits, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.demos import Answer, Demo, Pictures, Slider
from etude.figures.latent import latent_map, mosaic, rate_distortion
from etude.networks.vae import (
    VAE,
    bound,
    divergence,
    gradients,
    log_likelihood,
    log_weights,
    sampled,
)
from etude.runs.run import Run
from etude.study import Count, Fraction, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.comparison import compare
from etude.training.evaluation import independent
from etude.training.optimizers import descent
from etude.training.schedules import cosine
from etude.training.validation import split


@dataclass
class VariationalAutoencoder(Study):
    """Learn codes of digits, bound the probability of digits never seen, and draw new ones."""

    dataset: Literal["uci", "mnist"] = "uci"  # 8×8, 16 bits a pixel; 28×28, one bit a pixel
    latent: Count = 8  # d, numbers in a code
    hidden: Count = 256  # units in each hidden layer of encoder and decoder
    depth: Count = 2  # hidden layers of each
    beta: Positive = 1.0  # β, the price of a nat of rate in nats of distortion; 1: the bound itself
    betas: tuple[Positive, ...] = (0.1, 0.5, 1.0, 2.0, 5.0, 20.0)  # prices that are compared
    repeats: Count = 2  # networks for each of them, from seeds of their own
    epochs: Positive = 60.0  # passes over the training data
    short: Positive = 20.0  # the same, of the networks of the comparison
    samples: Count = 500  # k, codes a test image in the tightest bound
    batch: Count = 128  # images a step
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 4e-3  # after a short warm-up; falls to zero along half a cosine
    held_out: Fraction = 0.1  # part of the training data kept for validation

    scales = {
        "full": {
            "dataset": "mnist",
            "latent": 32,
            "hidden": 400,
            "epochs": 30.0,
            "short": 4.0,
            "repeats": 1,
            "samples": 100,
            "learning_rate": 2e-3,
        },
    }
    claims = [
        Claim("test/elbo", at_least=-89, source="Etude"),
        Claim("gain over independent pixels", at_least=19, source="Etude"),
    ]
    courses = ["ITU"]

    def __call__(self, run: Run) -> None:
        digits = {"uci": data.uci_digits, "mnist": data.mnist}[self.dataset]()
        rows, validation = split(run, digits.train, round(self.held_out * len(digits.train)))
        pixels = run.place(rows.inputs)
        fixed = torch.Generator(run.device).manual_seed(
            0
        )  # where pixels are drawn, those of held-out images only once
        checked, tested = (
            self.counts(run.place(part.inputs), fixed) for part in (validation, digits.test)
        )

        net = self.train(run, pixels, checked, self.latent, self.beta, self.epochs)
        plane = self.train(run, pixels, checked, 2, self.beta, self.epochs, "two numbers")
        prices = {
            f"β = {β:g}": partial(self.priced, pixels=pixels, checked=checked, β=β)
            for β in self.betas
        }
        by_price = compare(run, prices, self.repeats, "validation/elbo", name="prices")

        with torch.inference_mode():
            w = log_weights(net, checked, 20)
            run.result(
                {"validation/elbo": w.mean(), "validation/iwae": bound(w).mean()},
                held_out=len(checked),
            )
            w = log_weights(net, tested, self.samples)  # (samples, rows)
            sizes = [k for k in (1, 2, 5, 10, 50, 100) if k < self.samples] + [self.samples]
            bounds = [
                (k, bound(w[: len(w) // k * k].view(-1, k, len(tested)), dim=1).mean())
                for k in sizes
            ]
            run.table(
                "bounds", ["samples k", "L_k in nats"], [(k, value.item()) for k, value in bounds]
            )
            alone = independent(self.counts(pixels, fixed), tested, self.bits).mean()
            found = {
                "test/elbo": w.mean(),
                "test/iwae": bounds[-1][1],
                "test/independent pixels": alone,
            }
            run.result(
                {**found, "gain over independent pixels": w.mean() - alone}, held_out=len(tested)
            )
            run.result(
                {"two numbers/test/elbo": log_weights(plane, tested, 20).mean()},
                held_out=len(tested),
            )
            run.result({"active numbers": (net.encode(tested / self.bits)[0].var(0) > 0.01).sum()})
        pathwise, score = gradients(net, checked[:32], 500)
        run.result(
            {"gradient variance, score over pathwise": score.var(0).mean() / pathwise.var(0).mean()}
        )
        self.draw(run, net, plane, tested, digits.test.labels)
        at = {
            name: (m["validation/rate"], m["validation/distortion"])
            for name, m in by_price.measured.items()
        }
        run.figure("rate", rate_distortion(at))
        run.keep(net)

    def train(
        self,
        run: Run,
        pixels: Tensor,
        checked: Tensor,
        latent: int,
        β: float,
        epochs: float,
        name: str | None = None,
    ) -> VAE:
        """A network trained on images (rows, 1, side, side), watched on counts (rows, pixels)."""
        batches = Batches([pixels], self.batch, augment=self.counts)
        steps = round(epochs * len(batches))
        net = run.place(self.network(latent))
        optimizer = descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, cosine(steps, warmup=100))
        for (x,) in run.steps(batches, steps, state=(net, optimizer, schedule), name=name):
            mu, log_var = net.encode(x / self.bits)
            z = sampled(mu, log_var)
            distortion = -log_likelihood(x, net.decode(z), self.bits).mean()
            rate = divergence(mu, log_var).mean()
            loss = distortion + β * rate
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss, distortion=distortion, rate=rate)
            if run.every(steps // 20):
                with torch.inference_mode():
                    run.log(**{"validation/elbo": log_weights(net, checked, 1).mean()})
        return net

    def priced(self, run: Run, pixels: Tensor, checked: Tensor, β: float) -> None:
        """Rate and distortion, on validation images, of a network that was trained at this
        price.
        """
        net = self.train(run, pixels, checked, self.latent, β, self.short)
        with torch.inference_mode():
            w = log_weights(net, checked, 20).mean()
            mu, log_var = net.encode(checked / self.bits)
            rate = divergence(mu, log_var).mean()
        found = {
            "elbo": w,
            "rate": rate,
            "distortion": -w - rate,
            "active numbers": (mu.var(0) > 0.01).sum(),
        }
        run.result(
            {f"validation/{name}": value for name, value in found.items()}, held_out=len(checked)
        )

    def draw(self, run: Run, net: VAE, plane: VAE, tested: Tensor, labels: Tensor) -> None:
        """Pictures of what the codes mean: of test images, of draws from the prior, of the way
        between two codes.
        """
        one_each = torch.stack([(labels == k).nonzero()[0, 0] for k in range(10)])
        with torch.inference_mode():
            x = tested[one_each] / self.bits
            mu, _ = net.encode(x)
            names = ["test image", "expected, given its code", "drawn, given its code"]
            run.figure(
                "reconstructions", mosaic({"": torch.stack([x, net.ink(mu), net.drawn(mu)])}, names)
            )

            z = torch.randn(6, 9, net.latent, device=mu.device)  # codes from the prior
            panels = {
                "drawn from the model": net.drawn(z),
                "the same codes: expected ink": net.ink(z),
            }
            run.figure("samples", mosaic(panels))

            start, end = torch.tensor([(0, 1), (3, 8), (4, 9), (7, 2), (5, 6)], device=mu.device).T
            t = torch.linspace(0, 1, 9, device=mu.device)[:, None]
            codes, pictures = (torch.lerp(row[start, None], row[end, None], t) for row in (mu, x))
            panels = {"between two codes": net.ink(codes), "between two pictures": pictures}
            run.figure(
                "between", mosaic(panels, [f"{a} to {b}" for a, b in zip(start, end, strict=True)])
            )

            places = torch.special.ndtri(
                torch.linspace(0.01, 0.99, 21, device=mu.device)
            )  # steps of equal mass
            grid = torch.stack(
                torch.meshgrid(places, places.flip(0), indexing="xy"), -1
            )  # (21, 21, 2), top row first
            codes, _ = plane.encode(tested / self.bits)
            run.figure("map", latent_map(codes, labels, plane.ink(grid), places), cover=True)

    @property
    def bits(self) -> int:
        """n, of how many bits a pixel counts those with ink."""
        return 16 if self.dataset == "uci" else 1

    def counts(self, images: Tensor, generator: Generator) -> Tensor:
        """Inked bits of each pixel, (rows, pixels): the grey value, or one bit, drawn with the grey
        value's odds.
        """
        grey = images.flatten(1).float()
        if self.dataset == "uci":
            return grey
        return (
            torch.rand(grey.shape, generator=generator, device=grey.device) < grey / 255
        ).float()

    def network(self, latent: int | None = None) -> VAE:
        """A new network for the data set's images."""
        return VAE(
            64 if self.dataset == "uci" else 784,
            latent or self.latent,
            self.hidden,
            self.depth,
            self.bits,
        )

    def example(self) -> Tensor:
        """Two images with values from 0 to 1."""
        return torch.rand(2, 64 if self.dataset == "uci" else 784)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Two bounds on log p(x) in nats, for one picture: a file, an array or a tensor."""
        image = (data.like_uci if self.dataset == "uci" else data.like_mnist)(input)
        assert isinstance(net, VAE)
        w = log_weights(net, self.counts(image[None], Generator().manual_seed(0)), self.samples)
        return {"ELBO": w.mean().item(), f"with {self.samples} codes": bound(w).item()}

    def demo(self) -> Demo:
        """Move the numbers of a code, and see what they stand for."""
        sliders = {
            f"z{k}": Slider(f"z{k}", -3, 3, 0, 0.1) for k in range(1, 1 + min(self.latent, 8))
        }
        return Demo("Find a 3. What lies between it and an 8?", sliders, self.look)

    def look(self, net: nn.Module, **sliders: float) -> Iterator[Answer]:
        """The picture of a code; the first slider is the number that changes it most."""
        assert isinstance(net, VAE)
        z = net.code(*sliders.values())
        shown = {"expected ink": net.ink(z), "drawn, pixel by pixel": net.drawn(z)}
        yield Pictures(
            "A digit?",
            {k: 1 - x.view(round(net.pixels**0.5), -1).numpy() for k, x in shown.items()},
        )
