"""Digits recognised by drawings of digits: strokes written down by hand, and nine numbers that are
learned.
"""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, normalize, one_hot

# How people write the digits, in a box that is 1 wide and 1 high, y downwards. A drawing is one or
# more strokes (between bars), a stroke a line through its items: "x y" is a point, "x y a b from
# to" an arc of the ellipse around (x, y) with half-axes a and b, in degrees, 0 to the right and 90
# downwards.
DRAWINGS: dict[int, tuple[str, ...]] = {
    0: (
        ".5 .5 .33 .5 0 360",
        ".5 .5 .22 .5 0 360",
        ".5 .5 .42 .5 0 360",
    ),
    1: (
        ".5 0, .5 1",
        ".3 .2, .5 0, .5 1",
        ".3 .2, .5 0, .5 1 | .25 1, .75 1",
        ".1 .45, .55 0, .5 1",
        ".1 .45, .5 0, .5 1 | .2 1, .8 1",
        ".25 .35, .5 0, .5 1 | .05 1, .95 1",
    ),
    2: (
        ".5 .28 .33 .28 190 370, .15 1, .9 1",
        ".5 .28 .3 .28 200 380, .5 .75, .3 .88 .17 .12 300 100, .45 .9, .9 1",
        ".5 .3 .33 .3 200 360, .2 .3 .63 .65 0 75, .15 1, .9 .95",
        ".5 .25 .3 .25 200 395, .3 .85 .2 .13 290 80, .6 .95, .95 .9",
        ".15 .1, .45 .25 .3 .25 250 400, .2 .95, .9 .95",
        ".55 .25 .3 .25 190 400, .2 .9, .2 .87 .12 .1 90 330, .95 1",
    ),
    3: (
        ".45 .25 .3 .25 200 450, .45 .74 .35 .26 270 520",
        ".15 0, .8 0, .45 .4, .45 .7 .35 .3 270 520",
        ".45 .22 .25 .22 220 420, .45 .71 .4 .29 290 500",
        ".45 .22 .3 .22 200 430, .4 .45, .45 .72 .3 .28 280 500",
        ".1 .05, .75 0, .75 .2, .4 .42, .45 .7 .3 .3 280 470, .1 .95",
    ),
    4: (
        ".2 0, .12 .55, .9 .55 | .7 0, .7 1",
        ".65 0, .1 .65, .95 .65 | .65 0, .65 1",
        ".45 .1 .33 .42 180 60, .8 .45 | .8 0, .7 1",
        ".25 .05, .2 .45, .75 .4 | .8 0, .6 1",
        ".5 0, .05 .65, .95 .65 | .7 .35, .55 1",
        ".35 0, .1 .5, .9 .5 | .75 .2, .55 1",
        ".6 0, .05 .7, .95 .6 | .6 .4, .5 1",
    ),
    5: (
        ".85 0, .25 0, .2 .42, .45 .68 .38 .32 235 510",
        ".9 .02, .3 .05, .25 .45, .45 .42, .45 .7 .3 .3 280 500",
        ".95 0, .4 0, .3 .4, .6 .5, .7 .7, .5 .95, .1 1",
        ".8 0, .3 0, .2 .45, .45 .72 .32 .28 230 450, .1 .95",
        ".25 .05, .22 .42, .42 .7 .35 .3 250 480 | .25 .05, .9 0",
    ),
    6: (
        ".75 .65 .58 .65 265 180, .5 .7 .33 .3 180 540",
        ".5 0, .25 .4, .48 .74 .3 .26 190 540",
        ".7 0, .35 .35, .2 .7, .45 .78 .25 .22 180 -170",
        ".45 0, .2 .5, .25 .85, .5 .78 .28 .22 150 -200",
        ".8 .7 .65 .7 260 180, .45 .8 .3 .2 180 540",
    ),
    7: (
        ".15 0, .85 0, .4 1",
        ".15 0, .85 0, .4 1 | .35 .5, .75 .5",
        ".15 .18, .17 .02, .85 .02, .6 .4, .5 1",
        ".1 .1, .5 .25 .35 .2 230 350, .5 1",
        ".1 .08, .8 0, .4 1 | .2 .58, .9 .48",
        ".2 0, .8 0, .65 .4, .45 1 | .2 .5, .95 .5",
        ".05 .2, .2 .05, .75 .05, .35 1 | .1 .5, .8 .5",
    ),
    8: (
        ".5 .25 .27 .25 0 360 | .5 .75 .33 .25 0 360",
        ".5 .22 .2 .22 0 360 | .5 .72 .24 .28 0 360",
        ".5 .25 .3 .25 320 130, .75 .65, .5 .77 .3 .23 340 560, .75 .2",
        ".5 .2 .2 .2 0 360 | .45 .7 .3 .3 0 360",
        ".5 .28 .3 .28 0 360 | .5 .78 .22 .22 0 360",
        ".52 .22 .28 .22 330 120, .7 .6, .5 .78 .25 .22 330 540, .35 .6, .8 .1",
    ),
    9: (
        ".48 .28 .32 .28 0 360 | .8 .28, .78 1",
        ".48 .28 .32 .28 0 360 | .3 .3 .5 .68 0 85",
        ".45 .27 .3 .27 -30 360 | .75 .25, .5 1",
        ".5 .22 .25 .22 0 360 | .75 .2, .65 1",
        ".5 .27 .3 .27 0 360 | .8 .27, .8 .65, .48 .78 .32 .22 0 150",
        ".5 .22 .3 .22 0 360 | .8 .1, .8 .6, .48 .72 .32 .28 0 160",
        ".45 .27 .3 .27 -20 300 | .8 .1, .75 .65, .4 .75 .35 .25 10 130",
    ),
}
NUMBERS = sum(
    len(re.findall(r"[\d.]+", drawing)) for drawings in DRAWINGS.values() for drawing in drawings
)
POINTS = 96  # along a drawing

START = {
    "slant": 1.0,  # the part of an image's slant that is taken out
    "zoom": 2.0,  # half the height of the window, in standard deviations of the ink
    "aspect": 0.5,  # 0: the window is square; 1: as wide as the ink
    "pen": 0.12,  # half the width of the line with which the drawings are drawn
    "fine": 1.0,  # standard deviation of the Gaussian whose derivative finds edges, in cells
    # standard deviation of the Gaussian that lets edges lie a little elsewhere, in cells
    "coarse": 1.5,
    "contrast": 1.0,  # exponent of an edge's strength
    "tuning": 1.0,  # exponent of how well an edge's direction agrees with a channel's
    "sharpness": 20.0,  # of the softmax
}
"""The nine numbers, where they begin."""


def drawing(text: str, points: int = POINTS) -> Tensor:
    """A drawing as points, evenly along its strokes. Shape: (points, 2)."""
    strokes = []
    for stroke in text.split("|"):
        places = []
        for item in stroke.split(","):
            match [float(number) for number in item.split()]:
                case [x, y]:
                    places.append(torch.tensor([[x, y]]))
                case [x, y, a, b, *ends]:
                    angle = torch.linspace(math.radians(ends[0]), math.radians(ends[1]), 48)
                    places.append(torch.stack([x + a * angle.cos(), y + b * angle.sin()], dim=1))
        strokes.append(torch.cat(places))
    pieces = torch.cat(
        [torch.stack([s[:-1], s[1:]], dim=1) for s in strokes]
    )  # (pieces, 2 ends, 2)
    length = (pieces[:, 1] - pieces[:, 0]).norm(dim=1)
    ends = length.cumsum(0)
    along = (torch.arange(points) + 0.5) / points * ends[-1]
    piece = torch.searchsorted(ends, along).clamp_max(len(pieces) - 1)
    part = 1 - (ends[piece] - along) / length[piece]
    return torch.lerp(pieces[piece, 0], pieces[piece, 1], part[:, None])


def gaussian(cells: int, width: Tensor) -> Tensor:
    """The matrix that blurs a vector of so many cells; each row sums to one."""
    place = torch.arange(cells, device=width.device)
    weights = torch.exp(-((place[:, None] - place) ** 2) / (2 * width**2))
    return weights / weights.sum(1, keepdim=True)


class StrokeNetwork(nn.Module):
    r"""Compares an image with drawings of every class; its nine parameters describe how.

    Each of the nine is $v_i = v_i^0 e^{\theta_i}$: $v_i^0$ from :data:`START`, $\theta_i$ trained,
    zero at first.

    Args:
        templates: images that stand in for the drawings, (n, 1, height, width), from 0 to 1; by
            default the drawings.
        labels: their classes, (n,).
        cells: cells along each side of the window in which images and drawings are sampled.
        directions: directions of edges that have a channel of their own.

    Input (batch, 1, height, width), ink is 1 and paper 0; output: log-probabilities but for a
    constant, (batch, 10).
    """

    points: Tensor
    templates: Tensor | None
    votes: Tensor

    def __init__(
        self,
        templates: Tensor | None = None,
        labels: Tensor | None = None,
        cells: int = 20,
        directions: int = 8,
    ) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(len(START)))
        self.cells = cells
        self.directions = directions
        texts = [(digit, text) for digit, drawings in DRAWINGS.items() for text in drawings]
        known = torch.tensor([digit for digit, _ in texts]) if labels is None else labels
        classes = one_hot(known, 10).float()  # (templates, 10)
        self.register_buffer(
            "points", torch.stack([drawing(text) for _, text in texts]), persistent=False
        )
        self.register_buffer("templates", templates, persistent=templates is not None)
        self.register_buffer(
            "votes", (classes / classes.sum(0).clamp_min(1)).log(), persistent=templates is not None
        )

    def values(self) -> dict[str, Tensor]:
        """The nine numbers by name."""
        start = torch.tensor(list(START.values()), device=self.theta.device)
        return dict(zip(START, start * self.theta.exp(), strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, height, width) → (batch, 10)."""
        return (self.likeness(x)[:, :, None] + self.votes).logsumexp(1)

    def likeness(self, x: Tensor) -> Tensor:
        """The sharpness times the cosine between the features of each image and each template,
        (batch, templates).
        """
        return self.values()["sharpness"] * self.features(x) @ self.features(self.known()).T

    def known(self) -> Tensor:
        """The templates with which images are compared, (templates, 1, height, width): the
        drawings, or the images given.
        """
        return self.draw() if self.templates is None else self.templates

    def draw(self, side: int = 32) -> Tensor:
        """The drawings as images. Shape: (drawings, 1, side, side)."""
        place = (torch.arange(side, device=self.points.device) + 0.5) / side * 2 - 1
        x, y = (
            self.points[..., 0] * 1.2 - 0.6,
            self.points[..., 1] * 1.6 - 0.8,
        )  # (drawings, points)
        across = (place - x[..., None]) ** 2  # (drawings, points, side)
        down = (place - y[..., None]) ** 2
        distance = (across[:, :, None, :] + down[:, :, :, None]).amin(1).sqrt()
        return torch.sigmoid((self.values()["pen"] - distance) * side)[:, None]

    def normalised(self, x: Tensor) -> Tensor:
        """Each image in a window that its own ink determines, (n, 1, cells, cells): centred,
        upright, of one size.
        """
        v = self.values()
        h, w = x.shape[-2:]
        down = (torch.arange(h, device=x.device) + 0.5) / h * 2 - 1
        across = (torch.arange(w, device=x.device) + 0.5) / w * 2 - 1
        ink = x[:, 0] / x.sum((1, 2, 3), keepdim=True)[:, 0].clamp_min(1e-6)
        centre_x, centre_y = ink.sum(1) @ across, ink.sum(2) @ down
        dx, dy = across - centre_x[:, None], down - centre_y[:, None]
        xx, yy = (ink.sum(1) * dx**2).sum(1), (ink.sum(2) * dy**2).sum(1).clamp_min(1e-4)
        xy = torch.einsum("nij,ni,nj->n", ink, dy, dx)
        slant = v["slant"] * xy / yy
        upright = (xx - 2 * slant * xy + slant**2 * yy).clamp_min(1e-4)
        half_height = v["zoom"] * yy.sqrt()
        half_width = half_height * ((upright / yy).sqrt() / 0.6) ** v["aspect"]
        u = torch.linspace(-1, 1, self.cells, device=x.device)
        rows = half_height[:, None] * u  # (n, cells)
        columns = half_width[:, None] * u
        grid_x = centre_x[:, None, None] + columns[:, None, :] + (slant[:, None] * rows)[:, :, None]
        grid_y = (centre_y[:, None] + rows)[:, :, None].expand_as(grid_x)
        return grid_sample(x, torch.stack([grid_x, grid_y], dim=3), align_corners=False)

    def features(self, x: Tensor) -> Tensor:
        """The strength of edges by direction and cell, blurred and of length 1: (n, 1, h, w) →
        (n, directions · cells²).
        """
        v = self.values()
        image = self.normalised(x)
        image = image / image.amax((2, 3), keepdim=True).clamp_min(1e-6)
        smooth = gaussian(self.cells, v["fine"])
        place = torch.arange(self.cells, device=x.device)
        slope = (
            smooth * (place - place[:, None]) / v["fine"]
        )  # the Gaussian's derivative, times its width
        gx, gy = smooth @ image @ slope.T, slope @ image @ smooth.T  # (n, 1, cells, cells)
        strength = (gx**2 + gy**2 + 1e-8).sqrt()
        angle = torch.arange(self.directions, device=x.device)[:, None, None] * (
            2 * math.pi / self.directions
        )
        agreement = ((gx * angle.cos() + gy * angle.sin()) / strength).clamp_min(1e-4)
        edges = (
            strength ** v["contrast"] * agreement ** v["tuning"]
        )  # (n, directions, cells, cells)
        blur = gaussian(self.cells, v["coarse"])
        flat = (blur @ edges @ blur.T).flatten(1)
        return normalize(flat, dim=1)
