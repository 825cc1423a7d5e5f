r"""Views of one scene from many cameras: a small ray-traced scene, and the bulldozer of bricks.

A camera's pose is a matrix (4, 4) from its coordinates to those of the world: x points to its
right, y up, and z backwards, so that it looks along -z. In the world z is up, and the scene lies
around the origin.
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
    """Square pictures of one scene on white, each with the pose of its camera.

    Indexing with rows gives those views.

    Args:
        images: (n, side, side, 3), from 0 to 1.
        poses: Camera to world, (n, 4, 4).
        focal: Focal length in pixels.
        radius: Radius of a ball around the origin that holds the whole scene.
        depth: Distance of the surface in the middle of each pixel, if it is known, (n, side, side);
            inf where there is nothing.
        source: Where the views come from, in words.
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
        """Height and width of a view, in pixels."""
        return self.images.shape[2]

    def rays(self) -> tuple[Tensor, Tensor]:
        """Origin and direction of each pixel's ray, (n, side, side, 3) each."""
        return rays(self.poses, self.side, self.focal)

    def nearest(self, others: Views) -> Tensor:
        """For each other view the picture of these whose camera is nearest, (n, side, side, 3)."""
        apart = torch.cdist(others.poses[:, :3, 3], self.poses[:, :3, 3])
        return self.images[apart.argmin(1)]


def cameras(azimuth: Tensor, elevation: Tensor, distance: float = DISTANCE) -> Tensor:
    """Poses of cameras that look at the origin, (n, 4, 4), upright.

    Args:
        azimuth: Angle around the z axis in radians, (n,).
        elevation: Angle above the ground in radians, (n,), less than a right angle.
        distance: Distance from the origin.
    """
    flat = elevation.cos()
    back = torch.stack([flat * azimuth.cos(), flat * azimuth.sin(), elevation.sin()], 1)  # (n, 3)
    right = torch.stack([-azimuth.sin(), azimuth.cos(), torch.zeros_like(azimuth)], 1)
    poses = torch.zeros(len(azimuth), 4, 4, dtype=azimuth.dtype)
    poses[:, :3] = torch.stack([right, torch.linalg.cross(back, right), back, distance * back], 2)
    poses[:, 3, 3] = 1
    return poses


def rays(poses: Tensor, side: int, focal: float) -> tuple[Tensor, Tensor]:
    """Rays through the middle of each pixel: origins, and directions of length 1.

    Args:
        poses: Camera to world, (n, 4, 4).
        side: Height and width of a view, in pixels; the first pixel is at the top left.
        focal: Focal length in pixels.

    Returns:
        (n, side, side, 3) each.
    """
    along = (torch.arange(side, dtype=poses.dtype, device=poses.device) + 0.5 - side / 2) / focal
    down, across = torch.meshgrid(-along, along, indexing="ij")
    local = torch.stack([across, down, -torch.ones_like(across)], -1)  # (side, side, 3)
    directions = torch.einsum("nij,hwj->nhwi", poses[:, :3, :3], local)
    directions = directions / directions.norm(dim=-1, keepdim=True)
    return poses[:, None, None, :3, 3].expand_as(directions), directions


def traced_views(n: int, side: int, generator: Generator | None = None) -> Views:
    """Views of the ray-traced scene by n cameras, uniform on a half sphere without foot and top."""
    azimuth = 2 * math.pi * torch.rand(n, generator=generator)
    height = 0.1 + 0.85 * torch.rand(n, generator=generator)
    return trace(cameras(azimuth, height.asin()), side)


def held_out_views(n: int, side: int) -> Views:
    """Views as by :func:`traced_views`, by cameras that are the same in every run."""
    return traced_views(n, side, Generator().manual_seed(TEST_SEED))


def trace(poses: Tensor, side: int, fine: int = 3) -> Views:
    """Ray-trace the scene: three balls and three boxes under a distant light.

    There is diffuse light, there are shadows, and highlights that move with the camera.

    Args:
        poses: Camera to world, (n, 4, 4).
        side: Height and width of a view, in pixels.
        fine: A pixel is the mean of fine² rays; an odd number.
    """
    focal = FOCAL * side
    origins, directions = (part.reshape(-1, 3) for part in rays(poses, fine * side, fine * focal))
    blocks = zip(torch.split(origins, BLOCK), torch.split(directions, BLOCK), strict=True)
    colours, depths = zip(*(shade(o, d) for o, d in blocks), strict=True)
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


def shade(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Colours (n, 3), from 0 to 1, and distances (n,) of the surfaces that rays hit; inf: nothing.

    Source: Phong (1975), Illumination for computer generated pictures; Kay & Kajiya (1986) for
    boxes as slabs.
    """
    distance, which = first_hit(origins, directions)
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
    lit = first_hit(point + 1e-3 * normal, towards)[0].isinf()[:, None]
    facing = (normal @ LIGHT).clamp_min(0)[:, None]
    mirrored = d - 2 * (d * normal).sum(1, keepdim=True) * normal
    highlight = GLOSS * (mirrored @ LIGHT).clamp_min(0)[:, None] ** SHARPNESS
    colour[hit] = (own * (AMBIENT + (1 - AMBIENT) * facing * lit) + highlight * lit).clamp_max(1)
    return colour, distance


def first_hit(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of the first surface on each ray, (n,), inf for nothing, and its object's index.

    Balls come before boxes.
    """
    apart = origins[:, None] - BALLS[:, :3]  # (n, balls, 3)
    half = (apart * directions[:, None]).sum(2)
    root = half**2 - apart.square().sum(2) + BALLS[:, 3] ** 2  # |o + t d - c| = r, solved for t
    t = -half - root.clamp_min(0).sqrt()
    balls = torch.where((root > 0) & (t > 0), t, math.inf)

    away = torch.where(directions.abs() < 1e-9, 1e-9, directions)[:, None]
    middle = (BOXES[:, :3] - origins[:, None]) / away  # (n, boxes, 3)
    reach = (BOXES[:, 3:6] / away).abs()
    enter, leave = (middle - reach).amax(2), (middle + reach).amin(2)
    boxes = torch.where((enter < leave) & (enter > 0), enter, math.inf)
    distance, which = torch.cat([balls, boxes], 1).min(1)
    return distance, which


def lego() -> Views:
    """The bulldozer of bricks: the paper's 100 training views at an eighth of the size, 100×100.

    Raises:
        UserError: The file is missing or damaged.

    Source: Mildenhall et al. (2020).
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
