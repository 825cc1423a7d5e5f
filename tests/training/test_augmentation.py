from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from etude.training import augmentation
from etude.training.augmentation import random_affine


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


IMAGES = torch.rand(16, 3, 9, 9, generator=generator(9))
CHANGES: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "crop": lambda x, g: augmentation.random_crop(x, g, 2),
    "crop, mirrored border": lambda x, g: augmentation.random_crop(x, g, 2, "reflect"),
    "flip": augmentation.random_flip,
    "affine": lambda x, g: random_affine(x, g, 10, 1, 0.1, 0.1),
    "cutout": lambda x, g: augmentation.cutout(x, g, 3),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_same_generator_same_change_and_each_image_its_own(
    change: Callable[[Tensor, Generator], Tensor],
) -> None:
    out = change(IMAGES, generator(1))
    assert out.shape == IMAGES.shape
    assert torch.equal(out, change(IMAGES, generator(1)))
    assert not torch.equal(out, change(IMAGES, generator(2)))
    alike = IMAGES[:1].expand(16, -1, -1, -1)
    assert len(torch.unique(change(alike, generator(3)).flatten(1), dim=0)) > 1


def test_a_crop_is_a_shift() -> None:
    for mode in ("constant", "reflect"):
        out = augmentation.random_crop(IMAGES, generator(), 2, mode)  # type: ignore[arg-type]
        padded = torch.nn.functional.pad(IMAGES, (2,) * 4, mode)
        for image, whole in zip(out, padded, strict=True):
            shifts = [whole[:, i : i + 9, j : j + 9] for i in range(5) for j in range(5)]
            assert any(torch.equal(image, shift) for shift in shifts)


def test_whole_numbers_stay_whole() -> None:
    images = (IMAGES * 255).byte()
    assert augmentation.random_crop(images, generator(), 2, "reflect").dtype == torch.uint8


def test_no_change_asked_for_none_made() -> None:
    assert torch.allclose(random_affine(IMAGES, generator()), IMAGES, atol=1e-5)
    assert torch.equal(augmentation.random_crop(IMAGES, generator(), 0), IMAGES)


def test_a_turn_by_a_right_angle_is_exact() -> None:
    u = torch.full((5, 16), 0.5)
    u[0] = 1.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", lambda *a, **k: u)
        out = random_affine(IMAGES, generator(), degrees=90)
    assert torch.allclose(out, IMAGES.rot90(1, (2, 3)), atol=1e-4)


def test_a_shift_is_in_pixels() -> None:
    u = torch.full((5, 16), 0.5)
    u[2] = 1.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", lambda *a, **k: u)
        out = random_affine(IMAGES, generator(), shift=2)
    assert torch.allclose(out[..., :-2], IMAGES[..., 2:], atol=1e-4)


def test_half_are_flipped() -> None:
    many = torch.arange(2.0).view(1, 1, 1, 2).expand(4000, 1, 1, 2)
    flipped = (augmentation.random_flip(many, generator())[:, 0, 0, 0] == 1).double().mean().item()
    assert math.isclose(flipped, 0.5, abs_tol=0.04)


def test_cutout_hides_at_most_its_square() -> None:
    hidden = (augmentation.cutout(torch.ones(200, 1, 9, 9), generator(), 3) == 0).sum((1, 2, 3))
    assert hidden.max() == 9
    assert hidden.min() >= 2


@pytest.mark.parametrize("pixels", [1, 2])
def test_nudged_images_stand_in_five_places(pixels: int) -> None:
    image = torch.zeros(1, 2, 7, 6)
    image[..., 3, 2] = 1
    found = [
        tuple(place[0, 1].nonzero()[0].tolist())
        for place in augmentation.shifted_views(image, pixels)
    ]
    assert found == [(3, 2), (3, 2 - pixels), (3, 2 + pixels), (3 - pixels, 2), (3 + pixels, 2)]
    corner = torch.ones(1, 1, 4, 4)
    _, left, right, up, down = augmentation.shifted_views(corner, pixels)
    assert left[..., -pixels:].sum() == right[..., :pixels].sum() == up[..., -pixels:, :].sum() == 0
    assert left.sum() == right.sum() == up.sum() == down.sum() == 4 * (4 - pixels)
