"""Data that is drawn, never stored: each function takes the generator that it draws from."""

from __future__ import annotations

import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, interpolate

from etude.data.labelled import Dataset, Labelled
from etude.errors import UserError


def noisy_sine(
    n: int, sigma: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """``(x, y)``, each (n,): x ~ U(0, 1), y = sin(2πx) + ε, ε ~ N(0, σ²).

    References
    ----------
    C. M. Bishop: Pattern Recognition and Machine Learning (2006), section 1.1
    """
    x = torch.rand(n, generator=generator)
    return x, torch.sin(2 * math.pi * x) + sigma * torch.randn(n, generator=generator)


def two_spirals(
    points: int, turns: float, noise: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """``(xy, label)``: xy (points, 2) within the unit disc, apart from the noise; label (points,)
    float, 0 and 1 in turn.

    The points of a spiral lie at radius r = 0.1 … 1, evenly along it; its angle is 2π·turns·r, the
    other's π more. Each coordinate gets N(0, noise²).

    References
    ----------
    K. J. Lang, M. J. Witbrock: Learning to tell two spirals apart (1988)
    """
    label = torch.arange(points) % 2
    r = (
        0.1 + 0.9 * torch.linspace(0, 1, points).sqrt()
    )  # the square root: length along the spiral grows as r²
    angle = 2 * math.pi * turns * r + math.pi * label
    xy = torch.stack([r * angle.cos(), r * angle.sin()], dim=1)
    return xy + noise * torch.randn(points, 2, generator=generator), label.float()


def two_moons(
    points: int, noise: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """``(xy, label)``: two half circles that reach into each other; xy (points, 2), label (points,)
    float, 0 and 1.

    Class 0 lies on the upper half of the unit circle, class 1 on the lower half of the circle
    around (1, 0.5). Each coordinate gets N(0, noise²).
    """
    label = torch.arange(points) % 2
    angle = math.pi * torch.rand(points, generator=generator)
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    xy = torch.where(label[:, None] == 0, upper, torch.tensor([1.0, 0.5]) - upper)
    return xy + noise * torch.randn(points, 2, generator=generator), label.float()


def rings(
    points: int, inner: float, gap: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """``(xy, label)``: a disc of radius `inner` (class 1) within a ring of the same area (class 0).

    xy (points, 2), even over each region; label (points,) float, in turn. Between the two lies an
    empty ring of width `gap`, so that a classifier can be right on all points.
    """
    label = torch.arange(points) % 2
    low = torch.where(label == 1, 0.0, inner + gap)
    high = (low**2 + inner**2).sqrt()
    r = (low**2 + (high**2 - low**2) * torch.rand(points, generator=generator)).sqrt()
    angle = 2 * math.pi * torch.rand(points, generator=generator)
    return torch.stack([r * angle.cos(), r * angle.sin()], 1), label.float()


GLYPHS = tuple("ABEGKRSX48")
FACES = tuple(
    f"DejaVu{face}.ttf"
    for face in (
        "Sans",
        "Sans-Bold",
        "Sans-Oblique",
        "Sans-BoldOblique",
        "SansMono",
        "SansMono-Bold",
        "SansMono-Oblique",
        "SansMono-BoldOblique",
        "Serif",
        "Serif-Bold",
        "Serif-Italic",
        "Serif-BoldItalic",
    )
)
# pixels; the side of the square that a glyph is drawn in, before it is turned and scaled down
ATLAS = 64
EM = 66  # pixels; the font size at which the widest glyph just fits, and capitals are 48 high
TEST_SEED = 0x5EED_0F_61F5  # the test part is the same for every run


def coloured_glyphs(
    train: int = 6_000, test: int = 2_000, generator: torch.Generator | None = None
) -> Dataset[Tensor]:
    """A small stand-in for CIFAR-10: coloured characters on coloured ground, uint8 (n, 3, 32, 32),
    ten classes.

    See `glyphs`. The training part is drawn from `generator` (without one, always the same), the
    test part from a generator of its own, so that it is the same whatever the run's seed.
    """
    generator = generator or torch.Generator().manual_seed(0)
    parts = glyphs(train, generator), glyphs(test, torch.Generator().manual_seed(TEST_SEED))
    return Dataset(
        *parts,
        classes=GLYPHS,
        source=f"drawn by Etude: characters of the DejaVu fonts, {train:,} + {test:,}",
    )


def glyphs(n: int, generator: torch.Generator | None = None) -> Labelled[Tensor]:
    """Coloured characters, uint8 (n, 3, 32, 32), classes 0 … 9 in equal shares and random order.

    One of ten characters in one of twelve font faces, turned by up to ±20°, 13 to 23 pixels high,
    anywhere it fits; its colour and the ground's, a gradient with blotches, are random and only far
    enough apart to be seen; with noise. The colours are drawn without regard to the class and tell
    nothing of it.

    Raises
    ------
    UserError
        if Matplotlib's fonts are not there
    """
    label = torch.arange(n) % len(GLYPHS)
    label = label[torch.randperm(n, generator=generator)]
    blocks = [
        _glyphs(block, generator) for block in torch.split(label, 1_000)
    ]  # of a size that stays in the cache
    return Labelled(
        torch.cat(blocks) if blocks else torch.empty(0, 3, 32, 32, dtype=torch.uint8), label
    )


def _glyphs(label: Tensor, generator: torch.Generator | None) -> Tensor:
    n = len(label)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    face = torch.randint(len(FACES), (n,), generator=generator)
    ink = _mask(
        _atlas()[label, face], uniform(-20, 20), uniform(17, 30), uniform(-1, 1, 2)
    )  # (n, 1, 32, 32)

    two = torch.rand(n, 2, 3, generator=generator)
    direction = uniform(0, 2 * math.pi)
    axis = torch.linspace(-0.5, 0.5, 32)
    slope = (
        direction.cos()[:, None, None] * axis + direction.sin()[:, None, None] * axis[:, None] + 0.5
    )
    ground = torch.lerp(
        two[:, 0, :, None, None], two[:, 1, :, None, None], slope.clamp(0, 1)[:, None]
    )  # (n, 3, 32, 32)
    blotches = torch.randn(n, 3, 5, 5, generator=generator)
    ground += 0.1 * interpolate(blotches, 32, mode="bilinear", align_corners=True)

    # Of twelve colours the first that is far from both ends of the gradient, else the farthest.
    colours = torch.rand(n, 12, 3, generator=generator)
    apart = torch.cdist(colours, two).amin(2)  # (n, 12)
    colour = colours[torch.arange(n), apart.clamp(max=0.5).argmax(1)]

    image = torch.lerp(ground, colour[:, :, None, None], ink)
    image += 0.04 * torch.randn(image.shape, generator=generator)
    return image.mul_(255).round_().clamp_(0, 255).byte()


def _mask(glyph: Tensor, degrees: Tensor, side: Tensor, place: Tensor) -> Tensor:
    """Glyphs (n, 1, 64, 64) turned, their squares scaled to a side, placed (-1 … 1 of the room):
    (n, 1, 32, 32).
    """
    scale = 32 / side  # of the output's square to the glyph's
    angle = degrees.deg2rad()
    matrix = (
        torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).reshape(-1, 2, 2)
        * scale[:, None, None]
    )
    room = (1 - 1 / scale)[:, None] * place
    shift = -(matrix @ room[:, :, None])
    axis = (
        torch.arange(64) + 0.5
    ) / 32 - 1  # the middles of pixels: twice as many as in the end, so no jagged edge
    across, down = (
        matrix[:, None, None, :, 0] * axis[:, None],
        matrix[:, None, None, :, 1] * axis[:, None, None],
    )
    grid = (
        across + down + shift[:, None, None, :, 0]
    )  # (n, 64, 64, 2); `affine_grid` takes three times as long
    return avg_pool2d(grid_sample(glyph, grid, align_corners=False), 2)


@lru_cache(maxsize=1)
def _atlas() -> Tensor:
    """Each character in each face, drawn to fill its square: (characters, faces, 1, 64, 64), 0 to
    1.
    """
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    folder = _fonts()
    atlas = torch.zeros(len(GLYPHS), len(FACES), 1, ATLAS, ATLAS)
    for f, face in enumerate(FACES):
        font = ImageFont.truetype(str(folder / face), EM)
        for c, character in enumerate(GLYPHS):
            left, top, right, bottom = font.getbbox(character)
            picture = Image.new("L", (ATLAS, ATLAS))
            origin = (
                (ATLAS - left - right) / 2,
                (ATLAS - top - bottom) / 2,
            )  # the middle of its ink in the middle
            ImageDraw.Draw(picture).text(origin, character, fill=255, font=font)
            atlas[c, f, 0] = torch.from_numpy(np.asarray(picture) / np.float32(255))
    return atlas


def _fonts() -> Path:
    package = find_spec("matplotlib")  # found, not imported: that takes half a second
    if package and package.origin:
        folder = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"
        if (folder / FACES[0]).is_file():
            return folder
    raise UserError(
        "the DejaVu fonts, which come with Matplotlib, are not there: pip install matplotlib"
    )
