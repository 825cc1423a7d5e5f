"""A drawing found in a photograph: shade, dust, tables and boxes do not belong to it."""

from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import etude
from data.photographs import KINDS, SIDE, STROKES, photograph, two
from etude import data
from etude.data.images import _fit, ink
from etude.errors import UserError


def of_uci(n, start=0):
    """Digits of the set that comes with scikit-learn, as 28×28 pixels from 0 to 1."""
    images = data.uci_digits().test.inputs[start : start + n].float() / 16
    large = torch.nn.functional.interpolate(images, (20, 20), mode="bicubic").clamp(0, 1)
    return torch.nn.functional.pad(large, (4, 4, 4, 4))[:, 0].numpy()


@cache
def mnist():
    """Digits of MNIST, and their clean photographs."""
    digits = data.mnist().test.inputs[:4, 0].numpy() / 255
    return digits, [photograph(each, "clean", np.random.default_rng(0)) for each in digits]


def alike(one, other):
    """The correlation of what two pictures show, each fitted into 20×20."""
    both = torch.zeros(2, 20, 20)
    for canvas, picture in zip(both, (one, other), strict=True):
        small = _fit(ink(picture), 20)
        canvas[: len(small), : small.shape[1]] = small / small.max()
    return float(torch.corrcoef(both.flatten(1))[0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_what_else_is_in_a_photograph_does_not_matter(kind):
    for i, digit in enumerate(of_uci(2)):
        picture = photograph(digit, kind, np.random.default_rng(i))
        assert alike(picture, photograph(digit, "clean", np.random.default_rng(i))) > 0.95


@pytest.mark.parametrize("kind", [*KINDS, "tight"])
def test_nor_with_digits_of_mnist(real, kind):
    real("mnist")
    digits, clean = mnist()
    found = [
        alike(photograph(digit, kind, np.random.default_rng(i)), clean[i])
        for i, digit in enumerate(digits)
    ]
    assert min(found) > 0.9, found


@pytest.mark.parametrize("how", ["NEAREST", "BILINEAR", "BICUBIC", "LANCZOS"])
@pytest.mark.parametrize("size", [90, 280])
def test_a_small_picture_made_larger_is_what_it_was(how, size):
    """Of 8×8 pixels a digit fills its picture, and its strokes are as wide as a quarter of it."""
    for image in data.uci_digits().test.inputs[:30, 0]:
        small = Image.fromarray(image.numpy() * 15)
        large = small.resize((size, size), Image.Resampling[how])
        for inverted in (False, True):
            picture = Image.eval(large, lambda v: 255 - v) if inverted else large
            assert alike(np.asarray(picture), small.resize((40, 40), Image.Resampling[how])) > 0.9


@pytest.mark.parametrize("kind", ["thick", "thin"])
def test_a_pen_of_any_width(kind):
    for i, digit in enumerate(of_uci(3)):
        picture = photograph(digit, kind, np.random.default_rng(i))
        assert alike(picture, photograph(digit, "clean", np.random.default_rng(i))) > 0.7


@pytest.mark.parametrize("like", [data.like_mnist, data.like_uci])
def test_two_drawings_are_refused(tmp_path, like):
    digits = of_uci(6)
    for first, second in zip(digits[::2], digits[1::2], strict=True):
        with pytest.raises(UserError, match="shows more than one drawing, side by side; cut out"):
            like(two(first, second))
    Image.fromarray(255 - two(*digits[:2])).save(tmp_path / "forty-two.png")
    with pytest.raises(UserError, match=r"forty-two\.png shows more than one drawing"):
        like(tmp_path / "forty-two.png")


def test_a_digit_in_pieces_is_one():
    """The hat of a 5 that does not touch it, and a 4 of two strokes."""
    for strokes in (
        [[(110, 60), (180, 60)], [(104, 72), (100, 130), (170, 140), (165, 200), (95, 205)]],
        [[(100, 50), (80, 150), (190, 150)], [(150, 90), (150, 138)], [(150, 162), (150, 230)]],
    ):
        image = Image.new("L", (SIDE, SIDE), 240)
        for stroke in strokes:
            ImageDraw.Draw(image).line(stroke, fill=20, width=10, joint="curve")
        rows, columns = (np.flatnonzero((np.asarray(image) < 100).any(k)) for k in (1, 0))
        found = ink(image)
        assert found.shape[0] == pytest.approx(np.ptp(rows) + 1, abs=3)
        assert found.shape[1] == pytest.approx(np.ptp(columns) + 1, abs=3)


def test_a_stroke_may_leave_a_canvas_for_drawing():
    """The page's canvas ends where it ends; a stroke that runs out of it is drawn all the same."""
    image = Image.new("L", (SIDE, SIDE), 0)
    ImageDraw.Draw(image).line([(60, 80), (200, 80), (120, 279)], fill=255, width=20)
    found = ink(image)
    assert found.shape[0] > 195
    assert found.shape[1] > 140


def test_what_is_filled_keeps_its_ground():
    """Clothes are wider than a pen, and have dark and light parts."""
    shirt = np.full((SIDE, SIDE), 255.0)
    shirt[40:240, 60:220] = 120
    shirt[100:140, 60:220] = 30
    found = ink(shirt.astype(np.uint8), solid=True)
    assert found.shape == (200, 160)
    assert float(found.min()) > 0.5
    assert data.like_mnist(shirt.astype(np.uint8), solid=True).shape == (1, 28, 28)


@pytest.mark.claims
def test_photographed_digits_are_recognised(real, tmp_path):
    """Of 200 of MNIST's test digits at least 95 % are right, whatever else is in the picture."""
    real("mnist")
    run = etude.run("digits", scale="brief", root=tmp_path, quiet=True)
    trained = etude.load(run)
    test = data.mnist().test
    chosen = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:201]
    digits, labels = test.inputs[chosen, 0].numpy() / 255, test.labels[chosen[:-1]]
    found = {}
    for kind in KINDS | STROKES:
        images = torch.stack(
            [
                data.like_mnist(photograph(digits[i], kind, np.random.default_rng(i)))
                for i in range(200)
            ]
        )
        predicted = trained.study.logits(trained.network, images).argmax(1)
        found[kind] = float((predicted == labels).float().mean())
    refused = 0
    for i in range(200):
        try:
            data.like_mnist(two(digits[i], digits[i + 1]))
        except UserError:
            refused += 1
    assert min(found.values()) >= 0.95, found
    assert refused >= 196
