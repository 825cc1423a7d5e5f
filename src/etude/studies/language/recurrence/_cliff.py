"""One recurrent unit without input, whose loss has a cliff, and gradient descent on it."""

from __future__ import annotations

import torch
from torch import Tensor


def one_unit_loss(parameters: Tensor, steps: int) -> Tensor:
    r"""$(h_T + 1/2)^2$ with $h_t = \tanh(u h_{t-1} + b)$ and $h_0 = 1/2$.

    Args:
        parameters: u and b, (…, 2).
        steps: T.

    Returns:
        The loss of each pair, (…).
    """
    u, b = parameters.unbind(-1)
    h = torch.full_like(u, 0.5)
    for _ in range(steps):
        h = torch.tanh(u * h + b)
    return (h + 0.5).square()


def descents(
    start: Tensor, steps: int, clip: float, learning_rate: float = 0.2, updates: int = 400
) -> Tensor:
    """Gradient descent from many starts at once: (starts, 2) → (updates + 1, starts, 2).

    Args:
        start: u and b at the start of each descent, (starts, 2).
        steps: T of the loss.
        clip: the largest norm of a gradient; a longer one is scaled down to it.
        learning_rate: the factor of the gradient in an update.
        updates: the number of updates.
    """
    p = start
    path = [p]
    for _ in range(updates):
        p = p.detach().requires_grad_()
        (g,) = torch.autograd.grad(one_unit_loss(p, steps).sum(), p)
        p = p.detach() - learning_rate * g * (clip / g.norm(dim=1, keepdim=True)).clamp(max=1.0)
        path.append(p)
    return torch.stack(path)
