r"""Normalisation: numbers inside a network brought to mean 0 and variance 1, then scaled and
shifted as is learned.

$$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad y = \gamma \hat x + \beta.$$

The layers differ in what $\mu$ and $\sigma^2$ are taken over. Inputs are (batch, channels), or have
more axes behind: (batch, channels, height, width). $\gamma$ and $\beta$ have one number for each
channel and begin at 1 and 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from etude.errors import UserError

EPSILON = 1e-5


def moments(x: Tensor, axes: Iterable[int]) -> tuple[Tensor, Tensor]:
    """Mean and variance (the mean square deviation) over the axes, which stay, with length 1.

    Raises:
        UserError: there is one value for each mean, so that its deviation is 0 whatever it is.
    """
    axes = list(axes)
    if math.prod(x.shape[axis] for axis in axes) < 2:
        raise UserError(
            f"a norm takes its statistics over axes {axes} of an input of shape {tuple(x.shape)},"
            " one value for each; expected two or more: a larger batch or picture, or another norm"
        )
    exact = x.to(
        torch.promote_types(x.dtype, torch.float32)
    )  # a mean of many bf16 numbers would be lost
    variance, mean = torch.var_mean(exact, axes, correction=0, keepdim=True)
    return mean, variance


def standardised(x: Tensor, axes: Iterable[int]) -> Tensor:
    """Mean 0 and variance 1 over the axes."""
    mean, variance = moments(x, axes)
    return (x - mean) / (variance + EPSILON).sqrt()


def per_channel(numbers: Tensor, x: Tensor) -> Tensor:
    """(channels,) → (1, channels, 1, …), as they meet x."""
    return numbers.view(1, -1, *[1] * (x.ndim - 2))


class Affine(nn.Module):
    r"""$y = \gamma x + \beta$: what every norm ends with, and all that is left where nothing is
    normalised.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, …) → the same shape."""
        return per_channel(self.gamma, x) * x + per_channel(self.beta, x)


class LayerNorm(Affine):
    """Over all channels and pixels of one example.

    Source: Ba, Kiros & Hinton (2016), equation 3; with γ and β for each channel, as Wu & He (2018)
    have them.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, …) → the same shape."""
        return super().forward(standardised(x, range(1, x.ndim)))


class InstanceNorm(Affine):
    """Over the pixels of one channel of one example.

    Source: Ulyanov, Vedaldi & Lempitsky (2016).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, …) → the same shape."""
        return super().forward(standardised(x, range(2, x.ndim)))


class GroupNorm(Affine):
    """Over the pixels of the channels of one group of one example: between layer norm and instance
    norm.

    Source: Wu & He (2018), equations 1 and 7.

    Args:
        groups: of neighbouring channels, all of one size.
        channels: a multiple of ``groups``.
    """

    def __init__(self, groups: int, channels: int) -> None:
        if channels % groups:
            raise UserError(
                f"{channels} channels make no {groups} groups of one size; expected a divisor of"
                f" {channels}"
            )
        super().__init__(channels)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, …) → the same shape."""
        grouped = x.reshape(x.shape[0], self.groups, -1)
        return super().forward(standardised(grouped, [2]).view_as(x))


class BatchNorm(Affine):
    r"""Over one channel of the whole mini-batch; in evaluation by running statistics, which
    training leaves behind.

    $\mu \leftarrow \mu + \alpha (\mu_B - \mu)$, and so the variance, by its unbiased estimate.

    Source: Ioffe & Szegedy (2015), algorithms 1 and 2.

    Args:
        channels: of the input.
        alpha: $\alpha$, the part of a mini-batch in the running statistics.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, alpha: float = 0.1) -> None:
        super().__init__(channels)
        self.alpha = alpha
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, …) → the same shape."""
        if not self.training:
            deviation = per_channel(self.variance + EPSILON, x).sqrt()
            return super().forward((x - per_channel(self.mean, x)) / deviation)
        mean, variance = moments(x, (0, *range(2, x.ndim)))
        m = x.numel() / mean.numel()
        with torch.no_grad():
            self.mean += self.alpha * (mean.flatten() - self.mean)
            self.variance += self.alpha * (variance.flatten() * m / (m - 1) - self.variance)
        return super().forward((x - mean) / (variance + EPSILON).sqrt())


class BatchRenorm(Affine):
    r"""Batch norm, corrected so that training sees what evaluation will see.

    $$\hat x = \frac{x - \mu_B}{\sigma_B} r + d, \qquad
    r = \mathrm{clip}_{[1 / r_{max}, r_{max}]} \frac{\sigma_B}{\sigma}, \qquad
    d = \mathrm{clip}_{[-d_{max}, d_{max}]} \frac{\mu_B - \mu}{\sigma},$$

    where $r$ and $d$ count as constants for the gradient. Where nothing is clipped, $\hat x = (x -
    \mu) / \sigma$.

    The bounds are the paper's: batch norm alone for 5,000 of 160,000 steps, then relaxed along
    straight lines, $d_{max}$ until step 25,000 and $r_{max}$ until step 40,000; for another number
    of steps, in proportion. The running statistics begin as the plain mean of the first
    mini-batches, until that is longer than their memory.

    Source: Ioffe (2017), algorithm 1; the bounds from section 4.

    Args:
        channels: of the input.
        steps: of the whole training.
        alpha: $\alpha$, the part of a mini-batch in the running statistics.
        r_max: the largest correction of the scale; 1: none.
        d_max: the largest correction of the mean; 0: none.
    """

    mean: Tensor
    deviation: Tensor
    seen: Tensor

    def __init__(
        self,
        channels: int,
        steps: int = 160_000,
        alpha: float = 0.01,
        r_max: float = 3.0,
        d_max: float = 5.0,
    ) -> None:
        if r_max < 1:
            raise UserError(
                f"r_max of batch renorm is {r_max:g}; expected at least 1, which corrects nothing"
            )
        super().__init__(channels)
        self.steps, self.alpha, self.r_max, self.d_max = steps, alpha, r_max, d_max
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        self.register_buffer("seen", torch.tensor(0))  # mini-batches so far

    def bounds(self) -> tuple[Tensor, Tensor]:
        """r_max and d_max at this step."""
        step = self.seen / self.steps * 160_000
        d = self.d_max * ((step - 5_000) / 20_000).clamp(0, 1)
        r = 1 + (self.r_max - 1) * ((step - 5_000) / 35_000).clamp(0, 1)
        return r, d

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, …) → the same shape."""
        μ, σ = per_channel(self.mean, x), per_channel(self.deviation, x)
        if not self.training:
            return super().forward((x - μ) / σ)
        mean, variance = moments(x, (0, *range(2, x.ndim)))
        deviation = (variance + EPSILON).sqrt()
        with torch.no_grad():
            r_max, d_max = self.bounds()
            r = (deviation / σ).clamp(1 / r_max, r_max)
            d = ((mean - μ) / σ).clamp(-d_max, d_max)
            self.seen += 1
            α = (1 / self.seen).clamp(min=self.alpha)
            self.mean += α * (mean.flatten() - self.mean)
            self.deviation += α * (deviation.flatten() - self.deviation)
        return super().forward((x - mean) / deviation * r + d)
