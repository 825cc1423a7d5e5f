import math

import pytest
import torch

from etude import data
from etude.errors import UserError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_noisy_sine():
    x, y = data.noisy_sine(20_000, 0.1, seeded())
    assert x.shape == y.shape == (20_000,)
    assert 0 <= float(x.min()) < 0.001
    assert 0.999 < float(x.max()) < 1
    noise = y - torch.sin(2 * math.pi * x)
    assert abs(float(noise.std()) - 0.1) < 0.003
    assert abs(float(noise.mean())) < 0.003


def test_two_spirals():
    xy, label = data.two_spirals(400, 2.0, 0.0, seeded())
    assert xy.shape == (400, 2)
    assert label.tolist() == [0.0, 1.0] * 200
    radius = xy.norm(dim=1)
    assert abs(float(radius[0]) - 0.1) < 1e-6
    assert abs(float(radius[-1]) - 1) < 1e-6
    step = (xy[2::2] - xy[:-2:2]).norm(dim=1)  # along one spiral
    assert float(step[20:].max() / step[20:].min()) < 1.3
    assert float(torch.cdist(xy[::2], xy[1::2]).min()) > 0.15  # the spirals do not touch
    noisy, _ = data.two_spirals(400, 2.0, 0.05, seeded())
    assert abs(float((noisy - xy).std()) - 0.05) < 0.005


@pytest.mark.parametrize(
    "draw",
    [
        lambda g: data.noisy_sine(9, 0.1, g)[1],
        lambda g: data.two_spirals(9, 1, 0.1, g)[0],
        lambda g: data.glyphs(30, g).inputs,
    ],
)
def test_the_generator_alone_decides(draw):
    torch.manual_seed(1)
    first = draw(seeded(3))
    torch.manual_seed(2)
    assert torch.equal(draw(seeded(3)), first)
    assert not torch.equal(draw(seeded(4)), first)


def test_glyphs():
    glyphs = data.glyphs(1_005, seeded())
    assert glyphs.inputs.shape == (1_005, 3, 32, 32)
    assert glyphs.inputs.dtype == torch.uint8
    count = torch.bincount(glyphs.labels)
    assert count.max() - count.min() <= 1
    assert len(data.glyphs(0, seeded())) == 0


def test_the_class_is_not_in_the_colours():
    glyphs = data.glyphs(3_000, seeded())
    x = glyphs.inputs.float() / 255
    colours = torch.cat(
        [x.mean((2, 3)), x.std((2, 3)), x.amin((2, 3)), x.amax((2, 3)), torch.ones(3_000, 1)], 1
    )
    target = torch.nn.functional.one_hot(glyphs.labels, 10).float()
    weights = torch.linalg.lstsq(colours[:2_000], target[:2_000]).solution
    right = (colours[2_000:] @ weights).argmax(1) == glyphs.labels[2_000:]
    assert float(right.float().mean()) < 0.2


def test_the_whole_character_is_in_the_picture(monkeypatch):
    from etude.data import generated

    atlas = generated._atlas()
    assert float(atlas[..., 0].max()) < 0.1  # nothing is cut off at the sides of the square
    assert float(atlas[..., -1].max()) < 0.1
    mask = generated._mask(
        atlas[0, :2], torch.zeros(2), torch.full((2,), 16.0), torch.tensor([[-1.0, -1], [1, 1]])
    )
    rows = [(mask[i, 0].amax(1) > 0.5).nonzero()[[0, -1], 0].tolist() for i in range(2)]
    assert rows[0][0] >= 0
    assert rows[0][1] < 16 <= rows[1][0]


def test_training_and_test_glyphs_are_disjoint():
    for seed in (0, 1, 0x5EED_0F_61F5):
        glyphs = data.coloured_glyphs(200, 100, seeded(seed))
        both = torch.cat([glyphs.train.inputs, glyphs.test.inputs]).flatten(1).unique(dim=0)
        assert len(both) == 300
    a, b = data.coloured_glyphs(20, 50, seeded(1)), data.coloured_glyphs(40, 50, seeded(2))
    assert torch.equal(a.test.inputs, b.test.inputs)


def test_without_the_fonts(monkeypatch):
    from etude.data import generated

    generated._atlas.cache_clear()
    monkeypatch.setattr(generated, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="Matplotlib"):
        data.glyphs(1)


def test_moons_lie_on_their_circles():
    xy, label = data.two_moons(200, 0.0)
    centre = torch.stack([label, label / 2], 1)
    assert torch.allclose((xy - centre).norm(dim=1), torch.ones(200), atol=1e-6)
    assert ((xy - centre)[:, 1] * (1 - 2 * label) >= 0).all()


def test_rings_leave_a_gap_and_have_one_density():
    xy, label = data.rings(40_000, 0.6, 0.1, torch.Generator().manual_seed(0))
    r = xy.norm(dim=1)
    assert float(r[label == 1].max()) <= 0.6
    assert float(r[label == 0].min()) >= 0.7
    inner = (r[label == 1] < 0.6 / 2**0.5).float().mean()  # half of the disc's area
    outer = (r[label == 0] < (0.49 + 0.18) ** 0.5).float().mean()
    assert abs(float(inner) - 0.5) < 0.01
    assert abs(float(outer) - 0.5) < 0.01
