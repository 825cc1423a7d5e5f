"""How large a gradient is after its way back through time."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from etude.layers.recurrence import Recurrent, State


def gradient_sizes(cells: Recurrent, x: Tensor) -> Tensor:
    r"""The size of $\partial s_T / \partial s_{T-k}$ for k = 0, 1 …: (time,); s is the whole state,
    h or (h, c).

    The size is the root mean square of the Jacobian's singular values, over them and over the
    sequences, estimated from one random direction for each sequence.

    Args:
        cells: a recurrent layer in one direction.
        x: inputs, (batch, time, inputs); the state before them is zero.
    """
    states: list[State] = []
    for t in range(x.shape[1]):
        states.append(cells(x[:, t : t + 1], states[-1] if states else None)[1])
    last = torch.cat(states[-1], 2)  # (1, batch, features of the state)

    v = torch.randn_like(last)
    v = v / v.norm(dim=(0, 2), keepdim=True)  # E |vᵀJ|² is the mean square of J's singular values
    parts = [part for state in states for part in state]
    gradients = torch.autograd.grad((last * v).sum(), parts)
    squares = torch.stack([g.square().sum((0, 2)).mean() for g in gradients])
    return squares.view(len(states), -1).sum(1).sqrt().flip(0).cpu()


def factor_per_step(sizes: Tensor) -> float:
    """The factor by which a gradient changes with each step back: the geometric mean over the
    farther half of its sizes, (time,).
    """
    far = sizes[len(sizes) // 2 :]
    return math.exp((far[-1] / far[0]).log() / (len(far) - 1))
