"""All learning rates at once: the mixture, who learns from what, and the rates."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, nll_loss

from etude.studies.foundations.schedules._random_rates import Mixture, at_rates, random_rates


def mixture() -> Mixture:
    torch.manual_seed(0)
    net = Mixture(nn.Sequential(nn.Linear(4, 6), nn.Tanh()), 6, 3, copies=5)
    net.log_a.copy_(torch.tensor([0.1, 0.2, 0.3, 0.25, 0.15]).log())
    return net


def test_the_mixture_is_the_mean_of_the_copies_probabilities() -> None:
    net, x = mixture(), torch.rand(7, 4)
    each = [net.heads(net.features(x))[:, 3 * j : 3 * j + 3].softmax(1) for j in range(5)]
    expected = sum(a * p for a, p in zip(net.log_a.exp(), each, strict=True))
    assert torch.allclose(net(x).exp(), expected)


def test_features_learn_from_the_mixture_and_each_copy_from_itself() -> None:
    net, x, y = mixture(), torch.rand(7, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    loss, own = net.losses(x, y)
    loss.backward()
    found = [w.grad.clone() for w in net.parameters()]
    net.zero_grad()
    nll_loss(net(x), y).backward()
    for w, gradient in zip(net.features.parameters(), found[:2], strict=True):
        assert torch.allclose(w.grad, gradient, atol=1e-7)
    net.zero_grad()
    scores = net.heads(net.features(x)).view(7, 5, 3)
    sum(cross_entropy(scores[:, j], y) for j in range(5)).backward()
    assert torch.allclose(net.heads.weight.grad, found[2], atol=1e-7)
    assert torch.allclose(own, scores.log_softmax(2)[torch.arange(7), :, y])


def test_weights_of_copies_follow_bayes_and_none_dies() -> None:
    net = mixture()
    own = torch.log(torch.tensor([[0.9, 0.1, 0.5, 0.5, 0.5], [0.8, 0.2, 0.5, 0.5, 0.5]]))
    posterior = net.log_a.exp() * own.sum(0).exp()
    net.reweight(own, share=0.1)
    assert torch.allclose(net.log_a.exp(), 0.9 * posterior / posterior.sum() + 0.02)
    for _ in range(1_000):
        net.reweight(torch.tensor([[0.0, -50, -50, -50, -50]]))
    assert net.log_a.exp().min().item() == pytest.approx(0.002, rel=1e-3)


def test_each_row_steps_with_its_own_rate() -> None:
    net = mixture()
    rates = random_rates(net, 1e-3, 10.0)
    assert [w is p for (w, _), p in zip(rates, net.parameters(), strict=True)] == [True] * 4
    (_, incoming), (_, bias), (_, heads), _ = rates
    assert torch.equal(incoming.flatten(), bias)
    assert ((incoming > 1e-3) & (incoming < 10)).all()
    assert len(incoming.unique()) == 6
    assert heads.flatten().tolist() == pytest.approx(
        [r for r in (1e-3, 1e-2, 0.1, 1, 10) for _ in range(3)], rel=1e-4
    )

    before = [p.detach().clone() for p in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    net.losses(torch.rand(7, 4), torch.zeros(7, dtype=torch.long))[0].backward()
    with at_rates(rates):
        optimizer.step()
    for (w, rate), was in zip(rates, before, strict=True):
        assert torch.allclose(w, was - rate * w.grad, atol=1e-6)
