"""The regularisation study: wrong labels, and what each method leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import etude
from etude import data
from etude.runs.run import Run
from etude.studies.foundations.regularization.regularization import (
    METHODS,
    Regularization,
    linear_layers,
    mislabel,
)
from etude.training.validation import split


def test_so_many_labels_are_wrong_and_no_more() -> None:
    labels = torch.arange(100) % 10
    wrong = mislabel(labels, 0.2)
    assert (wrong != labels).sum() == 20
    assert 0 <= wrong.min() <= wrong.max() <= 9
    assert torch.equal(labels, torch.arange(100) % 10)
    assert torch.equal(mislabel(labels, 0.0), labels)


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_images_of_each_class(tmp_path: Path, seed: int) -> None:
    with Run("split", seed=seed, root=tmp_path, quiet=True) as run:
        train, validation = split(run, data.uci_digits().train, 1_337)
    assert torch.bincount(train.labels).tolist() == [10] * 10
    assert len(validation) == 1_337


def test_every_method_does_what_it_is_for(tmp_path: Path) -> None:
    study = Regularization()
    nets: dict[str, torch.nn.Module] = {}
    reached = {}
    with Run("methods", root=tmp_path, quiet=True) as run:
        for method in METHODS:
            with run.part(method, seed=3) as metrics:
                nets[method] = study.train(run, method)
            reached[method] = metrics
    assert reached["none"]["train/accuracy"] > 0.9, "learned by heart, and a fifth is wrong"
    assert reached["early stopping"]["steps"] < 150
    weights = {method: linear_layers(net)[0].weight.detach() for method, net in nets.items()}
    zeros = {method: (w == 0).float().mean().item() for method, w in weights.items()}
    assert zeros["none"] == zeros["L2"] == 0
    assert zeros["L1"] > 0.5
    assert zeros["L0"] > 0.2
    assert weights["L2"].norm() < 0.7 * weights["none"].norm()
    rank = {method: (torch.linalg.svdvals(w) > 0.05).sum().item() for method, w in weights.items()}
    assert rank["nuclear norm"] < 0.5 * rank["none"]
    x = data.uci_digits().test.inputs / 16

    def sure(method: str) -> float:
        with torch.no_grad():
            return nets[method](x).softmax(1).max(1).values.mean().item()

    assert sure("label smoothing") < 0.6 < sure("none")
    assert sure("confidence penalty") < 0.7 * sure("none")
    gains = [
        reached[m]["validation/accuracy"] - reached["none"]["validation/accuracy"]
        for m in METHODS[1:]
    ]
    assert sum(gain > 0 for gain in gains) >= 8
    (claim,) = (claim for claim in Regularization.claims if claim.metric == "nine/test/accuracy")
    assert not claim.allows(reached["none"]["test/accuracy"])


def test_the_kept_network_reads_digits(tmp_path: Path) -> None:
    run = etude.run("regularization", steps=60, repeats=1, root=tmp_path, quiet=True)
    picture = data.uci_digits().test.inputs[0, 0] * 15
    assert sum(etude.load(run.folder.path).predict(picture).values()) == pytest.approx(1, abs=1e-5)
    assert {p.stem for p in run.folder.pictures()} == {
        "comparison",
        "overfitting",
        "gap",
        "weights",
        "singular_values",
    }
    assert len(run.folder.tables_of()["gain"]) == len(METHODS)
