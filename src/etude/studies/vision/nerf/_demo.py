"""The demo: the scene from a camera that the visitor turns."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from etude.data.views import cameras, rays, trace
from etude.demos import Answer, Controls, Pictures, Slider
from etude.networks.nerf import NeRF

from ._figures import depth_colours

SIDE = 64  # pixels of the rendered view
FOCAL = 1.389  # focal length of the photographs of the bulldozer, in sides of the picture

CONTROLS: Controls = {
    "azimuth": Slider("Around, in degrees", -180, 180, 30, 5),
    "elevation": Slider("Above the table, in degrees", -60, 85, 30, 5),
}


def view_from(net: NeRF, azimuth: float, elevation: float, side: int | None) -> Iterator[Answer]:
    """The rendered view of one camera, its depth, and the true view if it can be computed.

    Args:
        net: A trained network.
        azimuth: Angle of the camera around the scene, in degrees.
        elevation: Angle of the camera above the table, in degrees.
        side: Pixels of the true view of the ray-traced scene; None for a scene of photographs.
    """
    angles = torch.tensor([[azimuth], [elevation]]) * math.pi / 180
    pose = cameras(angles[0], angles[1])
    focal = FOCAL * SIDE
    if side is not None:
        truth = trace(pose, side)
        focal = truth.focal * SIDE / side
    rendered = net.render_views(*rays(pose, SIDE, focal))
    images = {"rendered": rendered.fine[0].numpy(), "depth": depth_colours(rendered.depth)[0]}
    if side is not None:
        images["truth"] = truth.images[0].numpy()
    yield Pictures("The view from there", images, width=220, smooth=True)
