from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from etude.studies.generative._running_mean import RunningMean
from etude.studies.vision.cifar._lookahead import Lookahead
from etude.training.best import Best
from etude.training.evaluation import accuracy, evaluating, outputs
from etude.training.optimizers import descent
from etude.training.schedules import cosine, one_cycle


def test_one_cycle_rises_and_falls() -> None:
    shape = one_cycle(100, warmup=0.25, start=0.1, end=0.02)
    values = [shape(step) for step in range(101)]
    assert values[0] == pytest.approx(0.1)
    assert max(values) == values[25] == 1
    assert values[100] == pytest.approx(0.02)
    assert all(b > a for a, b in itertools.pairwise(values[:26]))
    assert all(b < a for a, b in itertools.pairwise(values[25:]))
    assert one_cycle(1)(0) > 0


def test_cosine_is_half_way_at_the_middle() -> None:
    shape = cosine(110, warmup=10, end=0.1)
    assert shape(9) == 1
    assert shape(60) == pytest.approx(0.55)
    assert shape(110) == pytest.approx(0.1)


def test_weights_decay_and_vectors_do_not() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    decayed = {
        id(p)
        for g in descent("adamw", net, 0.1, 0.5).param_groups
        if g["weight_decay"]
        for p in g["params"]
    }
    assert decayed == {id(net[0].weight), id(net[3].weight)}


def test_best_keeps_and_restores() -> None:
    net = nn.Linear(2, 1)
    best = Best(net, patience=2)
    for value, weight in ((0.5, 1.0), (0.9, 2.0), (0.8, 3.0), (0.7, 4.0)):
        nn.init.constant_(net.weight, weight)
        assert not best.stale
        assert best.update(value) == (value in (0.5, 0.9))
    assert best.stale
    other = Best(nn.Linear(2, 1))
    other.load_state_dict(best.state_dict())
    assert best.restore().weight[0, 0] == 2.0
    assert other.restore().weight[0, 0] == 2.0
    lowest = Best(net, lowest=True)
    assert lowest.update(3.0)
    assert not lowest.update(4.0)


def test_lookahead_is_its_equations() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    slow = Lookahead(net)
    before = net[0].weight.detach().clone()
    with torch.no_grad():
        net[0].weight.add_(1.0)
        net[1].running_mean.add_(1.0)
    slow.update(0.75)
    assert torch.allclose(net[0].weight, before + 0.25)
    assert torch.allclose(net[1].running_mean, torch.full((2,), 0.25))
    state = {"slow": [t.clone() for t in slow.state_dict()["slow"]]}
    slow.update(1.0)  # stays
    assert torch.allclose(net[0].weight, before + 0.25)
    again = Lookahead(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    again.load_state_dict(state)
    assert torch.allclose(again.slow[0], before + 0.25)


def test_a_running_mean_forgets_its_start_and_goes_on_after_a_stop() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    mean, again = RunningMean(net, 0.9), RunningMean(net, 0.9)
    path = []
    for step in range(200):
        with torch.no_grad():
            net[0].weight.fill_(float(step))
            net[1].running_mean.fill_(float(step))
        mean.update(net)
        path.append(mean.net[0].weight[0, 0].item())
        assert torch.equal(mean.net[1].running_mean, net[1].running_mean)
        if step == 100:
            again.load_state_dict(
                {"net": {k: t.clone() for k, t in mean.net.state_dict().items()}, "updates": 101}
            )
        elif step > 100:
            again.update(net)
    assert path[0] == 0  # the first update takes the network as it is
    assert path[-1] == pytest.approx(0.9 * path[-2] + 0.1 * 199, rel=1e-5)
    assert path[-1] == pytest.approx(199 - 9, abs=0.01)  # it lags by d / (1 - d) steps
    assert torch.equal(again.net[0].weight, mean.net[0].weight)
    assert not any(p.requires_grad for p in mean.net.parameters())


def test_accuracy_of_known_scores() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.2, 0.3, 0.5], [0.4, 0.3, 0.3]])
    labels = torch.tensor([1, 2, 2, 0])
    assert accuracy(scores, labels) == 0.75
    assert accuracy(scores, labels, top=2) == 1.0
    assert accuracy(torch.tensor([[0.3], [-0.1]]), torch.tensor([1, 1])) == 0.5


def test_outputs_are_those_of_evaluation_in_any_batch_size() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5), nn.BatchNorm1d(2))
    x = torch.rand(10, 3)
    net.train()
    assert torch.allclose(outputs(net, x, batch=3), outputs(net, x, batch=10))
    assert net.training
    with evaluating(net):
        assert not net.training
        assert not torch.is_grad_enabled()
