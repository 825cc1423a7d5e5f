"""Layers and initialisers beside torch.nn's."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F

from etude import autodiff as ad
from tests.autodiff.parity import assert_parity, close


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def give(theirs: nn.Module, ours: ad.Module, turned: bool = False) -> nn.Module:
    """The same numbers to torch's module; its matrices are (outputs, inputs)."""
    with torch.no_grad():
        for p, mine in zip(theirs.parameters(), ours.parameters(), strict=True):
            a = mine.numpy()
            p.copy_(torch.tensor(a.T if turned and a.ndim == 2 else a))
    return theirs


def assert_same_layer(
    ours: ad.Module, theirs: nn.Module, x: np.ndarray, turned: bool = False
) -> None:
    """Output, gradients of the input and of every parameter."""
    theirs = give(theirs.double(), ours, turned)
    a, t = ad.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, u = ours(a), theirs(t)
    close(y, u)
    v_adjoint = draw(*y.shape)
    y.backward(v_adjoint)
    u.backward(torch.tensor(v_adjoint))
    close(a.grad, t.grad)
    for mine, p in zip(ours.parameters(), theirs.parameters(), strict=True):
        close(mine.grad, p.grad.T if turned and p.ndim == 2 else p.grad)


def test_linear() -> None:
    assert_same_layer(ad.Linear(3, 2, rng()), nn.Linear(3, 2), draw(4, 3), turned=True)
    assert_same_layer(ad.Linear(3, 2, rng()), nn.Linear(3, 2), draw(2, 4, 3), turned=True)


def test_conv2d() -> None:
    options = {"stride": 2, "padding": (1, 0), "dilation": (1, 2), "groups": 2}
    assert_same_layer(
        ad.Conv2d(4, 6, (3, 2), rng(), **options),
        nn.Conv2d(4, 6, (3, 2), **options),
        draw(2, 4, 7, 8),
    )


def test_layer_norm() -> None:
    assert_same_layer(ad.LayerNorm(5), nn.LayerNorm(5), draw(2, 3, 5))


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 3, 4, 5)])
def test_batch_norm_in_training_and_in_use(shape: tuple[int, ...]) -> None:
    ours = ad.BatchNorm(3)
    theirs: Any = (nn.BatchNorm1d if len(shape) < 4 else nn.BatchNorm2d)(3)
    for step in range(3):
        assert_same_layer(ours, theirs, draw(*shape) * (step + 1) + step)
        ours.weight.grad = ours.bias.grad = None
        theirs.zero_grad()
        close(ours.running_mean, theirs.running_mean)
        close(ours.running_var, theirs.running_var)
    assert_same_layer(ours.eval(), theirs.eval(), draw(*shape))
    close(ours.running_mean, theirs.running_mean)


def test_embedding() -> None:
    ours, ids = ad.Embedding(5, 3, rng()), np.array([[0, 4, 4], [1, 0, 0]])
    theirs = give(nn.Embedding(5, 3).double(), ours)
    y, u = ours(ids), theirs(torch.tensor(ids))
    close(y, u)
    (y * y).sum().backward()
    (u * u).sum().backward()
    close(ours.weight.grad, theirs.weight.grad)


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal: bool) -> None:
    assert_parity(
        lambda q, k, v: ad.attention(q, k, v, causal),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal),
        draw(2, 3, 4, 5),
        draw(2, 3, 6, 5),
        draw(2, 3, 6, 2),
        second=False,
    )


@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_attention(causal: bool) -> None:
    ours = ad.MultiHeadAttention(6, 3, rng(), causal)
    theirs = nn.MultiheadAttention(6, 3, batch_first=True).double()
    with torch.no_grad():
        for p, a in zip(
            (
                theirs.in_proj_weight,
                theirs.in_proj_bias,
                theirs.out_proj.weight,
                theirs.out_proj.bias,
            ),
            (ours.project.weight.T, ours.project.bias, ours.mix.weight.T, ours.mix.bias),
            strict=True,
        ):
            p.copy_(torch.tensor(a.numpy()))
    x = draw(2, 5, 6)
    mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1) if causal else None
    a, t = ad.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, (u, _) = ours(a), theirs(t, t, t, attn_mask=mask, need_weights=False)
    close(y, u)
    (y * y).sum().backward()
    (u * u).sum().backward()
    close(a.grad, t.grad)
    close(ours.project.weight.grad.T, theirs.in_proj_weight.grad)


def test_transformer_block_is_pre_norm_and_causal() -> None:
    block = ad.TransformerBlock(6, 2, rng())
    theirs = nn.TransformerEncoderLayer(
        6, 2, 24, 0.0, lambda x: F.gelu(x, approximate="tanh"), batch_first=True, norm_first=True
    ).double()
    pairs = {
        "self_attn.in_proj_weight": block.attention.project.weight.T,
        "self_attn.in_proj_bias": block.attention.project.bias,
        "self_attn.out_proj.weight": block.attention.mix.weight.T,
        "self_attn.out_proj.bias": block.attention.mix.bias,
        "linear1.weight": block.perceptron.layers[0].weight.T,
        "linear1.bias": block.perceptron.layers[0].bias,
        "linear2.weight": block.perceptron.layers[2].weight.T,
        "linear2.bias": block.perceptron.layers[2].bias,
        "norm1.weight": block.norm1.weight,
        "norm1.bias": block.norm1.bias,
        "norm2.weight": block.norm2.weight,
        "norm2.bias": block.norm2.bias,
    }
    theirs.load_state_dict({name: torch.tensor(a.numpy()) for name, a in pairs.items()})
    x = draw(2, 4, 6)
    close(
        block(ad.Tensor(x)),
        theirs(torch.tensor(x), src_mask=torch.triu(torch.ones(4, 4, dtype=torch.bool), 1)),
    )
    later = x.copy()
    later[:, 3] = 0
    close(block(ad.Tensor(x))[:, :3], block(ad.Tensor(later))[:, :3].numpy())


def test_dropout_only_in_training() -> None:
    layer, x = ad.Dropout(0.5, rng()), np.ones(1000)
    assert 400 < (layer(x).numpy() == 0).sum() < 600
    assert (layer.eval()(x).numpy() == 1).all()
    assert (layer.train()(x).numpy() != 1).all()


class Net(ad.Module):
    def __init__(self) -> None:
        self.embedding = ad.Embedding(4, 4, rng())
        self.blocks = [
            ad.TransformerBlock(4, 2, rng()),
            ad.Sequential(ad.Linear(4, 4, rng()), ad.relu, ad.BatchNorm(4)),
        ]
        self.head = ad.Linear(4, 4, rng())
        self.tied = self.embedding.weight
        self.scale = 3.0


def test_a_module_knows_its_parameters_and_its_state() -> None:
    net = Net()
    names = list(net.named_parameters())
    assert names[:2] == ["tied", "embedding.weight"]
    assert "blocks.0.attention.project.weight" in names
    assert "blocks.1.layers.2.bias" in names
    assert "head.bias" in names
    assert len(net.parameters()) == len(names) - 1  # each tensor once
    assert set(net.state_dict()) - set(names) == {
        "blocks.1.layers.2.running_mean",
        "blocks.1.layers.2.running_var",
    }
    assert net.blocks[1].layers[2].training
    net.eval()
    assert not any(module.training for _, module in net.modules())
    assert all(module.training for _, module in net.train().modules())


def test_a_state_is_a_copy_and_can_be_put_back() -> None:
    net = Net()
    state = net.state_dict()
    for p in net.parameters():
        p += 1
    net.blocks[1].layers[2].running_mean += 1
    assert not np.array_equal(net.state_dict()["head.weight"], state["head.weight"])
    net.load_state_dict(state)
    for name, a in net.state_dict().items():
        assert np.array_equal(a, state[name])
    other = Net()
    other.load_state_dict(
        {name: torch.tensor(a) for name, a in net.state_dict().items()}
    )  # as checkpoints keep it
    assert all(np.array_equal(a, state[name]) for name, a in other.state_dict().items())
    with pytest.raises(ad.ShapeError, match="load_state_dict expected"):
        net.load_state_dict({**state, "head.weight": np.ones((4, 5))})
    with pytest.raises(ad.ShapeError, match="load_state_dict expected"):
        net.load_state_dict({name: a for name, a in state.items() if name != "tied"})


def test_single_precision_all_through() -> None:
    net = Net().astype(np.float32)
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float32)}
    assert net.tied is net.embedding.weight
    y = net.head(
        net.blocks[1](net.blocks[0](net.embedding(np.array([[0, 1, 2], [3, 2, 1]]))).reshape(6, 4))
    )
    assert y.dtype == np.float32
    y.sum().backward()
    assert {p.grad.dtype for p in net.parameters()} == {np.dtype(np.float32)}
    assert net.blocks[1].layers[2].running_var.dtype == np.float32


def test_a_copy_is_independent() -> None:
    net = ad.Linear(2, 2, rng())
    twin = copy.deepcopy(net)
    twin.weight += 1
    assert not np.array_equal(net.weight.numpy(), twin.weight.numpy())


def test_initialisers() -> None:
    generator = rng()
    assert_allclose(ad.normal((400, 500), generator, 0.3).numpy().std(), 0.3, rtol=0.02)
    assert_allclose(ad.xavier((400, 500), generator).numpy().std(), math.sqrt(2 / 900), rtol=0.02)
    assert_allclose(
        ad.xavier((40, 50, 5, 5), generator).numpy().std(), math.sqrt(2 / (90 * 25)), rtol=0.02
    )
    assert_allclose(ad.kaiming((400, 500), generator).numpy().std(), math.sqrt(2 / 400), rtol=0.02)
    assert_allclose(
        ad.kaiming((40, 50, 5, 5), generator).numpy().std(), math.sqrt(2 / (50 * 25)), rtol=0.02
    )
    assert not ad.zeros((2, 3)).numpy().any()
    for p in (ad.zeros((2,)), ad.normal((2, 3), generator), ad.kaiming((2, 3), generator)):
        assert p.requires_grad
    for shape in ((5, 3), (3, 5), (4, 2, 3, 3)):
        q = ad.orthogonal(shape, generator).numpy()
        q = q.reshape(len(q), -1)
        q = q if q.shape[0] <= q.shape[1] else q.T
        assert_allclose(q @ q.T, np.eye(len(q)), atol=1e-12)
    same = [ad.kaiming((3, 3), np.random.default_rng(7)).numpy() for _ in range(2)]
    assert np.array_equal(*same)


def test_random_rotations_have_no_preferred_direction() -> None:
    generator = rng()
    first = [ad.orthogonal((2, 2), generator).numpy()[0, 0] for _ in range(400)]
    assert abs(np.mean(first)) < 0.1
