"""Variational autoencoder: codes for digits, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Generator, Tensor
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Claim,
    Control,
    Count,
    Fraction,
    Natural,
    OptimizerName,
    Positive,
    Run,
    Study,
    data,
    training,
)
from etude.demos import Answer, Demo, Slider
from etude.networks.vae import VAE, reparameterise
from etude.studies.generative._figures import mosaic

from ._bounds import (
    bounds_by_samples,
    gradient_estimates,
    iwae_bound,
    kl_divergence,
    log_likelihood,
    log_weights,
)
from ._demo import code_of, decoded
from ._figures import interpolations, latent_map, rate_distortion


@dataclass
class VariationalAutoencoder(Study[VAE]):
    """Learn codes of digits, bound the probability of unseen digits, and generate new ones."""

    dataset: Literal["uci", "mnist"] = "uci"  # 8×8 pixels of 16 bits; 28×28 pixels of one bit
    latent: Count = 8  # d, dimensions of a code
    width: Count = 256  # units of each hidden layer of encoder and decoder
    layers: Natural = 2  # hidden layers of the encoder, and of the decoder
    beta: Positive = 1.0  # β, the weight of the rate in the loss; 1 is the ELBO
    betas: tuple[Positive, ...] = (0.1, 0.5, 1.0, 2.0, 5.0, 20.0)  # weights β that are compared
    repeats: Count = 3  # seeds for each of them
    epochs: Positive = 60.0  # passes over the training data
    short_epochs: Positive = 20.0  # passes in the comparison of weights
    samples: Count = 500  # k, codes for each test image in the tightest bound
    batch: Count = 128  # images per step
    optimizer: OptimizerName = "adam"  # the update rule; change learning_rate with it
    learning_rate: Positive = 4e-3  # after a short warm-up; falls to zero along half a cosine
    held_out: Fraction = 0.1  # fraction of the training data kept for validation

    scales = {
        "full": {
            "dataset": "mnist",
            "latent": 32,
            "width": 400,
            "epochs": 30.0,
            "short_epochs": 4.0,
            "repeats": 1,
            "samples": 100,
            "learning_rate": 2e-3,
        },
    }
    claims = [
        Claim("test/elbo", at_least=-89, source="Etude"),
        Control("test/independent pixels", at_most=-105, of="test/elbo", without="a code"),
        Claim("gain over independent pixels", at_least=19, source="Etude"),
        Claim("gradient variance, score with a baseline over pathwise", at_least=5, source="Etude"),
    ]
    needs = ["spirals"]

    def __call__(self, run: Run) -> None:
        digits = data.uci_digits() if self.dataset == "uci" else data.mnist()
        held_out = round(self.held_out * len(digits.train))
        train_set, validation_set = training.split(run, digits.train, held_out)
        images = run.place(train_set.inputs)
        once = Generator(run.device).manual_seed(0)  # bits of held-out images are drawn only once
        validation = self.counts(run.place(validation_set.inputs), once)  # (rows, pixels)
        test = self.counts(run.place(digits.test.inputs), once)

        train = partial(self.train, run, images, validation)
        net = train(self.latent, self.beta, self.epochs)
        plane = train(2, self.beta, self.epochs, "two numbers")
        variants = {
            f"β = {β:g}": partial(self.variant, images=images, validation=validation, β=β)
            for β in self.betas
        }
        found = training.compare(run, variants, self.repeats, "validation/elbo", name="prices")

        self.evaluate(run, net, images, validation, test, once)
        with torch.inference_mode():
            w = log_weights(plane, test, 20)
            run.result({"two numbers/test/elbo": w.mean()}, held_out=len(test))
            mu, _ = net.encode(test / self.bits)
            run.result({"active numbers": (mu.var(0) > 0.01).sum()})
        pathwise, *scores = gradient_estimates(net, validation[:32], 500)
        for name, score in zip(("score", "score with a baseline"), scores, strict=True):
            ratio = score.var(0).mean() / pathwise.var(0).mean()
            run.result({f"gradient variance, {name} over pathwise": ratio})

        self.draw(run, net, plane, test, digits.test.labels)
        run.figure("rate", rate_distortion(found.measured))
        run.keep(net)

    def train(
        self,
        run: Run,
        images: Tensor,
        validation: Tensor,
        latent: int,
        β: float,
        epochs: float,
        name: str | None = None,
    ) -> VAE:
        """A trained network for images (rows, 1, side, side), validated on counts."""
        batches = training.Batches([images], self.batch, augment=self.counts)
        steps = round(epochs * len(batches))
        net = run.place(self.network(latent))
        optimizer = training.descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, training.cosine(steps, warmup=100))

        for (x,) in run.steps(batches, steps, state=(net, optimizer, schedule), name=name):
            mu, log_var = net.encode(x / self.bits)
            z = reparameterise(mu, log_var)
            distortion = -log_likelihood(x, net.decode(z), self.bits).mean()
            rate = kl_divergence(mu, log_var).mean()
            loss = distortion + β * rate  # for β = 1 the negative ELBO
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss, distortion=distortion, rate=rate)
            if run.every(steps // 20):
                with torch.inference_mode():
                    run.log(**{"validation/elbo": log_weights(net, validation, 1).mean()})
        return net

    def variant(self, run: Run, images: Tensor, validation: Tensor, β: float) -> None:
        """Measure rate and distortion on validation images of a network trained with this β."""
        net = self.train(run, images, validation, self.latent, β, self.short_epochs)
        with torch.inference_mode():
            elbo = log_weights(net, validation, 20).mean()
            mu, log_var = net.encode(validation / self.bits)
            rate = kl_divergence(mu, log_var).mean()
        metrics = {
            "validation/elbo": elbo,
            "validation/rate": rate,
            "validation/distortion": -elbo - rate,
            "validation/active numbers": (mu.var(0) > 0.01).sum(),
        }
        run.result(metrics, held_out=len(validation))

    @torch.inference_mode()
    def evaluate(
        self,
        run: Run,
        net: VAE,
        images: Tensor,
        validation: Tensor,
        test: Tensor,
        generator: Generator,
    ) -> None:
        """Bounds on log p(x) of validation and test images, beside that of independent pixels."""
        w = log_weights(net, validation, 20)
        metrics = {"validation/elbo": w.mean(), "validation/iwae": iwae_bound(w).mean()}
        run.result(metrics, held_out=len(validation))

        w = log_weights(net, test, self.samples)  # (samples, rows)
        bounds = bounds_by_samples(w)
        rows = [(k, bound.item()) for k, bound in bounds.items()]
        run.table("bounds", ["samples k", "L_k in nats"], rows)

        alone = training.independent(self.counts(images, generator), test, self.bits).mean()
        metrics = {
            "test/elbo": w.mean(),
            "test/iwae": bounds[self.samples],
            "test/independent pixels": alone,
            "gain over independent pixels": w.mean() - alone,
        }
        run.result(metrics, held_out=len(test))

    @torch.inference_mode()
    def draw(self, run: Run, net: VAE, plane: VAE, test: Tensor, labels: Tensor) -> None:
        """Pictures of test images, of codes from the prior, and of what is between two codes."""
        one_each = torch.stack([(labels == k).nonzero()[0, 0] for k in range(10)])
        x = test[one_each] / self.bits
        mu, _ = net.encode(x)
        pictures = torch.stack([x, net.expected_ink(mu), net.sample_ink(mu)])
        names = ["test image", "expected, given its code", "drawn, given its code"]
        run.figure("reconstructions", mosaic({"": pictures}, names))

        z = torch.randn(6, 9, net.latent, device=mu.device)  # codes from the prior
        panels = {
            "drawn from the model": net.sample_ink(z),
            "the same codes: expected ink": net.expected_ink(z),
        }
        run.figure("samples", mosaic(panels))

        run.figure("between", interpolations(mu, x, net.expected_ink))
        codes, _ = plane.encode(test / self.bits)
        run.figure("map", latent_map(codes, labels, plane.expected_ink), cover=True)

    @property
    def pixels(self) -> int:
        """The number of pixels of an image."""
        return 64 if self.dataset == "uci" else 784

    @property
    def bits(self) -> int:
        """n, the bits of a pixel."""
        return 16 if self.dataset == "uci" else 1

    def counts(self, images: Tensor, generator: Generator) -> Tensor:
        """Inked bits of each pixel, (rows, pixels): the grey value, or a bit drawn by it."""
        grey = images.flatten(1).float()
        if self.dataset == "uci":
            return grey
        uniform = torch.rand(grey.shape, generator=generator, device=grey.device)
        return (uniform < grey / 255).float()

    def network(self, latent: int | None = None) -> VAE:
        """A new network for the images of the data set."""
        latent = latent or self.latent
        return VAE(self.pixels, latent, self.width, self.layers, self.bits)

    def example(self) -> Tensor:
        """A batch for export and tests: two images from 0 to 1."""
        return torch.rand(2, self.pixels)

    def predict(self, net: VAE, input: Any) -> Mapping[str, float]:
        """Two bounds on log p(x) in nats, for one picture: a file, an array or a tensor."""
        image = data.like_uci(input) if self.dataset == "uci" else data.like_mnist(input)
        x = self.counts(image[None], Generator().manual_seed(0))
        w = log_weights(net, x, self.samples)
        return {"ELBO": w.mean().item(), f"with {self.samples} codes": iwae_bound(w).item()}

    def demo(self) -> Demo:
        """Move the numbers of a code, and see what they stand for."""
        names = [f"z{k}" for k in range(1, 1 + min(self.latent, 8))]
        sliders = {name: Slider(name, -3, 3, 0, 0.1) for name in names}
        return Demo("Find a 3. What lies between it and an 8?", sliders, self.answer)

    def answer(self, net: VAE, **sliders: float) -> Iterator[Answer]:
        """The picture of a code; the first slider is the number that changes it most."""
        yield decoded(net, code_of(net, [*sliders.values()]))
