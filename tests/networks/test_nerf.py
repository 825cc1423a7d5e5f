"""The radiance field: its encoding at known values, what it may know, and that it can learn."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import normalize

from etude.networks.nerf import NeRF, positional_encoding


def small(coarse: int = 6, fine: int = 8) -> NeRF:
    torch.manual_seed(0)
    return NeRF(1.0, 3, 1, 24, 4, coarse, fine)


def crossing(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays from a distance of 4 through the ball."""
    origins = 4 * normalize(torch.randn(n, 3), dim=1)
    return origins, normalize(0.5 * normalize(torch.randn(n, 3), dim=1) - origins, dim=1)


def test_the_encoding_at_known_values() -> None:
    x = torch.tensor([[0.5, 0.25]])
    half = math.sqrt(0.5)
    expected = [
        0.5,
        0.25,
        1,
        0,
        half,
        1,
        0,
        -1,
        half,
        0,
    ]  # x; sin π x, sin 2 π x of each number; then the cosines
    torch.testing.assert_close(
        positional_encoding(x, 2), torch.tensor([expected]), rtol=0, atol=1e-6
    )
    assert torch.equal(positional_encoding(x, 0), x)
    assert positional_encoding(torch.rand(4, 5, 3), 10).shape == (4, 5, 63)


def test_near_places_differ_by_the_fastest_wave() -> None:
    a, b = (
        positional_encoding(torch.zeros(1, 3), 8),
        positional_encoding(torch.full((1, 3), 2.0**-7), 8),
    )
    assert (a - b).abs().max().item() == pytest.approx(2), "half a wave apart"


def test_density_is_the_same_from_everywhere_and_colour_is_not() -> None:
    net, places = small(), torch.rand(50, 3) - 0.5
    one, other = (
        net.density_and_colour(places, normalize(torch.randn(50, 3), dim=1)) for _ in range(2)
    )
    assert torch.equal(one[0], other[0])
    assert not torch.equal(one[1], other[1])
    assert (one[0] > 0).all()


def test_every_parameter_gets_a_gradient() -> None:
    net = small()
    net(*crossing(64)).square().sum().backward()
    assert not [
        name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]


def test_the_coarse_field_learns_by_its_own_picture_alone() -> None:
    net = small()
    net(*crossing(16))[:, 1].sum().backward()
    assert all((p.grad == 0).all() for p in net.coarse.parameters())
    assert all(p.grad.abs().sum() > 0 for p in net.fine.parameters())


def test_samples_are_drawn_in_training_only_and_lie_in_the_ball() -> None:
    net, rays = small(), crossing(40)
    assert not torch.equal(net(*rays), net(*rays))
    net.eval()
    assert torch.equal(net(*rays), net(*rays))
    both = net.render(*rays)
    assert both.coarse_t.shape == (40, 6)
    assert both.fine_t.shape == (40, 14)
    places = rays[0][:, None] + both.fine_t[..., None] * rays[1][:, None]
    assert places.norm(dim=2).max() < 1 + 1e-5
    assert (both.fine_t.diff(dim=1) >= 0).all()


def test_fine_samples_crowd_where_the_coarse_field_sees_something() -> None:
    net = small(16, 32).eval()

    def ball(places: torch.Tensor, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return 200.0 * (places.norm(dim=1) < 0.3), torch.full_like(places, 0.5)

    net.coarse.forward = ball  # type: ignore[method-assign]
    o, d = torch.tensor([[4.0, 0, 0]]), torch.tensor([[-1.0, 0, 0]])
    t = net.render(o, d).fine_t[0]
    assert ((t - 3.8).abs() < 0.1).sum() > 28, "in the first bin whose middle is in the ball"


def test_a_picture_is_the_rays_one_by_one_and_white_beside_the_ball() -> None:
    net = small()
    d = torch.tensor([[[-1.0, 0, 0], [0.0, 1, 0]]]).expand(1, 1, 2, 3)
    o = torch.tensor([4.0, 0, 0]).expand(1, 1, 2, 3)
    found = net.render_views(o, d)
    assert net.training
    net.eval()
    coarse, fine = net(o[0, 0, :1], d[0, 0, :1])[0]
    torch.testing.assert_close(found.fine[0, 0, 0], fine)
    torch.testing.assert_close(found.coarse[0, 0, 0], coarse)
    assert (found.fine[0, 0, 1] == 1).all()
    assert found.depth[0, 0, 1].isinf()
    torch.testing.assert_close(
        net(o[0, 0], d[0, 0])[1], torch.ones(2, 3)
    )  # also without being left out


def test_a_batch_of_rays_is_learned_by_heart() -> None:
    net, rays = small(), crossing(24)
    colour = torch.rand(24, 3)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(400):
        loss = (net(*rays) - colour[:, None]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 2e-3
