"""Cameras and the ray tracer against geometry that can be done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from etude import data
from etude.data.views import BALLS, BOXES, cameras, first_hit, rays, shade, trace
from etude.errors import UserError


def test_cameras_look_at_the_origin_with_z_up() -> None:
    torch.manual_seed(0)
    azimuth, elevation = 6 * torch.rand(20).double(), 2.8 * torch.rand(20).double() - 1.4
    poses = cameras(azimuth, elevation, 4.0)
    turn, place = poses[:, :3, :3], poses[:, :3, 3]
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3).double().expand(20, 3, 3))
    torch.testing.assert_close(torch.linalg.det(turn), torch.ones(20).double())
    torch.testing.assert_close(place, 4 * turn[:, :, 2])  # backwards is away from the origin
    assert (turn[:, 2, 0].abs() < 1e-12).all(), "the horizon is level"
    assert (turn[:, 2, 1] > 0).all(), "up is up"
    torch.testing.assert_close(place[:, 2], 4 * elevation.sin())


def test_rays_have_length_one_and_go_through_their_pixels() -> None:
    poses = cameras(torch.tensor([0.3, 2.0]), torch.tensor([0.5, -0.2]))
    origins, directions = rays(poses, 7, 9.0)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(2, 7, 7))
    assert torch.equal(origins[1, 3, 4], poses[1, :3, 3])
    torch.testing.assert_close(
        directions[:, 3, 3], -poses[:, :3, 3] / 4
    )  # the middle one meets the origin
    local = torch.einsum("nij,nhwi->nhwj", poses[:, :3, :3], directions)
    plane = 9.0 * local[..., :2] / -local[..., 2:]
    torch.testing.assert_close(plane[0, 0, 0], torch.tensor([-3.0, 3.0]))  # top left: left and up
    torch.testing.assert_close(plane[0, 6, 5], torch.tensor([2.0, -3.0]), rtol=0, atol=1e-5)


def test_rays_meet_balls_and_boxes_where_they_should() -> None:
    """Straight down from above: onto the top of each ball, of each box, and beside everything."""
    ball, box = BALLS[0], BOXES[2]
    places = torch.stack([ball[:3], box[:3], torch.tensor([0.9, 0.9, 0.0])])
    origins = torch.cat([places[:, :2], torch.full((3, 1), 5.0)], 1)
    distance, which = first_hit(origins, torch.tensor([0.0, 0.0, -1.0]).expand(3, 3))
    torch.testing.assert_close(distance[0], 5 - ball[2] - ball[3])
    torch.testing.assert_close(distance[1], 5 - box[2] - box[5])
    assert distance[2].isinf()
    assert which[:2].tolist() == [0, len(BALLS) + 2]


def test_what_is_hit_lies_on_its_surface_within_the_unit_ball() -> None:
    views = trace(cameras(torch.tensor([0.0, 2.0, 4.0]), torch.tensor([0.2, 0.6, 1.2])), 24)
    assert views.depth is not None
    origins, directions = views.rays()
    hit = views.depth.isfinite()
    points = (origins + views.depth[..., None] * directions)[hit]
    on_ball = ((points[:, None] - BALLS[:, :3]).norm(dim=2) - BALLS[:, 3]).abs().amin(1)
    outside = ((points[:, None] - BOXES[:, :3]).abs() - BOXES[:, 3:6]).amax(2).abs().amin(1)
    assert torch.minimum(on_ball, outside).max() < 1e-4
    assert points.norm(dim=1).max() < 1
    assert 0.15 < hit.float().mean() < 0.6
    corners = BOXES[:1, :3] + BOXES[:1, 3:6] * torch.cartesian_prod(*[torch.tensor([-1.0, 1])] * 3)
    assert corners.norm(dim=1).max() < 1


def test_light_shadow_and_highlight() -> None:
    down = torch.tensor([[0.0, 0.0, -1.0]])
    lit = shade(torch.tensor([[0.55, -0.55, 3.0]]), down)[0]
    behind = BALLS[2, :3] - 0.75 * torch.tensor(
        [0.5, -0.4, 0.9]
    )  # in the shadow of the ball on the tower
    shaded = shade(torch.tensor([[float(behind[0]), float(behind[1]), 3.0]]), down)[0]
    assert lit.mean() > 1.5 * shaded.mean()
    assert (shade(torch.tensor([[3.0, 3.0, 3.0]]), down)[0] == 1).all(), "white beside everything"
    one, other = (
        trace(cameras(torch.tensor([a]), torch.tensor([0.6])), 48).images for a in (-0.7, 2.4)
    )
    assert one.amax(-1).le(1).all()
    assert not torch.allclose(one, other)


def test_held_out_views_are_always_the_same_and_others_are_not() -> None:
    one, again = data.held_out_views(3, 8), data.held_out_views(3, 8)
    assert torch.equal(one.images, again.images)
    assert one.images.shape == (3, 8, 8, 3)
    seen = data.traced_views(5, 8, torch.Generator().manual_seed(1))
    assert torch.cdist(one.poses[:, :3, 3], seen.poses[:, :3, 3]).min() > 1e-3
    height = seen.poses[:, 2, 3] / 4
    assert height.min() > 0.1
    assert height.max() < 0.95
    assert torch.equal(seen.nearest(seen), seen.images)
    part = seen[torch.tensor([4, 0])]
    assert torch.equal(part.images[1], seen.images[0])
    assert part.depth is not None
    assert part.depth.shape == (2, 8, 8)


def test_the_bulldozer_stands_on_white(real) -> None:
    real("nerf-lego")
    views = data.lego()
    assert views.images.shape == (100, 100, 100, 3)
    assert views.side == 100
    assert views.images[:, 0, 0].min() == 1
    distance = views.poses[:, :3, 3].norm(dim=1)
    torch.testing.assert_close(distance, torch.full((100,), 4.031), rtol=0, atol=0.01)
    middle = -views.poses[:, :3, 2] * distance[:, None] + views.poses[:, :3, 3]
    assert middle.norm(dim=1).max() < 1e-3, "all look at the origin"
    origins, directions = views.rays()
    inked = (views.images < 1).any(-1)
    closest = torch.linalg.cross(origins, directions)[inked].norm(dim=1)
    assert closest.max() < views.radius, "all that is seen may lie in the ball"


def test_a_damaged_bulldozer_is_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ETUDE_DATA", str(tmp_path))
    path = tmp_path / "nerf-lego" / "lego_100x100.npz"
    path.parent.mkdir()
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UserError, match="is damaged"):
        data.lego()
    np.savez(
        path, images=np.zeros((2, 4, 4, 3), np.uint8), poses=np.zeros((2, 4, 4)), focal=math.pi
    )
    with pytest.raises(UserError, match=r"expected \(n, s, s, 4\) bytes"):
        data.lego()
