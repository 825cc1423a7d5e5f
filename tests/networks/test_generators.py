"""The denoiser, and the two players of a GAN: they see what they are told, and they can learn."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from etude.networks.denoiser import Denoiser, PixelNorm, time_features
from etude.networks.gan import Critic, Generator, PlaneNetwork


def assert_all_learn(net: nn.Module, out: torch.Tensor) -> None:
    out.square().sum().backward()
    silent = [
        name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert not silent


@pytest.mark.parametrize(
    ("side", "grow"), [(8, (1, 2)), (28, (1, 2, 2)), (7, (1, 1, 1)), (8, (2,))]
)
def test_the_denoiser_keeps_the_shape_and_every_weight_learns(
    side: int, grow: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    net = Denoiser(2, 10, 8, grow)
    out = net(torch.randn(3, 2, side, side), torch.rand(3), torch.tensor([0, 5, 10]))
    assert out.shape == (3, 2, side, side)
    assert_all_learn(net, out)


def test_the_denoiser_sees_picture_time_and_class() -> None:
    torch.manual_seed(0)
    net = Denoiser(width=8)
    x, t, y = torch.randn(1, 1, 8, 8), torch.tensor([0.5]), torch.tensor([3])
    said = net(x, t, y)
    assert not torch.allclose(said, net(x + 0.1, t, y))
    assert not torch.allclose(said, net(x, t + 0.01, y))
    assert not torch.allclose(said, net(x, t, torch.tensor([10])))
    far = x.clone()
    far[..., 7, 7] += 1
    assert not torch.equal(net(far, t, y)[..., 0, 0], said[..., 0, 0]), (
        "a corner sees the other one"
    )


def test_the_denoiser_learns_one_batch_by_heart() -> None:
    torch.manual_seed(0)
    net = Denoiser(width=16)
    x, t, y, target = (
        torch.randn(8, 1, 8, 8),
        torch.rand(8),
        torch.arange(8),
        torch.randn(8, 1, 8, 8),
    )
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(150):
        loss = mse_loss(net(x, t, y), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_the_norm_is_over_the_channels_of_a_pixel() -> None:
    x = 3 + 2 * torch.randn(2, 16, 4, 4)
    y = PixelNorm(16)(x)
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 4, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(1, correction=0), torch.ones(2, 4, 4), atol=1e-3, rtol=0)
    torch.testing.assert_close(y[0, :, 1, 2], nn.functional.layer_norm(x[0, :, 1, 2], (16,)))


def test_waves_tell_near_times_apart() -> None:
    a, b = time_features(torch.tensor([0.5, 0.501]), 32)
    assert a.shape == (32,)
    assert (a - b).norm() > 0.3
    torch.testing.assert_close(a[:16] ** 2 + a[16:] ** 2, torch.ones(16))


@pytest.mark.parametrize("side", [8, 28])
@pytest.mark.parametrize("classes", [0, 10])
def test_both_players_learn(side: int, classes: int) -> None:
    torch.manual_seed(0)
    generator, critic = Generator(side, 5, classes, 8), Critic(side, classes, 8)
    z, y = torch.randn(6, 5), torch.arange(6)
    x = generator(z, y)
    assert x.shape == (6, 1, side, side)
    assert x.min() >= 0
    assert x.max() <= 1
    scores = critic(x, y)
    assert scores.shape == (6,)
    assert_all_learn(critic, critic(x.detach(), y))
    assert_all_learn(generator, generator(z, y))
    told = not torch.allclose(critic(x, y), critic(x, y.flip(0)))
    assert told == bool(classes)
    told = not torch.allclose(generator(z, y), generator(z, y.flip(0)))
    assert told == bool(classes)


def test_a_score_is_of_its_own_picture_only() -> None:
    torch.manual_seed(0)
    critic, x, y = Critic(8, 10, 8), torch.rand(6, 1, 8, 8), torch.arange(6)
    torch.testing.assert_close(critic(x, y)[:2], critic(x[:2], y[:2]))


def test_the_players_in_the_plane() -> None:
    torch.manual_seed(0)
    z, y = torch.randn(7, 4), torch.zeros(7, dtype=torch.long)
    points = PlaneNetwork(4, 2)(z, y)
    assert points.shape == (7, 2)
    net = PlaneNetwork(2, 1)
    assert net(points, y).shape == (7,)
    assert_all_learn(net, net(points.detach(), y))


def test_a_generator_learns_one_batch_by_heart() -> None:
    torch.manual_seed(0)
    net, z, y, target = (
        Generator(8, 5, 10, 16),
        torch.randn(8, 5),
        torch.arange(8),
        torch.rand(8, 1, 8, 8),
    )
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(200):
        loss = mse_loss(net(z, y), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.01
