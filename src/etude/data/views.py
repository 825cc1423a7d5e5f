r"""Photographs of one thing from many places: a small scene that is ray-traced here, and the
bulldozer of bricks.

A camera's pose is a matrix (4, 4) that takes its coordinates to those of the world: x to its right,
y up, z backwards, so that it looks along -z. In the world z is up, and what is seen lies around the
origin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from etude.data.archives import arrays
from etude.data.store import obtain
from etude.errors import UserError

DISTANCE = 4.0  # of the cameras from the origin
FOCAL = 1.95  # of the ray tracer's cameras, in sides of the picture: the unit ball just fits
TEST_SEED = 0x5CE7E  # of the places of held-out cameras, which are the same for every run
LIGHT = torch.nn.functional.normalize(
    torch.tensor([0.5, -0.4, 0.9]), dim=0
)  # towards it; it is far away
AMBIENT, GLOSS, SHARPNESS = 0.35, 0.35, 30.0
BLOCK = 1 << 17  # rays that are traced together

# Balls: centre, radius, colour.
BALLS = torch.tensor(
    [
        [-0.22, -0.22, -0.13, 0.25, 0.85, 0.16, 0.14],
        [0.32, -0.36, -0.23, 0.15, 0.96, 0.77, 0.16],
        [0.28, 0.28, 0.38, 0.16, 0.95, 0.48, 0.12],
    ]
)
# Boxes: centre, half their sides, colour. The first is the table, whose other squares are of
# another colour.
BOXES = torch.tensor(
    [
        [0.0, 0.0, -0.44, 0.6, 0.6, 0.06, 0.93, 0.92, 0.88],
        [0.28, 0.28, -0.08, 0.18, 0.18, 0.30, 0.16, 0.36, 0.78],
        [-0.32, 0.34, -0.22, 0.16, 0.10, 0.16, 0.18, 0.62, 0.34],
    ]
)
SQUARES = torch.tensor([0.36, 0.40, 0.48])


@dataclass(frozen=True, eq=False)
class Views:
    """Square pictures of one scene, on white, each with the camera that took it.

    An index of rows gives those views.

    Args:
        images: (n, side, side, 3), from 0 to 1.
        poses: (n, 4, 4), camera to world.
        focal: distance of the image from the lens, in pixels.
        radius: of a ball around the origin in which everything lies.
        depth: (n, side, side), where it is known: distance of what is seen in the middle of a
            pixel; inf: nothing.
        source: where they come from.
    """

    images: Tensor
    poses: Tensor
    focal: float
    radius: float
    depth: Tensor | None = None
    source: str = ""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor | slice) -> Views:
        depth = None if self.depth is None else self.depth[rows]
        return replace(self, images=self.images[rows], poses=self.poses[rows], depth=depth)

    @property
    def side(self) -> int:
        """Pixels of a row."""
        return self.images.shape[2]

    def rays(self) -> tuple[Tensor, Tensor]:
        """Where the ray of each pixel begins, and where it goes: twice (n, side, side, 3)."""
        return rays(self.poses, self.side, self.focal)

    def nearest(self, others: Views) -> Tensor:
        """Of each other view the picture, among these, that was taken from nearest: (n, side, side,
        3).
        """
        apart = torch.cdist(others.poses[:, :3, 3], self.poses[:, :3, 3])
        return self.images[apart.argmin(1)]


def cameras(azimuth: Tensor, elevation: Tensor, distance: float = DISTANCE) -> Tensor:
    """Poses of cameras that look at the origin, (n, 4, 4), z up.

    Args:
        azimuth: around the z axis, radians (n,).
        elevation: above the ground, radians (n,), less than a right angle.
        distance: from the origin.
    """
    flat = elevation.cos()
    back = torch.stack(
        [flat * azimuth.cos(), flat * azimuth.sin(), elevation.sin()], 1
    )  # (n, 3), a unit vector
    right = torch.stack([-azimuth.sin(), azimuth.cos(), torch.zeros_like(azimuth)], 1)
    poses = torch.zeros(len(azimuth), 4, 4, dtype=azimuth.dtype)
    poses[:, :3] = torch.stack([right, torch.linalg.cross(back, right), back, distance * back], 2)
    poses[:, 3, 3] = 1
    return poses


def rays(poses: Tensor, side: int, focal: float) -> tuple[Tensor, Tensor]:
    """The ray through the middle of each pixel: origins and directions of length 1, twice (n, side,
    side, 3).

    Args:
        poses: (n, 4, 4), camera to world.
        side: pixels of a row; the first one is at the top left.
        focal: in pixels.
    """
    along = (torch.arange(side, dtype=poses.dtype, device=poses.device) + 0.5 - side / 2) / focal
    down, across = torch.meshgrid(-along, along, indexing="ij")
    local = torch.stack([across, down, -torch.ones_like(across)], -1)  # (side, side, 3)
    directions = torch.einsum("nij,hwj->nhwi", poses[:, :3, :3], local)
    directions = directions / directions.norm(dim=-1, keepdim=True)
    return poses[:, None, None, :3, 3].expand_as(directions), directions


def traced_views(n: int, side: int, generator: Generator | None = None) -> Views:
    """Views of the traced scene from n places, even over the upper half of a sphere but for its
    foot and its top.
    """
    azimuth = 2 * math.pi * torch.rand(n, generator=generator)
    height = 0.1 + 0.85 * torch.rand(n, generator=generator)
    return traced(cameras(azimuth, height.asin()), side)


def held_out_views(n: int, side: int) -> Views:
    """As :func:`traced_views`, from places that are the same for every run."""
    return traced_views(n, side, Generator().manual_seed(TEST_SEED))


def traced(poses: Tensor, side: int, fine: int = 3) -> Views:
    """The scene as these cameras see it; a pixel is the mean of fine² rays, fine an odd number.

    Three balls and three boxes under a distant light: diffuse light, shadows, and highlights that
    move with the camera.
    """
    focal = FOCAL * side
    origins, directions = (part.reshape(-1, 3) for part in rays(poses, fine * side, fine * focal))
    blocks = zip(torch.split(origins, BLOCK), torch.split(directions, BLOCK), strict=True)
    colours, depths = zip(*(shine(o, d) for o, d in blocks), strict=True)
    shape = len(poses), side, fine, side, fine
    images = torch.cat(colours).view(*shape, 3).mean((2, 4))
    depth = torch.cat(depths).view(shape)[:, :, fine // 2, :, fine // 2]
    return Views(
        images,
        poses,
        focal,
        1.0,
        depth.contiguous(),
        "ray-traced by Etude: three balls and three boxes",
    )


def shine(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """What rays see of the scene: (n, 3), (n, 3) → colours (n, 3), from 0 to 1, and distances (n,),
    inf for nothing.

    Source: Phong (1975), Illumination for computer generated pictures; Kay & Kajiya (1986) for
    boxes as slabs.
    """
    distance, which = nearest(origins, directions)
    colour, hit = torch.ones_like(origins), distance.isfinite()
    o, d, which = origins[hit], directions[hit], which[hit]
    point = o + distance[hit, None] * d
    balls = len(BALLS)
    ball, box = BALLS[which.clamp_max(balls - 1)], BOXES[(which - balls).clamp_min(0)]
    round_ = (point - ball[:, :3]) / ball[:, 3:4]
    inside = (point - box[:, :3]) / box[:, 3:6]  # on the face it is on, 1 or -1
    flat = (
        torch.zeros_like(inside).scatter(1, inside.abs().argmax(1, keepdim=True), 1) * inside.sign()
    )
    normal = torch.where((which < balls)[:, None], round_, flat)
    own = torch.where((which < balls)[:, None], ball[:, 4:], box[:, 6:])
    odd = ((point[:, :2] + 0.6) / 0.2).floor().sum(1) % 2 == 1
    own = torch.where((odd & (which == balls))[:, None], SQUARES, own)

    towards = LIGHT.expand_as(point)
    lit = nearest(point + 1e-3 * normal, towards)[0].isinf()[:, None]
    facing = (normal @ LIGHT).clamp_min(0)[:, None]
    mirrored = d - 2 * (d * normal).sum(1, keepdim=True) * normal
    highlight = GLOSS * (mirrored @ LIGHT).clamp_min(0)[:, None] ** SHARPNESS
    colour[hit] = (own * (AMBIENT + (1 - AMBIENT) * facing * lit) + highlight * lit).clamp_max(1)
    return colour, distance


def nearest(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to what each ray hits first, (n,), inf for nothing; and its number, balls before
    boxes.
    """
    apart = origins[:, None] - BALLS[:, :3]  # (n, balls, 3)
    half = (apart * directions[:, None]).sum(2)
    root = half**2 - apart.square().sum(2) + BALLS[:, 3] ** 2  # |o + t d - c| = r, solved for t
    t = -half - root.clamp_min(0).sqrt()
    balls = torch.where((root > 0) & (t > 0), t, math.inf)

    away = torch.where(directions.abs() < 1e-9, 1e-9, directions)[:, None]
    middle, reach = (
        (BOXES[:, :3] - origins[:, None]) / away,
        (BOXES[:, 3:6] / away).abs(),
    )  # (n, boxes, 3)
    enter, leave = (middle - reach).amax(2), (middle + reach).amin(2)
    boxes = torch.where((enter < leave) & (enter > 0), enter, math.inf)
    distance, which = torch.cat([balls, boxes], 1).min(1)
    return distance, which


def lego() -> Views:
    """The bulldozer of bricks: 100 views of 100×100 pixels, the training views of the paper's set
    at an eighth.

    Raises
    ------
    UserError
        if the file is missing or damaged

    References
    ----------
    B. Mildenhall et al.: NeRF: representing scenes as neural radiance fields
    for view synthesis (2020)
    """
    found = obtain("nerf-lego")
    (path,) = found.paths.values()
    try:
        images, poses, focal = (
            torch.tensor(array) for array in arrays(path, ("images", "poses", "focal"))
        )
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    n, side = len(images), images.shape[1] if images.ndim > 1 else 0
    if (
        images.shape != (n, side, side, 4)
        or images.dtype != torch.uint8
        or poses.shape != (n, 4, 4)
        or focal.shape
    ):
        raise UserError(
            f"{path}: images {tuple(images.shape)}, poses {tuple(poses.shape)}; expected (n, s, s,"
            " 4) bytes"
        )
    colour, alpha = images[..., :3].float() / 255, images[..., 3:].float() / 255
    return Views(
        torch.lerp(torch.ones(()), colour, alpha),
        poses.float(),
        float(focal),
        1.5,
        None,
        found.set.source,
    )
