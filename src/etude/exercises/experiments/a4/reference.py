"""Small colour photographs: the networks, and the files of their parameters."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def network(classes: int) -> nn.Module:
    """A new network: (N, 3, 32, 32), from 0 to 1 → logits (N, classes)."""

    # task network, 3 points: Choose the layers. Try normalisation.
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU()]

    layers = [*block(3, 16), *block(16, 32), *block(32, 64)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, classes))
    # end of task


def train(images: np.ndarray, labels: np.ndarray, classes: int, seed: int) -> dict[str, Tensor]:
    """Train on pictures, uint8 (N, 3, 32, 32), with classes (N,).

    Returns:
        The network's ``state_dict``.
    """
    # task train, 1 point: Train the network. Both models that you hand in come from this function.
    from torch.nn.functional import cross_entropy

    torch.manual_seed(seed)
    x = torch.as_tensor(images).float().div(255)
    y = torch.as_tensor(labels)
    net = network(classes)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(max(150, 10 * len(x) // 64)):
        rows = torch.randint(len(x), (64,))
        optimizer.zero_grad()
        cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return net.state_dict()
    # end of task


def predict(parameters: dict[str, Any], images: np.ndarray, classes: int) -> Tensor:
    """Scores of pictures, uint8 (N, 3, 32, 32) → (N, classes); the largest is the class.

    Args:
        parameters: those of a model that was handed in, as arrays.
        images: the pictures.
        classes: 10 or 100, and so which of the two models it is.
    """
    # task predict, 3 points: Make a network, and give it the parameters.
    net = network(classes)
    net.load_state_dict({name: torch.as_tensor(value) for name, value in parameters.items()})
    net.eval()
    with torch.no_grad():
        parts = torch.as_tensor(images).split(200)
        return torch.cat([net(part.float().div(255)) for part in parts])
    # end of task


def save(parameters: dict[str, Any]) -> bytes:
    """The parameters as a file of NumPy's, ``cifar10.npz`` or ``cifar100.npz``."""
    file = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in parameters.items()}
    np.savez_compressed(file, **arrays)
    return file.getvalue()
