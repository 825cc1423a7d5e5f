"""Neural radiance fields: a scene in the weights of a network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.data.views import Views, cameras, rays, traced
from etude.demos import Answer, Demo, Pictures, Slider
from etude.errors import UserError
from etude.figures.views import along_a_ray, beside_the_truth, near_and_far, turning
from etude.layers.rendering import chord
from etude.networks.nerf import NeRF
from etude.runs.run import Run
from etude.study import Count, Natural, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import evaluating, psnr
from etude.training.optimizers import descent
from etude.training.schedules import cosine


@dataclass
class RadianceField(Study):
    """Learn a scene from photographs and their cameras, and show it from where no camera stood."""

    dataset: Literal["traced", "lego"] = (
        "traced"  # balls and boxes, ray-traced; the paper's bulldozer, 100×100
    )
    side: Count = 48  # pixels of a traced view
    views: Count = 50  # traced views to learn from
    validation: Count = 2  # of those, kept for validation
    tested: Count = 8  # views from other places, to test with
    levels: Natural = 5  # frequencies of a place's encoding
    direction_levels: Natural = 2  # frequencies of a direction's encoding
    width: Count = 64  # units of a hidden layer
    depth: Count = 4  # hidden layers that know the place alone
    coarse: Count = 16  # samples of the coarse field along a ray
    fine: Count = 24  # samples more of the fine one
    steps: Count = 800  # of gradient descent
    batch: Count = 256  # rays a step
    frames: Count = 24  # of the turning view
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 5e-3  # after a short warm-up; falls to zero along half a cosine

    scales = {
        "full": {
            "dataset": "lego",
            "tested": 10,
            "levels": 7,
            "direction_levels": 3,
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
        Claim("test/PSNR", at_least=26, source="Etude; the curriculum asks for 25"),
        Claim("test/median error of depth", at_most=0.075, source="Etude"),
        Claim("test/PSNR", at_least=20, scale="full", seeds=1, source="Etude"),
    ]
    courses = ["CUHK"]

    def __call__(self, run: Run) -> None:
        seen, tested = self.scene()
        if self.validation >= len(seen):
            raise UserError(
                f"nerf: validation is {self.validation}; expected fewer than the {len(seen)} views"
            )
        order = torch.randperm(len(seen))
        validation, train = seen[order[: self.validation]], seen[order[self.validation :]]
        net = run.place(self.network())
        columns = [run.place(part.reshape(-1, 3)) for part in (*train.rays(), train.images)]
        near, far = chord(columns[0], columns[1], net.radius)
        meets = (near < far)[
            :, 0
        ]  # the ball; all other rays are white, and rendered so without learning
        batches = Batches(
            [column[meets] for column in columns], self.batch
        )  # origins, directions, colours
        optimizer = descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, cosine(self.steps, warmup=30))

        for origins, directions, colour in run.steps(
            batches, self.steps, state=(net, optimizer, schedule)
        ):
            coarse, fine = (net(origins, directions) - colour[:, None]).square().mean((0, 2))
            run.minimise(coarse + fine, optimizer, schedule)
            run.log(loss=coarse + fine, **{"train/PSNR": -10 * fine.detach().log10()})
            if run.every(max(1, self.steps // 5)):
                found = net.pictures(*validation.rays())
                run.log(**{"validation/PSNR": psnr(found.fine, validation.images).mean()})

        found = net.pictures(*validation.rays())
        run.result(
            {"validation/PSNR": psnr(found.fine, validation.images).mean()},
            held_out=len(validation),
        )
        found, taken = net.pictures(*tested.rays()), train.nearest(tested)
        ways = {
            "test/PSNR": found.fine,
            "coarse field/test/PSNR": found.coarse,
            "nearest photograph/test/PSNR": taken,
        }
        run.result(
            {way: psnr(images, tested.images).mean() for way, images in ways.items()},
            held_out=len(tested),
        )
        if tested.depth is not None:
            both = tested.depth.isfinite() & found.depth.isfinite()
            error = (found.depth - tested.depth)[both].abs().median() / net.radius
            run.result({"test/median error of depth": error}, held_out=len(tested))
        run.figure("views", beside_the_truth(tested, found, taken))
        self.draw(run, net, tested)
        run.keep(net)

    def scene(self) -> tuple[Views, Views]:
        """Views to learn from and to validate with; views to test with, the same for every run."""
        if self.dataset == "traced":
            return data.traced_views(self.views, self.side), data.held_out_views(
                self.tested, self.side
            )
        views = data.lego()
        held_out = torch.unique(torch.linspace(0, len(views) - 1, self.tested).long())
        rest = torch.ones(len(views)).index_fill(0, held_out, 0).nonzero()[:, 0]
        return views[rest], views[held_out]

    def draw(self, run: Run, net: NeRF, tested: Views) -> None:
        """What happens along one ray; a camera that goes round."""
        row, column = 5 * tested.side // 9, tested.side // 2
        origins, directions = (part[:1, row, column] for part in tested.rays())
        with evaluating(net):
            looks = net.look(run.place(origins), run.place(directions))
        truth = None if tested.depth is None else float(tested.depth[0, row, column])
        run.figure("ray", along_a_ray(looks, tested.images[0], (row, column), truth))
        around = cameras(
            torch.arange(self.frames) * 2 * math.pi / self.frames, torch.full((self.frames,), 0.5)
        )
        found = net.pictures(*rays(around, tested.side, tested.focal))
        run.animation("turn", turning(found.fine, near_and_far(found.depth)), fps=12)

    def network(self) -> NeRF:
        """A new network for the scene's size."""
        return NeRF(
            1.0 if self.dataset == "traced" else 1.5,
            self.levels,
            self.direction_levels,
            self.width,
            self.depth,
            self.coarse,
            self.fine,
        )

    def example(self) -> tuple[Tensor, Tensor]:
        """Two rays that cross the scene: origins and directions."""
        origins = torch.tensor([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
        return origins, nn.functional.normalize(torch.tensor([0.0, 0.1, -0.1]) - origins, dim=1)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """What is at a place, as ``0.1 0 -0.2``, and its colour as seen from above."""
        assert isinstance(net, NeRF)
        density, colour = net.at(
            data.read_numbers(input, 3, "x, y and z"), torch.tensor([[0.0, 0.0, -1.0]])
        )
        return {
            "density": float(density),
            **dict(zip(("red", "green", "blue"), colour[0].tolist(), strict=True)),
        }

    def demo(self) -> Demo:
        """Turn the camera, also to where none ever stood."""
        controls = {
            "azimuth": Slider("Around, in degrees", -180, 180, 30, 5),
            "elevation": Slider("Above the table, in degrees", -60, 85, 30, 5),
        }
        question = "No camera stood below the table. What will it look like from there?"
        return Demo(
            question,
            controls,
            self.look,
            ["as it truly does", "like fog", "right in shape, made up in colour"],
        )

    def look(self, net: nn.Module, azimuth: float, elevation: float) -> Iterator[Answer]:
        """The view from there, how far away all is, and the truth, where it is known."""
        assert isinstance(net, NeRF)
        pose = cameras(
            torch.tensor([math.radians(azimuth)]), torch.tensor([math.radians(elevation)])
        )
        truth = traced(pose, self.side) if self.dataset == "traced" else None
        found = net.pictures(*rays(pose, 64, truth.focal * 64 / self.side if truth else 64 * 1.389))
        shown = {"rendered": found.fine[0].numpy(), "depth": near_and_far(found.depth)[0]}
        yield Pictures(
            "From there",
            shown | ({"truth": truth.images[0].numpy()} if truth else {}),
            width=220,
            smooth=True,
        )
