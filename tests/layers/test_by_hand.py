"""Backward passes written by hand are PyTorch's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from etude.layers import by_hand as hand
from etude.studies.foundations.backprop.backprop import Backprop, Stop, checks

Pair = tuple[Callable[[], hand.Layer], Callable[[], nn.Module], tuple[int, ...]]
PAIRS: dict[str, Pair] = {
    "affine": (lambda: hand.Affine(6, 5), lambda: nn.Linear(6, 5), (4, 6)),
    "convolution": (
        lambda: hand.Convolution(3, 4, 3),
        lambda: nn.Conv2d(3, 4, 3, padding=1, bias=False),
        (2, 3, 6, 5),
    ),
    "convolution 5": (
        lambda: hand.Convolution(2, 3, 5),
        lambda: nn.Conv2d(2, 3, 5, padding=2, bias=False),
        (2, 2, 7, 6),
    ),
    "max pooling": (hand.MaxPool, lambda: nn.MaxPool2d(2), (2, 3, 6, 8)),
    "max pooling, odd": (hand.MaxPool, lambda: nn.MaxPool2d(2), (2, 3, 5, 7)),
    "batch norm": (lambda: hand.BatchNorm(3), lambda: nn.BatchNorm2d(3), (4, 3, 5, 4)),
    "relu": (hand.ReLU, nn.ReLU, (3, 4)),
    "flatten": (hand.Flatten, nn.Flatten, (3, 2, 4, 4)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_forward_backward_and_statistics_are_pytorchs(name: str) -> None:
    np.random.seed(0)
    mine, theirs, shape = PAIRS[name][0](), PAIRS[name][1]().double(), PAIRS[name][2]
    mine.values = {key: np.random.normal(size=v.shape) for key, v in mine.values.items()}
    for key, value in mine.values.items():
        getattr(theirs, key).data = torch.tensor(value)
    x = np.random.normal(size=shape)
    t = torch.tensor(x, requires_grad=True)
    y, expected = mine.forward(x, training=True), theirs(t)
    np.testing.assert_allclose(y, expected.detach(), atol=1e-10)
    dy = np.random.normal(size=y.shape)
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(mine.backward(dy), t.grad, atol=1e-10)
    assert set(mine.gradients) == {key for key, _ in theirs.named_parameters()}
    for key, gradient in mine.gradients.items():
        np.testing.assert_allclose(gradient, getattr(theirs, key).grad, atol=1e-10)
    for key, value in mine.statistics.items():
        np.testing.assert_allclose(value, getattr(theirs, key), atol=1e-12)
    np.testing.assert_allclose(
        mine.forward(x, training=False), theirs.eval()(t).detach(), atol=1e-10
    )


def test_softmax_and_cross_entropy_are_pytorchs_also_for_large_scores() -> None:
    z = np.random.default_rng(0).normal(size=(5, 4)) * [[1], [1], [100], [1000], [1]]
    labels = np.array([0, 1, 2, 3, 3])
    t = torch.tensor(z, requires_grad=True)
    expected = nn.functional.cross_entropy(t, torch.tensor(labels))
    expected.backward()
    loss, dz = hand.softmax_cross_entropy(z, labels)
    assert loss == pytest.approx(expected.item())
    np.testing.assert_allclose(dz, t.grad, atol=1e-12)
    np.testing.assert_allclose(dz.sum(1), 0, atol=1e-12)


def test_dropout_keeps_the_mean_and_drops_the_same_backward() -> None:
    np.random.seed(0)
    layer, x = hand.Dropout(0.3), np.ones((200, 200))
    y = layer.forward(x, training=True)
    assert y.mean() == pytest.approx(1, abs=0.01)
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(layer.backward(x), y)
    np.testing.assert_array_equal(layer.forward(x, training=False), x)


@pytest.mark.parametrize(
    "name", ["affine", "convolution", "max pooling", "batch norm", "ReLU", "dropout"]
)
def test_gradients_are_differences_and_the_check_can_fail(name: str) -> None:
    np.random.seed(1)
    layer, x = checks()[name]
    steps = np.array([1e-5])
    assert hand.differences(layer, x, steps)[1e-5] < 1e-8
    right = layer.backward
    layer.backward = lambda dy: 1.01 * right(dy)  # type: ignore[method-assign]
    assert hand.differences(layer, x, steps)[1e-5] > 1e-4


def test_one_training_step_of_the_whole_network_is_pytorchs() -> None:
    np.random.seed(0)
    study = Backprop(width=4, units=8, dropout=0.0)
    net, twin = hand.Network(study.layers(), np.float64), study.network().double()
    twin.load_state_dict(net.state_dict(), strict=False)
    optimizer = torch.optim.SGD(twin.parameters(), 0.1, momentum=0.9)
    rng = np.random.default_rng(0)
    for _ in range(3):
        x, labels = rng.normal(size=(6, 1, 8, 8)), rng.integers(0, 10, 6)
        loss, dz = hand.softmax_cross_entropy(net.forward(x, training=True), labels)
        net.backward(dz)
        net.step(0.1, 0.9, 0.0)
        optimizer.zero_grad()
        expected = nn.functional.cross_entropy(twin(torch.tensor(x)), torch.tensor(labels))
        expected.backward()
        optimizer.step()
        assert loss == pytest.approx(expected.item(), abs=1e-10)
    for key, value in twin.state_dict().items():
        if "num_batches" not in key:
            np.testing.assert_allclose(net.state_dict()[key], value, atol=1e-10)


def test_one_batch_can_be_learned_by_heart() -> None:
    np.random.seed(0)
    net = hand.Network(Backprop(width=4, units=16, dropout=0.0).layers())
    x, labels = np.random.normal(size=(10, 1, 8, 8)).astype(np.float32), np.arange(10)
    for _ in range(60):
        loss, dz = hand.softmax_cross_entropy(net.forward(x, training=True), labels)
        net.backward(dz)
        net.step(0.05, 0.9, 0.0)
    assert loss < 0.05
    assert net.state_dict()["0.weight"].dtype == torch.float32


def test_below_a_stop_nothing_learns() -> None:
    """The control of the study: only the last layer's backward pass reaches a weight."""
    np.random.seed(0)
    *early, last = Backprop(width=4, units=16, dropout=0.0).layers()
    net = hand.Network([*early, Stop(), last])
    before = {key: value.clone() for key, value in net.state_dict().items()}
    x, labels = np.random.normal(size=(10, 1, 8, 8)).astype(np.float32), np.arange(10)
    _, dz = hand.softmax_cross_entropy(net.forward(x, training=True), labels)
    net.backward(dz)
    net.step(0.05, 0.9, 0.0)
    after = net.state_dict()
    moved = {key for key, _, _ in net.learned() if (after[key] != before[key]).any()}
    assert moved == {"13.weight", "13.bias"}
