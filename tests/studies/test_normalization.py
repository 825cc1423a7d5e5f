"""The normalization study: fair variants, mini-batches as asked for, and the claims on a
short run.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import etude
from etude import data
from etude.errors import UserError
from etude.layers.normalization import BatchRenorm, InstanceNorm
from etude.runs.run import Run
from etude.studies.foundations.normalization.normalization import NORMS, Normalization, mixture


def test_every_variant_has_the_same_parameters_and_the_same_start() -> None:
    weights = []
    for norm in NORMS:
        torch.manual_seed(0)
        weights.append(dict(Normalization().network(norm, 16).named_parameters()))
    for other in weights[1:]:
        assert other.keys() == weights[0].keys()
        assert all(torch.equal(other[name], weights[0][name]) for name in other)


def test_instance_norm_leaves_channels_of_one_pixel_alone() -> None:
    net = Normalization().network("instance", 16)
    assert [type(layer) for layer in net].count(InstanceNorm) == 1
    assert net(torch.rand(2, 1, 8, 8)).shape == (2, 10)


def test_running_statistics_go_back_as_many_images_at_every_size() -> None:
    for size, steps in ((64, 16), (4, 256)):
        norm = next(
            layer
            for layer in Normalization(running_images=320).network("renorm", size)
            if isinstance(layer, BatchRenorm)
        )
        assert norm.alpha == size / 320
        assert norm.steps == steps


def test_a_mixture_is_of_so_many_classes_and_has_no_image_twice() -> None:
    labels = data.uci_digits().train.labels
    torch.manual_seed(0)
    seen = torch.zeros(10)
    for _ in range(200):
        rows = mixture(labels, 16, 2)
        assert len(rows) == len(rows.unique()) == 16
        classes = labels[rows].unique()
        assert len(classes) <= 2
        seen[classes] += 1
    assert (seen > 10).all(), "every digit has its turn"
    assert len(labels[mixture(labels, 500, 10)].unique()) == 10


def test_the_noise_of_independent_values_is_one_by_the_root_of_their_number() -> None:
    study = Normalization(batches=(64, 4))
    x = torch.randn(4_000, 16, 3, 3)
    errors, pixels = study.noise(
        nn.Sequential(BatchRenorm(16)), x
    )  # running mean 0 and deviation 1
    assert pixels == {"norm 1": 9}
    for size, d in errors["norm 1"].items():
        assert d.shape == (500, 16)
        assert d.square().mean().sqrt().item() == pytest.approx((9 * size) ** -0.5, rel=0.05)


def test_one_image_in_a_mini_batch_is_told_to_be_too_few(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one value for each; expected two or more"):
        etude.run("normalization", batches=(1,), examples=8, repeats=1, root=tmp_path, quiet=True)


def test_in_mini_batches_of_two_batch_norm_collapses_and_renorm_does_not(tmp_path: Path) -> None:
    study, digits = Normalization(), data.uci_digits()
    reached = {}
    with Run("two", root=tmp_path, quiet=True) as run:
        for norm in ("batch", "renorm", "layer"):
            with run.part(norm, seed=5) as metrics:
                study.measure(run, digits, norm, size=2, classes=10)
            reached[norm] = metrics["test/accuracy"]
    assert reached["batch"] < reached["renorm"] - 0.05
    assert reached["renorm"] < reached["layer"]


def test_without_a_norm_the_network_does_not_learn_in_sixteen_steps(tmp_path: Path) -> None:
    study, digits = Normalization(), data.uci_digits()
    reached = {}
    with Run("two", root=tmp_path, quiet=True) as run:
        for norm in ("none", "batch"):
            with run.part(norm, seed=5) as metrics:
                study.measure(run, digits, norm, size=64, classes=10)
            reached[norm] = metrics["test/accuracy"]
    (claim,) = (c for c in Normalization.claims if c.metric == "batch, 64/test/accuracy")
    assert not claim.allows(reached["none"])
    assert reached["none"] < reached["batch"] - 0.2


def test_a_run_shows_every_norm_at_every_size_and_its_network_is_loaded(tmp_path: Path) -> None:
    run = etude.run(
        "normalization",
        batches=(32, 4),
        mixtures=(3,),
        examples=128,
        repeats=2,
        root=tmp_path,
        quiet=True,
    )
    for norm in NORMS:
        assert math.isfinite(run.metrics[f"{norm}, 32/test/accuracy"])
        assert run.held_out[f"{norm}, 4/test/accuracy"] == 360
    pairs = run.metrics["renorm, 4/test/accuracy"] - run.metrics["batch, 4/test/accuracy"]
    assert run.metrics["renorm gain at 4"] == pytest.approx(pairs)
    assert {path.stem for path in run.folder.pictures()} == {
        "sizes",
        "sizes_gain",
        "mixtures",
        "mixtures_gain",
        "accuracy",
        "noise",
    }
    net = etude.load(run.folder.path).network
    digits = data.uci_digits().test
    with torch.inference_mode():
        right = net(digits.inputs.float() / 16).argmax(1) == digits.labels
    assert right.double().mean() > 0.8, "the network that is kept was trained eight times as long"


@pytest.mark.claims
def test_the_claims_hold(tmp_path: Path) -> None:
    run = etude.run("normalization", seed=0, root=tmp_path, quiet=True)
    assert run.metrics["renorm gain at 4"] >= 0.03
    assert run.metrics["renorm gain at 2 classes"] >= 0.1
