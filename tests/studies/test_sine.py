"""The sine study: the bases are the assignment's, everything is learned, and the fit comes near the
sine.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import etude
from etude.studies.foundations.sine._draws import Fits, drawn
from etude.studies.foundations.sine.sine import GaussianBases, Sine


def scattered(seed: int = 0) -> GaussianBases:
    """Bases with weights that are not zero."""
    net = Sine().network()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.2 * torch.randn(p.shape, generator=generator)
    return net


def test_the_fit_is_the_formula_of_the_assignment() -> None:
    net = scattered()
    x = torch.linspace(-0.5, 1.5, 41)
    w, b, mu, sigma = (p.detach().double().numpy() for p in (net.w, net.b, net.mu, net.sigma))
    expected = [
        sum(w[j] * np.exp(-((v - mu[j]) ** 2) / sigma[j] ** 2) for j in range(8)) + b
        for v in x.double().numpy()
    ]
    np.testing.assert_allclose(net(x).detach().numpy(), expected, atol=2e-6)
    assert net.phi(x).shape == (41, 8)
    assert net(x).shape == (41,)


def test_every_parameter_gets_the_gradient_that_differences_give() -> None:
    net = scattered().double()
    x, y = torch.rand(10, dtype=torch.double), torch.rand(10, dtype=torch.double)

    def loss() -> torch.Tensor:
        return ((y - net(x)) ** 2 / 2).mean()

    loss().backward()
    for p in net.parameters():
        assert p.grad is not None
        flat, step = p.data.view(-1), 1e-6
        for i in range(len(flat)):
            kept = flat[i].item()
            flat[i] = kept + step
            above = loss().item()
            flat[i] = kept - step
            below = loss().item()
            flat[i] = kept
            assert p.grad.view(-1)[i].item() == pytest.approx(
                (above - below) / (2 * step), abs=1e-7
            )
            assert p.grad.view(-1)[i] != 0


def test_three_points_can_be_fitted_exactly() -> None:
    net = Sine(bases=4).network()
    x, y = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([1.0, -1.0, 1.0])
    optimizer = torch.optim.SGD(net.parameters(), 0.2)
    for _ in range(3000):
        optimizer.zero_grad()
        ((y - net(x)) ** 2 / 2).mean().backward()
        optimizer.step()
    assert (net(x) - y).abs().max() < 0.02


@pytest.mark.parametrize("seed", [0, 4])
def test_the_claim_holds_and_all_of_it_was_learned(tmp_path, seed) -> None:
    run = etude.run("sine", seed=seed, draws=1, root=tmp_path, quiet=True)
    assert run.metrics["sine/rmse"] <= 0.06
    assert run.metrics["train/rmse"] > 0.07, "below the noise: the fit has learned the noise"
    net = etude.load(run.folder.path).network
    for before, after in zip(Sine().network().parameters(), net.parameters(), strict=True):
        assert not torch.equal(before, after)
    assert {p.name for p in run.folder.figures.glob("*.png")} == {"fit.png", "bases.png"}
    assert etude.load(run.folder.path).predict(0.25)["y"] == pytest.approx(
        math.sin(math.pi / 2), abs=0.15
    )


def test_no_weights_make_up_for_narrow_shapes_that_stay() -> None:
    x = torch.linspace(0, 1, 201, dtype=torch.double)
    with torch.no_grad():
        phi = Sine().network(bandwidth=0.1).double().phi(x)
    A = torch.cat([phi, torch.ones(201, 1, dtype=torch.double)], 1)  # and the constant b
    y = torch.sin(2 * math.pi * x)[:, None]
    best = A @ torch.linalg.lstsq(A, y).solution
    (claim,) = (claim for claim in Sine.claims if claim.metric == "learned/rmse")
    assert not claim.allows(float((best - y).square().mean().sqrt()))


def test_many_fits_at_once_are_each_what_one_is_alone() -> None:
    torch.manual_seed(0)
    fits = Fits(scattered(seed) for seed in range(3))
    x, y = drawn(20, 0.1, 3)
    assert x.shape == y.shape == (3, 20)
    net = scattered(seed=7)
    with torch.no_grad():
        for name, stacked in fits.named_parameters():
            getattr(net, name).copy_(stacked[1])
        torch.testing.assert_close(fits(x)[1], net(x[1]))
        grid = torch.linspace(0, 1, 201)
        error = net(grid) - torch.sin(2 * math.pi * grid)
    torch.testing.assert_close(fits.distances()[1], error.square().mean().sqrt())
    fits(x)[0].sum().backward()
    gradients = [stacked.grad for stacked in fits.parameters()]
    assert all(g is not None and g[0].any() and not g[1:].any() for g in gradients)


def test_the_weights_of_least_squares_leave_no_error_that_a_basis_could_take_up() -> None:
    torch.manual_seed(0)
    fits = Fits(Sine().network(bandwidth) for bandwidth in (0.1, 0.7))
    x, y = drawn(20, 0.1, 2)
    solved = fits.solved(x, y)
    assert torch.equal(solved.sigma, fits.sigma.double())
    x, y = x.double(), y.double()
    fits.double()
    with torch.no_grad():
        error = y - solved(x)
        assert (error[:, None] @ solved.phi(x)).abs().max() < 1e-6
        assert (error**2).sum() < ((y - fits(x)) ** 2).sum()
