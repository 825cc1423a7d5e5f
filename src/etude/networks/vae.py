"""The variational autoencoder: an encoder, a decoder, and a code between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn.functional import pad

from etude.networks.mlp import MLP


class VAE(nn.Module):
    r"""Perceptrons for $q(z|x) = N(\mu(x), \mathrm{diag}\, \sigma^2(x))$ and for $p(x|z)$.

    A pixel has ``bits`` bits, each with ink or without. The decoder gives $\log a$ and $\log b$ of
    a beta distribution for each pixel, clamped to -9 … 6: the expected fraction of inked bits is
    $a / (a + b)$, and it is the more certain the larger $a + b$ is. A pixel of one bit depends on
    the mean alone: then the decoder gives $\log a$, clamped to -15 … 15, and b is 1.

    Input: (batch, pixels) from 0 to 1. Output: (batch, 2, pixels).

    Source: Kingma & Welling (2014), Auto-encoding variational Bayes, appendix C.

    Args:
        pixels: of a picture.
        latent: dimensions of a code.
        width: units of each hidden layer.
        layers: hidden layers of the encoder, and of the decoder.
        bits: of a pixel.
    """

    def __init__(
        self, pixels: int, latent: int, width: int, layers: int = 2, bits: int = 16
    ) -> None:
        super().__init__()
        self.pixels = pixels
        self.latent = latent
        self.bits = bits
        self.encoder = MLP(pixels, [width] * layers, 2 * latent)
        self.decoder = MLP(latent, [width] * layers, (2 if bits > 1 else 1) * pixels)
        with torch.no_grad():  # q(z|x) begins near the prior, and every pixel near a = b = 1
            for weight in (self.encoder.layers[-1].weight, self.decoder.layers[-1].weight):
                assert isinstance(weight, Tensor)
                weight.mul_(0.1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """μ and log σ² of q(z|x): (…, pixels) → (…, latent) each."""
        mu, log_var = self.encoder(2 * x - 1).chunk(2, dim=-1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        """log a and log b of each pixel: (…, latent) → (…, 2, pixels)."""
        out: Tensor = self.decoder(z).unflatten(-1, (-1, self.pixels))
        return out.clamp(-9, 6) if self.bits > 1 else pad(out.clamp(-15, 15), (0, 0, 0, 1))

    def expected_ink(self, z: Tensor) -> Tensor:
        """The expected fraction of inked bits, a / (a + b): (…, latent) → (…, pixels)."""
        log_a, log_b = self.decode(z).unbind(-2)
        return (log_a - log_b).sigmoid()

    def sample_ink(self, z: Tensor) -> Tensor:
        """A draw of p(x|z), as the fraction of inked bits: (…, latent) → (…, pixels)."""
        a, b = self.decode(z).exp().unbind(-2)
        p = Beta(a, b).sample()
        return torch.binomial(torch.full_like(p, self.bits), p) / self.bits

    def forward(self, x: Tensor) -> Tensor:
        """(batch, pixels) → (batch, 2, pixels), by a random code in training, else by its mean."""
        mu, log_var = self.encode(x)
        return self.decode(reparameterise(mu, log_var) if self.training else mu)


def reparameterise(mu: Tensor, log_var: Tensor) -> Tensor:
    """z = μ + σ ε with ε ~ N(0, 1), a draw through which gradients reach μ and σ: as ``mu``."""
    return mu + (log_var / 2).exp() * torch.randn_like(mu)
