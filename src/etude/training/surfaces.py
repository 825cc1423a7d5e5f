"""Losses over the plane, and optimisers that walk on them: what can be watched of descent in two
dimensions.
"""

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
FLAT = 1e-6  # a gradient with no component larger than this is taken for none


def rosenbrock(w: Tensor) -> Tensor:
    r"""$(1 - x)^2 + 100 (y - x^2)^2$: a bent valley, steep across and nearly flat along.

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
    r"""$5 x^2 + (y^2 - 1)^2 / 4$: steep down to a saddle at the origin, gently down to a minimum on
    either side.
    """
    x, y = w.unbind(-1)
    return 5 * x**2 + (y**2 - 1) ** 2 / 4


@dataclass(frozen=True)
class Surface:
    """A loss over the plane, 0 where it is lowest.

    Attributes:
        loss: (…, 2) → (…).
        start: where one begins to walk.
        minima: its lowest places.
        view: left, right, bottom, top of a picture.
    """

    loss: Callable[[Tensor], Tensor]
    start: Place
    minima: tuple[Place, ...]
    view: tuple[float, float, float, float]

    def distance(self, place: Place) -> float:
        """To the nearest minimum; infinite for a place that is not one."""
        away = min(math.dist(place, minimum) for minimum in self.minima)
        return away if math.isfinite(away) else math.inf


SURFACES = {
    "rosenbrock": Surface(rosenbrock, (-1.2, 1.0), ((1.0, 1.0),), (-1.7, 1.5, -0.6, 1.8)),
    "beale": Surface(beale, (1.0, 1.5), ((3.0, 0.5),), (-1.3, 4.0, -1.8, 1.8)),
    "saddle": Surface(saddle, (-1.5, 0.001), ((0.0, 1.0), (0.0, -1.0)), (-1.8, 1.8, -0.5, 1.7)),
}


class Walk:
    """Optimisers on one surface, each at its own place, and all the places where it has been.

    An optimiser rests where the gradient is flat, and where it is no number. A quasi-Newton one
    searches along its line. ``paths[name]`` has a place for every step done, the start first;
    ``gradients[name]`` counts those computed.

    Args:
        surface: what they walk on.
        start: of all of them, (2,).
        optimizers: by name, each made from a list of parameters.
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
        """One step of each that does not rest. Their gradients come from one backward pass."""
        if not self.walking:
            return
        places = torch.stack(
            [self.w[name].detach() for name in self.walking]
        ).requires_grad_()  # (walking, 2)
        (gradients,) = torch.autograd.grad(self.surface.loss(places).sum(), places)
        steep = [FLAT < slope < math.inf for slope in gradients.abs().amax(1).tolist()]
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

    def within(self, name: str, radius: float) -> int | None:
        """From which step on it stayed so near to a minimum; None where it did not."""
        near = [self.surface.distance(place) <= radius for place in self.paths[name]]
        away = next((k for k, inside in enumerate(reversed(near)) if not inside), len(near))
        return len(near) - away if away else None

    def ending(self, name: str) -> str:
        """What it did last: rests, or moves and how far a step; it circles where that leads
        nowhere.
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
        """All that changes."""
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
        """Go on from there."""
        for name, path in state["paths"].items():
            self.paths[name] = [(x, y) for x, y in path.tolist()]
            self.w[name].data.copy_(path[-1])
            self.optimizers[name].load_state_dict(state["optimizers"][name])
        self.gradients, self.walking = dict(state["gradients"]), list(state["walking"])

    def _closure(self, name: str) -> float:
        w = self.w[name]
        w.grad = None
        loss = self.surface.loss(w)
        loss.backward()  # type: ignore[no-untyped-call]
        self.gradients[name] += 1
        return float(loss.detach())


def quadratic_errors(make: Make, condition: float, steps: int) -> list[float]:
    """How far from the minimum of (x² + κy²) / 2 one is at the start, (1, 1), and after
    each step.
    """
    scale, w = (
        torch.tensor([1.0, condition], dtype=torch.double),
        torch.ones(2, dtype=torch.double, requires_grad=True),
    )
    optimizer, errors = make([w]), [math.sqrt(2)]
    for _ in range(steps):
        w.grad = scale * w.detach()
        optimizer.step()
        errors.append(float(w.detach().norm()))
    return errors
