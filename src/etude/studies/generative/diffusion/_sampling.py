"""Pictures of a class, out of noise: guidance, and the path of a reverse process."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from etude.training import evaluating

from ._flow import Flow
from ._process import Diffusion, Model

Process = Diffusion | Flow
NO_CLASS = 10  # the label that stands for an unknown class


def guided(net: nn.Module, labels: Tensor, weight: float) -> Model:
    r"""The prediction $\epsilon_\emptyset + w\, (\epsilon_y - \epsilon_\emptyset)$ as a model.

    Source: Ho & Salimans (2022), Classifier-free diffusion guidance, equation 6; w there is smaller
    by one.

    Args:
        net: takes x_t, the time and labels.
        labels: y, the class of each picture, (batch,).
        weight: w; 1 is the network's prediction for the class, more exaggerates the class.
    """

    def model(x: Tensor, t: Tensor) -> Tensor:
        if weight == 1:
            prediction: Tensor = net(x, t, labels)
            return prediction
        y = torch.cat([labels, torch.full_like(labels, NO_CLASS)])
        both: Tensor = net(torch.cat([x, x]), torch.cat([t, t]), y)
        with_class, without = both.chunk(2)
        return without + weight * (with_class - without)

    return model


def sample(
    process: Process, net: nn.Module, noise: Tensor, labels: Tensor, steps: int, weight: float
) -> Tensor:
    """Pictures of these classes out of this noise, from 0 to 1: (n, …), (n,) → (n, …).

    Args:
        process: what is reversed.
        net: takes x_t, the time and labels.
        noise: where each path begins.
        labels: the class of each picture.
        steps: of the reverse process.
        weight: of guidance.
    """
    ends = []
    with evaluating(net):
        for x, y in zip(torch.split(noise, 500), torch.split(labels, 500), strict=True):
            *_, end = process.reverse(guided(net, y, weight), x, steps)
            ends.append(end.x)
    return to_unit_interval(torch.cat(ends))


def sampling_path(
    process: Process, net: nn.Module, noise: Tensor, labels: Tensor, steps: int, weight: float
) -> tuple[list[float], Tensor, Tensor]:
    """All states on the way of :func:`sample`, whose arguments it takes.

    Returns:
        The times; x_t, and the guess of x_0, from 0 to 1, (steps + 1, n, …) each.
    """
    with evaluating(net):
        path = list(process.reverse(guided(net, labels, weight), noise, steps))
    x = torch.stack([step.x for step in path])
    guess = torch.stack([step.guess for step in path])
    return [step.time for step in path], to_unit_interval(x), to_unit_interval(guess)


def to_unit_interval(x: Tensor) -> Tensor:
    """Pictures from 0 to 1, of pictures from -1 to 1; values outside are clamped."""
    return ((x + 1) / 2).clamp(0, 1)
