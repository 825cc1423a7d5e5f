"""Neural radiance fields: a scene in the weights of a network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Claim,
    Control,
    Count,
    Natural,
    OptimizerName,
    Positive,
    Run,
    Study,
    UserError,
    data,
    training,
)
from etude.data.views import Views, cameras, rays
from etude.demos import Answer, Demo
from etude.layers.rendering import chord
from etude.networks.nerf import NeRF

from ._demo import CONTROLS, view_from
from ._figures import depth_colours, orbit, ray_weights, views_and_truth


@dataclass
class RadianceField(Study[NeRF]):
    """Learn a scene from photographs and their cameras, and render it for other cameras."""

    dataset: Literal["traced", "lego"] = "traced"  # ray-traced shapes; the paper's bulldozer
    side: Count = 48  # height and width of a ray-traced view, in pixels
    views: Count = 50  # ray-traced views to learn from
    validation: Count = 2  # views of these that are kept for validation
    tested: Count = 8  # views by other cameras, for the test
    frequencies: Natural = 5  # frequencies in the encoding of a position
    direction_frequencies: Natural = 2  # frequencies in the encoding of a direction
    width: Count = 64  # units of a hidden layer
    layers: Natural = 4  # hidden layers that see the position only
    coarse: Count = 16  # samples along a ray for the coarse field
    fine: Count = 24  # further samples along a ray for the fine field
    steps: Count = 800  # steps of gradient descent
    batch: Count = 256  # rays in each step
    frames: Count = 24  # frames of the animation
    optimizer: OptimizerName = "adam"  # the update rule; change learning_rate with it
    learning_rate: Positive = 5e-3  # the largest, after a short warm-up; then half a cosine to 0

    scales = {
        "full": {
            "dataset": "lego",
            "tested": 10,
            "frequencies": 7,
            "direction_frequencies": 3,
            "width": 96,
            "coarse": 24,
            "fine": 40,
            "steps": 3_000,
            "batch": 512,
            "learning_rate": 3e-3,
            "frames": 36,
        },
    }
    claims = [
        Claim("test/PSNR", at_least=26, source="Etude"),
        Control(
            "nearest photograph/test/PSNR",
            at_most=20,
            of="test/PSNR",
            without="a field: the nearest photograph",
        ),
        Claim("test/median error of depth", at_most=0.075, source="Etude"),
        Claim("test/PSNR", at_least=26, scale="full", seeds=1, source="Etude"),
    ]
    needs = ["sine", "spirals"]

    def __call__(self, run: Run) -> None:
        known, tested = self.scene()
        if self.validation >= len(known):
            raise UserError(
                f"nerf: validation is {self.validation}; expected fewer than the {len(known)} views"
            )
        order = torch.randperm(len(known))
        validation = known[order[: self.validation]]
        train = known[order[self.validation :]]

        net = run.place(self.network())
        columns = [run.place(part.reshape(-1, 3)) for part in (*train.rays(), train.images)]
        origins, directions, colours = columns  # a row for each pixel: (pixels, 3)
        near, far = chord(origins, directions, net.radius)
        meets = (near < far)[:, 0]  # rays that miss the ball are white, and need no learning
        batches = training.Batches([column[meets] for column in columns], self.batch)
        optimizer = training.descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, training.cosine(self.steps, warmup=30))
        state = (net, optimizer, schedule)

        for origins, directions, colours in run.steps(batches, self.steps, state=state):
            rendered = net(origins, directions)  # (rays, 2, 3), by the coarse and the fine field
            coarse, fine = (rendered - colours[:, None]).square().mean((0, 2))
            run.minimise(coarse + fine, optimizer, schedule)
            run.log(loss=coarse + fine, **{"train/PSNR": -10 * fine.detach().log10()})
            if run.every(max(1, self.steps // 5)):
                images = net.render_views(*validation.rays()).fine
                run.log(**{"validation/PSNR": training.psnr(images, validation.images).mean()})

        images = net.render_views(*validation.rays()).fine
        psnr = training.psnr(images, validation.images).mean()
        run.result({"validation/PSNR": psnr}, held_out=len(validation))

        views = net.render_views(*tested.rays())
        nearest = train.nearest(tested)
        images_by_name = {
            "test/PSNR": views.fine,
            "coarse field/test/PSNR": views.coarse,
            "nearest photograph/test/PSNR": nearest,
        }
        for name, images in images_by_name.items():
            psnr = training.psnr(images, tested.images).mean()
            run.result({name: psnr}, held_out=len(tested))
        if tested.depth is not None:
            both = tested.depth.isfinite() & views.depth.isfinite()
            error = (views.depth - tested.depth)[both].abs().median() / net.radius
            run.result({"test/median error of depth": error}, held_out=len(tested))

        run.figure("views", views_and_truth(tested, views, nearest))
        self.draw_ray(run, net, tested)
        self.draw_orbit(run, net, tested)
        run.keep(net)

    def scene(self) -> tuple[Views, Views]:
        """Views for training and validation, and views for the test, the same in every run."""
        if self.dataset == "traced":
            known = data.traced_views(self.views, self.side)
            return known, data.held_out_views(self.tested, self.side)
        views = data.lego()
        tested = torch.unique(torch.linspace(0, len(views) - 1, self.tested).long())
        known_rows = torch.ones(len(views)).index_fill(0, tested, 0).nonzero()[:, 0]
        return views[known_rows], views[tested]

    def draw_ray(self, run: Run, net: NeRF, tested: Views) -> None:
        """Draw the weights along the ray of one pixel near the middle of the first test view."""
        row = 5 * tested.side // 9
        column = tested.side // 2
        origins, directions = (part[:1, row, column] for part in tested.rays())
        with training.evaluating(net):
            ray = net.render(run.place(origins), run.place(directions))
        surface = None if tested.depth is None else float(tested.depth[0, row, column])
        run.figure("ray", ray_weights(ray, tested.images[0], (row, column), surface))

    def draw_orbit(self, run: Run, net: NeRF, tested: Views) -> None:
        """Animate a camera that moves once around the scene."""
        azimuth = torch.arange(self.frames) * 2 * math.pi / self.frames
        elevation = torch.full((self.frames,), 0.5)
        poses = cameras(azimuth, elevation)
        views = net.render_views(*rays(poses, tested.side, tested.focal))
        run.animation("turn", orbit(views.fine, depth_colours(views.depth)), fps=12)

    def network(self) -> NeRF:
        """A new network for the scene's size."""
        return NeRF(
            radius=1.0 if self.dataset == "traced" else 1.5,
            frequencies=self.frequencies,
            direction_frequencies=self.direction_frequencies,
            width=self.width,
            layers=self.layers,
            coarse=self.coarse,
            fine=self.fine,
        )

    def example(self) -> tuple[Tensor, Tensor]:
        """A batch for export and tests: two rays, origins and directions, (2, 3) each."""
        origins = torch.tensor([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
        target = torch.tensor([0.0, 0.1, -0.1])
        return origins, normalize(target - origins, dim=1)

    def predict(self, net: NeRF, input: Any) -> Mapping[str, float]:
        """The density at a position such as ``0.1 0 -0.2``, and its colour as seen from above."""
        position = data.read_numbers(input, 3, "x, y and z")
        down = torch.tensor([[0.0, 0.0, -1.0]])
        density, colour = net.density_and_colour(position, down)
        red, green, blue = colour[0].tolist()
        return {"density": float(density), "red": red, "green": green, "blue": blue}

    def demo(self) -> Demo:
        """Turn the camera, also to where no camera ever stood."""
        question = "No camera stood below the table. What will it look like from there?"
        guesses = ["as it truly does", "like fog", "right in shape, made up in colour"]
        return Demo(question, CONTROLS, self.view_from, guesses)

    def view_from(self, net: NeRF, azimuth: float, elevation: float) -> Iterator[Answer]:
        """The view of a camera at these angles, in degrees."""
        return view_from(net, azimuth, elevation, self.side if self.dataset == "traced" else None)
