"""A training step of generative models on MNIST: the study's own loop, and PyTorch's examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.beside.loops import in_bare, in_study
from benchmarks.beside.work import Measured, Work, median_seconds

BATCH = 128


def _ms(seconds: float) -> Measured:
    return Measured(1e3 * seconds)


def _digits() -> Any:
    """MNIST as torchvision gives it: one picture at a time, as a tensor with values from 0 to 1."""
    from benchmarks.beside.pictures import Pictures, mnist, to_tensor
    from torch.utils.data import DataLoader

    images, labels, _, _ = mnist()
    return DataLoader(Pictures(images, labels, to_tensor), batch_size=BATCH, shuffle=True)  # type: ignore[arg-type]


def _here() -> None:
    from benchmarks.beside.pictures import folder

    folder("mnist")


# -- VAE -------------------------------------------------------------------------------------------


def etude_vae(seed: int) -> Measured:
    from etude.studies.generative.vae.vae import VariationalAutoencoder

    _here()
    study = VariationalAutoencoder(
        dataset="mnist",
        latent=20,
        width=400,
        layers=1,
        batch=BATCH,
        learning_rate=1e-3,
        held_out=0.02,
    )
    return _ms(in_study(study, None, seed))


def bare_vae(seed: int) -> Measured:
    """The example ``vae`` of PyTorch: 784-400-20-400-784."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class VAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc21, self.fc22 = (
                nn.Linear(784, 400),
                nn.Linear(400, 20),
                nn.Linear(400, 20),
            )
            self.fc3, self.fc4 = nn.Linear(20, 400), nn.Linear(400, 784)

        def forward(self, x: Any) -> Any:
            h = F.relu(self.fc1(x))
            mu, log_var = self.fc21(h), self.fc22(h)
            std = torch.exp(0.5 * log_var)
            z = mu + torch.randn_like(std) * std
            return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, log_var

    def loss_of(net: Any, batch: Any) -> Any:
        x = batch[0].view(-1, 784)
        found, mu, log_var = net(x)
        distortion = F.binary_cross_entropy(found, x, reduction="sum")
        return distortion - 0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())

    return _ms(in_bare(VAE, _digits, loss_of, seed))


# -- DCGAN -----------------------------------------------------------------------------------------


def etude_gan(seed: int) -> Measured:
    from etude.studies.generative.gan.gan import GAN

    _here()
    study = GAN(
        dataset="mnist",
        loss="non-saturating",
        conditional=False,
        latent=100,
        width=64,
        batch=BATCH,
        steps=20_000,
        learning_rate=2e-4,
        beta1=0.5,
        judging=1,
        held_out=0.02,
    )
    return _ms(in_study(study, "game", seed))


def bare_gan(seed: int) -> Measured:
    """The loop of PyTorch's DCGAN tutorial, on the players of Etude's study."""
    import torch
    from torch import nn

    from etude.networks.gan import Critic, Generator

    torch.manual_seed(seed)
    net_g, net_d = Generator(28, 100, 0, 64), Critic(28, 0, 64)
    criterion = nn.BCEWithLogitsLoss()
    optimizer_g, optimizer_d = (
        torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (net_g, net_d)
    )

    def forever() -> Iterator[Any]:
        loader = _digits()
        while True:
            yield from loader

    batches = forever()

    def step() -> None:
        real, label = next(batches)
        net_d.zero_grad()
        ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
        error_real = criterion(net_d(real, label), ones)
        error_real.backward()
        fake = net_g(torch.randn(len(real), 100), label)
        error_fake = criterion(net_d(fake.detach(), label), zeros)
        error_fake.backward()
        optimizer_d.step()
        net_g.zero_grad()
        error_g = criterion(net_d(fake, label), ones)
        error_g.backward()
        optimizer_g.step()

    return _ms(median_seconds(step))


# -- DDPM ------------------------------------------------------------------------------------------


def etude_ddpm(seed: int) -> Measured:
    from etude.studies.generative.diffusion.diffusion import DiffusionModel

    _here()
    study = DiffusionModel(
        dataset="mnist",
        schedule="linear",
        width=32,
        grow=(1, 2, 4),
        batch=BATCH,
        epochs=30.0,
        judging=1,
        held_out=0.02,
    )
    return _ms(in_study(study, "denoiser", seed))


def bare_ddpm(seed: int) -> Measured:
    """The simple loss of Ho et al. as tutorials write it, on the U-Net of Etude's study."""
    import torch
    from torch.nn.functional import mse_loss

    from etude.networks.denoiser import Denoiser

    beta = torch.linspace(1e-4, 0.02, 1_000)
    alpha_bar = torch.cumprod(1 - beta, dim=0)

    def loss_of(net: Any, batch: Any) -> Any:
        x, label = 2 * batch[0] - 1, batch[1]
        t = torch.randint(0, 1_000, (len(x),))
        noise = torch.randn_like(x)
        bar = alpha_bar[t].view(-1, 1, 1, 1)
        return mse_loss(net(bar**0.5 * x + (1 - bar) ** 0.5 * noise, t / 1_000, label), noise)

    build: Callable[[], Any] = lambda: Denoiser(1, 10, 32, (1, 2, 4))  # noqa: E731
    return _ms(in_bare(build, _digits, loss_of, seed))


WORKS = [
    Work(
        "step-vae",
        "a step of a VAE on MNIST, 400 hidden units, codes of 20, batch 128",
        "ms",
        "≥ 1.3 ×",
        {"etude": etude_vae, "PyTorch's example": bare_vae},
        note=(
            "784-400-20-400-784, both: of a pixel of one bit the study's decoder gives one number,"
            " as the example's. The example reads one picture after another through a DataLoader,"
            " as do the other peers on MNIST."
        ),
    ),
    Work(
        "step-dcgan",
        "a step of both players of a DCGAN on MNIST, 28×28, width 64, batch 128",
        "ms",
        "≥ 2 ×",
        {"etude": etude_gan, "PyTorch's tutorial, same players": bare_gan},
        note=(
            "Both players are those of the study. Etude draws new codes for the generator's step"
            " and keeps a running mean of its weights; the tutorial does neither."
        ),
    ),
    Work(
        "step-ddpm",
        "a step of a DDPM on MNIST, U-Net of 32, 64 and 128 channels, batch 128",
        "ms",
        "≥ 2 ×",
        {"etude": etude_ddpm, "bare loop, same U-Net": bare_ddpm},
        note=(
            "The U-Net is that of the study. Etude clips gradients and keeps a running mean of"
            " weights, too."
        ),
    ),
]
