"""A demonstration: the numbers of a code are moved, and its picture changes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from etude.demos import Pictures
from etude.networks.vae import VAE


def code_of(net: VAE, numbers: Sequence[float]) -> Tensor:
    """A code, (1, latent), with these numbers in the dimensions that change a picture most.

    The first number is for the dimension that changes it most; all others are 0.
    """
    one = torch.eye(net.latent)
    change = (net.expected_ink(one) - net.expected_ink(-one)).norm(dim=1)  # (latent,)
    z = torch.zeros(1, net.latent)
    z[0, change.argsort(descending=True)[: len(numbers)]] = torch.tensor(numbers)
    return z


def decoded(net: VAE, z: Tensor) -> Pictures:
    """The expected and a random picture of a code, (1, latent), black on white."""
    pictures = {
        "expected ink": net.expected_ink(z),
        "drawn, pixel by pixel": net.sample_ink(z),
    }
    side = round(net.pixels**0.5)
    return Pictures("A digit?", {k: 1 - x.view(side, side).numpy() for k, x in pictures.items()})
