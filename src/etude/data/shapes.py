r"""Scenes of coloured shapes on a patterned background; the class of every pixel is known.

Every shape is a star with $k$ tips and an inner radius. A square has four tips, and its inner
corners lie on its edges; a disc has so many tips that none is visible. So one formula draws all
shapes, for a whole batch at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from etude.data.annotated import Boxed, Parts

KINDS = ("disc", "square", "triangle", "star")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
TIPS = torch.tensor([48.0, 4.0, 3.0, 5.0])
INNER = torch.tensor([math.cos(math.pi / 48), math.cos(math.pi / 4), math.cos(math.pi / 3), 0.42])
SIZE = torch.tensor(
    [0.9, 1.1, 1.15, 1.15]
)  # the outer radius, so that all kinds look equally large
RGB = torch.tensor(
    [
        [0.86, 0.18, 0.18],
        [0.95, 0.55, 0.12],
        [0.93, 0.86, 0.25],
        [0.2, 0.68, 0.3],
        [0.18, 0.38, 0.85],
        [0.6, 0.28, 0.72],
    ]
)
TRIES = 12  # places that are tried for each shape
TEST_SEED = 0x5CE4E5  # of held-out scenes, which are the same for every run
BLOCK = 128  # scenes painted together; what they need stays in the processor's cache


@dataclass(frozen=True, eq=False)
class Scenes:
    """Pictures, and everything that is known about the shapes in them.

    The shapes of a scene are padded to the largest number in a scene, ``most``. Indexing with rows
    gives those scenes.

    Args:
        images: uint8 (n, 3, side, side).
        instances: The shape that each pixel shows, counted from 1, or 0 for the ground, uint8 (n,
            side, side).
        kinds: Index in ``KINDS`` of each shape, int64 (n, most); -1 where there is none. Later
            shapes lie on top.
        colours: Index in ``COLOURS`` of each shape, int64 (n, most), or -1.
        centres: x and y of each shape in pixels, float32 (n, most, 2).
        boxes: Left, top, right and bottom edge of the visible part in pixels, float32 (n, most, 4);
            zeros where there is none.
    """

    images: Tensor
    instances: Tensor
    kinds: Tensor
    colours: Tensor
    centres: Tensor
    boxes: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor | slice) -> Scenes:
        return Scenes(*(t[rows] for t in self._tensors))

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.images, self.instances, self.kinds, self.colours, self.centres, self.boxes

    @property
    def counts(self) -> Tensor:
        """The number of shapes in each scene, (n,)."""
        return (self.kinds >= 0).sum(1)

    @cached_property
    def classes(self) -> Tensor:
        """The class of each pixel: 0 for the ground, else 1 + its kind; int64 (n, side, side)."""
        table = torch.cat([torch.zeros_like(self.kinds[:, :1]), self.kinds + 1], 1)  # (n, 1 + most)
        return table.gather(1, self.instances.flatten(1).long()).view(self.instances.shape)

    @property
    def masks(self) -> Tensor:
        """The visible part of each shape, bool (n, most, side, side)."""
        numbers = torch.arange(
            1, self.kinds.shape[1] + 1, dtype=torch.uint8, device=self.instances.device
        )
        return self.instances[:, None] == numbers[:, None, None]

    @property
    def boxed(self) -> Boxed:
        """Images, boxes and kinds."""
        return Boxed(self.images, self.boxes, self.kinds)


def scenes(
    n: int,
    side: int = 64,
    shapes: tuple[int, int] = (1, 6),
    kinds: int = len(KINDS),
    radius: tuple[float, float] = (0.09, 0.24),
    overlap: float = 0.25,
    noise: float = 0.04,
    generator: Generator | None = None,
) -> Scenes:
    """Draw scenes with discs, squares, triangles and stars at random.

    Number, kind, colour, position, size and rotation of the shapes are random; kind and colour are
    independent. Shapes are stretched, and are striped, chequered or plain. The background is a
    gradient with blotches, and every pixel is noisy. The scenes depend on the generator only.

    Args:
        n: Number of scenes.
        side: Height and width of a scene, in pixels.
        shapes: Smallest and largest number of shapes. A shape for which no position is free is left
            out; there is always at least one.
        kinds: Number of kinds; the first ones of ``KINDS`` occur.
        radius: Smallest and largest radius, as a fraction of the side.
        overlap: How far two shapes may overlap, as a fraction of the sum of their radii, from 0
            (they only touch) to below 1.
        noise: Standard deviation of each pixel's noise; colours go from 0 to 1.
        generator: PyTorch's own by default.
    """
    blocks = []
    for start in range(0, n, BLOCK):
        blocks.append(
            _painted(min(BLOCK, n - start), side, shapes, kinds, radius, overlap, noise, generator)
        )
    return Scenes(*(torch.cat(column) for column in zip(*blocks, strict=True)))


def scene_parts(train: int, side: int = 64) -> Parts[Scenes]:
    """Scenes for training, drawn by PyTorch's own generator, and 200 for validation and 500 for the
    test, which are the same in every run.
    """
    held_out = torch.Generator().manual_seed(TEST_SEED)
    validation, test = (scenes(n, side, generator=held_out) for n in (200, 500))
    return Parts(
        scenes(train, side),
        validation,
        test,
        KINDS,
        f"drawn by Etude: {train:,} + 200 + 500 scenes",
    )


def _painted(
    n: int,
    side: int,
    shapes: tuple[int, int],
    kinds: int,
    radius: tuple[float, float],
    overlap: float,
    noise: float,
    generator: Generator | None,
) -> tuple[Tensor, ...]:
    """One block of scenes: the six tensors of ``Scenes``."""
    most = shapes[1]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    def whole(below: int, *shape: int) -> Tensor:
        return torch.randint(below, (n, *shape), generator=generator)

    wanted = shapes[0] + whole(most - shapes[0] + 1)
    kind, colour = whole(kinds, most), whole(len(COLOURS), most)
    r = side * uniform(*radius, most)  # (n, most)
    centre, there = _placed(r, wanted, side, overlap, uniform(0, 1, most, TRIES, 2))
    order = (~there).byte().argsort(dim=1, stable=True)  # those that are there first
    kind, colour, r, there = (t.gather(1, order) for t in (kind, colour, r, there))
    centre = centre.gather(1, order[..., None].expand_as(centre))

    # Along the axes of each shape, in units of its radius: where every pixel lies. (total, side,
    # side)
    rows, slots = there.nonzero(as_tuple=True)
    at = torch.arange(side) + 0.5
    x, y = at - centre[there][:, :1], at - centre[there][:, 1:]
    angle, stretch = uniform(0, 2 * math.pi, most)[there], uniform(0.72, 1.0, most)[there]
    k = kind[there]
    long = r[there] * SIZE[k] / stretch.sqrt()
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    u = cos * x[:, None, :] + sin * y[:, :, None]
    v = (cos * y[:, :, None] - sin * x[:, None, :]) / stretch[:, None, None]
    u, v = u / long[:, None, None], v / long[:, None, None]
    cover = (0.5 - _outside(u, v, TIPS[k], INNER[k]) * (long * stretch)[:, None, None]).clamp_(0, 1)

    # Stripes or checks that make the colour darker and lighter
    pitch, strength = (
        uniform(4, 9, 2, most),
        uniform(-0.1, 0.3, most).clamp_min(0)[there][:, None, None],
    )
    second = torch.where(uniform(0, 1, most)[there] < 0.4, pitch[:, 1][there], 0.0)[:, None, None]
    texture = 1 + strength * (
        torch.sin(pitch[:, 0][there][:, None, None] * u) * torch.cos(second * v)
    )
    tint = RGB[colour[there]] + 0.06 * torch.randn(n, most, 3, generator=generator)[there]

    image = _ground(n, side, generator)
    instances = torch.zeros(n, side, side, dtype=torch.uint8)
    for slot in range(most):  # one over the other, in all scenes at once
        here = slots == slot
        those, alpha = rows[here], cover[here]
        paint = tint[here][:, :, None, None] * texture[here][:, None]
        image[those] = image[those].lerp(paint, alpha[:, None])
        instances[those] = torch.where(alpha > 0.5, slot + 1, instances[those])
    image += noise * torch.randn(image.shape, generator=generator)
    image = image.mul_(255).round_().clamp_(0, 255).byte()
    kind, colour = (t.masked_fill(~there, -1) for t in (kind, colour))
    boxes = boxes_of(
        instances[:, None] == torch.arange(1, most + 1, dtype=torch.uint8)[:, None, None]
    )
    return image, instances, kind, colour, centre * there[..., None], boxes


def _placed(
    r: Tensor, wanted: Tensor, side: int, overlap: float, tries: Tensor
) -> tuple[Tensor, Tensor]:
    """Centres (n, most, 2) and which were found (n, most): of each the first try that is far enough
    from the others.
    """
    n, most = r.shape
    centres = 0.7 * r[..., None, None] + tries * (
        side - 1.4 * r[..., None, None]
    )  # (n, most, tries, 2)
    chosen, there = torch.zeros(n, most, 2), torch.zeros(n, most, dtype=torch.bool)
    for j in range(most):
        apart = (centres[:, j, :, None] - chosen[:, None, :j]).norm(dim=-1)  # (n, tries, j)
        near = apart < (1 - overlap) * (r[:, j, None] + r[:, :j])[:, None]
        free = ~(near & there[:, None, :j]).any(2)  # (n, tries)
        chosen[:, j] = centres[torch.arange(n), j, free.byte().argmax(1)]
        there[:, j] = free.any(1) & (j < wanted)
    return chosen, there


def _outside(u: Tensor, v: Tensor, tips: Tensor, inner: Tensor) -> Tensor:
    """How far points lie outside of stars whose tips are at radius 1, along the normal of the
    nearest edge.

    Args:
        u: (total, side, side), along the axis that the first tip lies on.
        v: across it.
        tips: how many; (total,).
        inner: the radius halfway between two tips; (total,).
    """
    half = (math.pi / tips)[:, None, None]
    angle = torch.atan2(v, u).abs()
    folded = (
        (angle + half) % (2 * half) - half
    ).abs()  # every sector onto one, and that onto its half
    far = (u.square() + v.square()).sqrt()
    p, q = far * folded.cos(), far * folded.sin()
    # The edge goes from (1, 0) to m (cos, sin) of half a sector; its normal is that direction
    # turned.
    along_x, along_y = inner[:, None, None] * half.cos() - 1, inner[:, None, None] * half.sin()
    return ((p - 1) * along_y - q * along_x) / (along_x.square() + along_y.square()).sqrt()


def _ground(n: int, side: int, generator: Generator | None) -> Tensor:
    """Muted colours that change into each other, with blotches. (n, 3, side, side)."""
    gray = 0.15 + 0.7 * torch.rand(n, 2, 1, generator=generator)
    two = gray + 0.07 * torch.randn(n, 2, 3, generator=generator)
    direction = 2 * math.pi * torch.rand(n, 1, 1, generator=generator)
    axis = torch.linspace(-0.5, 0.5, side)
    slope = (direction.cos() * axis + direction.sin() * axis[:, None] + 0.5).clamp_(0, 1)
    ground = torch.lerp(two[:, 0, :, None, None], two[:, 1, :, None, None], slope[:, None])
    blotches = 0.05 * torch.randn(n, 3, 6, 6, generator=generator)
    return ground + interpolate(blotches, side, mode="bilinear", align_corners=True)


def boxes_of(masks: Tensor) -> Tensor:
    """The smallest boxes around masks, bool (…, height, width) → float32 (…, 4); zeros for an empty
    mask.
    """
    edges = []
    for along in (-2, -1):  # what is set in each column, then in each row
        filled = masks.any(along)
        first = filled.byte().argmax(-1)
        last = filled.shape[-1] - filled.flip(-1).byte().argmax(-1)
        edges.append(torch.stack([first, last], -1) * filled.any(-1, keepdim=True))
    (left, right), (top, bottom) = (edge.unbind(-1) for edge in edges)
    return torch.stack([left, top, right, bottom], -1).float()
