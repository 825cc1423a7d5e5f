"""Losses and optimisers beside torch's; one step of LeNet; networks that learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from etude import autodiff as ad
from tests.autodiff.parity import assert_parity, close


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def test_losses() -> None:
    z, t, labels = draw(4, 3) * 50, draw(4, 3), np.array([0, 2, 2, 1])
    assert_parity(ad.mse, F.mse_loss, z, t)
    assert_parity(
        lambda z: ad.cross_entropy(z, labels),
        lambda z: F.cross_entropy(z, torch.tensor(labels)),
        z,
        second=False,
    )
    assert_parity(
        lambda z: ad.binary_cross_entropy_with_logits(z, (t > 0).astype(float)),
        lambda z: F.binary_cross_entropy_with_logits(z, torch.tensor(t > 0).double()),
        z,
    )
    tokens = np.random.default_rng(0).integers(0, 5, (2, 3))
    assert_parity(
        lambda z: ad.cross_entropy(z, tokens),
        lambda z: F.cross_entropy(z.flatten(0, 1), torch.tensor(tokens).flatten()),
        draw(2, 3, 5),
    )


OPTIMISERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sgd": (lambda p: ad.SGD(p, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (
        lambda p: ad.SGD(p, 0.1, 0.9, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.1),
    ),
    "nesterov": (
        lambda p: ad.SGD(p, 0.1, 0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True),
    ),
    "adam": (
        lambda p: ad.Adam(p, 0.1, (0.8, 0.9), 1e-3),
        lambda p: torch.optim.Adam(p, 0.1, (0.8, 0.9), 1e-3),
    ),
    "adamw": (
        lambda p: ad.AdamW(p, 0.1, 0.3),
        lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.3),
    ),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers(name: str) -> None:
    a, b = draw(3, 2), draw(2)
    ours = [ad.Tensor(x, requires_grad=True) for x in (a, b)]
    theirs = [torch.tensor(x, requires_grad=True) for x in (a, b)]
    mine, other = OPTIMISERS[name][0](ours), OPTIMISERS[name][1](theirs)
    for step in range(6):
        if step == 3:  # goes on from its state as if nothing had been
            again = OPTIMISERS[name][0](ours)
            again.load_state_dict(mine.state_dict())
            mine = again
        for optimiser, (w, v), sin in ((mine, ours, ad.sin), (other, theirs, torch.sin)):
            optimiser.zero_grad()
            (sin(w) @ v * (step + 1)).sum().backward()
            optimiser.step()
    for x, t in zip(ours, theirs, strict=True):
        close(x, t)


def test_a_parameter_without_gradient_stays() -> None:
    p, q = ad.Tensor([1.0], requires_grad=True), ad.Tensor([1.0], requires_grad=True)
    optimiser = ad.AdamW([p, q], 0.1)
    (p * p).sum().backward()
    optimiser.step()
    assert q.item() == 1
    assert p.item() != 1


class LeNet(ad.Module):
    """LeCun et al. (1998), with ReLU and max pooling."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.conv = [ad.Conv2d(1, 6, 5, rng, padding=2), ad.Conv2d(6, 16, 5, rng)]
        self.dense = [ad.Linear(400, 120, rng), ad.Linear(120, 84, rng), ad.Linear(84, 10, rng)]

    def __call__(self, x: Any) -> ad.Tensor:
        for conv in self.conv:
            x = ad.max_pool2d(ad.relu(conv(x)), 2)
        x = ad.flatten(x)
        return self.dense[2](ad.relu(self.dense[1](ad.relu(self.dense[0](x)))))


def test_one_step_of_lenet_equals_torchs() -> None:
    net = LeNet(np.random.default_rng(0))
    images, labels = draw(8, 1, 28, 28), np.arange(8) % 10
    p = {n: torch.tensor(a, requires_grad=True) for n, a in net.state_dict().items()}
    ours = ad.SGD(net.parameters(), 0.05, momentum=0.9)
    theirs = torch.optim.SGD(p.values(), 0.05, momentum=0.9)
    for _ in range(2):
        h = F.max_pool2d(
            F.conv2d(torch.tensor(images), p["conv.0.weight"], p["conv.0.bias"], padding=2).relu(),
            2,
        )
        h = F.max_pool2d(F.conv2d(h, p["conv.1.weight"], p["conv.1.bias"]).relu(), 2).flatten(1)
        h = (h @ p["dense.0.weight"] + p["dense.0.bias"]).relu()
        h = (h @ p["dense.1.weight"] + p["dense.1.bias"]).relu()
        expected = F.cross_entropy(
            h @ p["dense.2.weight"] + p["dense.2.bias"], torch.tensor(labels)
        )
        loss = ad.cross_entropy(net(images), labels)
        close(loss, expected)
        for optimiser, value in ((ours, loss), (theirs, expected)):
            optimiser.zero_grad()
            value.backward()
        for name, x in net.named_parameters().items():
            close(x.grad, p[name].grad)
        ours.step()
        theirs.step()
        for name, x in net.named_parameters().items():
            close(x, p[name])


def learn(net: ad.Module, loss: Callable[[], ad.Tensor], optimiser: Any, steps: int) -> float:
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    return loss().item()


def test_a_perceptron_learns_one_batch() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (64, 2))
    y = (np.sin(4 * x[:, :1]) * x[:, 1:] > 0).astype(float)
    net = ad.Sequential(ad.Linear(2, 32, rng), ad.tanh, ad.Dropout(0.0, rng), ad.Linear(32, 1, rng))
    loss = learn(
        net,
        lambda: ad.binary_cross_entropy_with_logits(net(x), y),
        ad.Adam(net.parameters(), 0.05),
        400,
    )
    assert loss < 0.02


def test_lenet_learns_one_batch() -> None:
    rng = np.random.default_rng(0)
    net = LeNet(rng).astype(np.float32)
    x, y = rng.random((20, 1, 28, 28), np.float32), rng.integers(10, size=20)
    assert (
        learn(net, lambda: ad.cross_entropy(net(x), y), ad.AdamW(net.parameters(), 2e-3), 60) < 0.02
    )


class Transformer(ad.Module):
    def __init__(self, symbols: int, time: int, width: int, rng: np.random.Generator) -> None:
        self.symbols, self.places = ad.Embedding(symbols, width, rng), ad.normal((time, width), rng)
        self.blocks = [ad.TransformerBlock(width, 2, rng) for _ in range(2)]
        self.norm, self.head = ad.LayerNorm(width), ad.Linear(width, symbols, rng, ad.xavier)

    def __call__(self, ids: Any) -> ad.Tensor:
        x = self.symbols(ids) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def test_a_transformer_learns_one_batch() -> None:
    rng = np.random.default_rng(0)
    text = rng.integers(5, size=(4, 9))
    text[:, 0] = np.arange(4)  # the first symbol says which of the four it is
    net = Transformer(5, 8, 16, rng)
    loss = lambda: ad.cross_entropy(net(text[:, :-1]), text[:, 1:])  # noqa: E731
    assert learn(net, loss, ad.Adam(net.parameters(), 0.01), 100) < 0.02
