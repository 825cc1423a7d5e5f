"""The variational autoencoder: the bound is a bound, the likelihood a distribution, the code used
and then not.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as kl_of_pytorch

import etude
from etude import data
from etude.networks.vae import VAE, reparameterise
from etude.studies.generative.vae._bounds import (
    bounds_by_samples,
    gradient_estimates,
    iwae_bound,
    kl_divergence,
    log_likelihood,
    log_weights,
)
from etude.studies.generative.vae._demo import code_of
from etude.studies.generative.vae.vae import VariationalAutoencoder
from etude.training.evaluation import independent


def small(seed: int = 0) -> tuple[VAE, torch.Tensor]:
    """A network that was never trained, and counts of 16 bits."""
    torch.manual_seed(seed)
    return VAE(64, 3, 32), data.uci_digits().train.inputs[:20].flatten(1).float()


@pytest.mark.parametrize("n", [1, 2, 16])
def test_the_likelihood_sums_to_one_and_is_scipys(n: int) -> None:
    from scipy.stats import betabinom

    torch.manual_seed(0)
    log_ab = 3 * torch.randn(2, 5).expand(n + 1, 2, 5)
    x = torch.arange(n + 1.0)[:, None].expand(-1, 5)
    one_by_one = torch.stack(
        [log_likelihood(x[:, [i]], log_ab[:, :, [i]], n) for i in range(5)], 1
    )  # (n + 1, pixels)
    torch.testing.assert_close(one_by_one.exp().sum(0), torch.ones(5))
    a, b = log_ab[0].double().exp()
    expected = torch.tensor(betabinom(n, a.numpy(), b.numpy()).logpmf(x.numpy()), dtype=torch.float)
    torch.testing.assert_close(one_by_one, expected, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(log_likelihood(x, log_ab, n), one_by_one.sum(1))


def test_an_urn_of_sure_pixels_is_binomial_and_of_one_bit_bernoulli() -> None:
    x = torch.tensor([[0.0, 3.0, 16.0]])
    log_ab = torch.tensor([[[9.5, 10.0, 10.0], [10.0, 9.0, 8.0]]])
    p = (log_ab[:, 0] - log_ab[:, 1]).sigmoid()
    expected = torch.distributions.Binomial(16, p).log_prob(x).sum()
    assert log_likelihood(x, log_ab, 16).item() == pytest.approx(expected.item(), abs=0.02)
    bit = torch.tensor([[0.0, 1.0, 1.0]])
    expected = torch.distributions.Bernoulli(p).log_prob(bit).sum()
    assert log_likelihood(bit, log_ab, 1).item() == pytest.approx(expected.item(), abs=1e-4)


def test_drawn_pixels_have_the_moments_of_the_urn(monkeypatch: pytest.MonkeyPatch) -> None:
    net, _ = small()
    log_ab = torch.tensor([[-9.0, -1.0, 0.5, 6.0], [6.0, 0.0, 1.0, -9.0]])
    monkeypatch.setattr(net, "decode", lambda z: log_ab.expand(len(z), 2, 4))
    x = 16 * net.sample_ink(torch.zeros(40_000, 3))
    assert x.isfinite().all()
    torch.testing.assert_close(x, x.round())
    p, (a, b) = net.expected_ink(torch.zeros(1, 3))[0], log_ab.exp()
    torch.testing.assert_close(p, a / (a + b))
    torch.testing.assert_close(x.mean(0), 16 * p, atol=0.15, rtol=0)
    torch.testing.assert_close(
        x.var(0), 16 * p * (1 - p) * (a + b + 16) / (a + b + 1), atol=0.1, rtol=0.03
    )


def test_the_divergence_is_that_of_pytorch_and_of_draws() -> None:
    torch.manual_seed(0)
    mu, log_var = torch.randn(4, 3), torch.randn(4, 3)
    q, prior = Normal(mu, (log_var / 2).exp()), Normal(torch.zeros(4, 3), torch.ones(4, 3))
    torch.testing.assert_close(kl_divergence(mu, log_var), kl_of_pytorch(q, prior).sum(1))
    z = reparameterise(mu.expand(100_000, -1, -1), log_var.expand(100_000, -1, -1))
    drawn_kl = (q.log_prob(z) - prior.log_prob(z)).sum(2).mean(0)
    torch.testing.assert_close(kl_divergence(mu, log_var), drawn_kl, atol=0.05, rtol=0)


def test_the_mean_weight_is_distortion_and_rate() -> None:
    net, x = small()
    with torch.inference_mode():
        w = log_weights(net, x, 1_500)
        mu, log_var = net.encode(x / 16)
        z = reparameterise(mu.expand(1_500, -1, -1), log_var.expand(1_500, -1, -1))
        elbo = log_likelihood(x, net.decode(z), 16).mean(0) - kl_divergence(mu, log_var)
    torch.testing.assert_close(w.mean(0), elbo, atol=0.5, rtol=0)


def test_the_bound_tightens_with_every_doubling_and_reaches_log_p() -> None:
    """With one number in the code log p(x) can be integrated on a grid."""
    torch.manual_seed(0)
    net, (_, x) = VAE(64, 1, 32), small()
    with torch.no_grad():
        net.decoder.layers[-1].weight.mul_(10)  # so that the code matters
        w = log_weights(net, x, 4_096)
        bounds = torch.stack(
            [iwae_bound(w.unflatten(0, (-1, 2**j)), dim=1).mean(0) for j in range(13)]
        )  # (13, rows)
        z = torch.linspace(-7, 7, 4_001)
        on_grid = (
            log_likelihood(x, net.decode(z[:, None, None]), 16)
            + Normal(0.0, 1.0).log_prob(z)[:, None]
        )
        log_p = on_grid.logsumexp(0) + math.log(14 / 4_000)
    assert (bounds.diff(dim=0) >= -1e-4).all(), (
        "Jensen: the log of a mean exceeds the mean of the logs"
    )
    assert (log_p - bounds[0]).mean() > 1
    torch.testing.assert_close(bounds[-1], log_p, atol=0.25, rtol=0)


def test_each_bound_is_the_mean_over_groups_of_codes() -> None:
    log_w = torch.randn(7, 3)
    bounds = bounds_by_samples(log_w)
    assert list(bounds) == [1, 2, 5, 7]
    torch.testing.assert_close(bounds[1], log_w.mean())
    pairs = torch.stack([iwae_bound(log_w[i : i + 2]) for i in (0, 2, 4)])
    torch.testing.assert_close(bounds[2], pairs.mean())
    torch.testing.assert_close(bounds[7], iwae_bound(log_w).mean())


def test_all_gradients_are_right_and_one_is_the_quietest() -> None:
    net, x = small()
    pathwise, score, centred = gradient_estimates(net, x[:2], 10_000)
    for each in (score, centred):
        error = (each.var(0) / len(each)).sqrt()
        assert ((pathwise.mean(0) - each.mean(0)).abs() < 5 * error).all()
    assert score.var(0).mean() > 100 * pathwise.var(0).mean()
    assert centred.var(0).mean() > pathwise.var(0).mean()
    assert score.var(0).mean() > 20 * centred.var(0).mean(), "most of it is the size of log p"


def test_independent_pixels_are_a_distribution() -> None:
    train, test = (
        torch.tensor([[0.0, 1.0], [0.0, 0.0]]),
        torch.cartesian_prod(torch.arange(2.0), torch.arange(2.0)),
    )
    log_p = independent(train, test, 1)
    assert log_p.exp().sum().item() == pytest.approx(1)
    assert log_p[0].item() == pytest.approx(math.log(2.5 / 3 * 0.5))


def test_a_pixel_of_one_bit_needs_one_number() -> None:
    net = VAE(784, 3, 16, bits=1)
    assert net.decoder(torch.zeros(2, 3)).shape == (2, 784)
    log_ab = net.decode(torch.randn(2, 3))
    assert log_ab.shape == (2, 2, 784)
    assert not log_ab[:, 1].any()
    drawn = net.sample_ink(torch.randn(2, 3))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}


def test_bits_of_mnist_are_drawn_with_the_odds_of_their_grey() -> None:
    study = VariationalAutoencoder.at("full")
    grey = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(5_000, 1, 1, 3)
    x = study.counts(grey, torch.Generator().manual_seed(0))
    assert set(x.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(x.mean(0), torch.tensor([0.0, 0.2, 1.0]), atol=0.02, rtol=0)
    counts = VariationalAutoencoder().counts(data.uci_digits().test.inputs, torch.Generator())
    assert counts.max() == 16


def test_it_learns_and_a_high_price_empties_the_code(tmp_path) -> None:
    run = etude.run(
        "vae",
        root=tmp_path,
        quiet=True,
        epochs=15.0,
        short_epochs=15.0,
        betas=(0.2, 100.0),
        repeats=1,
        samples=50,
    )
    m = run.metrics
    assert m["test/iwae"] > m["test/elbo"] > m["test/independent pixels"] + 10
    assert m["β = 0.2/validation/rate"] > 5
    assert m["β = 0.2/validation/active numbers"] == 8
    assert m["β = 100/validation/rate"] < 0.1
    assert m["β = 100/validation/active numbers"] == 0
    assert m["two numbers/test/elbo"] < m["test/elbo"]
    names = {"between", "map", "prices", "rate", "reconstructions", "samples"}
    assert {path.stem for path in run.folder.pictures()} == names
    said = etude.load(run.folder.path).predict(data.uci_digits().test.inputs[0, 0] / 16)
    assert -200 < said["ELBO"] < said["with 50 codes"] < 0


def test_sliders_move_what_matters_most() -> None:
    study = VariationalAutoencoder()
    net, _ = small()
    with torch.no_grad():
        net.decoder.layers[0].weight[:, 1] *= 20
    z = code_of(net, [2.0, -1.0])
    assert z[0, 1] == 2
    assert sorted(z[0].tolist()) == [-1, 0, 2]

    demo, net = study.demo(), study.network()
    assert len(demo.inputs) == 8
    with torch.no_grad():
        pictures = [
            next(iter(demo.answer(net, **dict.fromkeys(demo.inputs, at)))).images
            for at in (0.0, 3.0)
        ]
    before, after = (images["expected ink"] for images in pictures)
    assert before.shape == (8, 8)
    assert ((before >= 0) & (before <= 1)).all()
    assert abs(before - after).max() > 0.1
    assert len(VariationalAutoencoder.at("full").demo().inputs) == 8


def test_without_a_code_the_bound_is_not_reached() -> None:
    digits = data.uci_digits()
    train, test = (part.inputs.flatten(1).float() for part in (digits.train, digits.test))
    claim = next(claim for claim in VariationalAutoencoder.claims if claim.metric == "test/elbo")
    assert not claim.allows(independent(train, test, 16).mean().item())
