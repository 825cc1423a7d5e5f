"""A neural radiance field: a scene as a function of position and direction, and its rendering."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from etude.layers.rendering import (
    Rendering,
    chord,
    composite,
    sample_histogram,
    stratified_samples,
)

BLOCK = 4_096  # rays that are rendered together


class RayRenderings(NamedTuple):
    """Renderings of the same rays by both fields."""

    coarse: Rendering
    fine: Rendering
    coarse_t: Tensor  # distances of the coarse field's samples, (rays, samples)
    fine_t: Tensor  # distances of the fine field's samples, (rays, samples)


class RenderedViews(NamedTuple):
    """The pictures of n cameras."""

    coarse: Tensor  # colours by the coarse field, (n, side, side, 3), from 0 to 1
    fine: Tensor  # colours by the fine field, (n, side, side, 3), from 0 to 1
    depth: Tensor  # (n, side, side); inf where more than half of the light passes through


class NeRF(nn.Module):
    """A radiance field in two copies: the coarse one finds out where the fine one is sampled.

    In training mode samples are drawn anew in each call; in evaluation mode they are fixed.

    Args:
        radius: Radius of a ball around the origin that holds the whole scene.
        frequencies: Frequencies in the encoding of a position.
        direction_frequencies: Frequencies in the encoding of a direction.
        width: Units of a hidden layer.
        layers: Hidden layers that see the position only.
        coarse: Samples along a ray for the coarse field.
        fine: Further samples for the fine field, where the coarse field has large weights.

    Input: origins and directions of rays, (rays, 3) each; directions have length 1. Output: the
    colours by the coarse and by the fine field, (rays, 2, 3).

    Source: Mildenhall et al. (2020).
    """

    def __init__(
        self,
        radius: float,
        frequencies: int = 10,
        direction_frequencies: int = 4,
        width: int = 256,
        layers: int = 8,
        coarse: int = 64,
        fine: int = 128,
    ) -> None:
        super().__init__()
        self.radius = radius
        self.samples = (coarse, fine)
        self.direction_frequencies = direction_frequencies
        self.coarse = Field(frequencies, direction_frequencies, width, layers)
        self.fine = Field(frequencies, direction_frequencies, width, layers)

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        """(rays, 3), (rays, 3) → (rays, 2, 3)."""
        both = self.render(origins, directions)
        return torch.stack([both.coarse.colour, both.fine.colour], 1)

    def render(self, origins: Tensor, directions: Tensor) -> RayRenderings:
        """Render rays, (rays, 3) and (rays, 3), by both fields."""
        coarse, fine = self.samples
        random = self.training
        near, far = chord(origins, directions, self.radius)
        t = stratified_samples(near, far, coarse, random=random)
        first = self.render_field(self.coarse, origins, directions, t, far)

        edges = torch.lerp(near, far, torch.linspace(0, 1, coarse + 1, device=t.device))
        weights = first.weights.detach() + 1e-3  # a little everywhere, in case they are wrong
        further = sample_histogram(edges, weights, fine, random=random)
        all_t = torch.cat([t, further], 1).sort(1).values
        second = self.render_field(self.fine, origins, directions, all_t, far)
        return RayRenderings(first, second, t, all_t)

    def render_field(
        self, field: Field, origins: Tensor, directions: Tensor, t: Tensor, far: Tensor
    ) -> Rendering:
        """Render rays by one field, from samples at distances t: (rays, samples)."""
        rays, samples = t.shape
        positions = (origins[:, None] + t[:, :, None] * directions[:, None]) / self.radius
        encoded = positional_encoding(directions, self.direction_frequencies)
        density, colour = field(positions.view(-1, 3), encoded.repeat_interleave(samples, 0))
        density = density.view(rays, samples) / self.radius
        return composite(density, colour.view(rays, samples, 3), t, far)

    @torch.inference_mode()
    def render_views(self, origins: Tensor, directions: Tensor) -> RenderedViews:
        """Render pictures with fixed samples, on the CPU; rays that miss the ball are white.

        Args:
            origins: Origin of each pixel's ray, (n, side, side, 3).
            directions: Direction of each pixel's ray, (n, side, side, 3).
        """
        device = self.coarse.density.weight.device
        o = origins.reshape(-1, 3)
        d = directions.reshape(-1, 3)
        near, far = chord(o, d, self.radius)
        colours = torch.ones(2, len(o), 3)
        depth = torch.full_like(o[:, 0], math.inf)
        was_training = self.training
        self.eval()
        for rows in torch.split((near < far)[:, 0].nonzero()[:, 0], BLOCK):
            both = self.render(o[rows].to(device), d[rows].to(device))
            colours[:, rows] = torch.stack([both.coarse.colour, both.fine.colour]).cpu()
            hits = both.fine.weights.sum(1) > 0.5
            depth[rows] = both.fine.depth.where(hits, math.inf).cpu()
        self.train(was_training)
        coarse, fine = colours.view(2, *origins.shape)
        return RenderedViews(coarse, fine, depth.view(origins.shape[:-1]))

    def density_and_colour(self, positions: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """The fine field at positions in the world's units: (n, 3), (n, 3) → (n,), (n, 3)."""
        encoded = positional_encoding(directions, self.direction_frequencies)
        density, colour = self.fine(positions / self.radius, encoded)
        return density / self.radius, colour


class Field(nn.Module):
    """Density as a function of position, and colour as a function of position and direction.

    The encoded position is an input a second time, half way up. Density is a softplus; the paper
    has a ReLU, whose gradient may vanish everywhere.

    Args:
        frequencies: Frequencies in the encoding of a position.
        direction_frequencies: Frequencies in the encoding of a direction.
        width: Units of a hidden layer.
        layers: Hidden layers that see the position only.

    Input: positions (n, 3) in the cube from -1 to 1, and encoded directions (n, 3 + 6 ·
    direction_frequencies). Output: densities (n,), and colours (n, 3) from 0 to 1.

    Source: Mildenhall et al. (2020), figure 7; Barron et al. (2021), Mip-NeRF, for the softplus.
    """

    def __init__(
        self, frequencies: int, direction_frequencies: int, width: int, layers: int
    ) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.again = layers // 2  # the layer that sees the encoded position a second time
        position = 3 + 6 * frequencies
        direction = 3 + 6 * direction_frequencies
        widths = [position] + [width] * layers
        self.trunk = nn.ModuleList(
            nn.Linear(inputs + position * (0 < k == self.again), outputs)
            for k, (inputs, outputs) in enumerate(pairwise(widths))
        )
        self.density = nn.Linear(widths[-1], 1)
        self.feature = nn.Linear(widths[-1], width)
        self.shade = nn.Linear(width + direction, width // 2)
        self.colour = nn.Linear(width // 2, 3)

    def forward(self, positions: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3), (n, 3 + 6 · direction_frequencies) → (n,), (n, 3)."""
        x = positional_encoding(positions, self.frequencies)
        h = x
        for k, layer in enumerate(self.trunk):
            if 0 < k == self.again:
                h = torch.cat([h, x], -1)
            h = relu(layer(h))
        density = softplus(self.density(h) - 1)[..., 0]
        shade = relu(self.shade(torch.cat([self.feature(h), directions], -1)))
        return density, self.colour(shade).sigmoid()


def positional_encoding(x: Tensor, frequencies: int) -> Tensor:
    r"""Coordinates, followed by waves of them at rising frequencies: (…, d) → (…, d + 2 · L · d).

    With $L$ frequencies these are $x$, then $\sin(2^k \pi x)$ for $k$ from 0 to $L - 1$, then the
    cosines.

    Source: Mildenhall et al. (2020), equation 4; as in their code, x itself is added.
    """
    factors = math.pi * 2.0 ** torch.arange(frequencies, device=x.device, dtype=x.dtype)
    angles = (x[..., None] * factors).flatten(-2)
    return torch.cat([x, angles.sin(), angles.cos()], -1)
