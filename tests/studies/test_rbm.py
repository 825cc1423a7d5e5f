"""The restricted Boltzmann machine against what can be counted: all states of a small one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

import etude
from etude import Claim, data
from etude.errors import UserError
from etude.networks.rbm import RBM
from etude.studies.generative.rbm._baseline import BernoulliMixture
from etude.studies.generative.rbm._chains import Chains
from etude.studies.generative.rbm._likelihood import (
    all_states,
    annealed_log_weights,
    inverse_temperatures,
    log_mean,
    log_odds,
    log_partition,
)
from etude.studies.generative.rbm.rbm import RestrictedBoltzmannMachine
from etude.training.evaluation import independent


def small(visible: int = 6, hidden: int = 4, seed: int = 0, scale: float = 1.0) -> RBM:
    torch.manual_seed(seed)
    net = RBM(visible, hidden).double()
    with torch.no_grad():
        for w in net.parameters():
            w.normal_(0, scale)
    return net


def states(bits: int) -> Tensor:
    return torch.cat(list(all_states(bits)))


@torch.no_grad()
def joint(net: RBM) -> Tensor:
    """p(v, h) of all states, (2^visible, 2^hidden), from the energy alone."""
    v, h = states(len(net.a)), states(len(net.b))
    return (-net.energy(v[:, None], h[None])).flatten().softmax(0).view(len(v), len(h))


def test_all_states_are_all_states() -> None:
    assert len(states(15).unique(dim=0)) == 2**15


def test_the_free_energy_is_the_sum_over_what_is_not_seen() -> None:
    net = small()
    v, h = states(6), states(4)
    summed = (-net.energy(v[:, None], h[None])).logsumexp(1)
    torch.testing.assert_close(-net(v), summed)
    torch.testing.assert_close(net.hidden(v), (joint(net) / joint(net).sum(1, keepdim=True)) @ h)
    torch.testing.assert_close(net.visible(h), (joint(net) / joint(net).sum(0)).T @ v)


@pytest.mark.parametrize(("visible", "hidden"), [(6, 4), (4, 6), (5, 5)])
def test_the_partition_function_is_the_sum_over_all(visible, hidden) -> None:
    net = small(visible, hidden)
    v, h = states(visible), states(hidden)
    everything = (-net.energy(v[:, None], h[None])).flatten().logsumexp(0)
    torch.testing.assert_close(log_partition(net), everything)
    net.log_z.copy_(everything)
    assert net.log_likelihood(v).exp().sum().item() == pytest.approx(1)
    with pytest.raises(UserError, match=r"has 2\^21 terms; expected at most 20 bits"):
        log_partition(RBM(30, 21))


def test_the_free_energy_is_scikit_learns() -> None:
    from sklearn.neural_network import BernoulliRBM

    net, v = small(), states(6)
    theirs = BernoulliRBM(4)
    theirs.components_, theirs.intercept_hidden_, theirs.intercept_visible_ = (
        w.detach().numpy() for w in (net.W.T, net.b, net.a)
    )
    torch.testing.assert_close(
        net(v), torch.from_numpy(theirs._free_energy(v.numpy())), rtol=0, atol=1e-12
    )


def test_data_less_model_is_the_gradient_of_the_exact_likelihood() -> None:
    """The model's means are taken over all states by their probability; against central
    differences.
    """
    net = small()
    seen = torch.rand(9, 6, dtype=torch.double).round()
    v, p = states(6), joint(net).sum(1)
    h = net.hidden(v)
    means = (v.T @ (p[:, None] * h), p @ v, p @ h)
    likelihood = lambda: (-net(seen)).mean() - log_partition(net)  # noqa: E731
    for w, positive, negative in zip(
        (net.W, net.a, net.b), net.statistics(seen), means, strict=True
    ):
        found = torch.empty_like(w)
        for place in range(w.numel()):
            ends = []
            for step in (1e-5, -2e-5):
                with torch.no_grad():
                    w.view(-1)[place] += step
                ends.append(likelihood().item())
            with torch.no_grad():
                w.view(-1)[place] += 1e-5
            found.view(-1)[place] = (ends[0] - ends[1]) / 2e-5
        torch.testing.assert_close(positive - negative, found, rtol=0, atol=1e-8)


def test_climbing_is_the_gradient_of_the_two_free_energies() -> None:
    net = small()
    seen, drawn = torch.rand(2, 9, 6, dtype=torch.double).round()
    net.set_gradients(seen, drawn)
    written = [w.grad for w in net.parameters()]
    expected = torch.autograd.grad(net(seen).mean() - net(drawn).mean(), list(net.parameters()))
    for ours, theirs in zip(written, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_gibbs_chains_end_in_the_machines_distribution() -> None:
    net = small(5, 3)
    n = 60_000
    v = net.gibbs(torch.zeros(n, 5, dtype=torch.double), 60)
    counts = torch.bincount((v @ (2.0 ** torch.arange(5, dtype=torch.double))).long(), minlength=32)
    p = joint(net).sum(1)
    chi_square = ((counts - n * p) ** 2 / (n * p)).sum().item()
    assert chi_square < 61.1, "of 31 degrees of freedom: once in a thousand"
    assert (counts / n - p).abs().sum() / 2 < 0.015
    early = net.gibbs(torch.zeros(n, 5, dtype=torch.double), 0)
    assert not torch.equal(early, v)


def test_annealing_finds_the_partition_function() -> None:
    net = small(12, 8, scale=0.8)
    base, exact = torch.randn(12, dtype=torch.double), log_partition(net)
    weights = annealed_log_weights(net, base, 1_000, 400)
    assert abs(log_mean(weights) - exact) < 0.1
    rough = annealed_log_weights(net, base, 2, 400)
    assert rough.mean() < exact, "Jensen: log weights fall short"
    assert rough.std() > 2 * weights.std()


def test_annealing_without_ties_needs_no_steps() -> None:
    net = RBM(7, 3).double()
    with torch.no_grad():
        net.W.zero_()
        net.a.normal_()
    weights = annealed_log_weights(net, net.a.detach(), 1, 5)
    expected = softplus(net.a).sum() + 3 * math.log(2)
    torch.testing.assert_close(weights, expected.detach().expand(5))


def test_temperatures_rise_from_none_to_all() -> None:
    betas = inverse_temperatures(1_000)
    assert (betas[0], betas[-1], len(betas)) == (0, 1, 1_001)
    assert (betas.diff() > 0).all()
    assert (betas[250].item(), betas[500].item()) == pytest.approx((0.5, 0.9))


def test_a_chain_goes_on_where_it_was() -> None:
    chains, other = Chains(torch.ones(3, 4)), Chains(torch.zeros(3, 4))
    other.load_state_dict(chains.state_dict())
    assert torch.equal(other.v, chains.v)


def test_it_learns_two_patterns_by_heart() -> None:
    torch.manual_seed(0)
    patterns = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    net = RBM(6, 4)
    chains, optimizer = patterns.repeat(20, 1), torch.optim.SGD(net.parameters(), 0.2)
    for _ in range(1_500):
        chains = net.gibbs(chains)
        net.set_gradients(patterns, chains)
        optimizer.step()
    net.log_z.copy_(log_partition(net))
    assert net.log_likelihood(patterns).exp().sum().item() > 0.8
    torch.testing.assert_close(log_odds(patterns), torch.zeros(6))


@pytest.mark.claims
def test_it_learns_digits_and_says_how_probable_one_is(tmp_path) -> None:
    run = etude.run("rbm", root=tmp_path, quiet=True, epochs=150.0, hidden=32, temperatures=500)
    assert run.metrics["gain over independent pixels"] > 5
    assert run.metrics["small/error of log Z"] < 0.1
    assert {path.stem for path in run.folder.pictures()} == {
        "annealing",
        "fantasy",
        "filters",
        "reconstructions",
        "rising",
    }
    digit = data.uci_digits().test.inputs[0, 0] / 16
    trained = etude.load(run.folder.path)
    assert -60 < trained.predict(digit)["log p"] < 0
    scrambled = digit.flatten()[
        torch.randperm(64, generator=torch.Generator().manual_seed(0))
    ].view(8, 8)
    assert trained.predict(scrambled)["log p"] < trained.predict(digit)["log p"] - 10


def test_a_mixture_is_a_distribution_and_em_raises_its_likelihood() -> None:
    torch.manual_seed(0)
    v = (torch.rand(200, 6) < torch.tensor([0.9, 0.9, 0.9, 0.1, 0.1, 0.1])).float()
    v[:100] = 1 - v[:100]
    likelihoods = []
    for updates in (0, 1, 5, 20):
        mixture = BernoulliMixture(v, 2, updates)
        assert mixture.log_likelihood(states(6).float()).exp().sum() == pytest.approx(1, abs=1e-5)
        likelihoods.append(float(mixture.log_likelihood(v).mean()))
    assert likelihoods == sorted(likelihoods)
    p = mixture.p[mixture.p[:, 0].argsort()]
    expected = torch.tensor([[0.1, 0.1, 0.1, 0.9, 0.9, 0.9], [0.9, 0.9, 0.9, 0.1, 0.1, 0.1]])
    torch.testing.assert_close(p, expected, atol=0.12, rtol=0)


def claim_on(metric: str) -> Claim:
    return next(claim for claim in RestrictedBoltzmannMachine.claims if claim.metric == metric)


def test_a_mixture_gains_less_than_is_claimed_of_a_machine() -> None:
    digits, bits = data.uci_digits(), RestrictedBoltzmannMachine().bits
    train, test = bits(digits.train.inputs), bits(digits.test.inputs)
    mixed = BernoulliMixture(train, 80).log_likelihood(test).mean()
    gain = mixed - independent(train, test, 1).mean()
    assert gain > 5
    assert not claim_on("gain over independent pixels").allows(gain.item())


def test_without_temperatures_in_between_the_estimate_is_not_what_is_claimed() -> None:
    net = small(12, 8, scale=0.8)
    exact, base = log_partition(net), torch.zeros(12, dtype=torch.double)
    errors = []
    for temperatures in (1_000, 1):
        weights = annealed_log_weights(net, base, temperatures, 200)
        errors.append((log_mean(weights) - exact).abs().item())
    claim = claim_on("small/error of log Z")
    assert [claim.allows(error) for error in errors] == [True, False]
