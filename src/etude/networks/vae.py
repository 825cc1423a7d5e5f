"""The variational autoencoder: its two networks, what it says of pixels, and bounds on what it says
of pictures.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn.functional import pad, softplus

from etude.networks.mlp import MLP


class VAE(nn.Module):
    r"""Perceptrons for $q(z|x) = N(\mu(x), \mathrm{diag}\, \sigma^2(x))$ and for two numbers a
    pixel, given $z$.

    The two numbers are $\log a$ and $\log b$ of a beta distribution, held between -9 and 6: what
    part of the pixel is inked is $a / (a + b)$ on average, and the surer the larger $a + b$ is. A
    pixel of one bit tells of the mean alone: there the decoder gives $\log a$, between -15 and 15,
    and b is 1.

    Input (batch, pixels) with values from 0 to 1, output (batch, 2, pixels).

    Source: Kingma & Welling (2014), Auto-encoding variational Bayes, appendix C.
    """

    def __init__(
        self, pixels: int, latent: int, hidden: int, depth: int = 2, bits: int = 16
    ) -> None:
        super().__init__()
        self.pixels, self.latent, self.bits = pixels, latent, bits
        self.encoder = MLP(pixels, [hidden] * depth, 2 * latent)
        self.decoder = MLP(latent, [hidden] * depth, (2 if bits > 1 else 1) * pixels)
        with (
            torch.no_grad()
        ):  # q(z|x) begins near the prior, and every pixel near a = b = 1: all parts alike
            for weight in (self.encoder.layers[-1].weight, self.decoder.layers[-1].weight):
                assert isinstance(weight, Tensor)
                weight.mul_(0.1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, pixels) → μ and log σ², (batch, latent) each."""
        mu, log_var = self.encoder(2 * x - 1).chunk(2, dim=-1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        """(…, latent) → log a and log b of each pixel, (…, 2, pixels)."""
        out: Tensor = self.decoder(z).unflatten(-1, (-1, self.pixels))
        return out.clamp(-9, 6) if self.bits > 1 else pad(out.clamp(-15, 15), (0, 0, 0, 1))

    def ink(self, z: Tensor) -> Tensor:
        """The expected part of each pixel's bits, a / (a + b): (…, latent) → (…, pixels)."""
        log_a, log_b = self.decode(z).unbind(-2)
        return (log_a - log_b).sigmoid()

    def code(self, *numbers: float) -> Tensor:
        """A code, (1, latent), of these numbers where they change the picture most, of 0
        elsewhere.
        """
        one = torch.eye(self.latent)
        change = (self.ink(one) - self.ink(-one)).norm(dim=1)  # (latent,)
        z = torch.zeros(1, self.latent)
        z[0, change.argsort(descending=True)[: len(numbers)]] = torch.tensor(numbers)
        return z

    def drawn(self, z: Tensor) -> Tensor:
        """A draw of every pixel, as a part of its bits: (…, latent) → (…, pixels)."""
        a, b = self.decode(z).exp().unbind(-2)
        part = Beta(a, b).sample()
        return torch.binomial(torch.full_like(part, self.bits), part) / self.bits

    def forward(self, x: Tensor) -> Tensor:
        """Through the code and back, (batch, pixels) → (batch, 2, pixels): a drawn z in training,
        else its mean.
        """
        mu, log_var = self.encode(x)
        return self.decode(sampled(mu, log_var) if self.training else mu)


def sampled(mu: Tensor, log_var: Tensor) -> Tensor:
    """z = μ + σ ε with ε ~ N(0, 1): a draw that passes gradients on to μ and σ."""
    return mu + (log_var / 2).exp() * torch.randn_like(mu)


def divergence(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(μ, σ²) | N(0, 1)) in nats, (rows, latent) → (rows,)."""
    return (mu**2 + log_var.exp() - log_var - 1).sum(-1) / 2


def log_weights(net: VAE, x: Tensor, k: int) -> Tensor:
    """log p(x, z) - log q(z|x) for k draws of z from q: (rows, pixels) → (k, rows)."""
    mu, log_var = net.encode(x / net.bits)
    found = []
    for _ in range(k):
        z = sampled(mu, log_var)
        log_prior = -(z**2).sum(-1) / 2  # both but for d/2 log 2π, which cancels
        log_q = -((z - mu) ** 2 / log_var.exp() + log_var).sum(-1) / 2
        found.append(log_likelihood(x, net.decode(z), net.bits) + log_prior - log_q)
    return torch.stack(found)


def bound(log_w: Tensor, dim: int = 0) -> Tensor:
    """L_k, the log of the mean weight over the k draws along `dim`."""
    return log_w.logsumexp(dim) - math.log(log_w.shape[dim])


def log_likelihood(x: Tensor, log_ab: Tensor, n: int) -> Tensor:
    """log p(x|z) in nats: every pixel a Pólya urn of n draws; (rows, pixels), (…, rows, 2, pixels)
    → (…, rows).

    Source: Eggenberger & Pólya (1923); also called beta-binomial.
    """
    if n == 1:  # a coin that shows ink with probability a / (a + b)
        odds = log_ab[..., 0, :] - log_ab[..., 1, :]
        return (x * odds - softplus(odds)).sum(-1)
    a, b = log_ab.exp()[..., None].unbind(-3)  # (…, rows, pixels, 1)
    i = torch.arange(n, device=x.device)
    ink, paper = i < x[..., None], i < n - x[..., None]  # (rows, pixels, n)
    ways = torch.tensor([math.comb(n, count) for count in range(n + 1)], device=x.device).log()[
        x.long()
    ]
    draws = ink * (a + i).log() + paper * (b + i).log() - (a + b + i).log()
    return (ways + draws.sum(-1)).sum(-1)


def gradients(net: VAE, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """k estimates of ∂ E_q log p(x|z) / ∂μ along the path, and k by the score: (k, rows, latent)
    each.
    """
    with torch.no_grad():
        mu, log_var = (t.expand(k, -1, -1) for t in net.encode(x / net.bits))
        z = sampled(mu, log_var)
    z.requires_grad_()
    log_p = log_likelihood(x, net.decode(z), net.bits)  # (k, rows)
    (pathwise,) = torch.autograd.grad(log_p.sum(), z)
    return pathwise, log_p.detach()[..., None] * (z.detach() - mu) / log_var.exp()
