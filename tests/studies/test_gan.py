"""The game on digits, played shortly: both losses, with classes and without, and what is shown of
it.
"""

from __future__ import annotations

import math

import pytest
import torch

import etude
from etude.studies.generative.gan._sampling import arc_fraction, mode_fractions, ring_of_points
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


def test_a_uniform_circle_reaches_all_clusters_and_is_near_none() -> None:
    """What knows nothing of clusters satisfies the claim on their number, and not that on points
    near one.
    """
    torch.manual_seed(0)
    data, _, centres = ring_of_points(4_000)
    angle = 2 * math.pi * torch.rand(4_000)
    circle = mode_fractions(torch.stack([angle.cos(), angle.sin()], 1), centres, 0.12)
    claims = {claim.metric: claim for claim in GAN.claims if claim.kind == "claim"}
    assert claims["ring/wgan-gp/modes"].allows((circle > 0.02).sum().item())
    near = claims["ring/wgan-gp/near a mode"]
    assert near.allows(mode_fractions(data, centres, 0.12).sum().item())
    assert not near.allows(circle.sum().item())
    assert circle.sum().item() == pytest.approx(arc_fraction(8, 0.12), abs=0.03)
