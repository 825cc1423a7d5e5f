r"""From pictures to noise and back: diffusion in discrete steps, and flow along straight lines.

Both processes mix a picture $x_0$ with noise $\epsilon \sim N(0, 1)$, the more of it the later the
time, and say what a network should predict from the mixture; both walk back from pure noise, given
such a network. A *model* is whatever takes $x_t$, (batch, …), and the time as a part of the whole,
(batch,) from 0 to 1, and gives the prediction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from etude.errors import UserError
from etude.training.evaluation import evaluating

Model = Callable[[Tensor, Tensor], Tensor]


class Step(NamedTuple):
    """Where a walk from noise to a picture is."""

    time: float  # the part of the whole that is still to go, from 1 to 0
    x: Tensor  # x_t
    guess: Tensor  # of x_0, as it was just before


class Process(Protocol):
    """What :class:`Diffusion` and :class:`Flow` have in common."""

    def times(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n times drawn at random, (n,)."""

    def part(self, t: Tensor) -> Tensor:
        """Times as a model takes them: parts of the whole, from 0 to 1."""

    def noised(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t from x_0: (batch, …), (batch,), (batch, …) → (batch, …)."""

    def target(self, x: Tensor, noise: Tensor) -> Tensor:
        """What the network should predict, as x."""

    def walk(self, model: Model, x: Tensor, steps: int) -> Iterator[Step]:
        """From noise to pictures: the noise itself, then what is there after each step."""


class Diffusion:
    r"""$x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon$; the network predicts
    $\epsilon$.

    Steps are counted from 0, as rows of the tables, so that step $t$ of the paper is row $t - 1$
    here.

    Source: Ho, Jain & Abbeel (2020), Denoising diffusion probabilistic models.

    Args:
        steps: T, of the process; walks back may take fewer.
        schedule: ``linear``: β from 1e-4 to 0.02 for T = 1000, and in proportion for others (Ho et
            al.); ``cosine``: $\bar\alpha$ falls like a squared cosine (Nichol & Dhariwal 2021,
            equation 17).
        eta: η, how much noise a step back draws anew: 0 none (DDIM), 1 as much as the posterior has
            (DDPM).
        clip: guesses of x_0 are cut to ± this number; none: they are left as they are.
    """

    def __init__(
        self,
        steps: int = 1_000,
        schedule: Literal["cosine", "linear"] = "cosine",
        eta: float = 0.0,
        clip: float | None = None,
    ) -> None:
        self.steps, self.eta, self.clip = steps, eta, clip
        if schedule == "linear":
            beta = torch.linspace(1e-4, 0.02, steps, dtype=torch.double) * 1_000 / steps
        else:
            bar = (
                ((torch.arange(steps + 1, dtype=torch.double) / steps + 0.008) / 1.008)
                * math.pi
                / 2
            ).cos() ** 2
            beta = 1 - bar[1:] / bar[:-1]
        self.beta = beta.clamp_max(0.999)  # (T,), the variance that each step adds
        self.alpha_bar = (1 - self.beta).cumprod(0)  # (T,)

    def times(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n steps drawn at random, from 0 to T - 1."""
        return torch.randint(self.steps, (n,)).to(device)

    def part(self, t: Tensor) -> Tensor:
        """Steps as parts of the whole, as a model takes them."""
        return (t + 1).float() / self.steps

    def noised(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """A draw of q(x_t | x_0) (equation 4): (batch, …), (batch,), (batch, …) → (batch, …)."""
        bar = self.alpha_bar.to(t.device)[t].view(-1, *[1] * (x.ndim - 1))
        return bar.sqrt().to(x) * x + (1 - bar).sqrt().to(x) * noise

    def target(self, x: Tensor, noise: Tensor) -> Tensor:
        """What the network should predict: the noise."""
        return noise

    def guess(self, x: Tensor, t: int, noise: Tensor) -> Tensor:
        """x_0, if this is the noise in x_t (equation 15)."""
        bar = self.bar(t)
        found = (x - math.sqrt(1 - bar) * noise) / math.sqrt(bar)
        return found if self.clip is None else found.clamp(-self.clip, self.clip)

    def bar(self, t: int) -> float:
        r"""$\bar\alpha_t$; 1 before the first step."""
        return float(self.alpha_bar[t]) if t >= 0 else 1.0

    def variance(self, t: int, s: int) -> float:
        r"""$\tilde\beta$ of q(x_s | x_t, x_0) for steps s < t (equation 7 where s = t - 1); s = -1
        is the picture.
        """
        return (1 - self.bar(s)) / (1 - self.bar(t)) * (1 - self.bar(t) / self.bar(s))

    def posterior(self, x0: Tensor, x: Tensor, t: int, s: int) -> Tensor:
        """The mean of q(x_s | x_t, x_0) (equation 7 where s = t - 1)."""
        bar, before = self.bar(t), self.bar(s)
        alpha = bar / before
        return (
            math.sqrt(before) * (1 - alpha) / (1 - bar) * x0
            + math.sqrt(alpha) * (1 - before) / (1 - bar) * x
        )

    def ancestral(self, x: Tensor, t: int, s: int, x0: Tensor) -> Tensor:
        """DDPM: a draw of q(x_s | x_t, x_0), the guess in the place of x_0."""
        mean, variance = self.posterior(x0, x, t, s), self.variance(t, s)
        return mean + math.sqrt(variance) * torch.randn_like(x) if variance > 0 else mean

    def implicit(self, x: Tensor, t: int, s: int, x0: Tensor) -> Tensor:
        """DDIM: less of the very noise that is in x_t, and η times the ancestral step's noise in
        its place.

        Source: Song, Meng & Ermon (2021), equations 12 and 16.
        """
        bar, before, variance = self.bar(t), self.bar(s), self.eta**2 * self.variance(t, s)
        noise = (x - math.sqrt(bar) * x0) / math.sqrt(1 - bar)
        mean = math.sqrt(before) * x0 + math.sqrt(max(0.0, 1 - before - variance)) * noise
        return mean + math.sqrt(variance) * torch.randn_like(x) if variance > 0 else mean

    def walk(self, model: Model, x: Tensor, steps: int) -> Iterator[Step]:
        """From noise to pictures in any number of steps: the noise itself, then what is there after
        each.

        Args:
            model: predicts the noise.
            x: noise, (batch, …).
            steps: at most T; they lie evenly, and the first is from the very end.
        """
        rows = spaced(self.steps, steps)
        for t, s in zip(rows, [*rows[1:], -1], strict=True):
            time = (t + 1) / self.steps
            x0 = self.guess(x, t, model(x, torch.full((len(x),), time, device=x.device)))
            yield Step(time, x, x0)
            x = self.ancestral(x, t, s, x0) if self.eta == 1 else self.implicit(x, t, s, x0)
        yield Step(0.0, x, x)


class Flow:
    r"""$x_t = (1 - t)\, x_0 + t\, \epsilon$, a straight line; the network predicts its velocity
    $\epsilon - x_0$.

    Source: Lipman et al. (2023), Flow matching for generative modeling; Liu, Gong & Liu (2023),
    Rectified flow. Time runs from the picture to noise, as in diffusion.

    Args:
        heun: a step back looks where it would end, and goes along the mean of both velocities (but
            the last step): it asks the network twice, and errs by the cube of the step instead of
            its square.
    """

    def __init__(self, heun: bool = False) -> None:
        self.heun = heun

    def times(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """n times drawn at random, from 0 to 1."""
        return torch.rand(n).to(device)

    def part(self, t: Tensor) -> Tensor:
        """Times as a model takes them: as they are."""
        return t

    def noised(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The point of the line at time t: (batch, …), (batch,), (batch, …) → (batch, …)."""
        t = t.to(x).view(-1, *[1] * (x.ndim - 1))
        return (1 - t) * x + t * noise

    def target(self, x: Tensor, noise: Tensor) -> Tensor:
        """What the network should predict: the velocity."""
        return noise - x

    def walk(self, model: Model, x: Tensor, steps: int) -> Iterator[Step]:
        """From noise to pictures in equal steps: the noise itself, then what is there after each.

        Args:
            model: predicts the velocity.
            x: noise, (batch, …).
            steps: how many.
        """
        ends = [1 - i / steps for i in range(steps)] + [0.0]
        for t, s in pairwise(ends):
            v = model(x, torch.full((len(x),), t, device=x.device))
            yield Step(t, x, x - t * v)
            there = x + (s - t) * v
            if self.heun and s > 0:
                v = (v + model(there, torch.full((len(x),), s, device=x.device))) / 2
                there = x + (s - t) * v
            x = there
        yield Step(0.0, x, x)


def spaced(total: int, steps: int) -> list[int]:
    """So many of the rows 0 to total - 1, evenly, from the last one down.

    Raises:
        UserError: there are not so many.
    """
    if not 1 <= steps <= total:
        raise UserError(
            f"{steps:,} steps back through a diffusion of {total:,}; expected from 1 to {total:,}"
        )
    return [round(total - i * total / steps) - 1 for i in range(steps)]


def guided(net: nn.Module, labels: Tensor, weight: float, nothing: int) -> Model:
    r"""A model of one class for each row: $\hat\epsilon = \epsilon_\emptyset + w\, (\epsilon_y -
    \epsilon_\emptyset)$.

    Source: Ho & Salimans (2022), Classifier-free diffusion guidance, equation 6, whose w is smaller
    by one.

    Args:
        net: takes x, time and labels.
        labels: y, (batch,).
        weight: w; 1 asks the network for the class and leaves it at that, more exaggerates what is
            due to the class.
        nothing: the label that stands for no class.
    """

    def model(x: Tensor, t: Tensor) -> Tensor:
        if weight == 1:
            out: Tensor = net(x, t, labels)
            return out
        both: Tensor = net(
            torch.cat([x, x]),
            torch.cat([t, t]),
            torch.cat([labels, torch.full_like(labels, nothing)]),
        )
        given, free = both.chunk(2)
        return free + weight * (given - free)

    return model


def drawn(
    process: Process,
    net: nn.Module,
    noise: Tensor,
    labels: Tensor,
    steps: int,
    weight: float,
    nothing: int,
) -> Tensor:
    """Pictures of these classes, out of this noise: (n, …), (n,) → (n, …).

    Args:
        process: says how to walk.
        net: takes x, time and labels.
        noise: where the walk begins.
        labels: the classes asked for.
        steps: of the walk.
        weight: of guidance.
        nothing: the label that stands for no class.
    """
    found = []
    with evaluating(net):
        for x, y in zip(torch.split(noise, 500), torch.split(labels, 500), strict=True):
            *_, end = process.walk(guided(net, y, weight, nothing), x, steps)
            found.append(end.x)
    return torch.cat(found)


def walked(
    process: Process,
    net: nn.Module,
    noise: Tensor,
    labels: Tensor,
    steps: int,
    weight: float,
    nothing: int,
) -> tuple[list[float], Tensor, Tensor]:
    """The whole way of :func:`drawn`: the times, then x_t and the guess of x_0 there, (steps + 1,
    n, …) each.
    """
    with evaluating(net):
        path = list(process.walk(guided(net, labels, weight, nothing), noise, steps))
    at, guess = (torch.stack(x) for x in ([step.x for step in path], [step.guess for step in path]))
    return [step.time for step in path], at, guess


def lit(x: Tensor) -> Tensor:
    """Pictures with values from 0 to 1, of such as noise is mixed with, from -1 to 1; what lies
    outside is cut.
    """
    return ((x + 1) / 2).clamp(0, 1)


def blends(points: int = 1_000) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Of each kind of mixture the time, the picture's factor then, and the noise's, (points - 1,)
    each.
    """
    time = torch.linspace(0, 1, points + 1)[1:-1]
    bars = {
        "cosine": Diffusion(points, "cosine").alpha_bar[:-1],
        "linear": Diffusion(points, "linear").alpha_bar[:-1],
    }
    found = {name: (time, bar.sqrt(), (1 - bar).sqrt()) for name, bar in bars.items()}
    return {**found, "flow": (time, 1 - time, time)}


def slerp(a: Tensor, b: Tensor, part: Tensor) -> Tensor:
    """Between two draws of noise along the sphere, where noise lies: (…, n), (…, n), (…, 1) → (…,
    n).

    The straight line would pass where noise never is: too near to 0.

    Source: Shoemake (1985), Animating rotation with quaternion curves.
    """
    cos = (a * b).sum(-1, keepdim=True) / (
        a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True)
    )
    angle = cos.clamp(-1 + 1e-6, 1 - 1e-6).acos()
    between: Tensor = (((1 - part) * angle).sin() * a + (part * angle).sin() * b) / angle.sin()
    return between
