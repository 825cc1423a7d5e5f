"""Handwritten digits: a network with dropout and an L2 penalty, chosen on a validation set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


def network() -> nn.Module:
    """A new network: (N, 1, 28, 28), from 0 to 1 → logits (N, 10)."""
    # task network, 2 points: Choose the layers; dropout is one of them.
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(256, 10),
    )
    # end of task


def split(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are trained on, and those for validation, of n examples."""
    # task split, 2 points: Draw the rows for validation at random.
    order = np.random.default_rng(seed).permutation(n)
    return order[n // 10 :], order[: n // 10]
    # end of task


def train(
    images: np.ndarray, labels: np.ndarray, seed: int, penalty: float = 1.0
) -> dict[str, Tensor]:
    """Train a network on pictures, uint8 (N, 28, 28), with classes (N,).

    Args:
        images: all training pictures. Those of ``split(N, seed)`` for validation are not trained
            on; they serve to choose.
        labels: their classes.
        seed: of all random numbers: the same seed and data give the same network.
        penalty: what the strength of your L2 penalty is multiplied by.

    Returns:
        The network's ``state_dict``.
    """
    # task train, 5 points: Train a network on the one part, and measure it on the other. The loss
    #   has an L2 penalty, whose strength is your own number times penalty.
    torch.manual_seed(seed)
    rows, held_out = (torch.as_tensor(each) for each in split(len(images), seed))
    x = torch.as_tensor(images).float().div(255)[:, None]
    y = torch.as_tensor(labels)
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), 2e-3, weight_decay=1e-5 * penalty)
    best, kept = -1.0, net.state_dict()
    steps = max(400, 4 * len(rows) // 64)
    for step in range(1, steps + 1):
        batch = rows[torch.randint(len(rows), (64,))]
        optimizer.zero_grad()
        cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()
        if step % (steps // 5) == 0:
            net.eval()
            with torch.no_grad():
                right = (net(x[held_out]).argmax(1) == y[held_out]).float().mean().item()
            net.train()
            if right > best:
                best, kept = right, {k: v.clone() for k, v in net.state_dict().items()}
    return kept
    # end of task


def predict(parameters: dict[str, Any], images: np.ndarray) -> Tensor:
    """The classes of pictures, uint8 (N, 28, 28) → (N,), by a network that was trained before.

    Args:
        parameters: what ``train`` returned, as arrays.
        images: the pictures.
    """
    # task predict, 1 point: Make a network, give it the parameters, and switch dropout off.
    net = network()
    net.load_state_dict({name: torch.as_tensor(value) for name, value in parameters.items()})
    net.eval()
    with torch.no_grad():
        return net(torch.as_tensor(images).float().div(255)[:, None]).argmax(1)
    # end of task


def passes(images: np.ndarray) -> tuple[Tensor, ...]:
    """What the grader asks of ``network``: two passes in evaluation, and two in training mode."""
    net = network()
    x = torch.as_tensor(images).float().div(255)[:, None]
    with torch.no_grad():
        net.eval()
        evaluated = net(x), net(x)
        net.train()
        return (*evaluated, net(x), net(x))
