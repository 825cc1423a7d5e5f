"""Volume rendering against integrals that can be done by hand, and sampling against the histogram
it draws from.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from etude.layers.rendering import chord, composite, sample_histogram, stratified_samples

RAYS, SAMPLES = 7, 12


def fog(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Density, colour, distances, far ends."""
    torch.manual_seed(seed)
    t = (2 + 3 * torch.rand(RAYS, SAMPLES, dtype=torch.double)).sort(1).values
    far = torch.full((RAYS, 1), 5.5, dtype=torch.double)
    density = 3 * torch.rand(RAYS, SAMPLES, dtype=torch.double)
    return density, torch.rand(RAYS, SAMPLES, 3, dtype=torch.double), t, far


def test_rendering_is_the_papers_sum() -> None:
    density, colour, t, far = fog()
    seen = composite(density, colour, t, far, background=0.25)
    for r in range(RAYS):
        ends = [*t[r].tolist(), far[r].item()]
        expected, depth, passed = torch.zeros(3, dtype=torch.double), 0.0, 1.0
        for i in range(SAMPLES):
            alpha = 1 - math.exp(-density[r, i].item() * (ends[i + 1] - ends[i]))
            assert seen.weights[r, i].item() == pytest.approx(passed * alpha, abs=1e-12)
            expected += passed * alpha * colour[r, i]
            depth += passed * alpha * ends[i]
            passed *= 1 - alpha
        torch.testing.assert_close(seen.colour[r], expected + 0.25 * passed, rtol=0, atol=1e-12)
        assert seen.depth[r].item() == pytest.approx(depth + 5.5 * passed, abs=1e-12)


def test_weights_are_a_distribution_with_what_passes() -> None:
    density, colour, t, far = fog(1)
    weights = composite(density, colour, t, far).weights
    assert (weights >= 0).all()
    assert (weights.sum(1) <= 1 + 1e-12).all()
    solid = composite(torch.full_like(density, 1e4), colour, t, far)
    torch.testing.assert_close(solid.weights.sum(1), torch.ones(RAYS, dtype=torch.double))
    torch.testing.assert_close(solid.colour, colour[:, 0], rtol=0, atol=1e-6)
    empty = composite(torch.zeros_like(density), colour, t, far, background=0.7)
    assert (empty.weights == 0).all()
    assert (empty.colour == 0.7).all()
    assert (empty.depth == 5.5).all()


def test_a_constant_fog_is_known_exactly() -> None:
    """Also in single precision: of light through σ a part of exp(-σ L) passes, and where it stops
    is exponential.
    """
    near, far, sigma = torch.tensor([[2.0]]), torch.tensor([[6.0]]), 0.8
    t = torch.lerp(near, far, torch.arange(50) / 50)
    colour = torch.tensor([0.2, 0.5, 0.9])
    seen = composite(torch.full((1, 50), sigma), colour.expand(1, 50, 3), t, far)
    begin, end = t - 2, torch.cat([t, far], 1)[:, 1:] - 2
    torch.testing.assert_close(
        seen.weights, (-sigma * begin).exp() - (-sigma * end).exp(), rtol=0, atol=1e-6
    )
    passed = math.exp(-sigma * 4)
    torch.testing.assert_close(seen.colour[0], (1 - passed) * colour + passed, rtol=0, atol=1e-6)


def test_more_samples_of_a_smooth_fog_near_its_integral() -> None:
    def rendered(n: int) -> float:
        t = torch.lerp(
            torch.zeros(1, 1), torch.full((1, 1), 3.0), (torch.arange(n) + 0.5) / n
        ).double()
        end = torch.full((1, 1), 3.0, dtype=torch.double)
        seen = composite(
            2 * (-((t - 1.5) ** 2)).exp(),
            (t / 3)[..., None].expand(-1, -1, 3),
            t,
            end,
            background=0.0,
        )
        return seen.colour[0, 0].item()

    exact = rendered(20_000)
    errors = [abs(rendered(n) - exact) for n in (100, 1_000)]
    assert 1e-3 > errors[0] > 5 * errors[1] > 0


def test_rendering_has_its_gradients() -> None:
    density, colour, t, far = fog(2)
    inputs = [x[:2, :4].clone().requires_grad_() for x in (density, colour)]
    assert torch.autograd.gradcheck(lambda s, c: tuple(composite(s, c, t[:2, :4], far[:2])), inputs)


@pytest.mark.parametrize("random", [False, True])
def test_each_bin_has_one_sample(random) -> None:
    torch.manual_seed(0)
    near, far = torch.rand(500, 1), 2 + torch.rand(500, 1)
    t = stratified_samples(near, far, 9, random=random)
    bins = ((t - near) / (far - near) * 9 + 1e-4 * (not random)).floor().long()
    assert torch.equal(bins, torch.arange(9).expand(500, 9))
    if random:
        place = (t - near) / (far - near) * 9 % 1
        assert place.mean().item() == pytest.approx(0.5, abs=0.02)
        assert place.var().item() == pytest.approx(1 / 12, abs=0.01)
        assert not torch.equal(t, stratified_samples(near, far, 9, random=True))


def test_draws_of_a_histogram_have_its_shares_and_are_even_within_a_bin() -> None:
    torch.manual_seed(0)
    edges, weights = torch.tensor([0.0, 1, 1.5, 4, 5]), torch.tensor([0.2, 0.0, 0.5, 0.1])
    n = 4_000
    t = sample_histogram(edges.expand(n, -1), weights.expand(n, -1), 10, random=True)
    assert (t.diff(dim=1) >= 0).all(), "sorted"
    counts = torch.histogram(t.flatten(), edges).hist
    torch.testing.assert_close(counts / counts.sum(), weights / weights.sum(), rtol=0, atol=0.01)
    assert counts[1] == 0, "an empty bin is never drawn from"
    within = t[(t > 1.5) & (t < 4)]
    assert within.mean().item() == pytest.approx(2.75, abs=0.02)
    assert within.var().item() == pytest.approx(2.5**2 / 12, rel=0.03)


def test_without_chance_the_quantiles_are_drawn() -> None:
    edges, weights = torch.tensor([[0.0, 1, 3]]), torch.tensor([[1.0, 3]])
    found = sample_histogram(
        edges, weights, 4, random=False
    )  # F(t) = t / 4 up to 1, then 1/4 + 3/8 (t - 1)
    expected = torch.tensor([[0.5, 1 + 1 / 3, 2.0, 2 + 2 / 3]])
    torch.testing.assert_close(found, expected)


def test_a_chord_begins_and_ends_on_the_ball() -> None:
    torch.manual_seed(0)
    origins = 4 * torch.nn.functional.normalize(torch.randn(300, 3, dtype=torch.double), dim=1)
    directions = torch.nn.functional.normalize(
        2 * torch.randn(300, 3, dtype=torch.double) - origins, dim=1
    )
    near, far = chord(origins, directions, 1.5)
    hit = (near < far)[:, 0]
    closest = torch.linalg.cross(origins, directions).norm(dim=1)
    assert torch.equal(hit, closest < 1.5)
    assert 20 < hit.sum() < 280
    for t in (near, far):
        length = (origins + t * directions).norm(dim=1)[hit]
        torch.testing.assert_close(length, torch.full_like(length, 1.5))
    assert (near[~hit] == far[~hit]).all()
