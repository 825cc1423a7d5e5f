"""The game on digits, played shortly: both losses, with classes and without, and what is shown of
it.
"""

from __future__ import annotations

import pytest
import torch

import etude
from etude.studies.generative.gan.gan import GAN

SHORT = {"ring_steps": 3, "judging": 60, "fakes": 200}
FIGURES = {"between", "classes", "learning", "nearest", "ring", "samples", "scores"}


def test_it_learns_to_make_digits_that_can_be_learned_from(tmp_path) -> None:
    torch.set_num_threads(1)
    short = {**SHORT, "judging": 150, "fakes": 600}
    run = etude.run("gan", root=tmp_path, quiet=True, steps=150, width=16, average=0.97, **short)
    m = run.metrics
    assert m["judge/accuracy"] > 0.9
    assert m["generated/accuracy"] > 0.4
    assert m["student/accuracy"] > 0.3
    assert m["training digits/coverage"] > 0.95
    assert m["training digits/distance"] < m["generated/distance"]
    assert {path.stem for path in run.folder.pictures()} == FIGURES
    assert (run.folder.figures / "learning.gif").stat().st_size > 10_000
    net = etude.load(run.folder.path).network
    assert net(*GAN().example()).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("loss", ["non-saturating", "wgan-gp"])
def test_without_classes_the_judge_names_what_was_made(tmp_path, loss: str) -> None:
    run = etude.run(
        "gan", root=tmp_path, quiet=True, steps=4, loss=loss, conditional=False, **SHORT
    )
    assert "generated/accuracy" not in run.metrics
    assert 0 <= run.metrics["student/accuracy"] <= 1
    rows = [row for row in run.folder.metrics() if row.get("stage") == "game"]
    if loss == "non-saturating":  # no more than log 2, and near 0 at first
        assert abs(rows[0]["distance"]) < 0.2
    assert all(torch.tensor(row["generator"]).isfinite() for row in rows)


def test_full_makes_large_pictures() -> None:
    study = GAN.at("full")
    assert study.network()(*study.example()).shape == (2, 1, 28, 28)
