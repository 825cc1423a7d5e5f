"""The radiance field's study: what it is tested on, what it predicts, and its demo."""

from __future__ import annotations

import pytest
import torch

import etude
from etude.catalogue import Catalogue
from etude.errors import UserError
from etude.studies.vision.nerf.nerf import RadianceField
from etude.training.evaluation import psnr

SMALL = {
    "side": 12,
    "views": 8,
    "tested": 3,
    "steps": 5,
    "batch": 32,
    "coarse": 4,
    "fine": 4,
    "frames": 4,
    "width": 16,
    "layers": 2,
    "validation": 1,
}


def test_the_ratio_in_decibels() -> None:
    truth = torch.zeros(2, 3, 4, 3)
    pictures = torch.stack([truth[0] + 0.1, truth[1] + 0.01])
    torch.testing.assert_close(psnr(pictures, truth), torch.tensor([20.0, 40.0]))


def test_it_says_what_is_at_a_place_and_shows_any_view(tmp_path) -> None:
    run = etude.run("nerf", root=tmp_path, quiet=True, **SMALL)
    assert {path.stem for path in run.folder.pictures()} == {"ray", "turn", "views"}
    assert run.held_out["test/PSNR"] == 3
    trained = etude.load(run.folder.path)
    assert set(trained.predict("0.1 0 -0.2")) == {"density", "red", "green", "blue"}
    for wrong in ([0.1, 0.2], "a b c", "", None):
        with pytest.raises(UserError, match="expected 3 numbers: x, y and z"):
            trained.predict(wrong)
    study = Catalogue()["nerf"].load().at("quick", **SMALL)
    demo = study.demo()
    net = study.network()
    (answer,) = demo.answer(
        net, **{name: control.read(control.default) for name, control in demo.inputs.items()}
    )
    assert set(answer.images) == {"rendered", "depth", "truth"}
    assert all(
        image.min() >= 0 and image.max() <= 1 and image.shape[2] == 3
        for image in answer.images.values()
    )
    assert answer.images["truth"].max() > answer.images["truth"].min()


def test_it_needs_views_to_learn_from(tmp_path) -> None:
    with pytest.raises(UserError, match="validation is 8; expected fewer than the 8 views"):
        etude.run("nerf", root=tmp_path, quiet=True, **{**SMALL, "validation": 8})


def test_the_nearest_photograph_is_not_what_is_claimed_of_a_field() -> None:
    known, tested = RadianceField(side=16).scene()
    ratios = psnr(known.nearest(tested), tested.images)
    claim = next(claim for claim in RadianceField.claims if claim.metric == "test/PSNR")
    assert not claim.allows(ratios.mean().item())
