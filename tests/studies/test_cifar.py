from __future__ import annotations

import torch
from torch.nn.functional import unfold

from etude import data
from etude.networks.whitened import WhitenedCNN
from etude.studies.vision._baseline import nearest_neighbours
from etude.studies.vision.cifar.cifar import Cifar, standardise


def test_patches_are_whitened() -> None:
    images = standardise(data.coloured_glyphs(600, 10).train.inputs)
    net = WhitenedCNN(10, (4, 8, 8))
    net.fit_whitening(images, epsilon=0.0)
    outputs = (
        unfold(images, 2).transpose(1, 2).reshape(-1, 12) @ net.whiten.weight[:12].view(12, 12).T
    )
    moments = outputs.T.double() @ outputs.double() / len(outputs)
    assert torch.allclose(moments, torch.eye(12, dtype=torch.float64), atol=2e-2)
    assert torch.equal(net.whiten.weight[12:], -net.whiten.weight[:12])


def test_convolutions_begin_by_passing_channels_on() -> None:
    net = WhitenedCNN(10, (32, 40, 40))
    x = torch.randn(2, 24, 9, 9)
    assert torch.allclose(net.groups[0].conv1(x)[:, :24], x, atol=1e-6)


def test_one_batch_can_be_overfitted() -> None:
    torch.manual_seed(0)
    net = WhitenedCNN(10, (8, 16, 16))
    x, y = torch.randn(12, 3, 32, 32), torch.arange(12) % 10
    net.fit_whitening(x)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], 0.05)
    for _ in range(120):
        loss = torch.nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_rates_are_stated_for_1024_examples() -> None:
    study = Cifar()
    weights, biases = study.parameter_groups(study.network())
    assert biases["lr"] / weights["lr"] == study.bias_scale
    # shrinking by the penalty, per step, is the same for both groups
    assert (
        abs(biases["lr"] * biases["weight_decay"] - weights["lr"] * weights["weight_decay"]) < 1e-12
    )
    assert all(p.ndim == 1 for p in biases["params"])
    assert all(p.ndim >= 2 for p in weights["params"])


def test_views_are_a_mean_and_do_not_depend_on_the_split() -> None:
    torch.manual_seed(0)
    study = Cifar(mirror=True)
    net = study.network()
    images = data.coloured_glyphs(10, 10).test.inputs
    logits = study.mean_logits(net, images)
    mirrored = study.mean_logits(net, images.flip(3))
    assert logits.shape == (10, 10)
    plain = (study.mean_logits(net, images[:3]), study.mean_logits(net, images[3:]))
    assert torch.allclose(torch.cat(plain), logits, atol=1e-5)
    assert not torch.allclose(
        mirrored, logits
    )  # the shifted views are not symmetric, the centred one is


def test_the_reading_of_a_picture_of_any_size() -> None:
    study = Cifar(width=2)
    said = study.predict(study.network().eval(), torch.randint(256, (3, 50, 70), dtype=torch.uint8))
    assert set(said) == set(data.GLYPHS)
    assert abs(sum(said.values()) - 1) < 1e-5


def test_the_nearest_pixels_are_those_of_the_same_colours() -> None:
    glyphs = data.coloured_glyphs(1_500, 200)
    nearest = nearest_neighbours(*glyphs.train.pair, glyphs.test.inputs)
    right = (nearest == glyphs.test.labels).double().mean().item()
    claim = next(claim for claim in Cifar.claims if claim.metric == "test/accuracy")
    assert right < 0.5
    assert not claim.allows(right)
