r"""Neural radiance fields: a scene in the weights of a network.

Fifty photographs of some things on a table, and of each the place and direction of its camera. What would a camera see
that stood elsewhere? No shapes are given, no distances, not even which pixels show the same corner.

**The idea.** Learn the scene as a function that can be asked at any point: a *field* that gives the density $\sigma(x)$
of a coloured fog at place $x$, and the colour $c(x, d)$ that it has for who looks along direction $d$. Render pictures
of the fog by formulas that have gradients. Where a rendered pixel differs from the photograph, the gradient says how
density and colour should change along its ray; and where the rays of many photographs cross, they have to agree.

**What a ray sees.** Let light travel back along $r(t) = o + t d$. From $t$ to $t + dt$ it is stopped with probability
$\sigma\, dt$, so the part $T(t)$ that passes as far as $t$ obeys $T' = -\sigma T$, and
$T(t) = e^{-\int_0^t \sigma}$. The part $T \sigma\, dt$ that is stopped there brings the fog's colour along:

$$C = \int T(t)\, \sigma(r(t))\, c(r(t), d)\, dt + T(\infty) \cdot \mathrm{white}.$$

Let the fog be constant between samples $t_i$, with $\delta_i = t_{i+1} - t_i$. Of the light that comes to a stretch
$e^{-\sigma_i \delta_i}$ passes, so the integral is exactly a sum,

$$C = \sum_i w_i c_i + \Big(1 - \sum_i w_i\Big), \qquad w_i = T_i\, (1 - e^{-\sigma_i \delta_i}), \qquad
T_i = e^{-\sum_{j<i} \sigma_j \delta_j}.$$

The weights are a distribution: where along the ray light comes from. `composite` is these lines, and their mean
$\sum_i w_i t_i$ is the depth, which nobody told.

**Where to look.** *Stratified*: cut the ray into equal bins and draw one sample from each, anew at each step. So over
time the field is asked everywhere, and not on a grid that it could learn by heart. *Hierarchical*: most bins are empty,
or lie behind something. So a coarse field is rendered by few samples first. Its weights, as a histogram, say where
there is something, and further samples are drawn from that. For $u$ even between 0 and 1, the place where the sums of
the histogram reach $u$ is such a draw (`inverted`): $P(F^{-1}(u) \le t) = P(u \le F(t)) = F(t)$. The fine field is
rendered by all samples together. Both learn, from the sum of their squared errors.

The scene lies in a ball. Its chord is all of a ray that has to be looked at, and a ray that misses it is white.

**Positional encoding.** A network of few layers with ReLUs is nearly a flat function over a distance of a hundredth;
its weights would have to grow large to make an edge. So give it waves, which differ much between near places:

$$\gamma(x) = (x,\ \sin 2^0 \pi x,\ \cos 2^0 \pi x,\ \ldots,\ \sin 2^{L-1} \pi x,\ \cos 2^{L-1} \pi x).$$

The fastest has the wave length $2^{2-L}$ in a ball of radius 1: here 1/8, less than a square of the table. Many more
would let the network learn each photograph by heart, with fog that looks right from there alone. Test views reached
19.9 dB without any wave, 26.4 dB with $L = 5$ and 25.3 dB with $L = 10$ (`etude run nerf --levels …`, seed 0).

**Who may know the direction?** Only the colour, and only by its last layers. A density that saw where the camera is
could show each camera a scene of its own. What is left for the direction are highlights, which move with the camera.

What to look at
---------------
- *views*: from cameras that are not in the training data. The nearest photograph is what one could show without any
  network: it reached 18 dB, and the network 26 (`etude run nerf`, seed 0). Mistakes lie along edges, where a pixel
  shows two things.
- *ray*: the coarse field's bars, and how samples crowd where these are high. All weight should be at the surface.
- *turn*: a camera that goes round, with the depth, which is learned from colours alone. On test views half of its
  errors are below 0.07 of the ball's radius.

Exercises
---------
1. `etude run nerf --levels 0`, `2`, `5` and `10`: compare the table's squares, then `train/PSNR` with `test/PSNR`.
2. `etude run nerf --views 10`: where is the fog? Look at *depth*.
3. `etude run nerf --coarse 36 --fine 4`: as many samples for the fine field, nearly all of them even. What is lost?
4. `etude run nerf --direction-levels 0` leaves $d$ itself. In `Field.forward` multiply it by 0: what is lost?
5. `etude app`, and turn the camera to below the table.

References
----------
Mildenhall, B., Srinivasan, P. P., Tancik, M., Barron, J. T., Ramamoorthi, R. & Ng, R. (2020). NeRF: representing scenes
as neural radiance fields for view synthesis. ECCV.

Max, N. (1995). Optical models for direct volume rendering. IEEE Transactions on Visualization and Computer Graphics 1.

Tancik, M. et al. (2020). Fourier features let networks learn high frequency functions in low dimensional domains.
NeurIPS.
"""

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

    dataset: Literal["traced", "lego"] = "traced"  # balls and boxes, ray-traced; the paper's bulldozer, 100×100
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
            "dataset": "lego", "tested": 10, "levels": 7, "direction_levels": 3, "width": 96, "coarse": 24, "fine": 40,
            "steps": 3_000, "batch": 512, "learning_rate": 3e-3, "frames": 36,
        },
    }  # fmt: skip
    claims = [
        Claim("test/PSNR", at_least=26, source="Etude; the curriculum asks for 25"),
        Claim("test/median error of depth", at_most=0.075, source="Etude"),
        Claim("test/PSNR", at_least=20, scale="full", seeds=1, source="Etude"),
    ]
    courses = ["CUHK"]

    def __call__(self, run: Run) -> None:
        seen, tested = self.scene()
        if self.validation >= len(seen):
            raise UserError(f"nerf: validation is {self.validation}; expected fewer than the {len(seen)} views")
        order = torch.randperm(len(seen))
        validation, train = seen[order[: self.validation]], seen[order[self.validation :]]
        net = run.place(self.network())
        columns = [run.place(part.reshape(-1, 3)) for part in (*train.rays(), train.images)]
        near, far = chord(columns[0], columns[1], net.radius)
        meets = (near < far)[:, 0]  # the ball; all other rays are white, and rendered so without learning
        batches = Batches([column[meets] for column in columns], self.batch)  # origins, directions, colours
        optimizer = descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, cosine(self.steps, warmup=30))

        for origins, directions, colour in run.steps(batches, self.steps, state=(net, optimizer, schedule)):
            coarse, fine = (net(origins, directions) - colour[:, None]).square().mean((0, 2))
            run.minimise(coarse + fine, optimizer, schedule)
            run.log(loss=coarse + fine, **{"train/PSNR": -10 * fine.detach().log10()})
            if run.every(max(1, self.steps // 5)):
                found = net.pictures(*validation.rays())
                run.log(**{"validation/PSNR": psnr(found.fine, validation.images).mean()})

        found = net.pictures(*validation.rays())
        run.result({"validation/PSNR": psnr(found.fine, validation.images).mean()}, held_out=len(validation))
        found, taken = net.pictures(*tested.rays()), train.nearest(tested)
        ways = {"test/PSNR": found.fine, "coarse field/test/PSNR": found.coarse, "nearest photograph/test/PSNR": taken}
        run.result({way: psnr(images, tested.images).mean() for way, images in ways.items()}, held_out=len(tested))
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
            return data.traced_views(self.views, self.side), data.held_out_views(self.tested, self.side)
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
        around = cameras(torch.arange(self.frames) * 2 * math.pi / self.frames, torch.full((self.frames,), 0.5))
        found = net.pictures(*rays(around, tested.side, tested.focal))
        run.animation("turn", turning(found.fine, near_and_far(found.depth)), fps=12)

    def network(self) -> NeRF:
        """A new network for the scene's size."""
        return NeRF(
            1.0 if self.dataset == "traced" else 1.5, self.levels, self.direction_levels, self.width, self.depth,
            self.coarse, self.fine,
        )  # fmt: skip

    def example(self) -> tuple[Tensor, Tensor]:
        """Two rays that cross the scene: origins and directions."""
        origins = torch.tensor([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
        return origins, nn.functional.normalize(torch.tensor([0.0, 0.1, -0.1]) - origins, dim=1)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """What is at a place, as ``0.1 0 -0.2``, and its colour as seen from above."""
        assert isinstance(net, NeRF)
        density, colour = net.at(data.read_numbers(input, 3, "x, y and z"), torch.tensor([[0.0, 0.0, -1.0]]))
        return {"density": float(density), **dict(zip(("red", "green", "blue"), colour[0].tolist(), strict=True))}

    def demo(self) -> Demo:
        """Turn the camera, also to where none ever stood."""
        controls = {
            "azimuth": Slider("Around, in degrees", -180, 180, 30, 5),
            "elevation": Slider("Above the table, in degrees", -60, 85, 30, 5),
        }
        question = "No camera stood below the table. What will it look like from there?"
        return Demo(
            question, controls, self.look, ["as it truly does", "like fog", "right in shape, made up in colour"]
        )

    def look(self, net: nn.Module, azimuth: float, elevation: float) -> Iterator[Answer]:
        """The view from there, how far away all is, and the truth, where it is known."""
        assert isinstance(net, NeRF)
        pose = cameras(torch.tensor([math.radians(azimuth)]), torch.tensor([math.radians(elevation)]))
        truth = traced(pose, self.side) if self.dataset == "traced" else None
        found = net.pictures(*rays(pose, 64, truth.focal * 64 / self.side if truth else 64 * 1.389))
        shown = {"rendered": found.fine[0].numpy(), "depth": near_and_far(found.depth)[0]}
        yield Pictures(
            "From there", shown | ({"truth": truth.images[0].numpy()} if truth else {}), width=220, smooth=True
        )
