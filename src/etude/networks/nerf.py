"""A neural radiance field: a scene as a function of place and direction, and how it is
looked at.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from etude.layers.rendering import Rendering, chord, composite, inverted, stratified

BLOCK = 4_096  # rays that are rendered together


class Looks(NamedTuple):
    """A rendering by either field, and the distances of its samples, (rays, samples)."""

    coarse: Rendering
    fine: Rendering
    coarse_t: Tensor
    fine_t: Tensor


class Seen(NamedTuple):
    """What cameras see."""

    coarse: Tensor  # (n, side, side, 3), colours by the coarse field
    fine: Tensor  # (n, side, side, 3), by the fine one
    depth: Tensor  # (n, side, side); inf where more than half of the light passes through


def encoded(x: Tensor, levels: int) -> Tensor:
    r"""Numbers, and waves of them at rising frequencies: (…, d) → (…, d + 2 · levels · d).

    $x$, then $\sin(2^k \pi x)$ for $k$ from 0 to levels - 1, then the cosines.

    Source: Mildenhall et al. (2020), equation 4, to which their code adds x itself.
    """
    angles = (
        x[..., None] * (math.pi * 2.0 ** torch.arange(levels, device=x.device, dtype=x.dtype))
    ).flatten(-2)
    return torch.cat([x, angles.sin(), angles.cos()], -1)


class Field(nn.Module):
    """Density, which depends on the place alone, and colour, which depends on the direction it is
    seen from as well.

    The encoded place comes in again half way up. Density is a softplus where the paper has a ReLU,
    which may die.

    Input: places (n, 3), within the cube from -1 to 1, and encoded directions (n, …). Output:
    densities (n,) and colours (n, 3), from 0 to 1.

    Source: Mildenhall et al. (2020), figure 7; Barron et al. (2021), Mip-NeRF, for the softplus.
    """

    def __init__(self, levels: int, direction_levels: int, width: int, depth: int) -> None:
        super().__init__()
        self.levels, self.again = levels, depth // 2
        place, direction = 3 + 6 * levels, 3 + 6 * direction_levels
        widths = [place] + [width] * depth
        self.trunk = nn.ModuleList(
            nn.Linear(a + place * (0 < k == self.again), b)
            for k, (a, b) in enumerate(pairwise(widths))
        )
        self.density = nn.Linear(width, 1)
        self.feature = nn.Linear(width, width)
        self.shade, self.colour = nn.Linear(width + direction, width // 2), nn.Linear(width // 2, 3)

    def forward(self, places: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3), (n, …) → (n,), (n, 3)."""
        h = x = encoded(places, self.levels)
        for k, layer in enumerate(self.trunk):
            h = relu(layer(torch.cat([h, x], -1) if 0 < k == self.again else h))
        density = softplus(self.density(h) - 1)[..., 0]
        shade = relu(self.shade(torch.cat([self.feature(h), directions], -1)))
        return density, self.colour(shade).sigmoid()


class NeRF(nn.Module):
    """Two fields: by the coarse one it is found out where along a ray there is something, by the
    fine one it is seen.

    Input: origins and directions of rays, (rays, 3) each, directions of length 1. Output: the
    colours that the coarse and the fine field give, (rays, 2, 3). In training, samples are drawn
    anew each time.

    Args:
        radius: everything lies within this distance of the origin.
        levels: frequencies of a place's encoding.
        direction_levels: the same of a direction's.
        width: units of a hidden layer.
        depth: hidden layers.
        coarse: samples by which the coarse field is rendered.
        fine: samples more, where those say that there is something.

    Source: Mildenhall et al. (2020).
    """

    def __init__(
        self,
        radius: float,
        levels: int = 10,
        direction_levels: int = 4,
        width: int = 256,
        depth: int = 8,
        coarse: int = 64,
        fine: int = 128,
    ) -> None:
        super().__init__()
        self.radius, self.samples, self.direction_levels = radius, (coarse, fine), direction_levels
        self.coarse, self.fine = (Field(levels, direction_levels, width, depth) for _ in range(2))

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        """(rays, 3), (rays, 3) → (rays, 2, 3)."""
        looks = self.look(origins, directions)
        return torch.stack([looks.coarse.colour, looks.fine.colour], 1)

    def look(self, origins: Tensor, directions: Tensor) -> Looks:
        """Both renderings: (rays, 3), (rays, 3) → :class:`Looks`."""
        coarse, fine = self.samples
        ahead, random = encoded(directions, self.direction_levels), self.training
        near, far = chord(origins, directions, self.radius)
        t = stratified(near, far, coarse, random=random)
        first = self.rendered(self.coarse, origins, directions, ahead, t, far)
        edges = torch.lerp(near, far, torch.linspace(0, 1, coarse + 1, device=t.device))
        weights = (
            first.weights.detach() + 1e-3
        )  # of each bin; a little everywhere, in case it is wrong
        more = inverted(edges, weights, fine, random=random)
        both = torch.cat([t, more], 1).sort(1).values
        return Looks(
            first, self.rendered(self.fine, origins, directions, ahead, both, far), t, both
        )

    def rendered(
        self,
        field: Field,
        origins: Tensor,
        directions: Tensor,
        ahead: Tensor,
        t: Tensor,
        far: Tensor,
    ) -> Rendering:
        """One field, at distances t: (rays, samples)."""
        rays, samples = t.shape
        places = (origins[:, None] + t[:, :, None] * directions[:, None]) / self.radius
        density, colour = field(places.view(-1, 3), ahead.repeat_interleave(samples, 0))
        return composite(
            density.view(rays, samples) / self.radius, colour.view(rays, samples, 3), t, far
        )

    @torch.inference_mode()
    def pictures(self, origins: Tensor, directions: Tensor) -> Seen:
        """What cameras see, always the same way, on the CPU; rays that miss the ball are white
        unseen.

        Args:
            origins: of each pixel's ray, (n, side, side, 3).
            directions: the same.
        """
        device = self.coarse.density.weight.device
        o, d = origins.reshape(-1, 3), directions.reshape(-1, 3)
        near, far = chord(o, d, self.radius)
        colours, depth = torch.ones(2, len(o), 3), torch.full_like(o[:, 0], math.inf)
        was = self.training
        self.eval()
        for rows in torch.split((near < far)[:, 0].nonzero()[:, 0], BLOCK):
            looks = self.look(o[rows].to(device), d[rows].to(device))
            colours[:, rows] = torch.stack([looks.coarse.colour, looks.fine.colour]).cpu()
            depth[rows] = looks.fine.depth.where(looks.fine.weights.sum(1) > 0.5, math.inf).cpu()
        self.train(was)
        coarse, fine = colours.view(2, *origins.shape)
        return Seen(coarse, fine, depth.view(origins.shape[:-1]))

    def at(self, places: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Density, for distances in the world's units, and colour by the fine field: (n, 3), (n, 3)
        → (n,), (n, 3).
        """
        density, colour = self.fine(
            places / self.radius, encoded(directions, self.direction_levels)
        )
        return density / self.radius, colour
