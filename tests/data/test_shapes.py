import math

import pytest
import torch
from sklearn.metrics import confusion_matrix

from etude.data.shapes import INNER, KINDS, SIZE, TIPS, boxes_of, scenes


def seeded(n: int = 40, seed: int = 0, **options):
    return scenes(n, generator=torch.Generator().manual_seed(seed), **options)


def test_what_is_drawn_depends_on_the_generator_alone() -> None:
    a, (b, c) = seeded(), (seeded(), seeded(seed=1))
    torch.manual_seed(5)
    assert torch.equal(a.images, seeded().images)
    for one, two in zip(a._tensors, b._tensors, strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(a.images, c.images)


def test_everything_told_fits_together() -> None:
    s = seeded(300, side=48)
    assert s.images.shape == (300, 3, 48, 48)
    assert s.images.dtype == torch.uint8
    assert set(s.counts.tolist()) == {1, 2, 3, 4, 5, 6}
    there = s.kinds >= 0
    assert torch.equal(there, s.colours >= 0)
    assert (there.int().diff(dim=1) <= 0).all(), "those that are there come first"
    assert (s.masks.flatten(2).any(2) == there).all(), "each shape is seen, and nothing else"
    assert torch.equal(boxes_of(s.masks), s.boxes)
    for k in range(len(KINDS)):
        assert torch.equal(s.classes == k + 1, (s.masks & (s.kinds == k)[..., None, None]).any(1))
    assert torch.equal(s.classes == 0, s.instances == 0)
    boxed = s.boxed
    assert torch.equal(boxed.counts, s.counts)
    some = torch.tensor([3, 1])
    assert torch.equal(s[some].images, s.images[some])
    assert boxed[some].labels.shape[1] == int(s.counts[some].max())


def test_options_are_kept_to() -> None:
    s = seeded(100, shapes=(2, 3), kinds=2, radius=(0.1, 0.1), overlap=0.0)
    assert set(s.counts.tolist()) <= {1, 2, 3}
    assert s.counts.float().mean() > 2.3
    assert set(s.kinds.unique().tolist()) == {-1, 0, 1}
    apart = (s.centres[:, 0] - s.centres[:, 1]).norm(dim=1)[s.counts >= 2]
    assert apart.min() >= 2 * 0.1 * 64


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_areas_are_those_of_the_polygons(kind: int) -> None:
    """A star of k tips at radius R and inner radius m R has the area k m sin(π / k) R²; stretching
    keeps it.
    """
    s = seeded(400, side=96, shapes=(1, 1), radius=(0.2, 0.2), kinds=len(KINDS))
    left, top, right, bottom = s.boxes[:, 0].unbind(1)
    whole = (s.kinds[:, 0] == kind) & (left > 0) & (top > 0) & (right < 96) & (bottom < 96)
    assert whole.sum() > 20
    area = s.masks[whole, 0].sum((1, 2)).double()
    k, m, r = float(TIPS[kind]), float(INNER[kind]), 0.2 * 96 * float(SIZE[kind])
    assert area.mean() == pytest.approx(k * m * math.sin(math.pi / k) * r**2, rel=0.02)
    assert area.std() / area.mean() < 0.03


def test_kind_and_colour_tell_nothing_of_each_other() -> None:
    s = seeded(1_000)
    there = s.kinds >= 0
    counts = confusion_matrix(s.kinds[there], s.colours[there], labels=range(6))[:4].astype(float)
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    assert (
        (counts - expected) ** 2 / expected
    ).sum() < 37.7  # χ² of 15 degrees of freedom at 0.001


def test_boxes_of_nothing_are_zero() -> None:
    mask = torch.zeros(2, 5, 7, dtype=torch.bool)
    mask[1, 2, 3] = True
    assert boxes_of(mask).tolist() == [[0, 0, 0, 0], [3, 2, 4, 3]]
