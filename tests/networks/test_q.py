"""Action values and actor-critics: what their forms promise."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import mse_loss

from etude.networks.actor_critic import ActorCritic
from etude.networks.q import QNetwork


@pytest.mark.parametrize("dueling", [True, False])
def test_action_values_learn_a_batch(dueling) -> None:
    torch.manual_seed(0)
    net = QNetwork(3, (32, 32), 4, dueling=dueling)
    x, y = torch.randn(16, 3), torch.randn(16, 4)
    assert not torch.allclose(net(x[:1]), net(x[1:2]))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(400):
        optimizer.zero_grad()
        loss = mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
    assert loss < 0.01
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    assert torch.equal(net.greedy(x), net(x).argmax(1))


def test_dueling_says_what_is_value_and_what_is_advantage() -> None:
    torch.manual_seed(0)
    net, x = QNetwork(3, (8, 8), 4).double(), torch.randn(5, 3).double()
    h = torch.relu(net.body(x))
    torch.testing.assert_close(net(x).mean(1, keepdim=True), net.value(h), rtol=0, atol=1e-14)
    before = net(x)
    with torch.no_grad():
        net.advantage.bias += 3  # the same for all actions: no advantage
    torch.testing.assert_close(net(x), before, rtol=0, atol=1e-14)
    with torch.no_grad():
        net.value.bias += 3
    torch.testing.assert_close(net(x), before + 3, rtol=0, atol=1e-14)


def test_an_actor_critic_is_a_policy_and_a_value() -> None:
    torch.manual_seed(0)
    net, x = ActorCritic(3, (16, 16), 4), torch.randn(6, 3)
    out = net(x)
    assert out.shape == (6, 5)
    torch.testing.assert_close(out[:, :4].exp().sum(1), torch.ones(6))
    torch.testing.assert_close(out[:, 4], net.value(x))
    assert (out[:, :4].exp() - 0.25).abs().max() < 0.02, "at first no action is preferred"
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    actions, y = torch.randint(4, (6,)), torch.randn(6)
    for _ in range(300):
        optimizer.zero_grad()
        loss = mse_loss(net.value(x), y) - net.log_policy(x).gather(1, actions[:, None]).mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.02
    assert torch.equal(net.greedy(x), actions)
    drawn = net.sample(x[:1].expand(20_000, 3))
    assert (drawn == actions[0]).float().mean() > 0.97
