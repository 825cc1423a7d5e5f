"""The two networks of a generative adversarial network: a generator and a critic."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, one_hot


class Generator(nn.Module):
    """A linear map to a quarter of the side, then transposed convolutions that double it twice.

    Input: codes z (batch, latent) and labels (batch,), which are ignored where ``classes`` is 0.
    Output: pictures (batch, 1, side, side) from 0 to 1.

    Source: Radford, Metz & Chintala (2016), DCGAN; the class is an input beside the code, as in
    Mirza & Osindero (2014).

    Args:
        side: of a picture, in pixels; a multiple of 4.
        latent: dimensions of a code.
        classes: how many there are; 0 for pictures of no given class.
        width: channels at half size; there are twice as many at a quarter.
    """

    def __init__(self, side: int, latent: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.latent, self.classes, self.start = latent, classes, side // 4
        self.first = nn.Linear(latent + classes, 2 * width * self.start**2)
        self.grow = nn.Sequential(
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(),
            nn.Conv2d(width // 2, 1, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """(batch, latent), (batch,) → (batch, 1, side, side)."""
        if self.classes:
            z = torch.cat([z, one_hot(label, self.classes).to(z)], dim=1)
        out: Tensor = self.grow(self.first(z).unflatten(1, (-1, self.start, self.start)))
        return out


class Critic(nn.Module):
    r"""Two convolutions that halve the side, and the score $\psi(x) \cdot (w + v_y) + b$.

    There is no normalisation: over a batch it would make the score of a picture depend on the
    others.

    Input: pictures (batch, 1, side, side) and labels (batch,), which are ignored where ``classes``
    is 0. Output: scores (batch,).

    Source: Radford et al. (2016); the class by projection, Miyato & Koyama (2018), equation 3.

    Args:
        side: of a picture, in pixels; a multiple of 4.
        classes: how many there are, or 0.
        width: channels at full size; there are twice as many at half and at a quarter.
    """

    def __init__(self, side: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(1, width, 3, 1, 1),
                nn.Conv2d(width, 2 * width, 4, 2, 1),
                nn.Conv2d(2 * width, 2 * width, 4, 2, 1),
            ]
        )
        size = 2 * width * (side // 4) ** 2
        self.score = nn.Linear(size, 1)
        self.project = nn.Embedding(classes, size) if classes else None
        if self.project is not None:
            nn.init.normal_(self.project.weight, std=size**-0.5)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """(batch, 1, side, side), (batch,) → (batch,)."""
        x = 2 * x - 1
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.2)
        x = x.flatten(1)
        score: Tensor = self.score(x)[:, 0]
        return score if self.project is None else score + (x * self.project(label)).sum(1)


class PlaneNetwork(nn.Module):
    """A perceptron with two hidden layers, as the generator or critic of points in the plane.

    Input: (batch, inputs) and labels (batch,), which are ignored. Output: (batch, outputs), or
    scores (batch,) if there is one output.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, outputs),
        )

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """(batch, inputs), (batch,) → (batch, outputs) or (batch,)."""
        out: Tensor = self.layers(x)
        return out[:, 0] if out.shape[1] == 1 else out
