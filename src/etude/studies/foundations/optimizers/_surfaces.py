"""Losses over the plane, and optimisers that walk on them: descent that can be watched."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import compress, pairwise
from typing import Any

import torch
from torch import Tensor

from etude.training.quasi_newton import QuasiNewton

Place = tuple[float, float]
Make = Callable[[list[Tensor]], torch.optim.Optimizer]
FLAT = 1e-6  # a gradient is taken for zero if no component is larger


def rosenbrock(w: Tensor) -> Tensor:
    r"""$(1 - x)^2 + 100 (y - x^2)^2$: a curved valley, steep across and nearly flat along it.

    (…, 2) → (…).

    Source: Rosenbrock (1960).
    """
    x, y = w.unbind(-1)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def beale(w: Tensor) -> Tensor:
    r"""$\sum_{k=1}^3 (c_k - x + x y^k)^2$ with $c = 1.5, 2.25, 2.625$: plains between cliffs.

    (…, 2) → (…).

    Source: Beale (1958).
    """
    x, y = w.unbind(-1)
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def saddle(w: Tensor) -> Tensor:
    r"""$5 x^2 + (y^2 - 1)^2 / 4$: a saddle at the origin, and a minimum on either side of it.

    (…, 2) → (…).
    """
    x, y = w.unbind(-1)
    return 5 * x**2 + (y**2 - 1) ** 2 / 4


@dataclass(frozen=True)
class Surface:
    """A loss over the plane whose lowest value is 0.

    Attributes:
        loss: the loss at each of some places, (…, 2) → (…).
        start: the place where the walks begin.
        minima: the places where the loss is 0.
        view: left, right, bottom and top of the part that is drawn.
    """

    loss: Callable[[Tensor], Tensor]
    start: Place
    minima: tuple[Place, ...]
    view: tuple[float, float, float, float]

    def distance(self, place: Place) -> float:
        """The distance to the nearest minimum; infinite where a coordinate is infinite or NaN."""
        away = min(math.dist(place, minimum) for minimum in self.minima)
        return away if math.isfinite(away) else math.inf


SURFACES = {
    "rosenbrock": Surface(rosenbrock, (-1.2, 1.0), ((1.0, 1.0),), (-1.7, 1.5, -0.6, 1.8)),
    "beale": Surface(beale, (1.0, 1.5), ((3.0, 0.5),), (-1.3, 4.0, -1.8, 1.8)),
    "saddle": Surface(saddle, (-1.5, 0.001), ((0.0, 1.0), (0.0, -1.0)), (-1.8, 1.8, -0.5, 1.7)),
}


class Walk:
    """Optimisers on one surface, each at its own place, with all the places where it has been.

    An optimiser stops where the gradient is nearly zero, and where it is infinite or NaN.

    Args:
        surface: the surface on which all of them walk.
        start: the common start, (2,).
        optimizers: ``{name: function}``, which makes an optimiser from a list of parameters.

    Attributes:
        paths: ``{name: places}``, the start and the place after each step.
        gradients: ``{name: count}``, the gradients that were computed.
        walking: the names of those that have not stopped.
    """

    def __init__(self, surface: Surface, start: Tensor, optimizers: Mapping[str, Make]) -> None:
        self.surface = surface
        self.w = {name: start.clone().requires_grad_() for name in optimizers}
        self.optimizers = {name: make([self.w[name]]) for name, make in optimizers.items()}
        x, y = start.tolist()
        self.paths: dict[str, list[Place]] = {name: [(x, y)] for name in optimizers}
        self.gradients = dict.fromkeys(optimizers, 0)
        self.walking = list(optimizers)

    def step(self) -> None:
        """One step of each optimiser that has not stopped; one backward pass for all gradients."""
        if not self.walking:
            return
        places = torch.stack([self.w[name].detach() for name in self.walking])  # (walking, 2)
        places.requires_grad_()
        (gradients,) = torch.autograd.grad(self.surface.loss(places).sum(), places)
        slopes = gradients.abs().amax(1).tolist()
        steep = [FLAT < slope < math.inf for slope in slopes]
        self.walking = list(compress(self.walking, steep))
        for name, gradient in zip(self.walking, compress(gradients, steep), strict=True):
            w, optimizer = self.w[name], self.optimizers[name]
            w.grad = gradient
            if isinstance(optimizer, QuasiNewton):
                optimizer.step(partial(self._closure, name))
            else:
                optimizer.step()
                self.gradients[name] += 1
            x, y = w.tolist()
            self.paths[name].append((x, y))

    def distance(self, name: str) -> float:
        """The distance of an optimiser's last place to the nearest minimum."""
        return self.surface.distance(self.paths[name][-1])

    def farthest(self, name: str, since: int) -> float:
        """The largest distance of an optimiser from the nearest minimum after a step; where it
        rests by then, the last one.
        """
        late = self.paths[name][since:] or self.paths[name][-1:]
        return max(map(self.surface.distance, late))

    def arrival(self, name: str, radius: float) -> int | None:
        """The step after which an optimiser stayed so near to a minimum; None if it did not."""
        near = [self.surface.distance(place) <= radius for place in self.paths[name]]
        last = next((k for k, inside in enumerate(reversed(near)) if not inside), len(near))
        return len(near) - last if last else None

    def ending(self, name: str) -> str:
        """What an optimiser did at the end: ``rests``, ``creeps``, ``circles`` or ``diverged``.

        One that moves on has the mean length of its last steps added; it circles where 100 steps
        lead less than half as far as they are long.
        """
        recent = self.paths[name][-100:]
        if not self.surface.loss(torch.tensor(recent[-1], dtype=torch.double)).isfinite():
            return "diverged"
        if name not in self.walking:
            return "rests"
        length = sum(math.dist(a, b) for a, b in pairwise(recent))
        verb = "circles" if math.dist(recent[0], recent[-1]) < length / 2 else "creeps"
        return f"{verb}, {length / (len(recent) - 1):.1g} a step"

    def state_dict(self) -> dict[str, Any]:
        """All that changes as they walk, as tensors and numbers."""
        return {
            "paths": {
                name: torch.tensor(path, dtype=torch.double) for name, path in self.paths.items()
            },
            "optimizers": {
                name: optimizer.state_dict() for name, optimizer in self.optimizers.items()
            },
            "gradients": dict(self.gradients),
            "walking": list(self.walking),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to a state that ``state_dict`` gave."""
        for name, path in state["paths"].items():
            self.paths[name] = [(x, y) for x, y in path.tolist()]
            self.w[name].data.copy_(path[-1])
            self.optimizers[name].load_state_dict(state["optimizers"][name])
        self.gradients = dict(state["gradients"])
        self.walking = list(state["walking"])

    def _closure(self, name: str) -> float:
        w = self.w[name]
        w.grad = None
        loss = self.surface.loss(w)
        loss.backward()  # type: ignore[no-untyped-call]
        self.gradients[name] += 1
        return float(loss.detach())
