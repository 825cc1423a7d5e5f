"""The game of forgery: its losses at the optimum, the gradient penalty, and what is noted on the
way.
"""

from __future__ import annotations

import math

import pytest
import torch

from etude.networks.gan import Generator
from etude.studies.generative.gan._losses import LOSSES, NonSaturating, Wasserstein, slope_penalty
from etude.studies.generative.gan._sampling import arc_fraction, generate, mode_fractions
from etude.training import History


def test_a_critic_that_can_not_tell_pays_log_four() -> None:
    game, half = NonSaturating(), torch.zeros(6)  # D = 1/2
    assert game.critic(half, half).item() == pytest.approx(math.log(4))
    assert game.generator(half).item() == pytest.approx(math.log(2))
    assert game.distance(half, half).item() == pytest.approx(0, abs=1e-7)


def test_the_best_critic_pays_log_four_less_twice_the_jensen_shannon_divergence() -> None:
    """p = (3/4, 1/4), q = (1/4, 3/4): D = p / (p + q), so the score is log p/q."""
    game = NonSaturating()
    best = torch.tensor([3.0, 1 / 3]).log()
    real, fake = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 1, 1])
    js = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert game.critic(best[real], best[fake]).item() == pytest.approx(math.log(4) - 2 * js)
    assert game.distance(best[real], best[fake]).item() == pytest.approx(js)
    torch.manual_seed(0)
    for other in best + torch.randn(20, 2):
        assert game.critic(other[real], other[fake]) > game.critic(best[real], best[fake])


def test_the_generators_loss_is_steep_where_the_critic_is_sure() -> None:
    score = torch.tensor([-10.0], requires_grad=True)
    (steep,) = torch.autograd.grad(NonSaturating().generator(score), score)
    (flat,) = torch.autograd.grad((1 - score.sigmoid()).log().sum(), score)
    assert steep.item() == pytest.approx(-1, abs=1e-3)
    assert abs(flat.item()) < 1e-4


def test_two_points_are_as_far_apart_as_a_slope_of_one_says() -> None:
    """The Wasserstein distance sees how far; the Jensen–Shannon divergence is log 2 at any
    distance.
    """
    for gap in (0.5, 3.0):
        real, fake = torch.full((4,), gap), torch.zeros(4)
        assert Wasserstein().distance(real, fake).item() == pytest.approx(gap)
        assert Wasserstein().critic(real, fake).item() == pytest.approx(-gap)
        assert NonSaturating().distance(100 * real, 100 * (fake - gap)).item() == pytest.approx(
            math.log(2), abs=1e-4
        )
    assert set(LOSSES) == {"non-saturating", "wgan-gp"}


def test_a_circle_has_points_near_all_clusters_by_chance() -> None:
    angle = 2 * math.pi * torch.arange(100_000) / 100_000
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    fractions = mode_fractions(circle, circle[:: 100_000 // 8], 0.12)
    assert (fractions > 0.02).all(), "so eight modes alone say little"
    assert arc_fraction(8, 0.12) == pytest.approx(fractions.sum().item(), abs=1e-3)


def test_the_penalty_of_a_linear_critic_is_known_and_so_is_its_gradient() -> None:
    torch.manual_seed(0)
    a = torch.randn(12, requires_grad=True)
    real, fake = torch.randn(2, 5, 3, 4)
    penalty = slope_penalty(lambda x: x.flatten(1) @ a + 3, real, fake)
    assert penalty.item() == pytest.approx((a.norm().item() - 1) ** 2, rel=1e-5)
    (found,) = torch.autograd.grad(penalty, a)
    torch.testing.assert_close(found, (2 * (a.norm() - 1) * a / a.norm()).detach())


def test_the_penalty_is_taken_between_fakes_and_real_ones() -> None:
    """s = |x|²/2 has the slope |x|: 0 at the fakes, 1 at the real ones; E (t - 1)² for even t is
    1/3.
    """
    torch.manual_seed(0)
    real = torch.nn.functional.normalize(torch.randn(40_000, 3), dim=1)
    penalty = slope_penalty(lambda x: x.square().sum(1) / 2, real, torch.zeros_like(real))
    assert penalty.item() == pytest.approx(1 / 3, abs=0.01)


def test_no_gradient_goes_to_the_generator() -> None:
    fake = torch.randn(4, 3, requires_grad=True)
    a = torch.ones(3, requires_grad=True)
    slope_penalty(lambda x: (x @ a) ** 2, torch.randn(4, 3), fake).backward()
    assert fake.grad is None
    assert a.grad is not None


def test_a_history_is_put_back() -> None:
    history, other, picture = History(), History(), torch.zeros(2)
    history.keep(picture)
    picture += 1
    history.keep(picture)
    other.load_state_dict(history.state_dict())
    assert other.stacked().tolist() == [[0, 0], [1, 1]]
    other.keep(picture)
    assert (len(history), len(other)) == (2, 3)


def test_modes_are_counted() -> None:
    centres = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    points = torch.tensor([[0.05, 0.0], [0.0, 0.0], [1.0, 0.05], [0.5, 0.5]])
    assert mode_fractions(points, centres, 0.1).tolist() == [0.5, 0.25, 0]


def test_what_is_made_does_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    net, z, y = Generator(8, 4, 10, 8), torch.randn(501, 4), torch.arange(501) % 10
    x = generate(net, z, y)
    assert net.training
    torch.testing.assert_close(x[490:], generate(net, z[490:], y[490:]))
