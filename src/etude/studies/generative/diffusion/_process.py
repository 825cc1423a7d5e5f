"""Diffusion: how pictures become noise in many small steps, and how the steps are undone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from etude import UserError

Model = Callable[[Tensor, Tensor], Tensor]  # x_t (batch, …) and time (batch,) → prediction as x_t


class Step(NamedTuple):
    """A state on the path from noise to a picture."""

    time: float  # from 1 (noise) to 0 (a picture)
    x: Tensor  # x_t
    guess: Tensor  # of x_0, made from x_t


class Diffusion:
    r"""$x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon$, t from 0 to T - 1.

    The network predicts $\epsilon$. Step t of the paper is step t - 1 here, the index into tables.

    Source: Ho, Jain & Abbeel (2020), Denoising diffusion probabilistic models.

    Args:
        steps: T, the number of steps of the process.
        schedule: ``linear``: β from 1e-4 to 0.02 for T = 1,000, and in proportion for others (Ho et
            al.); ``cosine``: $\bar\alpha$ falls like a squared cosine (Nichol & Dhariwal 2021,
            equation 17).
        eta: η, the standard deviation of a reverse step's fresh noise, as a fraction of the
            posterior's: 0 is DDIM, 1 is DDPM.
        clip: guesses of x_0 are clamped to ± this number; None: they are left as they are.
    """

    def __init__(
        self,
        steps: int = 1_000,
        schedule: Literal["cosine", "linear"] = "cosine",
        eta: float = 0.0,
        clip: float | None = None,
    ) -> None:
        self.steps = steps
        self.eta = eta
        self.clip = clip
        if schedule == "linear":
            beta = torch.linspace(1e-4, 0.02, steps, dtype=torch.double) * 1_000 / steps
        else:
            t = torch.arange(steps + 1, dtype=torch.double) / steps
            bar = ((t + 0.008) / 1.008 * math.pi / 2).cos() ** 2
            beta = 1 - bar[1:] / bar[:-1]
        self.beta = beta.clamp_max(0.999)  # (T,), the variance that each step adds
        self.alpha_bar = (1 - self.beta).cumprod(0)  # (T,)

    def sample_times(self, n: int, device: torch.device | str = "cpu") -> Tensor:
        """Random steps from 0 to T - 1, (n,)."""
        return torch.randint(self.steps, (n,)).to(device)

    def fraction(self, t: Tensor) -> Tensor:
        """Steps as fractions of the whole process, which the network reads."""
        return (t + 1).float() / self.steps

    def mix(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """A draw of q(x_t | x_0) (equation 4): (batch, …), (batch,), (batch, …) → (batch, …)."""
        bar = self.alpha_bar.to(t.device)[t].view(-1, *[1] * (x.ndim - 1))
        return bar.sqrt().to(x) * x + (1 - bar).sqrt().to(x) * noise

    def target(self, x: Tensor, noise: Tensor) -> Tensor:
        """The noise."""
        return noise

    def guess(self, x: Tensor, t: int, noise: Tensor) -> Tensor:
        """x_0, if ``noise`` is the noise in x_t (equation 15)."""
        bar = self.bar(t)
        x0 = (x - math.sqrt(1 - bar) * noise) / math.sqrt(bar)
        return x0 if self.clip is None else x0.clamp(-self.clip, self.clip)

    def bar(self, t: int) -> float:
        r"""$\bar\alpha_t$, which is 1 for the picture itself, t = -1."""
        return float(self.alpha_bar[t]) if t >= 0 else 1.0

    def variance(self, t: int, s: int) -> float:
        r"""$\tilde\beta$, the variance of q(x_s | x_t, x_0) for s < t (equation 7 if s = t - 1)."""
        return (1 - self.bar(s)) / (1 - self.bar(t)) * (1 - self.bar(t) / self.bar(s))

    def step(self, x: Tensor, t: int, s: int, x0: Tensor) -> Tensor:
        r"""A reverse step from x_t to x_s, given a guess of x_0.

        $x_s = \sqrt{\bar\alpha_s}\, x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\, \hat\epsilon +
        \sigma z$ with $\sigma^2 = \eta^2 \tilde\beta$: for η = 1 a draw of q(x_s | x_t, x_0).

        Source: Song, Meng & Ermon (2021), equations 12 and 16.
        """
        bar = self.bar(s)
        variance = self.eta**2 * self.variance(t, s)
        noise = (x - math.sqrt(self.bar(t)) * x0) / math.sqrt(1 - self.bar(t))
        mean = math.sqrt(bar) * x0 + math.sqrt(max(0.0, 1 - bar - variance)) * noise
        return mean + math.sqrt(variance) * torch.randn_like(x) if variance > 0 else mean

    def reverse(self, model: Model, x: Tensor, steps: int) -> Iterator[Step]:
        """Go from noise to pictures in any number of steps up to T.

        Args:
            model: predicts the noise.
            x: noise, (batch, …).
            steps: how many; they are evenly spaced, and the first is the last one of the process.
        """
        times = spaced(self.steps, steps)
        for t, s in zip(times, [*times[1:], -1], strict=True):
            time = (t + 1) / self.steps
            noise = model(x, torch.full((len(x),), time, device=x.device))
            x0 = self.guess(x, t, noise)
            yield Step(time, x, x0)
            x = self.step(x, t, s, x0)
        yield Step(0.0, x, x)


def spaced(total: int, steps: int) -> list[int]:
    """Evenly spaced numbers from ``total - 1`` down, ``steps`` of them.

    Raises:
        UserError: there are not so many.
    """
    if not 1 <= steps <= total:
        raise UserError(
            f"{steps:,} steps back through a diffusion of {total:,}; expected from 1 to {total:,}"
        )
    return [round(total - i * total / steps) - 1 for i in range(steps)]
